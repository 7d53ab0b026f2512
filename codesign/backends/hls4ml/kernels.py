"""What an operator becomes in C++: a kernel call, its configuration struct and its constant tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from codesign.ir import Graph, IntType, Node, Tensor

LITERALS_PER_LINE = 24


class Bits(NamedTuple):
    """Width (1 to 64 bits, more than an edge may carry) and sign of a constant or an intermediate."""

    bits: int
    signed: bool


@dataclass(frozen=True, eq=False)
class Table:
    """A constant table, written to ``firmware/weights/<name>.h``.

    Parameters
    ----------
    name : str
        C++ identifier.
    values : ndarray of int64, one to three axes
    type : Bits or IntType
        Width and sign of every entry.
    comment : str
        What the axes mean.
    """

    name: str
    values: np.ndarray
    type: Bits | IntType
    comment: str

    def header(self) -> str:
        """Return the text of the header file."""
        guard = f"CODESIGN_{self.name.upper()}_H_"
        extents = "".join(f"[{extent}]" for extent in self.values.shape)
        return (
            f"// {self.comment}\n"
            f"// {self.values.size} entries, {int((self.values == 0).sum())} of them zero, "
            f"{int(self.values.min())} to {int(self.values.max())}\n\n"
            f"#ifndef {guard}\n#define {guard}\n\n"
            '#include "../nnet_utils/numbers.h"\n\n'
            f"static const {stored(self.type)} {self.name}{extents} = {_literals(self.values)};\n\n"
            "#endif\n"
        )


def _literals(values: np.ndarray) -> str:
    if values.ndim > 1:
        return "{\n" + ",\n".join(_literals(row) for row in values) + "}"
    texts = [str(int(value)) for value in values]
    lines = [", ".join(texts[i : i + LITERALS_PER_LINE]) for i in range(0, len(texts), LITERALS_PER_LINE)]
    return "{" + ",\n ".join(lines) + "}"


@dataclass(frozen=True, eq=False)
class Kernel:
    """One call of a kernel of `hw/hls`.

    Parameters
    ----------
    function : str
        Its name in the namespace `codesign`, and the name of its header.
    config : mapping of str to int or str
        Members of the configuration struct: an int becomes a constant, a str a type.
    tables : sequence of Table
        Passed after the edges, in order.
    code : str
        More members of the configuration struct.
    reuse_factor : int
        Steps that an output takes, after rounding the wish to what the shapes allow.
    """

    function: str
    config: Mapping[str, int | str]
    tables: Sequence[Table] = ()
    code: str = ""
    reuse_factor: int = 1

    def struct(self, name: str) -> str:
        """Return the configuration struct as C++."""
        lines = [f"struct {name} {{"]
        for key, value in self.config.items():
            if isinstance(value, str):
                lines.append(f"    typedef {value} {key};")
            else:
                kind = "long long" if value < 0 or value >= 1 << 31 else "unsigned"
                lines.append(f"    static const {kind} {key} = {value};")
        return "\n".join([*lines, *(f"    {line}".rstrip() for line in self.code.splitlines()), "};"])


@dataclass(frozen=True)
class Place:
    """A node where it stands, as its kernel is chosen.

    Parameters
    ----------
    node : Node
    graph : Graph
    io_type : {"io_stream", "io_parallel"}
    packs : mapping of str to int
        Elements in a stream token, by edge.
    reuse_factor : int
        Wished steps per output.
    """

    node: Node
    graph: Graph
    io_type: str
    reuse_factor: int = 1
    packs: Mapping[str, int] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The first edge that enters."""
        return self.graph.edges[self.node.inputs[0]]

    @property
    def y(self) -> Tensor:
        """The edge that leaves."""
        return self.graph.edges[self.node.name]

    @property
    def pack(self) -> int:
        """Elements in a token of the first input."""
        return self.packs[self.node.inputs[0]]


def number(type: Bits | IntType) -> str:
    """Return the C++ type of arithmetic."""
    return f"ap_{'int' if type.signed else 'uint'}<{type.bits}>"


def stored(type: Bits | IntType) -> str:
    """Return the C++ type of a table's entries."""
    return f"codesign::stored<{type.bits}, {'true' if type.signed else 'false'}>::type"


def bits_for(low: int, high: int) -> Bits:
    """Return the narrowest width that holds every integer from `low` to `high`."""
    if low >= 0:
        return Bits(max(1, high.bit_length()), signed=False)
    return Bits(1 + max((-low - 1).bit_length(), max(high, 0).bit_length()), signed=True)


def bits_of(values: np.ndarray) -> Bits:
    """Return the narrowest width that holds all values."""
    return bits_for(int(values.min()), int(values.max()))


def divisors(number: int) -> list[int]:
    """Return the divisors in ascending order."""
    return [d for d in range(1, number + 1) if number % d == 0]


def nearest(wish: int, legal: Sequence[int]) -> int:
    """Return the legal value with the smallest ratio to the wish, the smaller on a tie."""
    return min(legal, key=lambda value: (max(value / wish, wish / value), value))
