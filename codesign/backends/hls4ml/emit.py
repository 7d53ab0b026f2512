"""Writing the project folder."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from codesign import ir
from codesign.backends import emission, keywords
from codesign.backends.hls4ml import model as model_
from codesign.backends.hls4ml import testbench
from codesign.backends.hls4ml.options import Options
from codesign.backends.hls4ml.project import Hls4mlProject
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph

GRAPH_FILE = "graph.cdg"


def require_board(board: Board) -> None:
    """Raise `UserError` for a board whose part Vitis HLS does not know."""
    if board.toolchain != "vivado":
        raise UserError(
            f"the hls4ml backend writes projects for AMD parts, and {board.name} has a {board.vendor} part; "
            "choose another board, see codesign boards."
        )


def emit(graph: Graph, board: Board, folder: str | Path, **options: Any) -> Hls4mlProject:
    """Write an hls4ml project for Vitis HLS that computes the graph exactly.

    Parameters
    ----------
    graph : Graph
        With one input and one output.
    board : Board
        Gives the part, the clock, and the size that reuse factors are chosen for.
    folder : path
        Stays as it is, tool results included, when it holds these very files. Otherwise it is replaced as a
        whole, and kept beside as ``NAME.old-1`` when it holds anything that no emission wrote: results of
        Vitis HLS, edited or added files. It keeps what it held when anything fails.
    **options
        See `codesign.backends.hls4ml.options.Options`.

    Returns
    -------
    Hls4mlProject
        Its ``retired`` is the place of the old folder, where one was kept.

    Raises
    ------
    UserError
        For a board without an AMD part, an unknown option, a graph with several inputs or outputs, or a folder
        that cannot be written.

    Notes
    -----
    The same graph, board and options give the same bytes. Names in generated code are those of the graph's
    edges; labels of the user's model are in ``map.json`` and ``graph.cdg`` alone.
    """
    require_board(board)
    chosen = keywords.options(Options, "hls4ml", options)
    folder = Path(folder)
    model = model_.build(graph, board, chosen)

    def write(new: Path) -> None:
        _write(model, chosen, new)

    retired = emission.replace(folder, write, lambda new: Hls4mlProject(new, graph).binary_name())
    return Hls4mlProject(folder, graph, retired=retired)


def _write(model: model_.Model, options: Options, folder: Path) -> None:
    graph = model.graph
    config = model.hls4ml.config.config
    config["OutputDir"] = str(folder)
    # hls4ml draws a random stamp; this one says what the project was made from.
    config["Stamp"] = ir.digest(graph)[:8]
    with _without_keras(), contextlib.redirect_stdout(io.StringIO()):
        model.hls4ml.config.backend.writer.write_hls(model.hls4ml)
    config["OutputDir"] = "."
    files = {
        "hls4ml_config.yml": yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=True),
        f"{model_.PROJECT}_csim.cpp": testbench.csim(model),
        f"{model_.PROJECT}_test.cpp": testbench.testbench(model),
        "build_csim.sh": testbench.BUILD_CSIM,
        "build.tcl": testbench.BUILD_TCL,
        "build_opt.tcl": testbench.BUILD_OPT_TCL,
        "map.json": json.dumps(
            testbench.map_document(graph, {name: k.reuse_factor for name, k in model.kernels.items()}),
            indent=1,
        )
        + "\n",
    }
    for table in model.tables:
        files[f"firmware/weights/{table.name}.h"] = table.header()
    x = testbench.random_frames(graph, options.vectors, options.seed)
    files["tb_data/tb_input_features.dat"] = testbench.vectors(x)
    files["tb_data/tb_output_predictions.dat"] = testbench.vectors(ir.golden.run(graph, x))
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "build_csim.sh").chmod(0o755)
    ir.save(graph, folder / GRAPH_FILE)


@contextlib.contextmanager
def _without_keras() -> Iterator[None]:
    """Keep hls4ml from importing keras, which takes ten seconds, only to see that this is no keras model."""
    if "keras" in sys.modules:
        yield
        return
    sys.modules["keras"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["keras"]
