"""`mvau_lanes`: products of a matrix and vectors, folded, with weights of another width in each lane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from streams import Case, Words, gaps, integers, packed

from codesign.backends.rtl import memory
from codesign.backends.rtl.unit import Packed
from codesign.ir import IntType


class Shape(NamedTuple):
    """Widths of the lanes, inputs, folds and styles of an instance."""

    widths: tuple[int, ...]
    simd: int
    x: IntType
    fold_in: int
    fold_out: int
    bias: bool = False
    step: int = 2
    style: str = "logic"


def mvau_lanes(seed: int, shape: Shape) -> Case:
    rng = np.random.default_rng(seed)
    widths, simd, x, fold_in, fold_out, bias, step, style = shape
    pe = len(widths)
    size = (fold_out, fold_in, simd)
    weights = [integers(rng, w, True, size) if w else np.zeros(size, dtype=np.int64) for w in widths]
    biases = rng.integers(-99, 100, (fold_out, pe)) if bias else np.zeros((fold_out, pe), dtype=np.int64)
    vectors = max(3, 60 // (fold_in * fold_out))
    words = integers(rng, x.bits, x.signed, (vectors, fold_out, fold_in, simd))
    # Every product at its greatest.
    words[0] = x.min if x.signed else x.max
    result = np.einsum("vois,oips->vop", words, np.stack(weights, axis=2)) + biases
    sums = [IntType.for_range(min(int(lane.min()), -1), int(lane.max())).bits for lane in result.reshape(-1, pe).T]
    acc = max(sums) + seed % 2
    bits = [(lane[..., None] >> np.arange(w)) & 1 for lane, w in zip(weights, widths, strict=True)]
    rows = np.concatenate([lane.reshape(fold_out * fold_in, -1) for lane in bits], axis=1)
    return Case(
        "mvau_lanes",
        {
            "PE": pe,
            "SIMD": simd,
            "X": x.bits,
            "X_SIGNED": x.signed,
            "W": Packed(widths, 8),
            "SUMS": Packed(tuple(sums), 8),
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
        files={"weights": memory.words(rows, 1)} | ({"biases": memory.words(biases, acc)} if bias else {}),
        latency=3 + (simd - 1).bit_length() // step,
        needs=range(fold_in - 1, vectors * fold_out * fold_in, fold_in),
    )


CASES = [
    mvau_lanes(seed, shape)
    for seed, shape in enumerate(
        [
            Shape((2, 6), 1, IntType(3, False), 9, 1),
            Shape((0, 5, 1), 3, IntType(4, True), 6, 3, bias=True, style="distributed"),
            Shape((1, 2, 8), 8, IntType(2, False), 4, 2, bias=True, step=1, style="block"),
            # Nothing but a bias in two lanes, and in one of them nothing at all in the end.
            Shape((0, 3, 0, 7), 5, IntType(1, False), 1, 3, bias=True),
            Shape((0, 4), 2, IntType(1, True), 3, 1),
            Shape((7,), 9, IntType(5, False), 2, 5, bias=True, style="block"),
            Shape((1, 2, 3, 4, 5, 6, 7, 8), 1, IntType(7, True), 2, 2, style="distributed"),
        ]
    )
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
