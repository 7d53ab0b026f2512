"""`codesign verify`."""

from __future__ import annotations

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
    help="What is compared: the C simulation of the hls4ml project, or the trained model in float64 with "
    "its constants frozen.",
)
@options.vectors(200)
@options.seed
@options.board
@options.io_type
def command(
    console: Console, model: str, backend: str, vectors: int, seed: int, board: str, io_type: str
) -> int:
    """Send the same vectors through the golden executor and the C simulation and compare every integer.

    Half of the vectors are test images, half are random, the extremes among them. On a difference the first
    differing operator and element are named and the exit code is 1.
    """
    from codesign import ir, report
    from codesign.verify.compare import verify

    work = Work.on(model, board, console)
    if backend == "float64":
        return _float64(console, work, vectors, seed)
    project = work.compiled("hls4ml", io_type=io_type)
    frames, words = work.frames(vectors, seed)
    with console.progress(f"Comparing {vectors} vectors"):
        result = verify(work.graph, project, frames)
    check = report.Check(
        name=f"C simulation (hls4ml, {io_type}) against the golden executor",
        done=True,
        vectors=result.vectors,
        tensors=result.tensors,
        differences=result.differences,
        first_difference=difference(result),
        how=words,
    )
    report.note(work.folder, ir.digest(work.graph), check)
    sentence = f"{result.integers:,} integers on {result.tensors} edges, {result.vectors} vectors: " + (
        "all equal." if result else f"{result.differences:,} differ, first {result.first_difference}."
    )
    console.result(
        {
            "model": work.model.name,
            "backend": backend,
            "io_type": io_type,
            "differences": result.differences,
            "vectors": result.vectors,
            "tensors": result.tensors,
            "integers": result.integers,
            "first_difference": difference(result),
            "seed": seed,
        },
        sentence,
    )
    return 0 if result else 1


def _float64(console: Console, work: Work, vectors: int, seed: int) -> int:
    """Compare the golden executor with the float64 model, on test images alone where they are to be had."""
    from codesign import ir, report
    from codesign.verify.float64 import verify_float64
    from codesign.verify.frames import dataset_frames

    frames = dataset_frames(work.dataset.x_test, vectors, seed)
    with console.progress(f"Comparing {vectors} test images", vectors) as advance:
        result = verify_float64(work.model, frames, advance)
    first = None if result.first_edge is None else {"operator": result.first_edge}
    check = report.Check(
        name="Float64 model with frozen constants against the golden executor",
        done=True,
        vectors=result.vectors,
        tensors=result.tensors,
        differences=result.differences,
        first_difference=first,
        how=f"{vectors} test images, seed {seed}",
    )
    report.note(work.folder, ir.digest(work.graph), check)
    data = {
        "model": work.model.name,
        "backend": "float64",
        "differences": result.differences,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "integers": result.integers,
        "first_difference": first,
        "seed": seed,
    }
    words = "all equal." if not result.differences else f"{result.differences:,} differ, first at {result.first_edge}."
    console.result(data, f"{result.integers:,} integers on {result.tensors} edges, {vectors} test images: {words}")
    return 1 if result.differences else 0
