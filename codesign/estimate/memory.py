"""Which memory Yosys makes of an array: the shapes of 7-series memories, and its costs by which it chooses.

`memory_libmap` of Yosys weighs every shape by a cost: that of a cell as often as it is needed, half a unit for a bit
of a multiplexer behind several cells, and half a unit for each decoded write enable. The costs of cells are those of
its library for 7-series parts; UG473 and UG474 have the shapes.
"""

from __future__ import annotations

from dataclasses import dataclass

MULTIPLEXER = 0.5
"""Cost of a bit of a multiplexer, and of a decoded enable."""
HALF, FULL, CASCADE = 0.5, 1.0, 2.0
"""Block memories of 36 Kib that a mode of a block takes."""


@dataclass(frozen=True)
class Memory:
    """What becomes of an array.

    Parameters
    ----------
    luts : int
        Lookup tables that hold it.
    bram36 : float
    banks : int
        Cells one after the other in the address, with a multiplexer behind them.
    cost : float
        By which Yosys chooses.
    """

    luts: int
    bram36: float
    banks: int
    cost: float


def _geometry(words: int, width: int, depth_bits: int, unit: int, byte: int) -> tuple[int, int]:
    """Return the banks and the cells of a shape of 2^depth_bits words of `unit` bits."""
    padded = -(-width // byte) * byte
    banks = -(-words // (1 << depth_bits))
    return banks, -(-banks * padded // unit)


def _around(banks: int, width: int, writes: bool) -> float:
    """Return the cost of multiplexers and enables."""
    return MULTIPLEXER * ((banks - 1) * width + (banks if writes and banks > 1 else 0))


# Lookup tables of a cell, bits of its words, log2 of its words, cost, and what of that goes with the bits in use.
_DISTRIBUTED = (
    (4, 4, 5, 8.0, 8.0),
    (None, 2, 6, 8.0, 8.0),
    (None, 1, 7, 8.0, 8.0),
    (4, 2, 5, 7.0, 7.0),
    (4, 1, 6, 7.0, 7.0),
    (4, 6, 5, 8.0, 7.0),
    (4, 3, 6, 8.0, 7.0),
)
_SINGLE_BIT = {6: 2, 7: 4}
"""Lookup tables of a bit of a dual-port memory that is made bit by bit, by log2 of its words."""


def distributed(words: int, width: int) -> Memory:
    """Return an array with a port to write and one to read in lookup tables."""
    found = []
    for luts, unit, depth_bits, cost, scaled in _DISTRIBUTED:
        banks, cells = _geometry(words, width, depth_bits, unit, unit)
        total = (cost - scaled) * cells + scaled * banks * width / unit + _around(banks, width, writes=True)
        taken = luts * cells if luts else _SINGLE_BIT[depth_bits] * banks * width
        found.append(Memory(taken, 0.0, banks, total))
    return min(found, key=lambda memory: memory.cost)


# Size, log2 of the words of one bit, bits of a word, cost: cells with two ports alike, then with one port to write and
# one to read, which take the width of both.
_BLOCKS: tuple[tuple[float, int, tuple[int, ...], float], ...] = (
    (HALF, 14, (1, 2, 4, 9, 18), 129.0),
    (FULL, 15, (1, 2, 4, 9, 18, 36), 257.0),
    (CASCADE, 16, (1, 2, 4, 9), 513.0),
    (HALF, 14, (1, 2, 4, 9, 18, 36), 129.0),
    (FULL, 15, (1, 2, 4, 9, 18, 36, 72), 257.0),
)


def block(words: int, width: int, writes: bool) -> Memory:
    """Return an array with a clocked read in block memory, with a port to write or as constants."""
    found = []
    for size, depth_bits, widths, cost in _BLOCKS:
        for log2, unit in enumerate(widths):
            banks, cells = _geometry(words, width, depth_bits - log2, unit, min(9, unit) if writes else 1)
            found.append(Memory(0, size * cells, banks, cost * cells + _around(banks, width, writes)))
    return min(found, key=lambda memory: memory.cost)


def either(words: int, width: int) -> Memory:
    """Return an array with a clocked read and a port to write where nothing says what to make of it."""
    small, large = distributed(words, width), block(words, width, writes=True)
    return small if small.cost < large.cost else large
