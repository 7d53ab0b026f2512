"""`framer`: packets as the host's side writes them, whatever bytes they are of."""

from __future__ import annotations

import itertools

import numpy as np
from streams import Case, Words, gaps

from codesign.deploy import protocol


def framer(bodies: list[bytes]) -> Case:
    entering = [byte | (index == len(body) - 1) << 8 for body in bodies for index, byte in enumerate(body)]
    line = b"".join(protocol.framed(body) for body in bodies)
    return Case(
        "framer",
        {},
        {"in": Words(entering, {"in_data": 8, "in_last": 1})},
        {"out": Words(list(line), {"out_data": 8})},
        depends=frozenset({("in", "out"), ("out", "in")}),
    )


def bodies(seed: int) -> list[bytes]:
    rng = np.random.default_rng(seed)
    often = rng.choice([protocol.FLAG, protocol.ESCAPE], 300)
    data = bytes(np.where(rng.random(300) < 0.4, often, rng.integers(0, 256, 300)).tolist())
    cuts = [0, *np.sort(rng.choice(np.arange(1, 300), 20, replace=False)).tolist(), 300]
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]


def escaped_checksums() -> list[bytes]:
    """Bodies whose checksum has a flag or an escape in its low or its high byte."""
    wanted = (protocol.FLAG, protocol.ESCAPE)
    made = [value.to_bytes(2, "little") for value in range(1 << 13)]
    sums = {body: protocol.checksum(body) for body in made}
    return [b for b, s in sums.items() if s & 0xFF in wanted][:3] + [b for b, s in sums.items() if s >> 8 in wanted][:3]


CASES = [framer([bytes(range(256)), b"\x7e", b"\x7d"]), framer(bodies(1)), framer(escaped_checksums())]


def test_words_and_paths(bench):
    bench.check()


def test_a_byte_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["out"].clocks) == {1}
