"""The least and greatest sums of weights times inputs, and the bits that hold them."""

from __future__ import annotations

import numpy as np

from codesign.ir import IntType


def extremes(weights: np.ndarray, kind: IntType, axis: int | tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest sum over `axis` of weights times inputs of a type, or zeros of padding."""
    low, high = min(0, kind.min), max(0, kind.max)
    positive, negative = (np.asarray(part.sum(axis)) for part in (np.maximum(weights, 0), np.minimum(weights, 0)))
    return positive * low + negative * high, positive * high + negative * low


def bits(least: int, most: int) -> int:
    """Return the bits in two's complement that hold everything from `least` to `most`, and -1 and 0."""
    return IntType.for_range(min(int(least), -1), max(int(most), 0)).bits
