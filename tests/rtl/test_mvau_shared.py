"""`mvau_shared`: products of a matrix and vectors by multipliers that outputs share, with and without biases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.backends.rtl.packed import digits
from codesign.ir import IntType
from codesign.ir.types import weight_bits


class Shape(NamedTuple):
    """Folds, types and styles of an instance."""

    pe: int
    simd: int
    x: IntType
    w: int
    fold_in: int
    fold_out: int
    groups: int
    bias: bool = False
    step: int = 2
    style: str = "logic"


def mvau_shared(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    pe, simd, x, w, fold_in, fold_out, groups, bias, step, style = shape
    weights = integers(rng, w, True, (fold_out * fold_in, pe, simd))
    # Products at their greatest, at their least, and both in turn.
    weights[0], weights[-1] = (1 << (w - 1)) - 1, -(1 << (w - 1))
    if fold_in * fold_out > 2:
        weights[1] = np.where(np.arange(pe) % 2, -(1 << (w - 1)), (1 << (w - 1)) - 1)[:, None]
    biases = rng.integers(-99, 100, (fold_out, pe)) if bias else np.zeros((fold_out, pe), dtype=np.int64)
    vectors = max(4, 60 // (fold_in * fold_out))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    words[0], words[1] = x.min if x.signed else x.max, x.max
    by_word = weights.reshape(fold_out, fold_in, pe, simd)
    result = np.einsum("vois,oips->vop", words, by_word) + biases
    acc = needed(result)
    least, most = -(1 << (w - 1)), (1 << (w - 1)) - 1
    ends = [a * b for a in (least, most) for b in (x.min, x.max)]
    field = needed(np.array([min(ends) - 1, max(ends)]))
    found = digits(weights, groups)
    bits = weight_bits(found)
    return Case(
        "mvau_shared",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "W": bits,
            "ACC": acc,
            "FOLD_IN": fold_in,
            "FOLD_OUT": fold_out,
            "BIAS": bias,
            "STEP": step,
            "GROUPS": groups,
            "FIELD": field,
            "WEIGHTS": "weights",
            "BIASES": "biases" if bias else "",
            "STYLE": style,
        },
        {"in": Words(packed(words.reshape(-1, simd), x.bits), {"in_data": simd * x.bits})},
        {"out": Words(packed(result.reshape(-1, pe), acc), {"out_data": pe * acc})},
        files={"weights": memory.words(found.reshape(fold_out * fold_in, -1), bits)}
        | ({"biases": memory.words(biases, acc)} if bias else {}),
        latency=3 + (simd - 1).bit_length() // step,
        needs=range(fold_in - 1, vectors * fold_out * fold_in, fold_in),
    )


def needed(values: np.ndarray) -> int:
    return IntType.for_range(min(int(values.min()), -1), max(int(values.max()), 0)).bits


CASES = [
    mvau_shared(seed, shape)
    for seed, shape in enumerate(
        [
            Shape(2, 1, IntType(3, False), 3, 9, 1, 1),
            Shape(3, 1, IntType(4, True), 4, 6, 3, 2, bias=True, style="distributed"),
            Shape(6, 4, IntType(3, False), 3, 4, 2, 2, bias=True, style="block"),
            Shape(5, 8, IntType(2, False), 2, 4, 2, 2, bias=True, step=1),
            Shape(4, 9, IntType(3, True), 3, 1, 3, 2),
            Shape(2, 3, IntType(8, True), 8, 5, 2, 2, bias=True),
            Shape(7, 6, IntType(1, False), 1, 3, 1, 3, style="distributed"),
            Shape(4, 5, IntType(1, True), 1, 2, 2, 1, bias=True),
            Shape(3, 2, IntType(4, False), 4, 1, 1, 2, bias=True),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
