"""`mvau_binary`: products of a matrix of two values and vectors, folded, with and without biases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import binary, memory
from codesign.ir import IntType, Tensor


class Shape(NamedTuple):
    """Folds, types and styles of an instance."""

    pe: int
    simd: int
    x: IntType
    low: int
    fold_in: int
    fold_out: int
    bias: bool = False
    step: int = 2
    style: str = "logic"


def mvau_binary(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    pe, simd, x, low, fold_in, fold_out, bias, step, style = shape
    weights = rng.choice([low, 1], (fold_out, fold_in, pe, simd))
    weights[0, 0, 0, 0], weights[-1, -1, -1, -1] = 1, low
    biases = rng.integers(-99, 100, (fold_out, pe)) if bias else np.zeros((fold_out, pe), dtype=np.int64)
    vectors = max(3, 60 // (fold_in * fold_out))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    # Every product at its greatest.
    words[0] = x.min if x.signed else x.max
    result = np.einsum("vois,oips->vop", words, weights) + biases
    acc = IntType.for_range(min(int(result.min()), -1), int(result.max())).bits
    levels, tensor = binary.Levels(low), Tensor((simd,), x)
    table = weights.reshape(fold_out * fold_in, pe, simd)
    starts = binary.starts(table, levels, biases if bias else None, tensor, fold_in)
    terms = -(-simd // 3) if x == IntType(1, False) and simd > 3 else simd
    return Case(
        "mvau_binary",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "XNOR": low < 0,
            "ACC": acc,
            "FOLD_IN": fold_in,
            "FOLD_OUT": fold_out,
            "BIAS": starts is not None,
            "STEP": step,
            "WEIGHTS": "weights",
            "BIASES": "biases" if starts is not None else "",
            "STYLE": style,
        },
        {"in": Words(packed(words.reshape(-1, simd), x.bits), {"in_data": simd * x.bits})},
        {"out": Words(packed(result.reshape(-1, pe), acc), {"out_data": pe * acc})},
        files={"weights": memory.words((table > 0).reshape(len(table), -1), 1)}
        | ({} if starts is None else {"biases": memory.words(starts, acc)}),
        latency=3 + (terms - 1).bit_length() // step,
        needs=range(fold_in - 1, vectors * fold_out * fold_in, fold_in),
    )


CASES = [
    mvau_binary(seed, shape)
    for seed, shape in enumerate(
        [
            Shape(1, 1, IntType(1, False), -1, 9, 1),
            Shape(2, 3, IntType(1, False), -1, 6, 3, bias=True, style="distributed"),
            Shape(3, 8, IntType(1, False), -1, 4, 2, bias=True, step=1, style="block"),
            Shape(4, 17, IntType(1, False), 0, 1, 3, bias=True),
            Shape(1, 16, IntType(8, False), -1, 1, 2, step=3),
            Shape(2, 2, IntType(3, True), -1, 3, 1),
            Shape(1, 9, IntType(5, False), 0, 2, 5, style="block"),
            Shape(5, 4, IntType(1, True), -1, 2, 2),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
