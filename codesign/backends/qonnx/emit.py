"""Writing the project folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codesign import ir
from codesign.backends import emission
from codesign.backends.qonnx import ops
from codesign.backends.qonnx.export import export
from codesign.backends.qonnx.folder import GRAPH_FILE, MAP_FILE, MODEL_FILE
from codesign.backends.qonnx.project import QonnxProject
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph


def require_board(board: Board) -> None:
    """Accept every board: a QONNX file is for none in particular."""


def emit(graph: Graph, board: Board, folder: str | Path, **options: Any) -> QonnxProject:
    """Write the graph as a QONNX file of integers, frames channels first, batch 1.

    Parameters
    ----------
    graph : Graph
    board : Board
        Not used.
    folder : path
        See `codesign.backends.emission.replace`.

    Raises
    ------
    UserError
        For an option, of which there is none; when the package onnx is missing; when an operator has no exact form.

    Notes
    -----
    Tensors hold integers in float32, or in float64 where they may exceed 2^24. Names are those of the graph's edges;
    labels of the user's model are in ``map.json`` and ``graph.cdg`` alone.
    """
    if options:
        raise UserError(f"the qonnx backend has no option {next(iter(options))!r}; it has none.")
    content = export(graph, ops.by_name())
    folder = Path(folder)

    def write(new: Path) -> None:
        (new / MODEL_FILE).write_bytes(content)
        (new / MAP_FILE).write_text(map_document(graph))
        ir.save(graph, new / GRAPH_FILE)

    retired = emission.replace(folder, write)
    return QonnxProject(folder, graph, retired=retired)


def map_document(graph: Graph) -> str:
    """Return the text of ``map.json``: for people, what each node of the file came from."""
    about = {
        "graph_sha256": ir.digest(graph),
        "nodes": {node.name: {"operator": node.op.name, "label": node.label} for node in graph},
    }
    return json.dumps(about, indent=1) + "\n"
