"""`mvau`: products of a matrix and vectors, folded, with and without biases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.ir import IntType


class Shape(NamedTuple):
    """Folds, types and styles of an instance."""

    pe: int
    simd: int
    x: IntType
    w: int
    fold_in: int
    fold_out: int
    bias: bool = False
    step: int = 2
    style: str = "logic"


def mvau(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    pe, simd, x, w, fold_in, fold_out, bias, step, style = shape
    weights = integers(rng, w, True, (fold_out, fold_in, pe, simd))
    biases = rng.integers(-99, 100, (fold_out, pe)) if bias else np.zeros((fold_out, pe), dtype=np.int64)
    vectors = max(3, 60 // (fold_in * fold_out))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    # Every product at its greatest.
    words[0] = x.min if x.signed else x.max
    result = np.einsum("vois,oips->vop", words, weights) + biases
    acc = IntType.for_range(min(int(result.min()), -1), int(result.max())).bits
    return Case(
        "mvau",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "W": w,
            "ACC": acc,
            "FOLD_IN": fold_in,
            "FOLD_OUT": fold_out,
            "BIAS": bias,
            "STEP": step,
            "WEIGHTS": "weights",
            "BIASES": "biases" if bias else "",
            "STYLE": style,
        },
        {"in": Words(packed(words.reshape(-1, simd), x.bits), {"in_data": simd * x.bits})},
        {"out": Words(packed(result.reshape(-1, pe), acc), {"out_data": pe * acc})},
        files={"weights": memory.words(weights.reshape(fold_out * fold_in, -1), w)}
        | ({"biases": memory.words(biases, acc)} if bias else {}),
        latency=3 + (simd - 1).bit_length() // step,
        needs=range(fold_in - 1, vectors * fold_out * fold_in, fold_in),
    )


CASES = [
    mvau(seed, shape)
    for seed, shape in enumerate(
        [
            Shape(1, 1, IntType(3, False), 3, 9, 1),
            Shape(2, 3, IntType(4, True), 4, 6, 3, bias=True, style="distributed"),
            Shape(3, 8, IntType(2, False), 2, 4, 2, bias=True, step=1, style="block"),
            Shape(4, 5, IntType(1, False), 1, 1, 3, bias=True),
            Shape(1, 16, IntType(8, True), 8, 1, 1, step=3),
            Shape(2, 2, IntType(1, True), 5, 3, 1, step=2),
            Shape(1, 9, IntType(5, False), 3, 2, 5, bias=True, style="block"),
            Shape(5, 1, IntType(7, True), 1, 2, 2, style="distributed"),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
