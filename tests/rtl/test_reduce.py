"""`reduce`: the sum or the maximum of every COUNT words."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed


def reduce(lanes: int, bits: int, signed: bool, count: int, greatest: bool, y: int) -> Case:
    x = integers(np.random.default_rng(count), bits, signed, (60, count, lanes))
    result = x.max(axis=1) if greatest else x.sum(axis=1)
    return Case(
        "reduce",
        {"LANES": lanes, "X": bits, "X_SIGNED": signed, "COUNT": count, "MAX": greatest, "Y": y},
        {"in": Words(packed(x.reshape(-1, lanes), bits), {"in_data": lanes * bits})},
        {"out": Words(packed(result, y), {"out_data": lanes * y})},
        latency=1,
        needs=range(count - 1, 60 * count, count),
    )


CASES = [
    reduce(1, 8, False, 4, False, 10),
    reduce(3, 4, True, 9, False, 8),
    reduce(2, 5, True, 4, True, 5),
    reduce(4, 3, False, 3, True, 3),
    reduce(1, 1, True, 6, True, 1),
    reduce(1, 6, True, 1, False, 6),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
