"""`codesign report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codesign.cli import options
from codesign.cli.console import Console
from codesign.cli.console import command as make
from codesign.cli.work import Work

if TYPE_CHECKING:
    from codesign.report import ModelFacts
    from codesign.zoo import Model


@make(name="report", short_help="Write an HTML page about a model: accuracy, layers, graph, what was verified.")
@options.model
@options.board
def command(console: Console, model: str, board: str) -> None:
    """Write build/MODEL/BOARD/report.html and report.json.

    The page is self-contained. It tells what `codesign verify` and `codesign synth` have found for this very
    graph and board, and says so where they have not run.
    """
    from codesign import ir, report
    from codesign.toolchain import inventory

    work = Work.on(model, board, console)
    graph = work.graph
    name, place = work.model.name, f"--board {work.board.name}"
    journal = report.read_notes(work.folder, ir.digest(graph))
    checks = journal.checks
    if not any(check.kind in ("csim", "rtl") for check in checks):
        missing = report.Check(
            name="Simulation against the golden executor",
            kind="csim",
            done=False,
            how=f"not done for this graph yet: codesign verify {name} {place}",
        )
        checks = [missing, *checks]
    with console.progress("Looking at the tools"):
        versions = inventory.versions()
    content = report.collect(
        graph,
        work.board,
        _facts(work.model, journal.measured),
        checks=checks,
        synthesis=journal.synthesis,
        synthesis_note=(
            f"Not synthesised. Where Vitis HLS is installed, run: {journal.command}"
            if journal.command
            else f"Not synthesised yet; run: codesign synth {name} {place}"
        ),
        tools=versions,
        commands=[
            f"codesign synth {name} {place}",
            f"codesign verify {name} {place} --vectors 200",
            f"codesign evaluate {name}",
            f"codesign report {name} {place}",
        ],
    )
    page, data = report.write(work.folder, content, graph)
    console.result({"model": name, "board": work.board.name, "html": page, "json": data}, f"The report is in {page}.")


def _facts(model: Model, measured: dict[str, str]) -> ModelFacts:
    """Return what the model's file says, and what evaluations have found, in words."""
    from codesign import report
    from codesign.quant.mixed import Mixed

    widths, result, recipe = model.widths, model.measured, model.recipe
    mixed = model.mixed or Mixed()
    facts = {
        "weights": (
            f"{mixed.words('weights', widths.weight_bits)}, first layer {widths.first_weight_bits}, "
            f"last {widths.last_weight_bits}"
        ),
        "activations": (
            f"{mixed.words('activations', widths.activation_bits)}, into the last layer {widths.last_activation_bits}"
        ),
        "method": model.method.summary if model.source is None else f"imported from {model.source.file}",
        "input": f"raw integers, one step is {model.input_scale:g}",
    }
    if recipe is not None:
        teacher = f", taught by {recipe.distillation.teacher}" if recipe.distillation else ""
        facts["training"] = f"{recipe.epochs} epochs, seed {recipe.seed}{teacher}"
    if result.validation_accuracy is not None:
        facts["validation accuracy"] = f"{result.validation_accuracy:.2f} %"
    if result.checkpoint_sha256 is not None:
        facts["checkpoint"] = f"sha256 {result.checkpoint_sha256}"
    if model.source is not None:
        facts["source"] = f"sha256 {model.source.sha256}"
    facts |= measured
    return report.ModelFacts(
        name=model.name,
        title=model.title,
        framework=model.framework,
        dataset=model.dataset,
        topology=model.topology,
        accuracy=result.accuracy,
        float_accuracy=result.float_accuracy,
        images=result.images,
        facts=facts,
    )
