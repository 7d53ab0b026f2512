"""`lane_adapter`: the same elements in the same order, in wider or narrower words."""

from __future__ import annotations

import numpy as np
from streams import SLOW, Case, Words, gaps, integers, packed


def adapter(bits: int, lanes: int, wanted: int) -> Case:
    elements = integers(np.random.default_rng(lanes + wanted), bits, False, (240,))
    ratio = max(1, wanted // lanes)
    return Case(
        "lane_adapter",
        {"BITS": bits, "IN": lanes, "OUT": wanted},
        {"in": Words(packed(elements.reshape(-1, lanes), bits), {"in_data": lanes * bits})},
        {"out": Words(packed(elements.reshape(-1, wanted), bits), {"out_data": wanted * bits})},
        latency=1 if wanted >= lanes else None,
        needs=range(ratio - 1, 240 // lanes, ratio) if wanted >= lanes else None,
    )


LANES = [(3, 1, 1), (5, 4, 4), (3, 1, 2), (1, 1, 3), (7, 1, 4), (3, 2, 6), (2, 2, 1), (5, 3, 1), (1, 8, 2), (4, 6, 3)]


CASES = [adapter(*lanes) for lanes in LANES]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_small_word_in_every_clock(bench):
    for case, seen in zip(bench.cases, bench.run(), strict=True):
        narrow = "in" if case.parameters["IN"] <= case.parameters["OUT"] else "out"
        assert gaps(seen[narrow].clocks) == {1}, case.parameters


def test_the_parts_of_a_word_follow_it(bench):
    for case, seen in zip(bench.cases, bench.run(**SLOW), strict=True):
        ratio = case.parameters["IN"] // case.parameters["OUT"]
        if ratio > 1:
            parts = [clock + 1 + part for clock in seen["in"].clocks for part in range(ratio)]
            assert seen["out"].clocks == parts, case.parameters
