"""Integer types of edges and weights."""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np

MAX_BITS = 62
"""Widest integer an edge may carry: every intermediate of the golden executor then fits in int64."""


@dataclass(frozen=True, order=True)
class IntType:
    """A two's complement or unsigned integer of a given width.

    Parameters
    ----------
    bits : int
        Width, 1 to `MAX_BITS`.
    signed : bool
        Signed values span [-2^(bits-1), 2^(bits-1) - 1], unsigned ones [0, 2^bits - 1].

    Raises
    ------
    ValueError
        When the width is out of range.
    TypeError
        When it is no integer.
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        # NumPy integers would not reach the file format.
        object.__setattr__(self, "bits", operator.index(self.bits))
        object.__setattr__(self, "signed", bool(self.signed))
        if not 1 <= self.bits <= MAX_BITS:
            raise ValueError(f"an integer type has 1 to {MAX_BITS} bits, not {self.bits}")

    @property
    def min(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest value."""
        return (1 << (self.bits - int(self.signed))) - 1

    @classmethod
    def for_range(cls, low: int, high: int) -> IntType:
        """Return the narrowest type that holds every integer from `low` to `high`."""
        low, high = int(low), int(high)
        if low > high:
            raise ValueError(f"empty range [{low}, {high}]")
        if low >= 0:
            return cls(max(1, high.bit_length()), signed=False)
        return cls(1 + max((-low - 1).bit_length(), max(high, 0).bit_length()), signed=True)

    def holds(self, values: np.ndarray) -> bool:
        """Tell whether every element of `values` is in range."""
        return values.size == 0 or (int(values.min()) >= self.min and int(values.max()) <= self.max)

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def weight_bits(values: np.ndarray) -> int:
    """Return the width of the narrowest two's complement type that holds integer weights.

    Weights are always stored signed, except that all-zero weights count as 1 bit.
    """
    if values.size == 0:
        return 1
    low, high = int(values.min()), int(values.max())
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, high.bit_length() if high > 0 else 0)


def widths_of_columns(values: np.ndarray) -> np.ndarray:
    """Return `weight_bits` of each column (last axis) of integer weights: int64, shape (columns,)."""
    columns = values.reshape(-1, values.shape[-1])
    if not columns.size:
        return np.ones(columns.shape[1], dtype=np.int64)
    # The magnitude that needs as many bits: of -n, n - 1. An exponent of two is exact for integers below 2^53.
    magnitude = np.maximum(columns.max(0), -columns.min(0) - 1)
    return 1 + np.frexp(np.maximum(magnitude, 0).astype(np.float64))[1].astype(np.int64)
