"""`depthwise`: every channel with weights of its own, one tap in a clock."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.ir import IntType


def depthwise(lanes: int, x: IntType, w: int, taps: int, fold: int, bias: bool, style: str) -> Case:
    rng = np.random.default_rng(taps + fold)
    weights = integers(rng, w, True, (fold, taps, lanes))
    biases = rng.integers(-70, 70, (fold, lanes)) if bias else np.zeros((fold, lanes), dtype=np.int64)
    pixels = max(3, 80 // (taps * fold))
    words = integers(rng, x.bits, x.signed, (pixels, fold, taps, lanes))
    words[0] = x.min if x.signed else x.max
    result = (words * weights).sum(axis=2) + biases
    acc = IntType.for_range(min(int(result.min()), -1), int(result.max())).bits
    return Case(
        "depthwise",
        {
            "LANES": lanes,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "W": w,
            "ACC": acc,
            "TAPS": taps,
            "FOLD": fold,
            "BIAS": bias,
            "WEIGHTS": "weights",
            "BIASES": "biases" if bias else "",
            "STYLE": style,
        },
        {"in": Words(packed(words.reshape(-1, lanes), x.bits), {"in_data": lanes * x.bits})},
        {"out": Words(packed(result.reshape(-1, lanes), acc), {"out_data": lanes * acc})},
        files={"weights": memory.words(weights.reshape(-1, lanes), w)}
        | ({"biases": memory.words(biases, acc)} if bias else {}),
        latency=3,
        needs=range(taps - 1, pixels * fold * taps, taps),
    )


CASES = [
    depthwise(1, IntType(3, False), 3, 9, 1, False, "logic"),
    depthwise(4, IntType(4, True), 2, 9, 3, True, "distributed"),
    depthwise(2, IntType(8, True), 8, 4, 2, True, "block"),
    depthwise(3, IntType(1, False), 1, 6, 1, True, "logic"),
    depthwise(2, IntType(5, False), 4, 1, 3, True, "logic"),
    depthwise(1, IntType(2, True), 6, 1, 1, False, "logic"),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
