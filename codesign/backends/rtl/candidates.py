"""Many ways to fold one network, estimated thousands of times a second: what was worked out once is looked up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codesign import estimate
from codesign.backends.rtl import ops, schedule
from codesign.backends.rtl.described import fifo, forks, in_a_row
from codesign.backends.rtl.folds import require_operator
from codesign.backends.rtl.joints import adapters, input_lanes
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.unit import Block, Fold
from codesign.boards import Board
from codesign.estimate import Model
from codesign.estimate.model import whole_blocks
from codesign.ir import Graph, Node

Vector = tuple[float, float, float, float, int]
"""LUTs, flip-flops, block memories, multiplier blocks, clocks for a frame."""


_SLOWEST = 255
"""Clocks from word to word that are told apart."""


@dataclass(frozen=True)
class Quick:
    """What a network takes with some folds.

    Parameters
    ----------
    lut, ff, bram36, dsp : float
        As `estimation.network` predicts them, but for FIFOs, see `Candidates`, without a serial shell, and with
        multiplier blocks where the folds have them, which `network` leaves aside for families whose blocks do not add.
    cycles : int
        Clocks from frame to frame.
    """

    lut: float
    ff: float
    bram36: float
    dsp: float
    cycles: int


@dataclass(frozen=True)
class _Laid:
    """A node with a fold; `bursts` where it holds rows back, so that its words come at its own pace."""

    vector: Vector
    lanes_in: tuple[int, ...]
    lanes_out: int
    bursts: bool


class Candidates:
    """Estimates of one network with any folds.

    Parameters
    ----------
    graph : Graph
    board : Board
    layout : Layout, optional
        With its schedule: the FIFOs of candidates hold as many elements as those of this one. Without it, as few as
        there can be.
    model : Model, optional
        The fit of the board's family unless given.

    Notes
    -----
    A node with a fold is worked out when it is asked for first, which takes milliseconds, and so is a joint of two
    nodes; everything after that is looked up. How deep FIFOs must be only the schedule says, which takes longer:
    `estimation.network` runs it.
    """

    def __init__(self, graph: Graph, board: Board, layout: Layout | None = None, model: Model | None = None) -> None:
        self.graph = graph
        self.model = model or estimate.load(board.family)
        self._blocks = bool(board.dsp)
        self._nodes: dict[str, dict[Fold, _Laid]] = {node.name: {} for node in graph}
        self._joints: dict[tuple[str, int], dict[tuple[int, int, int], Vector]] = {
            (node.name, operand): {} for node in graph for operand in range(len(node.inputs))
        }
        self._edges = [
            (node.name, operand, edge, graph.edges[edge].size)
            for node in graph
            for operand, edge in enumerate(node.inputs)
        ]
        self._inputs = {edge: input_lanes(graph, edge) for edge in graph.inputs}
        self._held = {} if layout is None else _held(layout)
        readers = layout and estimate.total(self.model.block(fork) for fork in forks(layout))
        self._top = (readers.lut, readers.ff) if readers else (0.0, 0.0)
        self._by_name = {node.name: node for node in graph}

    def estimate(self, folds: Mapping[str, Fold]) -> Quick:
        """Return what the network takes with a fold for every node."""
        lut, ff = self._top
        bram36 = dsp = 0.0
        cycles = 1
        laid: dict[str, _Laid] = {}
        for name, known in self._nodes.items():
            fold = folds[name]
            if (found := known.get(fold)) is None:
                found = known[fold] = self._lay(self._by_name[name], fold)
            laid[name] = found
            more = found.vector
            lut += more[0]
            ff += more[1]
            bram36 += more[2]
            dsp += more[3]
            if more[4] > cycles:
                cycles = more[4]
        # Clocks over which the words of a frame come.
        spread = dict.fromkeys(self._inputs, cycles)
        for name, operand, edge, size in self._edges:
            source, reader = laid.get(edge), laid[name]
            wanted = reader.lanes_in[operand]
            lanes = self._inputs[edge] if source is None else source.lanes_out
            own = reader.vector[4] if reader.bursts else max(reader.vector[4], spread[edge])
            if own > spread.get(name, 0):
                spread[name] = own
            # Clocks from word to word, where it matters how many there are.
            pace = 0 if lanes <= wanted else min(spread[edge] * lanes // size, _SLOWEST)
            joints = self._joints[name, operand]
            if (joint := joints.get((lanes, wanted, pace))) is None:
                joint = self._join(self._by_name[name], operand, folds[name], lanes, wanted, pace)
                joints[lanes, wanted, pace] = joint
            lut += joint[0]
            ff += joint[1]
            bram36 += joint[2]
            if joint[4] > cycles:
                cycles = joint[4]
        return Quick(lut, ff, whole_blocks(bram36), dsp, cycles)

    def _lay(self, node: Node, fold: Fold) -> _Laid:
        require_operator(node)
        unit = ops.module(node.op.name).unit(node, self.graph, fold)
        dsp = self._blocks and fold.dsp
        amount = estimate.total(map(self.model.block, in_a_row(unit.blocks, dsp, bool(fold.port))))
        joints = self.model.joints(len(unit.blocks))
        cycles = max(unit.cycles, self.graph.edges[node.name].size // unit.lanes_out)
        vector = amount.lut + joints.lut, amount.ff + joints.ff, amount.bram36, float(amount.dsp), cycles
        bursts = any(block.module.startswith("window") for block in unit.blocks)
        return _Laid(vector, tuple(unit.lanes_in), unit.lanes_out, bursts)

    def _join(self, node: Node, operand: int, fold: Fold, lanes: int, wanted: int, pace: int) -> Vector:
        """Return what lies between two nodes; `pace` are the clocks from word to word."""
        edge = node.inputs[operand]
        tensor = self.graph.edges[edge]
        bits = tensor.type.bits
        unit = ops.module(node.op.name).unit(node, self.graph, fold)
        before: list[Block] = []
        kept = tensor.size
        if unit.sieve is not None:
            before.append(unit.sieve(lanes))
            words = np.zeros(tensor.size // lanes, dtype=np.int64)
            kept = len(before[0].timing.run(words, 1)[1]) * lanes
        behind = list(adapters(bits, lanes, wanted))
        cycles = max([kept // min(_ends(adapter)) for adapter in behind], default=1)
        width = lanes * bits
        if behind and lanes > behind[0].width // bits and pace >= lanes * bits // behind[0].width:
            # Nobody waits for an adapter that makes words narrow before the FIFO.
            before.append(behind.pop(0))
            width = before[-1].width
        held = self._held.get((node.name, operand), 0)
        depth = max(schedule.LEAST, math.ceil(held * bits / width))
        own = [*before, fifo(width, depth), *behind]
        amount = estimate.total(map(self.model.block, in_a_row(own, dsp=True, last=not unit.blocks)))
        # A node has one joint fewer than blocks.
        joints = self.model.joints(len(own) - (1 if operand == 0 else 0))
        return amount.lut + joints.lut, amount.ff + joints.ff, amount.bram36, 0.0, cycles


def _held(layout: Layout) -> dict[tuple[str, int], int]:
    """Return the elements for which there is room in the FIFOs that are deeper than the least."""
    found = {}
    for channel in layout.channels:
        if channel.depth > schedule.LEAST:
            bits = layout.graph.edges[channel.edge].type.bits
            found[channel.node, channel.operand] = channel.depth * channel.width // bits
    return found


def _ends(adapter: Block) -> tuple[int, int]:
    return int(adapter.parameters["IN"]), int(adapter.parameters["OUT"])  # type: ignore[arg-type]
