"""`codesign emit`."""

from __future__ import annotations

from typing import Any

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work


@make(name="emit", short_help="Write the hardware project of a model.")
@options.model
@options.board
@options.backend("hls4ml", "rtl", "qonnx", "finn")
@options.io_type
@options.strategy
@options.reuse_factor
@options.clock
@options.folding
def command(console: Console, model: str, board: str, backend: str, **chosen: Any) -> None:
    """Write the hardware project of a model to build/MODEL/BOARD/.

    MODEL is a name from `codesign models` or the path of a model's TOML file.
    """
    from codesign import ir

    chosen = options.given(backend, chosen, board)
    work = Work.on(model, board, console)
    project = work.emit(backend, **chosen)
    console.result(
        {
            "model": work.model.name,
            "board": work.board.name,
            "backend": backend,
            "folder": project.folder,
            "graph_sha256": ir.digest(work.graph),
            "cycles_per_frame": getattr(project, "cycles_per_frame", None),
        },
        f"The {backend} project is in {project.folder}.",
    )
