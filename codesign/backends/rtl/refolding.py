"""The best folding of many graphs of one network, one after the other, as a search of widths asks for it.

`hardware.chosen` says what `emit` writes. It tries several orders of the channels of layers with weights of several
widths, and works every fold of every node out anew: seconds for each graph. Here one order is taken, that which serves
many folds, and the folds of a node that came before are known. For graphs whose layers have one width each the result
is the same; for others `emit` finds a design that its own measure says is as small or smaller.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

from codesign import estimate
from codesign.backends.rtl import choice, estimation, hardware
from codesign.backends.rtl.folds import require_ends
from codesign.backends.rtl.options import Options
from codesign.boards import Board
from codesign.folding import Candidate, Edge
from codesign.ir import Graph, Node
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.passes.permute_channels import permute_channels

NODES = 600
"""Nodes whose folds are kept, those that were asked for last."""


class Refolding:
    """Folds graphs for a board.

    Parameters
    ----------
    board : Board
    options : Options
        As for `codesign.backends.rtl.emit`.

    Raises
    ------
    UserError
        When no synthesis was measured for the family of the board.
    """

    def __init__(self, board: Board, options: Options) -> None:
        self.board, self.options = board, options
        self._model = estimate.load(board.family)
        self._near: int | None = None
        self._kept: collections.OrderedDict[bytes, list[Candidate]] = collections.OrderedDict()

    def estimate(self, graph: Graph) -> estimation.Estimate:
        """Return what a graph takes at its best folding: the cheapest that keeps to the clocks, or the fastest.

        Raises
        ------
        UserError
            When the backend does not have an operator of the graph.
        """
        require_ends(graph)
        options, board = self.options, self.board
        if options.permute and any(isinstance(node.op, Conv2d | Dense) and node.op.mixed_widths for node in graph):
            graph = permute_channels(graph)

        def known(node: Node, make: Callable[[], list[Candidate]]) -> list[Candidate]:
            return self._known(_content(node, graph), make)

        limits, port = options.limits(board), options.port(board)
        asked = choice.problem(graph, options.folds, board.lut_inputs, limits, options.dsp_luts, port, known)
        found = hardware.folded(asked, graph, board, options, self._near)
        self._near = found.cycles
        # Joints are kept by edge, and the edges of this graph will not come again.
        Edge.joint.cache_clear()
        return found.estimate or estimation.of_layout(found.layout, board, self._model, options.blocks(board))

    def _known(self, key: bytes, make: Callable[[], list[Candidate]]) -> list[Candidate]:
        found = self._kept.pop(key, None)
        self._kept[key] = made = make() if found is None else found
        if len(self._kept) > NODES:
            self._kept.popitem(last=False)
        return made


def _content(node: Node, graph: Graph) -> bytes:
    """Return a digest of all that the folds of a node depend on: its operator, and the edges at it."""
    edges = [graph.edges[name] for name in (*node.inputs, node.name)]
    total = hashlib.sha256(repr([(edge.shape, str(edge.type)) for edge in edges]).encode())
    total.update(node.op.name.encode())
    for field in dataclasses.fields(node.op):
        value = getattr(node.op, field.name)
        if isinstance(value, np.ndarray):
            total.update(f"{field.name} {value.shape} {value.dtype} ".encode() + np.ascontiguousarray(value).tobytes())
        else:
            total.update(f"{field.name} {value!r} ".encode())
    return total.digest()
