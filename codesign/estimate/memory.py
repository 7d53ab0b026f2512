"""Which memory Yosys makes of an array: the shapes of a family's memories, and the costs by which it chooses.

`memory_libmap` of Yosys weighs every shape by a cost: that of a cell as often as it is needed, half a unit for a bit
of a multiplexer behind several cells, and half a unit for each decoded write enable. The costs of cells are those of
its libraries; UG473 and UG474 have the shapes of 7-series parts, FPGA-TN-02204 those of ECP5, FPGA-TN-02002
those of iCE40, UG285 those of Gowin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MULTIPLEXER = 0.5
"""Cost of a bit of a multiplexer, and of a decoded enable."""
REGISTER = 1.0
"""Cost of a bit in a flip-flop."""


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
    registers : int
        Flip-flops that hold it.
    """

    luts: int
    bram36: float
    banks: int
    cost: float
    registers: int = 0


@dataclass(frozen=True)
class Tables:
    """A memory of lookup tables with a port to write and one to read.

    Parameters
    ----------
    luts : int
        Lookup tables of a cell.
    width : int
        Bits of its words.
    depth_bits : int
        log2 of its words.
    cost : float
    scaled : float
        What of the cost goes with the bits in use.
    by_bit : bool
        Each bit is a cell of its own, and the tables are those of one.
    """

    luts: int
    width: int
    depth_bits: int
    cost: float
    scaled: float = 0.0
    by_bit: bool = False


@dataclass(frozen=True)
class Blocks:
    """A block memory.

    Parameters
    ----------
    bram36 : float
        Block memories of 36 Kib that a cell takes.
    depth_bits : int
        log2 of its words of the first of `widths`.
    widths : sequence of int
        Bits of a word.
    cost : float
    byte : int
        Bits at least that are written together.
    """

    bram36: float
    depth_bits: int
    widths: Sequence[int]
    cost: float
    byte: int = 9


@dataclass(frozen=True)
class Library:
    """The memories of a family.

    Parameters
    ----------
    tables : sequence of Tables
        Where there are none, nothing asks for them: what is small is held by flip-flops.
    blocks : sequence of Blocks
    """

    tables: Sequence[Tables]
    blocks: Sequence[Blocks]

    def distributed(self, words: int, width: int) -> Memory:
        """Return an array with a port to write and one to read in lookup tables, where there are such."""
        if not self.tables:
            return self.either(words, width)
        found = []
        for one in self.tables:
            banks, cells = _geometry(words, width, one.depth_bits, one.width, one.width)
            total = (one.cost - one.scaled) * cells + one.scaled * banks * width / one.width
            taken = one.luts * (banks * width if one.by_bit else cells)
            found.append(Memory(taken, 0.0, banks, total + _around(banks, width, writes=True)))
        return min(found, key=lambda memory: memory.cost)

    def block(self, words: int, width: int, writes: bool) -> Memory:
        """Return an array with a clocked read in block memory, with a port to write or as constants."""
        found = []
        for one in self.blocks:
            for log2, unit in enumerate(one.widths):
                banks, cells = _geometry(
                    words, width, one.depth_bits - log2, unit, min(one.byte, unit) if writes else 1
                )
                cost = one.cost * cells + _around(banks, width, writes)
                found.append(Memory(0, one.bram36 * cells, banks, cost))
        return min(found, key=lambda memory: memory.cost)

    def either(self, words: int, width: int) -> Memory:
        """Return an array with a clocked read and a port to write where nothing says what to make of it."""
        small, large = self.unclocked(words, width), self.block(words, width, writes=True)
        # Of two that cost the same, Yosys takes flip-flops but no lookup tables.
        fewer = small.cost <= large.cost if small.registers else small.cost < large.cost
        return small if fewer else large

    def unclocked(self, words: int, width: int) -> Memory:
        """Return an array with a port to write, and a read without a clock, which block memories have not."""
        if self.tables:
            return self.distributed(words, width)
        bits = words * width
        return Memory(0, 0.0, words, REGISTER * bits, bits)


def _geometry(words: int, width: int, depth_bits: int, unit: int, byte: int) -> tuple[int, int]:
    """Return the banks and the cells of a shape of 2^depth_bits words of `unit` bits."""
    padded = -(-width // byte) * byte
    banks = -(-words // (1 << depth_bits))
    return banks, -(-banks * padded // unit)


def _around(banks: int, width: int, writes: bool) -> float:
    """Return the cost of multiplexers and enables."""
    return MULTIPLEXER * ((banks - 1) * width + (banks if writes and banks > 1 else 0))


XC7 = Library(
    tables=(
        Tables(4, 4, 5, 8.0, 8.0),
        Tables(2, 2, 6, 8.0, 8.0, by_bit=True),
        Tables(4, 1, 7, 8.0, 8.0, by_bit=True),
        Tables(4, 2, 5, 7.0, 7.0),
        Tables(4, 1, 6, 7.0, 7.0),
        Tables(4, 6, 5, 8.0, 7.0),
        Tables(4, 3, 6, 8.0, 7.0),
    ),
    # Cells with two ports alike, then with one port to write and one to read, which take the width of both.
    blocks=(
        Blocks(0.5, 14, (1, 2, 4, 9, 18), 129.0),
        Blocks(1.0, 15, (1, 2, 4, 9, 18, 36), 257.0),
        Blocks(2.0, 16, (1, 2, 4, 9), 513.0),
        Blocks(0.5, 14, (1, 2, 4, 9, 18, 36), 129.0),
        Blocks(1.0, 15, (1, 2, 4, 9, 18, 36, 72), 257.0),
    ),
)
ECP5 = Library(
    # Four tables hold four bits of 16 words; writing takes the place of two more.
    tables=(Tables(6, 4, 4, 4.0),),
    blocks=(Blocks(0.5, 14, (1, 2, 4, 9, 18), 128.0), Blocks(0.5, 14, (1, 2, 4, 9, 18, 36), 128.0)),
)
ICE40 = Library(
    tables=(),
    # The widest words are written bit by bit.
    blocks=(Blocks(4 / 36, 11, (2, 4, 8), 64.0), Blocks(4 / 36, 8, (16,), 64.0, byte=1)),
)
GOWIN = Library(
    # Four tables hold four bits of 16 words; what of a cell is not used costs nothing.
    tables=(Tables(4, 4, 4, 4.0, 4.0),),
    blocks=(Blocks(0.5, 14, (1, 2, 4, 9, 18, 36), 128.0),),
)
