"""Choosing reuse factors: the fastest network whose multiply-accumulates fit the board."""

from __future__ import annotations

from collections.abc import Mapping

from codesign.backends.hls4ml.options import Options
from codesign.boards import Board
from codesign.ir import Graph


def choose(graph: Graph, board: Board, options: Options) -> dict[str, int]:
    """Return the wished reuse factor of every node."""
    wished = options.reuse_factor
    if isinstance(wished, int):
        return {node.name: wished for node in graph}
    chosen = {node.name: 1 for node in graph}
    if isinstance(wished, Mapping):
        chosen.update(wished)
    return chosen
