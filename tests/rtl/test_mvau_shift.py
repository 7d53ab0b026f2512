"""`mvau_shift`: products of a matrix of powers of two, times one or two constants, and vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory, powers
from codesign.ir import IntType, Tensor


class Shape(NamedTuple):
    """Folds, types and styles of an instance."""

    pe: int
    simd: int
    x: IntType
    book: tuple[int, ...]
    fold_in: int
    fold_out: int
    bias: bool = False
    step: int = 2
    style: str = "logic"


def mvau_shift(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    pe, simd, x, book, fold_in, fold_out, bias, step, style = shape
    weights = rng.choice(book, (fold_out, fold_in, pe, simd)) * rng.choice([-1, 1], (fold_out, fold_in, pe, simd))
    # Every value is there, and a row of the greatest, with each sign.
    weights.reshape(-1)[: len(book)] = book
    if simd > 1:
        weights[-1, :, -1, 1], weights[-1, :, -1, 0] = max(book), -max(book)
    biases = rng.integers(-99, 100, (fold_out, pe)) if bias else np.zeros((fold_out, pe), dtype=np.int64)
    vectors = max(3, 60 // (fold_in * fold_out))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    # Every product at its greatest.
    words[0] = x.min if x.signed else x.max
    result = np.einsum("vois,oips->vop", words, weights) + biases
    acc = IntType.for_range(min(int(result.min()), -1), int(result.max())).bits
    table = weights.reshape(fold_out * fold_in, pe, simd)
    found = powers.powers(weights)
    assert found is not None
    sums = powers.sums(found, table, biases if bias else None, Tensor((simd,), x), fold_in)
    assert sums is not None
    two = len(found.factors) == 2
    wide = sums.bits if two else (*sums.bits, 1)
    starts = sums.starts if two else np.concatenate([sums.starts, 0 * sums.starts], axis=2)
    return Case(
        "mvau_shift",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "K": found.bits,
            "MOST_A": found.most[0],
            "MOST_B": found.most[1] if two else -1,
            "ZERO": found.zero,
            "FIRST": found.factors[0],
            "SECOND": found.factors[1] if two else 1,
            "SUM_A": wide[0],
            "SUM_B": wide[1],
            "ACC": acc,
            "FOLD_IN": fold_in,
            "FOLD_OUT": fold_out,
            "STEP": step,
            "WEIGHTS": "weights",
            "STARTS": "starts",
            "STYLE": style,
        },
        {"in": Words(packed(words.reshape(-1, simd), x.bits), {"in_data": simd * x.bits})},
        {"out": Words(packed(result.reshape(-1, pe), acc), {"out_data": pe * acc})},
        files={
            "weights": memory.words(found.codes(table).reshape(len(table), -1), found.bits + 2),
            "starts": powers.pairs(starts, wide),
        },
        latency=4 + (simd - 1).bit_length() // step,
        needs=range(fold_in - 1, vectors * fold_out * fold_in, fold_in),
    )


POST = (0, 128, 181, 256, 362, 512, 724, 1024)
CASES = [
    mvau_shift(seed, shape)
    for seed, shape in enumerate(
        [
            Shape(1, 1, IntType(4, False), POST, 2, 5),
            Shape(2, 3, IntType(4, False), POST, 6, 3, bias=True, style="distributed"),
            Shape(3, 8, IntType(2, True), POST, 4, 2, bias=True, step=1, style="block"),
            Shape(4, 5, IntType(3, False), (0, 1, 2, 4, 8, 16, 32, 64), 1, 3, bias=True),
            Shape(1, 16, IntType(8, True), (1, 2, 4), 1, 2, step=3),
            Shape(2, 2, IntType(1, False), (0, 3, 6, 8), 3, 1),
            Shape(1, 9, IntType(5, False), (0, 5), 2, 5, style="block"),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
