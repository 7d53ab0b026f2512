"""What a block of hardware is made of, in physical terms, before any coefficient is applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codesign.estimate.technology import XC7, Technology

CHAIN = "chain"
"""Name of the amount of carry chains."""
THROUGH = "through_"
"""Before the name of flip-flops: those that may take a table, see `Technology.through`."""


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


@dataclass(frozen=True)
class Product:
    """Multiplications that are alike, each of which takes multiplier blocks or none.

    Parameters
    ----------
    shared : bool
        Outputs share them.
    size : int
        Product of the bits of both operands.
    count : int
    takes : int
        Blocks that one counts for where they are given out (`mapping.choose`).
    blocks : int
        Blocks that Yosys makes of one.
    """

    shared: bool
    size: int
    count: int
    takes: int
    blocks: int


@dataclass
class Census:
    """What a block is made of.

    Parameters
    ----------
    lut, ff : dict of str to float
        Amounts by the names of a module's `LUT` and `FF`; a coefficient for each makes lookup tables and flip-flops.
    bram36 : float
        Block memories of 36 Kib; smaller ones by their share, halves of 18 Kib or ninths of 4 Kib.
    dsp : int
    products : list of Product
        Multiplications that take multiplier blocks.
    technology : Technology
    """

    lut: dict[str, float] = field(default_factory=dict)
    ff: dict[str, float] = field(default_factory=dict)
    bram36: float = 0.0
    dsp: int = 0
    products: list[Product] = field(default_factory=list)
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

    def register(self, **amounts: float) -> None:
        """Count flip-flops, and where some of them take tables that hand their values on, those that may."""
        for name, amount in amounts.items():
            self.ff[name] = self.ff.get(name, 0.0) + amount
        if self.technology.through:
            self.add(**{THROUGH + name: amount for name, amount in amounts.items()})
