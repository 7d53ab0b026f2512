"""`stream_fifo`: nothing lost, nothing reordered, exactly DEPTH words inside."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps

# Registers, distributed memory, and block memory, at the limits between them.
DEPTHS = [1, 2, 3, 4, 63, 64, 65, 66, 200]


def fifo(depth: int, width: int) -> Case:
    rng = np.random.default_rng(depth)
    words = Words([int(word) for word in rng.integers(0, 1 << width, 600)], {"in_data": width})
    return Case(
        "stream_fifo",
        {"WIDTH": width, "DEPTH": depth},
        {"in": words},
        {"out": Words(words.values, {"out_data": width})},
        latency=1 if depth <= 64 else 2,
        depends=frozenset(),
    )


CASES = [fifo(depth, 1 + depth % 13) for depth in DEPTHS]


def test_words_latency_and_paths(bench):
    bench.check()


def test_it_holds_exactly_its_depth(bench):
    for case, seen in zip(bench.cases, bench.run(pauses=(0, 256)), strict=True):
        assert len(seen["in"].clocks) == case.parameters["DEPTH"]


def test_a_word_in_every_clock(bench):
    for case, seen in zip(bench.cases, bench.run(), strict=True):
        pace = 2 if case.parameters["DEPTH"] == 1 else 1
        assert gaps(seen["in"].clocks) == gaps(seen["out"].clocks) == {pace}, case.parameters
