"""Constants of a QONNX graph: float32 values, and the integers and scales that quantised ones consist of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.ir.weights import MAX_WEIGHT_BITS

MAX_ELEMENTS = 1 << 25
"""Largest constant that arithmetic between constants may make."""

PLAIN_BITS = 16
"""Widest integers that float weights without a quantiser may consist of, before a common power of two."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that does not depend on the input.

    Parameters
    ----------
    values : ndarray
        As the executor holds them.
    integers, scale : ndarray of int64 and float64, shape of `values`; or None
        Of a quantised tensor: values are integers · scale, each rounded to float32.
    bits : int or None
        Width in two's complement that the quantiser declares.
    """

    values: np.ndarray
    integers: np.ndarray | None = None
    scale: np.ndarray | None = None
    bits: int | None = None

    def rearranged(self, change: Callable[[np.ndarray], np.ndarray]) -> Constant:
        """Apply what moves elements (a transpose, a reshape) to all parts."""
        integers, scale = (None if part is None else change(part) for part in (self.integers, self.scale))
        return Constant(change(self.values), integers, scale, self.bits)

    def scaled(self, factor: np.ndarray, values: np.ndarray) -> Constant:
        """Return the product with `factor`, whose float32 elements are `values`; integers stay where it is positive."""
        if self.integers is None or self.scale is None or not (factor > 0).all():
            return Constant(values)
        integers, scale = np.broadcast_arrays(self.integers, self.scale * factor.astype(np.float64))
        return Constant(values, integers, scale, self.bits)


@dataclass(frozen=True, eq=False)
class Weights:
    """Integer weights of a layer.

    Parameters
    ----------
    integers : ndarray of int64, output channels last
        Integers, or codes into `codebook`.
    scale : ndarray of float64, shape (outputs,)
        real = scale · integer.
    values : ndarray of float32 or float64
        What the executor multiplies by, shape of `integers`.
    bits : int or None
        Declared width.
    codebook : ndarray of int64 or None
    """

    integers: np.ndarray
    scale: np.ndarray
    values: np.ndarray
    bits: int | None
    codebook: np.ndarray | None = None

    def decoded(self) -> np.ndarray:
        """Return the integers themselves."""
        return self.integers if self.codebook is None else self.codebook[self.integers]


def weights(constant: Constant, where: str, dtype: type = np.float32) -> Weights:
    """Return the integers of a weight tensor of a type whose last axis is the output channel.

    Raises
    ------
    UserError
        When it is float, or its scale differs within an output channel.
    """
    values = constant.values
    if values.dtype != dtype or values.size == 0:
        raise UserError(f"{where} has weights of type {values.dtype} and shape {values.shape}; use {np.dtype(dtype)}.")
    integers, scale, bits = constant.integers, constant.scale, constant.bits
    if integers is None or scale is None:
        integers, unit = _plain(values, where)
        scale, bits = np.full(values.shape, unit), None
    columns = scale.reshape(-1, scale.shape[-1])
    if (columns != columns[0]).any():
        raise UserError(
            f"{where} has weight scales that differ within an output channel; use one per tensor or output."
        )
    if int(np.abs(integers).max()) >= 1 << (MAX_WEIGHT_BITS - 1):
        raise UserError(f"{where} has weights of more than {MAX_WEIGHT_BITS} bits; quantise them to fewer.")
    if set(np.unique(integers).tolist()) <= {-1, 1} and bits in (None, 1):
        codebook = np.array([-1, 1], dtype=np.int64)
        return Weights((integers > 0).astype(np.int64), columns[0].copy(), values, 1, codebook)
    return Weights(integers, columns[0].copy(), values, bits)


def _plain(values: np.ndarray, where: str) -> tuple[np.ndarray, float]:
    """Return float values without a quantiser as integers and a power of two."""
    unit = power_of_two(values)
    if unit == 0.0:
        return np.zeros(values.shape, dtype=np.int64), 1.0
    if 1 < unit < (largest := float(np.abs(values).max())) and largest < 1 << (PLAIN_BITS - 1):
        unit = 1.0  # integers stay what they are
    integers = values.astype(np.float64) / unit
    if np.abs(integers).max() >= 1 << (PLAIN_BITS - 1):
        raise UserError(f"{where} has float weights; quantise them with a Quant node.")
    return integers.astype(np.int64), unit


def power_of_two(values: np.ndarray) -> float:
    """Return the largest power of two of which all finite values are multiples, 0 when all are 0."""
    nonzero = values[values != 0]
    return float(powers_of_two(nonzero).min()) if nonzero.size else 0.0


def powers_of_two(values: np.ndarray) -> np.ndarray:
    """Return for each finite value the largest power of two of which it is a multiple, infinity for 0."""
    mantissa, exponent = np.frexp(np.abs(values.astype(np.float64)))
    digits = (mantissa * 2.0**53).astype(np.int64)
    lowest = np.maximum(digits & -digits, 1).astype(np.float64)
    found: np.ndarray = np.where(values == 0, np.inf, 2.0 ** (exponent - 53 + np.log2(lowest)))
    return found
