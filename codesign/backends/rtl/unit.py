"""What an operator becomes: blocks of `hw/rtl` in a row, and the streams they expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from codesign.backends.rtl import memory
from codesign.backends.rtl.timing import Timing


@dataclass(frozen=True)
class Fold:
    """How far an operator is laid out in parallel.

    Parameters
    ----------
    pe : int
        Outputs in parallel; elements, for an operator that treats each alone.
    simd : int
        Input channels of one output in parallel.
    window : bool
        All taps of a kernel in parallel, instead of one after the other.
    planes : int
        Bits of an input taken at a time by lookup of sums; 0 for multipliers.
    chain : int
        Products of one output that multiplier blocks add, several outputs side by side in each; 1 where a block
        accumulates what it multiplies, 0 where products are not packed so.
    shared : bool
        Several outputs side by side in each multiplier block, whose products are added outside.
    search : bool
        Thresholds by binary search, one bit of the result after the other, instead of all at once.
    dsp : bool
        Multiplications may take multiplier blocks.
    spare : int
        Rows that a window holds beside those that it needs when words come evenly.
    lookup : int
        Address bits of a table, those that choose the weights included: the inputs of a LUT of the family.
    port : int
        Bits of an operand of multiplier blocks that outputs may share; 0 where they may not.
    """

    pe: int = 1
    simd: int = 1
    window: bool = False
    planes: int = 0
    chain: int = 0
    shared: bool = False
    lookup: int = 6
    port: int = 0
    search: bool = False
    dsp: bool = True
    spare: int = 0


@dataclass(frozen=True)
class Function:
    """A module written for one node, beside an instance of the library that uses it.

    Its ports are `clk`, `enable`, `address`, `bits` and `sums`; the block has all but the first as outputs or
    inputs of its own, `bits` and `sums` once for every copy.

    Parameters
    ----------
    ending : str
        Of its name; the name of the node comes before it.
    write : callable
        Told the name, returns the SystemVerilog.
    copies : int
        Instances.
    address, bits, sums : int
        Bits of these ports.
    made : callable, optional
        Returns what an instance is made of: bits of tables, of adders and of registers.
    """

    ending: str
    write: Callable[[str], str]
    copies: int
    address: int
    bits: int
    sums: int
    made: Callable[[], Mapping[str, int]] = dict


@dataclass(frozen=True)
class Packed:
    """A parameter that is a vector of small numbers, the first in the lowest bits.

    Parameters
    ----------
    values : tuple of int
        From 0 to 2^bits - 1.
    bits : int
        Of each.
    """

    values: tuple[int, ...]
    bits: int

    @property
    def literal(self) -> str:
        """The vector in SystemVerilog."""
        size, total = len(self.values) * self.bits, memory.packed(list(self.values), self.bits)
        return f"{size}'h{total:0{-(-size // 4)}x}"


Parameter = int | bool | str | Packed
"""Of an instance."""


@dataclass(frozen=True)
class Block:
    """One instance of a module.

    Parameters
    ----------
    module : str
        A file of `hw/rtl`.
    parameters : mapping of str to int, bool or str
        A string is the ending of a file's name where `files` has it, else a word such as "block".
    width : int
        Bits of a word of its output.
    timing : Timing
        When its words pass.
    inputs : sequence of str
        Prefixes of its input ports, in the order of the operands.
    files : mapping of str to callable
        What returns memory files, by the ending of their name; the name of the node comes before it.
    ties : mapping of str to str
        Ports that are wired to a constant.
    function : Function, optional
    """

    module: str
    parameters: Mapping[str, Parameter]
    width: int
    timing: Timing
    inputs: Sequence[str] = ("in",)
    files: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    ties: Mapping[str, str] = field(default_factory=dict)
    function: Function | None = None


@dataclass(frozen=True)
class Unit:
    """The hardware of one node.

    Parameters
    ----------
    blocks : sequence of Block
        In a row; only the first may have several inputs. None: the input goes on as it is.
    lanes_in : sequence of int
        Elements in a word, for every operand.
    lanes_out : int
        Elements in a word of the output.
    cycles : int
        Clocks that it is busy with a frame when nothing holds it up.
    sieve : callable, optional
        Of the elements in a word of the input: returns a block that drops the words which are not needed, before
        they take a place in the FIFO.
    delays : sequence of int
        For every operand, the clocks after it is taken from which it counts; empty for none.
    luts : float
        About how many LUTs it takes, to choose among folds of the same node.
    """

    blocks: Sequence[Block]
    lanes_in: Sequence[int]
    lanes_out: int
    cycles: int
    sieve: Callable[[int], Block] | None = None
    delays: Sequence[int] = ()
    luts: float = 0.0
