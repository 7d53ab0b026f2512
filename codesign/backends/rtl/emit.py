"""Writing the project folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from codesign import ir, resources
from codesign.backends import emission
from codesign.backends.rtl import verilog
from codesign.backends.rtl.layout import Layout, lay_out
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.project import GRAPH_FILE, MAP_FILE, RtlProject
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph

_INSTANCE = re.compile(r"^ *(\w+)(?: #\(| \w+ ?\()", re.MULTILINE)


def require_board(board: Board) -> None:
    """Accept every board: the sources are the same for all families."""


def emit(graph: Graph, board: Board, folder: str | Path, **options: Any) -> RtlProject:
    """Write a SystemVerilog design that computes the graph exactly, with its test bench.

    Parameters
    ----------
    graph : Graph
        With one input and one output.
    board : Board
    folder : path
        See `codesign.backends.emission.replace`.
    **options
        See `codesign.backends.rtl.options.Options`.

    Raises
    ------
    UserError
        For an unknown option, a graph with several inputs or outputs, an operator that the backend has not, or a
        folder that cannot be written.

    Notes
    -----
    The same graph, board and options give the same bytes. Names in generated code are those of the graph's
    edges; labels of the user's model are in ``map.json`` and ``graph.cdg`` alone.
    """
    require_board(board)
    chosen = Options.from_keywords(options)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError("the rtl backend writes networks with one input and one output; split the graph.")
    layout = lay_out(graph, chosen.cycles, chosen.folds, board.lut_inputs)
    folder = Path(folder)
    retired = emission.replace(folder, lambda new: _write(layout, board, new))
    return RtlProject(folder, graph, retired=retired)


def _write(layout: Layout, board: Board, folder: Path) -> None:
    files = verilog.write(layout)
    files[MAP_FILE] = json.dumps(_map(layout, board), indent=1) + "\n"
    for name, text in files.items():
        (folder / name).write_text(text)
    library = resources.folder("hw") / "rtl"
    for module in _needed("".join(text for name, text in files.items() if name.endswith(".sv")), library):
        shutil.copyfile(library / f"{module}.sv", folder / f"{module}.sv")
    for path in sorted((library / "sim").iterdir()):
        shutil.copyfile(path, folder / path.name)
    ir.save(layout.graph, folder / GRAPH_FILE)


def _needed(text: str, library: Path) -> list[str]:
    """Return the modules of the library that sources instantiate, directly or through others."""
    found: set[str] = set()
    waiting = [text]
    while waiting:
        for name in _INSTANCE.findall(waiting.pop()):
            if name not in found and (library / f"{name}.sv").is_file():
                found.add(name)
                waiting.append((library / f"{name}.sv").read_text())
    return sorted(found)


def _map(layout: Layout, board: Board) -> dict[str, Any]:
    """Return what people and scripts want to know of a design."""
    graph = layout.graph
    return {
        "board": board.name,
        "family": board.family,
        "graph_sha256": ir.digest(graph),
        "cycles_per_frame": layout.cycles_per_frame,
        "latency_cycles": layout.latency,
        "input": _stream(layout, graph.inputs[0]),
        "output": _stream(layout, graph.outputs[0]),
        "lanes": {edge: layout.lanes(edge) for edge in graph.edges},
        "nodes": {
            node.name: {
                "operator": node.op.name,
                "label": node.label,
                "pe": layout.folds[node.name].pe,
                "simd": layout.folds[node.name].simd,
                "window": layout.folds[node.name].window,
                "planes": layout.folds[node.name].planes,
                "search": layout.folds[node.name].search,
                "cycles": layout.units[node.name].cycles,
            }
            for node in graph
        },
        "fifos": [
            {"edge": c.edge, "node": c.node, "operand": c.operand, "depth": c.depth, "width": c.width}
            for c in layout.channels
        ],
    }


def _stream(layout: Layout, edge: str) -> dict[str, Any]:
    """Return what a host that packs or unpacks the words of an edge must know."""
    tensor = layout.graph.edges[edge]
    return {
        "edge": edge,
        "shape": list(tensor.shape),
        "bits": tensor.type.bits,
        "signed": tensor.type.signed,
        "lanes": layout.lanes(edge),
    }
