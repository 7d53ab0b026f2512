"""What every operator of the integer graph provides."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


class OperatorError(ValueError):
    """An operator whose attributes or inputs make no sense; the message says which and why."""


@dataclass(frozen=True, eq=False)
class Operator:
    """Base of the operators: immutable attributes, a type and shape rule, and an exact meaning.

    A subclass is a frozen dataclass in the file of the same name; its fields are plain integers, booleans,
    tuples of integers, `IntType`s or int64 NumPy arrays (made read-only), which is all the file format stores.
    """

    name: ClassVar[str]
    arity: ClassVar[int] = 1

    def infer(self, *inputs: Tensor) -> Tensor:
        """Return the output edge for these input edges.

        Raises
        ------
        OperatorError
            When the shapes, types or attributes do not fit.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define infer")

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        """Compute the output of a batch exactly: int64 arrays (frames, *shape) in, one out."""
        raise NotImplementedError(f"{type(self).__name__} does not define execute")

    def attributes(self) -> dict[str, Any]:
        """Return the fields by name, in declaration order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def same_as(self, other: Operator) -> bool:
        """Tell whether `other` is the same operator with equal attributes."""
        if type(self) is not type(other):
            return False
        mine, theirs = self.attributes(), other.attributes()
        return all(_equal(mine[key], theirs[key]) for key in mine)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return (
            isinstance(a, np.ndarray)
            and isinstance(b, np.ndarray)
            and a.shape == b.shape
            and bool(np.array_equal(a, b))
        )
    return bool(a == b)


def require(condition: bool, message: str) -> None:
    """Raise `OperatorError(message)` unless `condition` holds."""
    if not condition:
        raise OperatorError(message)


def int_array(values: Any, ndim: int, what: str) -> np.ndarray:
    """Return `values` as a read-only int64 array of `ndim` axes, refusing anything that is not an integer."""
    array = np.asarray(values)
    require(array.ndim == ndim, f"{what} needs {ndim} axes, found {array.ndim}")
    require(array.size > 0, f"{what} is empty")
    require(array.dtype.kind in "iu", f"{what} must be integers, found {array.dtype}")
    if array.dtype.kind == "u" and array.dtype.itemsize == 8:
        require(int(array.max()) < 1 << 63, f"{what} exceeds 63 bits")
    array = array.astype(np.int64, copy=True)
    array.setflags(write=False)
    return array


def integer(value: Any, what: str) -> int:
    """Return a plain integer, refusing fractions and booleans."""
    require(isinstance(value, (int, np.integer)) and not isinstance(value, bool), f"{what} must be an integer")
    return int(value)


def int_pair(value: Any, what: str, low: int) -> tuple[int, int]:
    """Return a pair of integers, each at least `low`; one integer stands for both."""
    pair = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    require(len(pair) == 2 and all(isinstance(v, (int, np.integer)) for v in pair), f"{what} needs two integers")
    require(all(v >= low for v in pair), f"{what} must be at least {low}, found {tuple(pair)}")
    return int(pair[0]), int(pair[1])


def extreme_sums(weights: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return per output channel the smallest and largest Σ w·x over x in [low, high].

    Parameters
    ----------
    weights : ndarray of int64, shape (terms, channels)
    low, high : int
        Range of x; zero padding widens it to include 0 before the call.

    Returns
    -------
    tuple of ndarray of int64, each (channels,)

    Notes
    -----
    This is the tight bound for the actual weights (A2Q, arXiv 2308.13504, bounds the same sum by the l1 norm).
    """
    positive = np.where(weights > 0, weights, 0).sum(axis=0, dtype=object)
    negative = np.where(weights < 0, weights, 0).sum(axis=0, dtype=object)
    smallest = positive * low + negative * high
    largest = positive * high + negative * low
    return _checked_sums(smallest, largest)


def with_bias(smallest: np.ndarray, largest: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the extremes of `extreme_sums` after a bias (channels,) is added, or as they are for None."""
    if bias is None:
        return smallest, largest
    wide = bias.astype(object)  # a bias near 2^63 must not wrap around before it is refused
    return _checked_sums(smallest + wide, largest + wide)


def _checked_sums(smallest: np.ndarray, largest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    limit = 1 << 62
    require(
        all(-limit <= int(v) < limit for v in (*smallest, *largest)),
        "the accumulator needs more than 62 bits; use narrower weights, biases or inputs",
    )
    return smallest.astype(np.int64), largest.astype(np.int64)


def accumulator_type(smallest: np.ndarray, largest: np.ndarray) -> IntType:
    """Return the narrowest type for accumulators between `smallest` and `largest` (each per channel)."""
    # An accumulator starts at 0 (or the bias) and passes through partial sums: 0 is part of its range.
    return IntType.for_range(min(0, int(smallest.min())), max(0, int(largest.max())))
