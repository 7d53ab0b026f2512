"""`stream_fork`: every word to every reader, each at its own pace."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps


def fork(readers: int) -> Case:
    width = 7
    words = [int(word) for word in np.random.default_rng(readers).integers(0, 1 << width, 400)]
    names = [f"out{reader}" for reader in range(readers)]
    bits = {end: "{" + ", ".join(f"{name}_{end}" for name in reversed(names)) + "}" for end in ("valid", "ready")}
    wires = {"in_valid": "in_valid", "in_ready": "in_ready", "in_data": "in_word"}
    wires |= {"clk": "clk", "rst": "rst", "out_valid": bits["valid"], "out_ready": bits["ready"], "out_data": "shared"}
    return Case(
        "stream_fork",
        {"N": readers, "WIDTH": width},
        {"in": Words(words, {"in_data": width})},
        {name: Words(words, {"out_data": width}) for name in names},
        latency=0,
        depends=frozenset(pair for name in names for pair in (("in", name), (name, "in"))),
        ports=wires,
        wiring=f"    logic [{width - 1}:0] shared;\n"
        + "\n".join(f"    assign {name}_word = shared;" for name in names),
    )


CASES = [fork(readers) for readers in (1, 2, 3)]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}


def test_no_reader_waits_for_another(bench):
    pair = bench.run(pauses=(0, 128))[1]
    ahead = np.sign(np.array(pair["out0"].clocks) - np.array(pair["out1"].clocks))
    assert set(ahead) == {-1, 0, 1}
