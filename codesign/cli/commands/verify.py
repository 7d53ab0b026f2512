"""`codesign verify`."""

from __future__ import annotations

from typing import Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work, difference


@make(name="verify", short_help="Compare a model's hardware with the golden executor, integer by integer.")
@options.model
@click.option(
    "--backend",
    type=click.Choice(["csim", "float64"]),
    default="csim",
    show_default=True,
    help="The C simulation of the hls4ml project, or the model in float64 with its frozen constants.",
)
@options.vectors(200)
@options.seed
@options.board
@options.io_type
def command(console: Console, model: str, backend: str, vectors: int, seed: int, board: str, io_type: str) -> int:
    """Send the same vectors through the golden executor and another one and compare every integer.

    Half of the vectors are test images, half are random, the extremes among them. On a difference the first
    differing operator and element are named and the exit code is 1.
    """
    from codesign import ir, report

    work = Work.on(model, board, console)
    data = _float64(work, vectors, seed) if backend == "float64" else _csim(work, vectors, seed, io_type)
    check = report.Check(
        name=data.pop("name"),
        kind="float64" if backend == "float64" else "csim",
        done=True,
        vectors=data["vectors"],
        tensors=data["tensors"],
        differences=data["differences"],
        first_difference=data["first_difference"],
        how=data.pop("how"),
    )
    report.note(work.folder, ir.digest(work.graph), check)
    found = data.pop("found")
    told = "all equal." if not data["differences"] else f"{data['differences']:,} differ, first {found}."
    sentence = f"{data['integers']:,} integers on {data['tensors']} edges, {data['vectors']} vectors: {told}"
    console.result({"model": work.model.name, "backend": backend, "seed": seed, **data}, sentence)
    return 0 if not data["differences"] else 1


def _csim(work: Work, vectors: int, seed: int, io_type: str) -> dict[str, Any]:
    project = work.compiled("hls4ml", io_type=io_type)
    frames, words = work.frames(vectors, seed)
    result = work.verify(project, frames)
    return {
        "name": f"C simulation (hls4ml, {io_type}) against the golden executor",
        "how": words,
        "found": result.first_difference,
        "io_type": io_type,
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }


def _float64(work: Work, vectors: int, seed: int) -> dict[str, Any]:
    from codesign.verify.float64 import verify_float64

    work.model.require_integers()
    frames, words = work.frames(vectors, seed)
    with work.console.progress(f"Comparing {len(frames)} vectors with the model in float64", len(frames)) as advance:
        result = verify_float64(work.model, frames, advance)
    return {
        "name": "Golden executor against the model in float64 with its frozen constants",
        "how": words,
        "found": result.first_difference,
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": difference(result),
    }
