"""`codesign csim`."""

from __future__ import annotations

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work


@make(name="csim", short_help="C-simulate a model against its committed regression vectors.")
@options.model
@click.option("--check", "action", flag_value="check", default=True, help="Fail on any other integer. [default]")
@click.option("--update", "action", flag_value="update", help="Record the vectors anew and say what changed.")
@click.option("--count", type=click.IntRange(2), default=8, show_default=True, help="Vectors to record with --update.")
@options.board
@options.io_type
def command(console: Console, model: str, action: str, count: int, board: str, io_type: str) -> int:
    """C-simulate a model on its regression vectors.

    The vectors lie beside the model's checkpoint: inputs, expected integers, and a hash of every edge.
    With --check the exit code is 1 when the checkpoint, the frontend, the golden executor or the C
    simulation gives any other integer.
    """
    from codesign.errors import UserError
    from codesign.verify import vectors

    work = Work.on(model, board, console)
    work.model.require_integers()
    path = vectors.path_of(work.model.checkpoint_path)
    found: list[str] = []
    committed = vectors.load(path) if action == "check" or path.is_file() else None
    if committed is not None:
        project = work.compiled("hls4ml", io_type=io_type)
        with console.progress(f"Simulating {len(committed['frames'])} vectors"):
            found = vectors.changes(work.graph, committed, project)
    if action == "update":
        vectors.save(vectors.record(work.graph, work.dataset.x_test, count), path)
        kept = vectors.load(path)
        project = work.compiled("hls4ml", io_type=io_type)
        if wrong := vectors.changes(work.graph, kept, project):
            raise UserError(f"the new vectors do not hold: {'; '.join(wrong)}; run codesign verify {work.model.name}.")
    frames = count if action == "update" else len(committed["frames"]) if committed else 0
    console.result(
        {
            "model": work.model.name,
            "action": action,
            "vectors": frames,
            "changes": found,
            "path": path,
        },
        _sentence(action, work.model.name, frames, found, committed is None),
    )
    return 1 if found and action == "check" else 0


def _sentence(action: str, name: str, frames: int, found: list[str], first: bool) -> str:
    told = "".join(f"\n  - {sentence}" for sentence in found)
    if action == "check":
        if found:
            return f"{name} no longer gives the integers of its {frames} committed vectors:{told}"
        return f"{name}: golden and C simulation give the integers of the {frames} committed vectors."
    if first:
        return f"{name}: recorded {frames} vectors."
    return f"{name}: recorded {frames} vectors anew; " + (f"what changed:{told}" if found else "nothing changed.")
