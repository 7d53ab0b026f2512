"""Constants of a QONNX graph that an index chooses, frame by frame: a Gather from a table, and what reads it.

The executor's numbers are followed for each entry of the table; in the end one operator holds the constants of all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_elementwise, qonnx_levels, qonnx_rounding
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_requantize import quantize_chosen
from codesign.frontends.qonnx_stream import INTEGERS, Stream
from codesign.frontends.requantize import Affine
from codesign.ir.ops import FrameBuffer, SelectDyadic
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk

MAX_INDEX_BITS = 8

_SEARCH = 1 << 9
"""Work of going through all integers of an edge for one entry, in the units of `qonnx_walk.MAX_WORK`."""


@dataclass(frozen=True, eq=False)
class Table:
    """A constant for each value of an index, the edge `index`."""

    index: str
    entries: tuple[Constant, ...]


@dataclass(frozen=True, eq=False)
class Choices:
    """A tensor for each value of an index; all of the same edge."""

    index: str
    streams: tuple[Stream, ...]


class Chosen:
    """What a walk knows of indices and of what they choose, by tensor.

    Parameters
    ----------
    walk : Walk
    """

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.indices: dict[str, Stream] = {}
        self.tables: dict[str, Table] = {}
        self.choices: dict[str, Choices] = {}
        self.held: dict[str, str] = {}

    def lower(self, node: Node) -> Stream | bool:
        """Lower a node that is about an index; returns its stream, whether it was such a one otherwise."""
        reads = [name for name in node.inputs if name in self.tables or name in self.choices]
        if reads:
            handler = _HANDLERS.get(node.op)
            if handler is None:
                raise UserError(
                    f"{self.walk.where(node)} reads what an index chooses, which only sums, products, thresholds and "
                    "Floor may; give it constants."
                )
            return handler(self, node)
        match node.op:
            case "Cast" if node.attribute("to", 0) == 7:
                return self._keep_index(node, self.walk.streams.get(node.inputs[0]) if node.inputs else None)
            case "Reshape" if node.inputs and (x := self._index(node.inputs[0])) is not None:
                target = self.walk.constants.get(node.inputs[-1])
                if target is not None and target.values.reshape(-1).tolist() == [1]:
                    return self._keep_index(node, x)
            case "Gather" if len(node.inputs) == 2 and node.inputs[1] in self.indices:
                return self._gather(node)
        return False

    def _index(self, name: str) -> Stream | None:
        return self.indices.get(name, self.walk.streams.get(name))

    def _keep_index(self, node: Node, x: Stream | None) -> bool:
        """Take a single small number without a sign as an index."""
        if x is None or x.axes != "NF" or len(x.affines) != 1 or x.affines[0] != Affine(Fraction(1)):
            return False
        type = self.walk.edge(x).type
        if type.signed or type.bits > MAX_INDEX_BITS or x.actual(type).error.any() or self.walk.batch != 1:
            return False
        self.indices[node.outputs[0]] = x
        return True

    def _gather(self, node: Node) -> bool:
        """Take a table; an index beyond its end is an error in the executor."""
        where = self.walk.where(node)
        table = self.walk.constant(node, 0).values
        if node.attribute("axis", 0) != 0 or table.ndim < 2 or len(table) < 1:
            raise UserError(f"{where} chooses along another axis than the first of a table; transpose the table.")
        index = self.indices[node.inputs[1]]
        count = self.walk.edge(index).type.max + 1
        self.walk.spend(table.size // 64, where)
        rows = [Constant(table[entry : entry + 1]) for entry in range(min(count, len(table)))]
        entries = (*rows, *rows[-1:] * (count - len(rows)))
        self.tables[node.outputs[0]] = Table(index.edge, entries)
        return True

    def reshape(self, node: Node) -> bool:
        """Give every entry of a table another shape."""
        where = self.walk.where(node)
        table, shape = self.tables.get(node.inputs[0]), self.walk.constant(node, 1).values.reshape(-1).tolist()
        if table is None or np.prod(shape, dtype=object) != table.entries[0].values.size or min(shape, default=0) < 1:
            raise UserError(f"{where} reshapes what an index chooses to {shape[:8]}, which does not fit.")
        entries = tuple(entry.rearranged(lambda part: part.reshape(shape)) for entry in table.entries)
        self.tables[node.outputs[0]] = Table(table.index, entries)
        return True

    def arithmetic(self, node: Node) -> bool:
        """Add or multiply by what is chosen."""
        where = self.walk.where(node)
        if len(node.inputs) != 2 or node.inputs[0] in self.tables:
            raise UserError(f"{where} needs activations first and the chosen constants second; exchange them.")
        known = self.choices.get(node.inputs[0])
        table = self.tables.get(node.inputs[1])
        if table is None:
            constant = self.walk.constant(node, 1)
            index, entries = known.index if known else "", (constant,) * (len(known.streams) if known else 0)
        else:
            index, entries = table.index, table.entries
        streams = known.streams if known else (self.walk.linear(self.walk.stream(node, 0), node),) * len(entries)
        if known and known.index != index:
            raise UserError(f"{where} joins what two indices choose, which is not supported; use one index.")
        self.walk.spend(sum(len(x.affines) for x in streams), where)
        made = [
            qonnx_elementwise.with_constant(self.walk, node, x, entry.values, forward=True)
            for x, entry in zip(streams, entries, strict=True)
        ]
        self.choices[node.outputs[0]] = Choices(index, tuple(made))
        return True

    def floor(self, node: Node) -> Stream:
        """Round what was chosen down: multiplies and shifts, one for each entry."""
        found = self.choices[node.inputs[0]]
        self.walk.spend(len(found.streams) * _SEARCH, self.walk.where(node))
        x = found.streams[0]
        ops = [qonnx_rounding.shifted(self.walk, stream, "Floor") for stream in found.streams]
        if any(op is None for op in ops):
            raise UserError(
                f"{self.walk.where(node)} rounds chosen numbers that float does not hold exactly; use factors that are "
                "powers of two and fewer bits."
            )
        rows = [op for op in ops if op is not None]
        channels = max(len(op.multiplier) for op in rows)
        multiplier, bias, shift = (
            np.stack([np.broadcast_to(getattr(op, name), channels) for op in rows])
            for name in ("multiplier", "bias", "shift")
        )
        type = IntType.for_range(min(op.type.min for op in rows), max(op.type.max for op in rows))
        op = SelectDyadic(multiplier, bias, shift, type)
        sources = self.hold(x.edge, node.label), found.index
        edge = self.walk.lowering.add_operator(op, *sources, label=node.label)
        self.walk.shifts[edge] = (sources, op)
        affines = (Affine(Fraction(1)),) * len(x.affines)
        return dataclasses.replace(x, edge=edge, affines=affines, root=INTEGERS.carried(x.precision), steps=())

    def multi_threshold(self, node: Node) -> Stream:
        """Count chosen thresholds."""
        walk, table = self.walk, self.tables.get(node.inputs[1]) if len(node.inputs) == 2 else None
        x = walk.stream(node, 0)
        if table is None:
            raise UserError(f"{walk.where(node)} compares what an index chooses; let it choose the thresholds.")
        walk.spend(len(table.entries) * _SEARCH, walk.where(node))
        quantizers = [qonnx_levels.thresholds(walk, node, x, entry) for entry in table.entries]
        made, found = quantize_chosen(
            walk.lowering, x, quantizers, lambda edge: (self.hold(edge, node.label), table.index), node.label
        )
        if found is not None:
            walk.open.append(found)
        return made

    def hold(self, edge: str, label: str) -> str:
        """Return the edge whose frames wait until their index is known."""
        if edge not in self.held:
            self.held[edge] = self.walk.lowering.add_operator(FrameBuffer(), edge, label=label)
        return self.held[edge]


_HANDLERS: dict[str, Callable[[Chosen, Node], Stream | bool]] = {
    "Add": Chosen.arithmetic,
    "Floor": Chosen.floor,
    "Mul": Chosen.arithmetic,
    "MultiThreshold": Chosen.multi_threshold,
    "Reshape": Chosen.reshape,
}
