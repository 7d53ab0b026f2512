"""A graph laid out in hardware: the fold and unit of every node, and what lies on its streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from codesign.backends.rtl import choice, ops, schedule
from codesign.backends.rtl.joints import adapters, input_lanes
from codesign.backends.rtl.mac import DSP_LUTS
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph

MOST_SPARE = 3
"""Rows more than needed that the windows may get."""


@dataclass(frozen=True)
class Channel:
    """The stream from an edge to one operand of a node: a FIFO, and adapters to the operand's lanes.

    Parameters
    ----------
    edge, node : str
    operand : int
    size : int
        Elements of a frame of the edge.
    depth : int
        Words of the FIFO.
    width : int
        Bits of a word of the FIFO.
    adapters : tuple of Block
        Behind the FIFO.
    sieve, parts : Block or None
        Before the FIFO, in this order: what drops words, and what makes several words of one where that holds up
        nobody, so that the FIFO is narrow.
    """

    edge: str
    node: str
    operand: int
    size: int
    depth: int
    width: int
    adapters: tuple[Block, ...]
    sieve: Block | None = None
    parts: Block | None = None

    @property
    def entry(self) -> tuple[Block, ...]:
        """What words pass before the FIFO."""
        return tuple(block for block in (self.sieve, self.parts) if block is not None)

    def narrowed(self) -> Channel:
        """Return the same with its first adapter before the FIFO."""
        parts, *others = self.adapters
        return replace(self, parts=parts, adapters=tuple(others), width=parts.width)

    def words(self, lanes: int) -> int:
        """Return the words of a frame that are not dropped, of `lanes` elements each."""
        words = np.zeros(self.size // lanes, dtype=np.int64)
        return len(words if self.sieve is None else self.sieve.timing.run(words, 1)[1])


@dataclass(frozen=True)
class Layout:
    """A graph and its hardware.

    Parameters
    ----------
    graph : Graph
    folds : mapping of str to Fold
    units : mapping of str to Unit
        By node.
    channels : tuple of Channel
        One per operand, in the order of the nodes.
    latency : int
        Clocks from the first word of a frame into the network to the last one out of it, when the source offers
        its words evenly; 0 while it is not known.
    pace : int
        Clocks from frame to frame by the schedule; 0 while it is not known.
    """

    graph: Graph
    folds: Mapping[str, Fold]
    units: Mapping[str, Unit]
    channels: tuple[Channel, ...]
    latency: int = 0
    pace: int = 0

    def lanes(self, edge: str) -> int:
        """Return the elements in a word of an edge."""
        return self.units[edge].lanes_out if edge in self.units else input_lanes(self.graph, edge)

    @property
    def cycles_per_frame(self) -> int:
        """Clocks from frame to frame, once all operators have work."""
        sizes = {edge: tensor.size for edge, tensor in self.graph.edges.items()}
        slowest = [self.pace, *(unit.cycles for unit in self.units.values())]
        slowest += [sizes[edge] // self.lanes(edge) for edge in sizes]
        for channel in self.channels:
            kept = channel.words(self.lanes(channel.edge)) * self.lanes(channel.edge)
            for adapter in (*channel.adapters, *channel.entry):
                if adapter.module == "lane_adapter":
                    slowest.append(kept // min(cast(int, adapter.parameters[end]) for end in ("IN", "OUT")))
        return max(slowest)


def lay_out(
    graph: Graph,
    cycles: int | None,
    folds: Mapping[str, Mapping[str, Any]] | None = None,
    lookup: int = 6,
    limits: Mapping[str, float] | None = None,
    dsp_luts: float = DSP_LUTS,
    port: int = 0,
) -> Layout:
    """Return the cheapest hardware of a graph that takes a frame every `cycles` clocks, or as many more as it must.

    Parameters
    ----------
    graph : Graph
    cycles : int or None
        Wanted; None for as few as the limits allow.
    folds : mapping of str to mapping, optional
        Fields of `Fold` by node, where the fold is not to be chosen here.
    lookup : int
        Inputs of a LUT of the family.
    limits : mapping of str to float, optional
    dsp_luts : float
    port : int
        See `choice.choose`.

    Raises
    ------
    UserError
        For a node that does not exist, or a fold that it cannot have.
    """
    chosen = choice.choose(graph, cycles, folds or {}, lookup, limits or {}, dsp_luts, port)
    return place(graph, {node: one.fold for node, one in chosen.candidates.items()})


def place(graph: Graph, folds: Mapping[str, Fold]) -> Layout:
    """Return the hardware of a graph with these folds, its FIFOs deep enough."""
    for spare in range(MOST_SPARE + 1):
        layout = _joined(graph, {name: replace(each, spare=spare) for name, each in folds.items()})
        wanted = layout.cycles_per_frame
        found = schedule.depths(layout)
        if found.pace == wanted:
            break
        # Words come unevenly from an operator before: with room for more rows, a window evens that out.
    channels = []
    for channel in layout.channels:
        place = channel.node, channel.operand
        narrow = channel.narrowed() if place in found.narrowed else channel
        channels.append(replace(narrow, depth=found.depth[place]))
    return replace(layout, channels=tuple(channels), latency=found.latency, pace=found.pace)


def _joined(graph: Graph, folds: Mapping[str, Fold]) -> Layout:
    """Return units and channels for folds, the FIFOs not yet deep."""
    units = {n.name: ops.module(n.op.name).unit(n, graph, folds[n.name]) for n in graph}
    channels = []
    for node in graph:
        for operand, (edge, wanted) in enumerate(zip(node.inputs, units[node.name].lanes_in, strict=True)):
            lanes = units[edge].lanes_out if edge in units else input_lanes(graph, edge)
            tensor = graph.edges[edge]
            bits = tensor.type.bits
            adapting = adapters(bits, lanes, wanted)
            sieve = units[node.name].sieve
            channels.append(
                Channel(edge, node.name, operand, tensor.size, 2, lanes * bits, adapting, sieve and sieve(lanes))
            )
    return Layout(graph, folds, units, tuple(channels))
