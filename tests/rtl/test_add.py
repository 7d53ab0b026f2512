"""`add`: the sum of two streams that are read together."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed


def add(lanes: int, a: int, a_signed: bool, b: int, b_signed: bool, y: int) -> Case:
    rng = np.random.default_rng(a + b)
    left, right = integers(rng, a, a_signed, (200, lanes)), integers(rng, b, b_signed, (200, lanes))
    return Case(
        "add",
        {"LANES": lanes, "A": a, "A_SIGNED": a_signed, "B": b, "B_SIGNED": b_signed, "Y": y},
        {"a": Words(packed(left, a), {"a_data": lanes * a}), "b": Words(packed(right, b), {"b_data": lanes * b})},
        {"out": Words(packed(left + right, y), {"out_data": lanes * y})},
        latency=1,
        depends=frozenset({("a", "b"), ("a", "out"), ("b", "a"), ("b", "out")}),
    )


CASES = [
    add(1, 8, True, 8, True, 9),
    add(3, 4, False, 4, False, 5),
    add(2, 3, True, 6, False, 8),
    add(4, 7, False, 2, True, 9),
    add(1, 1, False, 1, True, 2),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["a"].clocks) == gaps(seen["b"].clocks) == {1}
