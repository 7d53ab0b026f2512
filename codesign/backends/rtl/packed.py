"""Several products in a multiplier block: how many fit, and weights as the digits of their common operand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.backends.rtl import extremes
from codesign.ir import IntType, Tensor
from codesign.ir.types import weight_bits

MOST_CHAIN = 4
"""Products that blocks add between two registers: about 8 ns in a 7-series part of speed grade 1 (DS187)."""
WEIGHT_PORT, INPUT_PORT = 25, 18
"""Bits of the operands of a block of the 7-series, two's complement (UG479); the UltraScale families have no fewer."""


SHARED_PORT = 18
"""Bits of either operand of the widest block that only multiplies."""
DSP_BITS = 9
"""Bits of a product from which Yosys takes a DSP block."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Weights side by side.

    Parameters
    ----------
    groups : int
        Blocks for each input, among which the outputs are shared out evenly, the first ones having one more.
    field : int
        Bits from one weight to the next.
    digits : ndarray of int, shape (words, PE, SIMD)
        What the memory holds, see `hw/rtl/mvau_packed.sv`.
    bits : int
        Of a digit.
    """

    groups: int
    field: int
    digits: np.ndarray
    bits: int


def chain(simd: int, bits: int) -> int:
    """Return the products of a column for so many inputs of an output in parallel; 0 where packing is of no use.

    Parameters
    ----------
    simd : int
    bits : int
        Of an input.
    """
    if bits >= INPUT_PORT:
        return 0
    if simd == 1:
        return 1
    # A column of one product leaves all adding to lookup tables.
    return next((length for length in range(MOST_CHAIN, 1, -1) if simd % length == 0), 0)


def shares(pe: int, bits: int) -> bool:
    """Return whether so many outputs may share blocks that only multiply, with inputs of so many bits."""
    # The operand is signed.
    return pe > 1 and bits < SHARED_PORT


def pack(table: np.ndarray, field: int, port: int = WEIGHT_PORT) -> Packing:
    """Return weights side by side, with as few blocks as they fit into.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
        Weights.
    field : int
        Bits that hold every sum.
    port : int
        Bits of the operand that takes them.
    """
    pe = table.shape[1]
    for groups in range(-(-pe // (port // field + 1)), pe):
        found = digits(table, groups)
        bits = weight_bits(found)
        if (-(-pe // groups) - 1) * field + bits <= port:
            return Packing(groups, field, found, bits)
    return Packing(pe, field, table, weight_bits(table))


def digits(table: np.ndarray, groups: int) -> np.ndarray:
    """Return the digits of weights: each less one where the digit below it in the same block is negative.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
    groups : int
        Blocks for each input.
    """
    found = table.astype(np.int64)
    for group in np.array_split(np.arange(table.shape[1]), groups):
        for p in group[1:]:
            found[:, p] -= found[:, p - 1] < 0
    return found


def blocks(pe: int, groups: int, field: int, bits: int, x: IntType) -> int:
    """Return how many of the products of an input take a block; Yosys makes small ones of lookup tables.

    Parameters
    ----------
    pe, groups, field, bits : int
        Outputs, and a `Packing` of their weights.
    x : IntType
        Of the inputs.
    """
    # An unsigned input is one bit wider as a signed one.
    operand = x.bits + (not x.signed)
    shares = [pe // groups + (group < pe % groups) for group in range(groups)]
    return sum((outputs - 1) * field + bits + operand >= DSP_BITS for outputs in shares)


def product_bits(table: np.ndarray, x: Tensor) -> int:
    """Return the bits in two's complement of the products, and of those less 1, of weights and inputs.

    Parameters
    ----------
    table : ndarray of int
    x : Tensor
    """
    least, most = extremes.extremes(np.array([table.min(), table.max()]), x.type, ())
    return extremes.bits(least.min() - 1, most.max())


def field_bits(table: np.ndarray, x: Tensor, length: int) -> int:
    """Return the bits in two's complement of the sums of `length` products each, of a word of inputs.

    Parameters
    ----------
    table : ndarray of int, shape (words, PE, SIMD)
    x : Tensor
    length : int
        A divisor of SIMD.
    """
    weights = table.reshape(*table.shape[:2], -1, length)
    least, most = extremes.extremes(weights, x.type, 3)
    return extremes.bits(least.min(), most.max())
