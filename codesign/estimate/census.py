"""What a block of hardware is made of, in physical terms, before any coefficient is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.estimate.technology import XC7, Technology

CHAIN = "chain"
"""Name of the amount of carry chains."""


@dataclass(frozen=True)
class Block:
    """One instance of a module of `hw/rtl`.

    Parameters
    ----------
    module : str
    parameters : mapping of str to int, bool, str or tuple of int
        A vector of small numbers is a tuple.
    bits : callable
        Told the value of a parameter that names a memory file and the bits of a word, returns the contents: ndarray
        of 0 and 1, shape (words, bits), the lowest bit first.
    dsp : bool
        Multiplications may take multiplier blocks.
    function : mapping of str to float
        Of a module written for one node beside the library: what it is made of.
    behind : str
        Module that takes its words, where that matters: a FIFO that only passes them on.
    free : bool
        Multiplier blocks are as good as free.
    technology : Technology
    """

    module: str
    parameters: Mapping[str, Any]
    bits: Callable[[str, int], np.ndarray]
    dsp: bool = True
    function: Mapping[str, float] = field(default_factory=dict)
    behind: str = ""
    free: bool = False
    technology: Technology = XC7


@dataclass
class Census:
    """What a block is made of.

    Parameters
    ----------
    lut, ff : dict of str to float
        Amounts by the names of a module's `LUT` and `FF`; a coefficient for each makes lookup tables and flip-flops.
    bram36 : float
        Block memories of 36 Kib; halves are 18-Kib ones.
    dsp : int
    rank : (bool, int)
        Which multiplications take blocks before others where blocks are few: those that outputs share, then the ones
        of larger operands. Of the first that it has.
    technology : Technology
    """

    lut: dict[str, float] = field(default_factory=dict)
    ff: dict[str, float] = field(default_factory=dict)
    bram36: float = 0.0
    dsp: int = 0
    rank: tuple[bool, int] = (False, 0)
    technology: Technology = XC7

    def add(self, **amounts: float) -> None:
        """Count what goes into lookup tables."""
        for name, amount in amounts.items():
            self.lut[name] = self.lut.get(name, 0.0) + amount

    def carry(self, name: str, *bits: int, count: int = 1) -> None:
        """Count adders, counters or comparisons of so many bits each, `count` times.

        Where families have carry chains that take tables beside those of their bits, the chains are counted too.
        """
        self.add(**{name: count * sum(bits)})
        if self.technology.chain:
            self.add(**{CHAIN: count * sum(each >= self.technology.shortest for each in bits)})

    def multiply(self, blocks: int, a: int, b: int, shared: bool = False) -> None:
        """Count multiplications of `a` bits by `b` that take so many multiplier blocks together."""
        self.dsp += blocks
        self.rank = max(self.rank, (shared, a * b))

    def register(self, **amounts: float) -> None:
        """Count flip-flops."""
        for name, amount in amounts.items():
            self.ff[name] = self.ff.get(name, 0.0) + amount
