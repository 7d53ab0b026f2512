"""A rising multiply-and-shift as thresholds, and thresholds within the range of what they compare."""

from __future__ import annotations

import numpy as np

from codesign.ir import IntType
from codesign.ir.ops import Dyadic

MAX_BITS = 8
"""Widest output that is written as thresholds: 255 comparisons."""


def is_staircase(dyadic: Dyadic) -> bool:
    """Tell whether a dyadic operator rises with its input and has few enough levels."""
    return bool((dyadic.multiplier >= 0).all()) and dyadic.type.bits <= MAX_BITS


def thresholds(dyadic: Dyadic, x: IntType) -> np.ndarray:
    """Return the thresholds (channels, levels - 1) that compute a rising dyadic operator, exactly.

    Parameters
    ----------
    dyadic : Dyadic
        With multipliers of at least 0.
    x : IntType
        What it reads.

    Returns
    -------
    ndarray of int64
        Within [x.min, x.max + 1]. Level k is reached where the input is at least threshold k.
    """
    levels = range(dyadic.type.min + 1, dyadic.type.max + 1)
    result = np.empty((len(dyadic.multiplier), len(levels)), dtype=np.int64)
    constants = zip(dyadic.multiplier, dyadic.bias, dyadic.half, dyadic.shift, strict=True)
    for row, (m, b, h, n) in enumerate(constants):
        multiplier, constant, shift = int(m), int(b) + int(h), int(n)
        for column, level in enumerate(levels):
            # (m·x + constant) >> n ≥ level  ⇔  m·x ≥ level·2^n - constant
            needed = (level << shift) - constant
            if multiplier:
                found = -(-needed // multiplier)
            else:
                found = x.min if needed <= 0 else x.max + 1
            result[row, column] = min(max(found, x.min), x.max + 1)
    return result


def within(thresholds: np.ndarray, x: IntType) -> np.ndarray:
    """Return thresholds that decide alike for every x and lie within [x.min, x.max + 1]."""
    return np.clip(thresholds, x.min, x.max + 1)
