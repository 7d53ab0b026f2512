"""Writing the build folder."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from codesign import ir
from codesign.backends import emission, keywords
from codesign.backends.finn import layout as layout_
from codesign.backends.finn import ops
from codesign.backends.finn.options import Options
from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.project import ESTIMATE_FILE, SCRIPTS, FinnProject
from codesign.backends.qonnx.emit import map_document
from codesign.backends.qonnx.export import export
from codesign.backends.qonnx.folder import GRAPH_FILE, MAP_FILE, MODEL_FILE
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph, golden

BOARDS = {
    "pynq-z2": "Pynq-Z2",
    "zcu104": "ZCU104",
    "kv260": "KV260_SOM",
}
"""Boards that FINN makes bitstreams for, by their names there; for other AMD parts it stops at the network's IP."""


def require_board(board: Board) -> None:
    """Raise `UserError` for a board whose part FINN does not know."""
    if board.toolchain != "vivado":
        raise UserError(
            f"FINN builds for AMD parts, and {board.name} has a {board.vendor} part; "
            "choose another board, see codesign boards."
        )


def emit(graph: Graph, board: Board, folder: str | Path, **options: Any) -> FinnProject:
    """Write a FINN build folder that computes the graph exactly.

    It holds ``model.onnx`` in FINN's dialect, ``build.py`` with its settings ``build.json``, the folds and styles of
    all layers, which ``layers.json`` lists, and golden vectors for the checks of FINN's own steps.

    Parameters
    ----------
    graph : Graph
        With one input and one output.
    board : Board
    folder : path
        See `codesign.backends.emission.replace`.
    **options
        See `codesign.backends.finn.options.Options`.

    Raises
    ------
    UserError
        For a board without an AMD part, an unknown option, a graph with several inputs or outputs, an operator that
        FINN has no layer for; when the package onnx is missing.

    Notes
    -----
    The same graph, board and options give the same bytes. Names are those of the graph's edges; labels of the user's
    model are in ``map.json`` and ``graph.cdg`` alone.
    """
    require_board(board)
    chosen = keywords.options(Options, "finn", options)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError("the finn backend writes networks with one input and one output; split the graph.")
    content = export(graph, ops.by_name(), FinnPlace)
    layout = layout_.lay_out(graph, chosen.wanted, chosen.limits(board), chosen.folds)
    folder = Path(folder)

    def write(new: Path) -> None:
        (new / MODEL_FILE).write_bytes(content)
        documents = {**layout_.files(layout), "build.json": _build(board), ESTIMATE_FILE: _estimate(layout)}
        for name, document in documents.items():
            (new / name).write_text(json.dumps(document, indent=1) + "\n")
        x = _frames(graph, chosen.vectors, chosen.seed)
        for name, values in (("input", x), ("expected_output", golden.run(graph, x))):
            (new / f"{name}.npy").write_bytes(_npy(values))
        shutil.copyfile(SCRIPTS / "build.py", new / "build.py")
        (new / MAP_FILE).write_text(map_document(graph))
        ir.save(graph, new / GRAPH_FILE)

    retired = emission.replace(folder, write)
    return FinnProject(folder, graph, retired=retired)


def _build(board: Board) -> dict[str, Any]:
    return {"finn_board": BOARDS.get(board.name), "part": board.part, "clock_ns": board.clock_period_ns}


def _estimate(layout: layout_.Layout) -> dict[str, Any]:
    """Return our estimate of the same layers, beside which FINN's is to be put."""
    return {
        "cycles_per_frame": layout.cycles,
        **{name: round(layout.cost.get(name, 0.0), 1) for name in ("lut", "dsp", "bram36")},
        "layers": {each.name: {"node": each.node, "cycles": each.cycles, **each.fold} for each in layout.layers},
    }


def _frames(graph: Graph, count: int, seed: int) -> np.ndarray:
    """Return frames of one extreme, of the other, and random ones."""
    tensor = graph.input
    rng = np.random.default_rng(seed)
    x = rng.integers(tensor.type.min, tensor.type.max, size=(count, *tensor.shape), dtype=np.int64, endpoint=True)
    for index, value in enumerate((tensor.type.max, tensor.type.min)[: count - 1]):
        x[index] = value
    return x


def _npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values.astype(np.float32), allow_pickle=False)
    return stream.getvalue()
