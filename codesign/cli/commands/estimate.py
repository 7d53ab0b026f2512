"""`codesign estimate`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from codesign.cli import options
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.cli.work import Work

if TYPE_CHECKING:
    from codesign.backends.rtl.estimation import Estimate, Interval
    from codesign.boards import Board


@make(name="estimate", short_help="Tell what a model takes on a board, before any synthesis.")
@options.model
@options.board
@options.estimated_backend
@options.folding
def command(console: Console, model: str, board: str, backend: str, **chosen: Any) -> int:
    """Predict lookup tables, flip-flops, memories, multiplier blocks and clocks of a design, node by node.

    The design is the one that `codesign emit` writes for the same options. Sizes come from a model that is fitted to
    measured synthesis, with an interval around each; clocks are exact. The exit code is 1 when the design does not fit
    the board.
    """
    from codesign import estimate as room
    from codesign.backends.rtl import estimation
    from codesign.backends.rtl.options import Options

    chosen = options.given(backend, chosen, board)
    work = Work.on(model, board, console)
    # Told before the model is converted.
    known = room.load(work.board.family)
    graph = work.graph
    with console.progress("Laying out the network"):
        layout, _ = estimation.chosen(graph, work.board, Options(**chosen))
        found = estimation.of_layout(layout, work.board, known)
    data = {
        "model": work.model.name,
        "board": work.board.name,
        "backend": backend,
        "tool": known.fit.tool,
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
    console.result(data, *_shown(found, work.board))
    return 0 if found.fits else 1


def _whole(interval: Interval) -> list[int]:
    return [round(end) for end in interval]


def _shown(found: Estimate, board: Board) -> Sequence[Any]:
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
    sums = [
        (
            name.upper(),
            getattr(found.amount, name) if name in ("bram36", "dsp") else round(getattr(found.amount, name)),
            _range(between[name]) if name in between else "as it is",
            limit,
            f"{100 * found.shares[name]:.0f} %" if name in found.shares else "",
            "too many" if name in found.exceeds else "limits it" if name == found.limited_by else "",
        )
        for name, limit in found.limits.items()
    ]
    return [
        table(columns, rows),
        table(("resource", "estimate", f"{100 * found.coverage:.0f} % interval", f"on {board.part}", "", ""), sums),
        f"{found.cycles_per_frame:,} cycles per frame, {found.latency_cycles:,} cycles of latency: "
        f"{1e6 * board.clock_mhz / found.cycles_per_frame:,.0f} frames per second at {board.clock_mhz:g} MHz. "
        f"{limiting.node} ({limiting.operator}) takes the most cycles, {limiting.cycles:,}.",
    ]


def _range(interval: Interval) -> str:
    return f"{round(interval[0]):,} – {round(interval[1]):,}"
