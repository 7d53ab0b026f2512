"""`codesign estimate`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import rich_click as click

from codesign.cli import options
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.cli.work import Work
from codesign.errors import UserError

if TYPE_CHECKING:
    from codesign.backends.rtl.estimation import Estimate, Interval
    from codesign.boards import Board
    from codesign.estimate import Fit
    from codesign.estimate.corrections import Correction

_FITTED = "yosys"


@make(name="estimate", short_help="Tell what a model takes on a board, before any synthesis.")
@options.model
@options.board
@options.estimated_backend
@options.folding
@click.option(
    "--sizes-of",
    type=click.Choice([_FITTED, "vivado", "vitis-hls", "finn", "finn-estimate"]),
    help="Tool whose sizes are predicted: Yosys, which was measured, or another one of which codesign calibrate "
    "--from-report has reports. [default: the one that there are reports of, else yosys]",
)
def command(console: Console, model: str, board: str, backend: str, sizes_of: str | None, **chosen: Any) -> int:
    """Predict lookup tables, flip-flops, memories, multiplier blocks and clocks of a design, node by node.

    The design is the one that `codesign emit` writes for the same options. Sizes come from a model that is fitted to
    measured synthesis, with an interval around each; clocks are exact. Where reports of another tool were given to
    codesign calibrate, sizes are corrected by them, and the result says so. The exit code is 1 when the design does not
    fit the board or takes more than --lut.
    """
    from codesign import estimate as room
    from codesign.backends.rtl import estimation, hardware
    from codesign.backends.rtl.options import Options

    chosen = options.given(backend, chosen, board)
    work = Work.on(model, board, console)
    # Told before the model is converted.
    known = room.load(work.board.family)
    correction = _correction(work.board, known.fit, sizes_of)
    graph = work.graph
    with console.progress("Laying out the network"):
        given = Options(**chosen)
        layout = hardware.chosen(graph, work.board, given)[0].layout
        found = estimation.of_layout(layout, work.board, known, given.blocks(work.board))
        found = dataclasses.replace(found, limits=options.limited(found.limits, chosen))
    if correction is not None:
        found = estimation.corrected(found, correction)
    data = {
        "model": work.model.name,
        "board": work.board.name,
        "backend": backend,
        "tool": known.fit.tool,
        "cells_of": room.OTHER_CELLS.get(work.board.family) if correction is None else None,
        "correction": None
        if correction is None
        else {
            "tool": correction.tool,
            "releases": correction.releases,
            "file": correction.path,
            "factors": correction.factors,
            "telling": correction.telling,
            "uncorrected": correction.uncorrected,
            "reports": correction.reports,
            "nodes": correction.nodes,
        },
        "lut": round(found.amount.lut),
        "ff": round(found.amount.ff),
        "bram36": found.amount.bram36,
        "dsp": found.amount.dsp,
        "interval": {"coverage": found.coverage, "lut": _whole(found.lut), "ff": _whole(found.ff)},
        "cycles_per_frame": found.cycles_per_frame,
        "latency_cycles": found.latency_cycles,
        "frames_per_second": 1e6 * work.board.clock_mhz / found.cycles_per_frame,
        "fits": found.fits,
        "exceeds": found.exceeds,
        "limited_by": found.limited_by,
        "without_shell": found.without_shell or None,
        "operators": [
            {
                "node": each.node,
                "operator": each.operator,
                "label": each.label,
                "fold": each.fold,
                "cycles": each.cycles,
                "lut": round(each.amount.lut),
                "ff": round(each.amount.ff),
                "bram36": each.amount.bram36,
                "dsp": each.amount.dsp,
                "interval": {"lut": _whole(each.lut), "ff": _whole(each.ff)},
            }
            for each in found.operators
        ],
    }
    told = [*(_named(correction) or options.other_cells(work.board))]
    if found.without_shell:
        told.append(f"The serial shell of the board is not counted, as it cannot be built: {found.without_shell}")
    console.result(data, *_shown(found, work.board, correction), *told)
    return 0 if found.fits else 1


def _correction(board: Board, fit: Fit, sizes_of: str | None) -> Correction | None:
    """Return the correction by reports that was asked for, or the only one that there is."""
    from codesign.estimate import corrections

    if sizes_of == _FITTED:
        return None
    if sizes_of is not None:
        options.require_reported(board)
        return corrections.load(sizes_of, board.family, fit)  # type: ignore[arg-type]
    tools = corrections.found(board.family)
    if len(tools) > 1:
        raise UserError(
            f"{corrections.folder()} has reports of {', '.join(tools)}; choose one of them, or yosys, by --sizes-of."
        )
    return corrections.load(tools[0], board.family, fit) if tools else None


def _named(correction: Correction | None) -> list[str]:
    """Return what a result says of its correction."""
    from codesign.estimate import corrections

    if correction is None:
        return []
    compared = f"{correction.nodes} nodes" if correction.nodes else "totals"
    lines = [
        f"Sizes are corrected to those of {', '.join(correction.releases)} by the {compared} of {correction.reports} "
        f"report{'s' * (correction.reports > 1)}: "
        f"{correction.words} ({correction.path}). Intervals are those of Yosys, at least as wide."
    ]
    if correction.tool != corrections.SAME_DESIGN:
        lines.append(
            f"These reports are of {corrections.DESIGNS[correction.tool]}, other hardware than what is estimated here: "
            "with other folds the ratio is another one. Clocks are those of the rtl design."
        )
    return lines


def _whole(interval: Interval) -> list[int]:
    return [round(end) for end in interval]


def _shown(found: Estimate, board: Board, correction: Correction | None) -> Sequence[Any]:
    limiting = max((each for each in found.operators), key=lambda each: each.cycles)
    rows = [
        (
            each.node,
            each.operator,
            each.fold,
            each.cycles or None,
            round(each.amount.lut),
            _range(each.lut),
            round(each.amount.ff),
            each.amount.bram36,
            each.amount.dsp,
            each.label,
        )
        for each in found.operators
    ]
    columns = ("node", "operator", "fold", "cycles", "LUT", "from, to", "FF", "BRAM36", "DSP", "layer")
    between: dict[str, Interval] = {"lut": found.lut, "ff": found.ff}
    as_it_is = found.limits if correction is None else correction.uncorrected
    sums = [
        (
            name.upper(),
            getattr(found.amount, name) if name in ("bram36", "dsp") else round(getattr(found.amount, name)),
            _range(between[name]) if name in between else "as it is" if name in as_it_is else "by the ratio",
            limit,
            f"{100 * found.shares[name]:.0f} %" if name in found.shares else "",
            "too many" if name in found.exceeds else "limits it" if name == found.limited_by else "",
        )
        for name, limit in found.limits.items()
    ]
    allowed = f"on {board.part}" if found.limits["lut"] == board.lut else f"on {board.part}, by --lut"
    return [
        table(columns, rows),
        table(("resource", "estimate", f"{100 * found.coverage:.0f} % interval", allowed, "", ""), sums),
        f"{found.cycles_per_frame:,} cycles per frame, {found.latency_cycles:,} cycles of latency: "
        f"{1e6 * board.clock_mhz / found.cycles_per_frame:,.0f} frames per second at {board.clock_mhz:g} MHz. "
        f"{limiting.node} ({limiting.operator}) takes the most cycles, {limiting.cycles:,}.",
    ]


def _range(interval: Interval) -> str:
    return f"{round(interval[0]):,} – {round(interval[1]):,}"
