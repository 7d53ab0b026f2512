"""Weights of one bit: what the two values are, and what counting them leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.ir import Tensor


@dataclass(frozen=True)
class Levels:
    """The weights of a layer.

    Parameters
    ----------
    low : int
        -1 or 0; the other one is 1.
    """

    low: int


def levels(values: np.ndarray) -> Levels | None:
    """Return the two values of weights; None where there are others than -1 and 1, or 0 and 1."""
    found = set(np.unique(values).tolist())
    for low in (-1, 0):
        if found == {low, 1}:
            return Levels(low)
    return None


def starts(table: np.ndarray, levels: Levels, bias: np.ndarray | None, x: Tensor, fold_in: int) -> np.ndarray | None:
    """Return what accumulators start with, shape (outputs of a lane, PE); None for zeros.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
        Weights.
    levels : Levels
    bias : ndarray of int, shape (outputs of a lane, PE), or None
    x : Tensor
        Edge of the inputs.
    fold_in : int
        Words of an output.
    """
    if levels.low == 0:
        return bias
    # An input enters as its complement for a weight of -1: this much too high.
    excess = -1 if x.type.signed else (1 << x.type.bits) - 1
    negative = (table < 0).reshape(-1, fold_in, *table.shape[1:]).sum((1, 3))
    return np.asarray(-excess * negative + (0 if bias is None else bias))
