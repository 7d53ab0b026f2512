"""`codesign evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work

if TYPE_CHECKING:
    import numpy as np

    from codesign.zoo import Model

# Frames per call: few enough for the progress bar to move.
_BATCH = {"golden": 250, "csim": 20, "float": 250, "qonnx": 40, "finn": 100}
_WORDS = {
    "golden": "golden executor",
    "csim": "C simulation",
    "float": "float32 model",
    "qonnx": "QONNX file",
    "finn": "FINN's layers in Python",
}


@make(name="evaluate", short_help="Measure the accuracy of a model on its test set.")
@options.model
@click.option(
    "--backend",
    type=click.Choice(["golden", "csim", "float", "qonnx", "finn"]),
    default="golden",
    show_default=True,
    help="Exact integers in NumPy, the C simulation, the float32 model, the QONNX file in the qonnx executor, or "
    "FINN's layers in Python.",
)
@options.limit("test images")
@options.board
@options.io_type
def command(console: Console, model: str, backend: str, limit: int | None, board: str, io_type: str | None) -> None:
    """Measure the top-1 accuracy of a model on its test set, in percent."""
    from codesign import ir, report
    from codesign.verify.accuracy import evaluate

    work = Work.on(model, board, console)
    run = _runner(work, backend, io_type)
    x, y = work.dataset.x_test[:limit], work.dataset.y_test[:limit]
    with console.progress(f"Evaluating {len(x)} images ({backend})", len(x)) as advance:
        found = evaluate(run, x, y, batch=_BATCH[backend], advance=advance)
    equal = None
    if not work.model.widths.is_float:
        told = f"{found.accuracy:.2f} % of {found.images:,} test images"
        if backend == "float":
            equal = _equal_top1(work, run, x)
            told += f"; the integers decide alike on {equal:.2f} %"
        report.note_measured(work.folder, ir.digest(work.graph), f"evaluated, {_WORDS[backend]}", told)
    console.result(
        {
            "model": work.model.name,
            "backend": backend,
            "dataset": work.model.dataset,
            "accuracy": found.accuracy,
            "images": found.images,
            "images_per_second": found.images_per_second,
            "equal_top1": equal,
        },
        f"{found.accuracy:.2f} % of {found.images:,} test images of {work.model.dataset} "
        f"({backend}, {found.images_per_second:,.0f} images/s)."
        + ("" if equal is None else f" The integers decide alike on {equal:.2f} %."),
    )


def _equal_top1(work: Work, run: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> float:
    """Return the percentage of images on which the float model and the golden executor decide alike."""
    from codesign.ir import golden
    from codesign.verify.accuracy import top1

    alike = 0
    with work.console.progress("Comparing with the integers", len(x)) as advance:
        for start in range(0, len(x), 250):
            piece = x[start : start + 250]
            alike += int((top1(run(piece)) == top1(golden.run(work.graph, piece))).sum())
            advance(len(piece))
    return 100.0 * alike / len(x)


def _runner(work: Work, backend: str, io_type: str | None) -> Callable[[np.ndarray], np.ndarray]:
    if backend == "golden":
        from codesign.ir import golden

        graph = work.graph
        return lambda x: golden.run(graph, x)
    if backend == "csim":
        return work.compiled("hls4ml", io_type=io_type).run
    if backend in ("qonnx", "finn"):
        return work.compiled(backend).run
    return _float(work.model)


def _float(model: Model) -> Callable[[np.ndarray], np.ndarray]:
    """Return the float32 model as a function from integer inputs to logits."""
    import numpy as np

    network: Any = model.build()
    if model.framework == "qkeras":
        return lambda x: np.asarray(network.predict(x.astype(np.float32) * model.input_scale, verbose=0))
    from codesign.train.evaluate import logits

    return lambda x: logits(network, x, model.input_scale)
