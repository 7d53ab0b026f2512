"""Sizes that the SystemVerilog of `hw/rtl` implies: counters, tables of constants, trees of adders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.estimate.technology import Technology


def log2(count: int) -> int:
    """Return the bits of numbers below `count`, as `$clog2` does."""
    return (count - 1).bit_length() if count > 1 else 0


def counter(states: int) -> int:
    """Return the bits of a counter of so many states that holds `$clog2(states + 1)` bits, 0 for one state."""
    return log2(states + 1) if states > 1 else 0


def counters(*states: int) -> list[int]:
    """Return the bits of several such counters."""
    return [counter(each) for each in states]


TABLE = {"table": 1.1, "wide_table": 1.5, "large_table": 2.2, "huge_table": 3.5}
"""Of a column of a table of constants in lookup tables, by the bits of the address that decide it: at least two less
than a lookup table has inputs, as many or one less, one more, and more. Yosys weighs tables of few inputs as less than
a whole one, so it takes more of them."""


@dataclass(frozen=True)
class Table:
    """A table of constants with a register behind it.

    Parameters
    ----------
    registers : int
        Columns that are alike are made once, and those that are constant not at all.
    logic : dict of str to float
        Amounts of `TABLE`.
    bram36 : float
    varying : int
        Bits of a word that are not constant, those that are alike counted as often as they are.
    """

    registers: int
    logic: dict[str, float]
    bram36: float
    varying: int


def table(style: str, words: int, bits: np.ndarray, technology: Technology) -> Table:
    """Return what becomes of `rom`.

    Parameters
    ----------
    style : str
        "block", or anything else for lookup tables.
    words : int
    bits : ndarray of 0 and 1, shape (words, width)
        Contents.
    technology : Technology
    """
    lookup = technology.lookup
    changing = np.flatnonzero((bits != bits[:1]).any(0))
    if style == "block":
        # Constant bits are no memory's.
        varying = len(changing)
        return Table(0, {}, technology.memories.block(words, varying, writes=False).bram36, varying)
    columns = np.packbits(bits, axis=0)
    unique = np.unique(columns[:, changing], axis=1)
    needed = _address_bits(unique, words)
    logic = {
        "table": float(((needed > 1) & (needed < lookup - 1)).sum()),
        "wide_table": float(((needed >= lookup - 1) & (needed <= lookup)).sum()),
        # One for all words that a lookup table holds.
        "large_table": float((needed == lookup + 1).sum()) * words / (1 << lookup),
        "huge_table": float((needed > lookup + 1).sum()) * words / (1 << lookup),
    }
    return Table(unique.shape[1], logic, 0.0, len(changing))


def _address_bits(columns: np.ndarray, words: int) -> np.ndarray:
    """Return how many bits of the address each function depends on, its values in packed bits."""
    if not columns.shape[1]:
        return np.zeros(0, dtype=np.int64)
    address = log2(words)
    values = np.unpackbits(columns, axis=0)[:words]
    full = np.zeros((1 << address, values.shape[1]), dtype=np.uint8)
    full[:words] = values
    needed = np.zeros(values.shape[1], dtype=np.int64)
    for bit in range(address):
        halves = full.reshape(-1, 2, 1 << bit, values.shape[1])
        needed += (halves[:, 0] != halves[:, 1]).any((0, 1))
    return needed


@dataclass(frozen=True)
class Tree:
    """Adders of `sum_tree`.

    Parameters
    ----------
    sums : sequence of (int, int)
        Adders of two numbers: how many, and the bits of their sums.
    registers : int
    passed : int
        Those of the first registered level that keep the number left over, which is the sum of two terms at most.
    """

    sums: Sequence[tuple[int, int]]
    registers: int
    passed: int

    @property
    def adders(self) -> int:
        """Bits of all sums."""
        return sum(count * bits for count, bits in self.sums)


def tree(terms: int, bits: int, step: int) -> Tree:
    """Return the adders of a tree of `terms` numbers of `bits` bits, a register behind every `step` levels."""
    registers = passed = 0
    sums = []
    for level in range(1, log2(terms) + 1):
        before, after = -(-terms // (1 << (level - 1))), -(-terms // (1 << level))
        sums.append((before // 2, bits + level))
        if step and level % step == 0:
            registers += after * (bits + level)
            if level == step and before % 2:
                passed = bits + level
    return Tree(sums, registers, passed)


def shifter(bits: int, most: int, lookup: int) -> int:
    """Return the lookup tables of so many inputs that shift a number of `bits` bits up by 0 to `most`, bit by bit."""
    total = 0
    for place in range(bits + most):
        choices = sum(0 <= place - shift < bits for shift in range(most + 1))
        total += multiplexer(choices, lookup)
    return total


def multiplexer(choices: int, lookup: int) -> int:
    """Return the lookup tables of a bit chosen among so many: four in a table of six inputs, two in one of four.

    Tables of a few are joined by multiplexers beside them.
    """
    return 0 if choices <= 1 else -(-choices // (4 if lookup >= 6 else 2))


def widths(value: int | Sequence[int], count: int) -> Sequence[int]:
    """Return a parameter that is one number for all lanes, or one for each."""
    return (value,) * count if isinstance(value, int) else value
