"""Weights of one bit: what the two values are, and what counting them leaves out."""

from __future__ import annotations

import numpy as np

from codesign.ir import Tensor


def low(values: np.ndarray) -> int | None:
    """Return the lower of the two values of weights, -1 or 0, where the other is 1; None for other weights."""
    found = set(np.unique(values).tolist())
    return next((lower for lower in (-1, 0) if found == {lower, 1}), None)


def starts(table: np.ndarray, low: int, bias: np.ndarray | None, x: Tensor, fold_in: int) -> np.ndarray | None:
    """Return what accumulators start with, shape (outputs of a lane, PE); None for zeros.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
        Weights.
    low : int
        The weight that is not 1.
    bias : ndarray of int, shape (outputs of a lane, PE), or None
    x : Tensor
        Edge of the inputs.
    fold_in : int
        Words of an output.
    """
    if low == 0:
        return bias
    # An input enters as its complement for a weight of -1: this much too high.
    excess = -1 if x.type.signed else (1 << x.type.bits) - 1
    negative = (table < 0).reshape(-1, fold_in, *table.shape[1:]).sum((1, 3))
    return np.asarray(-excess * negative + (0 if bias is None else bias))
