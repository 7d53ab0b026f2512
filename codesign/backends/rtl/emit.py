"""Writing the project folder."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign import ir, resources
from codesign.backends import emission, keywords
from codesign.backends.rtl import hardware, lanes, modules, verilog
from codesign.backends.rtl.folder import FREE, GRAPH_FILE, MAP_FILE, ORDERS
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.project import RtlProject
from codesign.backends.rtl.unit import Fold
from codesign.boards import Board
from codesign.ir import Graph, Node
from codesign.ir.channels import is_tied
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.passes.permute_channels import Orders


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
    edges; labels of the user's model are in ``map.json`` and ``graph.cdg`` alone. Where channels of inner edges have
    another order in hardware, ``map.json`` has it; ``graph.cdg`` and `RtlProject` keep to that of `graph`.
    """
    require_board(board)
    chosen = keywords.options(Options, "rtl", options)
    found, orders = hardware.chosen(graph, board, chosen)
    layout = found.layout
    blocks = {"multiplier_blocks": chosen.blocks(board)}
    if chosen.port(board):
        blocks[FREE] = True
    folder = Path(folder)
    retired = emission.replace(folder, lambda new: _write(graph, layout, orders, board, blocks, new))
    return RtlProject(folder, graph, retired, found.tables if chosen.lut is not None else None)


def _write(graph: Graph, layout: Layout, orders: Orders, board: Board, blocks: Mapping[str, int], folder: Path) -> None:
    files = verilog.write(layout)
    files[MAP_FILE] = json.dumps(_map(graph, layout, orders, board, blocks), indent=1) + "\n"
    for name, text in files.items():
        (folder / name).write_text(text)
    library = resources.folder("hw") / "rtl"
    written = "".join(text for name, text in files.items() if name.endswith(".sv"))
    for module, text in modules.needed(written, modules.files(library)).items():
        (folder / f"{module}.sv").write_text(text)
    for path in sorted((library / "sim").iterdir()):
        shutil.copyfile(path, folder / path.name)
    ir.save(graph, folder / GRAPH_FILE)


def _map(graph: Graph, layout: Layout, orders: Orders, board: Board, blocks: Mapping[str, int]) -> dict[str, Any]:
    """Return what people and scripts want to know of a design."""
    about: dict[str, Any] = {
        "board": board.name,
        "family": board.family,
        "graph_sha256": ir.digest(graph),
        "cycles_per_frame": layout.cycles_per_frame,
        "latency_cycles": layout.latency,
        # The most that synthesis for a part whose multiplications are placed by size may take.
        **blocks,
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
                "chain": layout.folds[node.name].chain,
                **({"shared": True} if layout.folds[node.name].shared else {}),
                "search": layout.folds[node.name].search,
                "dsp": layout.folds[node.name].dsp,
                "cycles": layout.units[node.name].cycles,
                **_lane_widths(node, layout.folds[node.name]),
            }
            for node in layout.graph
        },
        "fifos": [
            {"edge": c.edge, "node": c.node, "operand": c.operand, "depth": c.depth, "width": c.width}
            for c in layout.channels
        ],
    }
    if orders:
        # Channel i of an edge in hardware is channel order[i] of it in the graph.
        about[ORDERS] = {edge: order.tolist() for edge, order in orders.items()}
    return about


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


def _lane_widths(node: Node, fold: Fold) -> dict[str, dict[int, int]]:
    """Return how many lanes of a layer whose weights have several widths are of which width."""
    op = node.op
    if (
        fold.planes
        or fold.chain
        or fold.shared
        or not isinstance(op, Conv2d | Dense)
        or not op.mixed_widths
        or (isinstance(op, Conv2d) and is_tied(op))
    ):
        return {}
    return {"lanes_by_width": dict(sorted(Counter(lanes.widths(op, fold.pe)).items()))}
