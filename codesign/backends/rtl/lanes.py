"""Lanes of a matrix-vector unit with widths of their own: lane p computes the outputs p, p + PE, p + 2 PE and so on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from codesign.backends.rtl import extremes, memory
from codesign.backends.rtl.unit import Packed
from codesign.ir import Tensor
from codesign.ir.ops import Conv2d, Dense

_BITS = 8
"""Bits of an element of the vectors of `mvau_lanes`."""


def widths(op: Conv2d | Dense, pe: int) -> tuple[int, ...]:
    """Return the bits of the weights of each lane, 0 for one whose outputs are all pruned.

    A layer of nothing but zeros has lanes of one bit.
    """
    found = op.used_widths.reshape(-1, pe).max(0)
    return tuple(found.tolist()) if found.any() else (1,) * pe


def sum_bits(table: np.ndarray, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int) -> tuple[int, ...]:
    """Return the bits that the outputs of each lane need in two's complement, at most those of `y`.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
        Weights.
    bias : ndarray of int, shape (outputs of a lane, PE), or None
    x, y : Tensor
        Edges.
    fold_in : int
        Words of an output.
    """
    weights = table.reshape(-1, fold_in, *table.shape[1:])
    least, most = extremes.extremes(weights, x.type, (1, 3))
    constant = 0 if bias is None else bias
    ends = zip((least + constant).min(0), (most + constant).max(0), strict=True)
    return tuple(min(extremes.bits(a, b), y.type.bits) for a, b in ends)


def packed(table: np.ndarray, bits: Sequence[int]) -> Callable[[], str]:
    """Return what writes the memory file of weights (words, PE, SIMD): lane by lane, each as wide as its lane."""
    words = len(table)
    if len(set(bits)) == 1:
        return functools.partial(memory.words, table.reshape(words, -1), bits[0])

    def write() -> str:
        parts = [(table[:, p, :, None] >> np.arange(width)) & 1 for p, width in enumerate(bits)]
        return memory.words(np.concatenate([part.reshape(words, -1) for part in parts], axis=1), 1)

    return write


def vector(values: Sequence[int]) -> Packed:
    """Return a parameter of `mvau_lanes` with an element for each lane."""
    return Packed(tuple(values), _BITS)
