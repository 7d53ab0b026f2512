"""`codesign csim`."""

from __future__ import annotations

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work

_FIRST_COUNT = 16


@make(name="csim", short_help="C-simulate a model against its committed regression vectors.")
@options.model
@click.option("--check", "action", flag_value="check", default=True, help="Fail on any other integer. [default]")
@click.option("--update", "action", flag_value="update", help="Record the vectors anew and say what changed.")
@click.option(
    "--count",
    type=click.IntRange(2),
    help=f"Vectors to record with --update. [default: as many as before, at first {_FIRST_COUNT}]",
)
@options.board
@options.io_type
def command(console: Console, model: str, action: str, count: int | None, board: str, io_type: str | None) -> int:
    """C-simulate a model on its regression vectors.

    The vectors lie beside the model's checkpoint: inputs, expected integers, and a hash of every edge.
    With --check the exit code is 1 when the checkpoint, the frontend, the golden executor or the C
    simulation gives any other integer. With --update it is 1 when the C simulation does not give the new
    vectors; the file then stays as it was.
    """
    from codesign.verify import vectors

    work = Work.on(model, board, console)
    work.model.require_integers()
    path = vectors.path_of(work.model.checkpoint_path)
    found: list[str] = []
    refused: list[str] = []
    committed = vectors.load(path) if action == "check" or path.is_file() else None
    before = len(committed["frames"]) if committed else 0
    project = work.compiled("hls4ml", io_type=io_type)
    if committed is not None:
        with console.progress(f"Simulating {before} vectors"):
            found = vectors.changes(work.graph, committed, project)
    frames = before
    if action == "update":
        # An imported model may have no data set.
        x_test = work.dataset.x_test if work.model.dataset else None
        document = vectors.record(work.graph, x_test, count or before or _FIRST_COUNT)
        frames = len(document["outputs"])
        with console.progress(f"Simulating {frames} new vectors"):
            refused = vectors.changes(work.graph, vectors.parse(document), project)
        if not refused:
            vectors.save(document, path)
            if before and frames != before:
                found.append(f"{frames} vectors, {before} before")
    name = work.model.name
    console.result(
        {
            "model": name,
            "action": action,
            "vectors": frames,
            "changes": refused or found,
            "recorded": action == "update" and not refused,
            "path": path,
        },
        _refusal(name, refused) if refused else _sentence(action, name, frames, found, committed is None),
    )
    return 1 if refused or (found and action == "check") else 0


def _refusal(name: str, refused: list[str]) -> str:
    told = "".join(f"\n  - {sentence}" for sentence in refused)
    return f"{name}: nothing was recorded, the new vectors do not hold:{told}\nRun codesign verify {name}."


def _sentence(action: str, name: str, frames: int, found: list[str], first: bool) -> str:
    told = "".join(f"\n  - {sentence}" for sentence in found)
    if action == "check":
        if found:
            return f"{name} no longer gives the integers of its {frames} committed vectors:{told}"
        return f"{name}: golden and C simulation give the integers of the {frames} committed vectors."
    if first:
        return f"{name}: recorded {frames} vectors."
    return f"{name}: recorded {frames} vectors anew; " + (f"what changed:{told}" if found else "nothing changed.")
