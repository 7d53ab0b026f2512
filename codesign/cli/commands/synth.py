"""`codesign synth`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from codesign.cli import options
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.cli.work import Work, difference

if TYPE_CHECKING:
    from codesign.backends.base import OperatorUse, SynthResult
    from codesign.boards import Board
    from codesign.toolchain.synth_report import SynthReport

_KINDS: dict[str, Literal["csim", "rtl", "finn"]] = {"hls4ml": "csim", "rtl": "rtl", "finn": "finn"}
"""Kind of check for the report, by backend."""


@make(name="synth", short_help="Emit, simulate, compare and synthesise a model for a board.")
@options.model
@options.board
@options.backend("hls4ml", "rtl", "finn")
@options.vectors(20)
@options.seed
@options.io_type
@options.strategy
@options.reuse_factor
@options.clock_or_pll
@options.folding
@options.tool
def command(console: Console, model: str, board: str, backend: str, vectors: int, seed: int, **chosen: Any) -> int:
    """Write the hardware project of a model, prove its simulation exact, and synthesise it.

    Where the synthesis tool is missing, everything up to that point is done and the exact command for it is told.
    The exit code is 1 when an integer differs, or when the design does not fit the board or takes more than --lut.
    """
    from codesign import ir, report

    clock = chosen.pop("clock_mhz", None) if backend == "rtl" else None
    made = _made(clock, board)
    chosen = options.given(backend, chosen, board, made)
    work = Work.on(model, board, console)
    tool = chosen.pop("tool", None)
    if backend == "rtl":
        from codesign.backends import rtl

        # Told before the model is converted, and before the simulation, which takes minutes.
        rtl.require_tool(work.board, tool, made)
    project = work.emit(backend, **chosen)
    if backend == "rtl":
        rtl.open_project(project.folder).require_synth(tool, made)
    work.compile(project)
    frames, words = work.frames(vectors, seed)
    result = work.verify(project, frames)
    report.note(
        work.folder,
        ir.digest(work.graph),
        report.Check(
            name=f"{project.simulation} against the golden executor",
            kind=_KINDS[backend],
            done=True,
            vectors=result.vectors,
            tensors=result.tensors,
            differences=result.differences,
            first_difference=difference(result),
            how=words,
        ),
    )
    outcome, exceeded, limits = None, [], options.limited(work.board.resources(), chosen)
    if result:
        with console.progress("Synthesising, where the tool is installed"):
            if tool is None and clock is None:
                outcome = project.synth(console.say)
            else:
                outcome = rtl.open_project(project.folder).synth(console.say, tool, clock)
        exceeded = _exceeded(outcome.report, work.board, limits) if outcome.report else []
    too_much = _too_much(exceeded, outcome.report if outcome else None, work.board)
    over = "does-not-fit" if too_much else "exceeds-lut" if exceeded else None
    status = "differs" if outcome is None else over or outcome.status
    data = {
        "model": work.model.name,
        "board": work.board.name,
        "backend": backend,
        "status": status,
        "tool": outcome.tool if outcome else None,
        "command": outcome.command if outcome else None,
        "folder": project.folder,
        "vectors": result.vectors,
        "tensors": result.tensors,
        "differences": result.differences,
        "first_difference": difference(result),
        **_numbers(outcome.report if outcome else None),
        "exceeds": exceeded,
        "report_found": outcome.found if outcome else False,
        "bitstream": outcome.bitstream if outcome and not too_much else None,
        "operators": [msgspec.structs.asdict(each) for each in outcome.operators] if outcome else [],
    }
    if outcome is None:
        sentence = (
            f"{work.model.name}: the {project.simulation.kind} differs from the golden executor in "
            f"{result.differences:,} integers, first {result.first_difference}; nothing was synthesised."
        )
        console.result(data, sentence)
        return 1
    report.note_synthesis(work.folder, ir.digest(work.graph), outcome.report, outcome.command)
    equal = (
        f"{work.model.name}: {result.integers:,} integers on {result.tensors} edges of the {project.simulation.kind} "
        f"equal the golden executor ({result.vectors} vectors)."
    )
    console.result(data, equal, *_shown(outcome, work.board, project.folder, exceeded, limits))
    return 1 if exceeded else 0


def _made(clock_mhz: float | None, board: str) -> float | None:
    """Return the clock that a PLL makes for the one that is asked for; told before anything is emitted if none can."""
    if clock_mhz is None:
        return None
    from codesign import boards
    from codesign.backends.rtl import pll

    made = pll.choose(boards.load(board), clock_mhz)
    return made.mhz if made else clock_mhz


def _exceeded(report: SynthReport, board: Board, limits: dict[str, int]) -> list[str]:
    """Name what there is too little of; a clock that is too fast for the design is one such thing."""
    # Before place and route the fastest clock is an estimate.
    fmax = report.fmax_mhz if report.stage == "place and route" else None
    slow = fmax is not None and fmax < _clock(report, board)
    return [*report.exceeds(limits), *["clock_mhz"] * slow]


def _too_much(exceeded: list[str], report: SynthReport | None, board: Board) -> list[str]:
    """Return what is too much for the part, not for --lut alone."""
    return [name for name in exceeded if name != "lut" or report is None or report.lut > board.lut]


def _clock(report: SynthReport, board: Board) -> float:
    """Return the clock in MHz, which may be one that a divider comes near to the board's with."""
    return report.clock_mhz or board.clock_mhz


def _numbers(report: SynthReport | None) -> dict[str, Any]:
    keys = (
        "stage",
        "lut",
        "ff",
        "bram36",
        "dsp",
        "carry",
        "fmax_mhz",
        "latency_cycles",
        "cycles_per_frame",
        "frames_per_second",
        "clock_mhz",
    )
    return {key: getattr(report, key) if report else None for key in keys}


def _shown(outcome: SynthResult, board: Board, folder: Any, exceeded: list[str], limits: dict[str, int]) -> list[Any]:
    if outcome.status == "tool-missing":
        return [
            f"{outcome.tool} is not installed here, so nothing was synthesised; the project is in {folder}. "
            "Where it is installed, run:",
            f"  {outcome.command}",
        ]
    if outcome.report is None:
        return [f"{outcome.tool} ran and left no report; see {outcome.log}."]
    used = outcome.report
    by_hand = f"; read from the reports found in {folder}, as the tool is not installed here" if outcome.found else ""
    rows = [
        (name.upper(), getattr(used, name), limit, "too many" if name in exceeded else "")
        for name, limit in limits.items()
    ]
    speed = [
        ("cycles per frame", used.cycles_per_frame),
        ("latency, cycles", used.latency_cycles),
        ("reachable clock, MHz", used.fmax_mhz),
        ("frames per second at that clock", used.frames_per_second),
    ]
    too_much = _too_much(exceeded, used, board)
    if outcome.bitstream is not None and not too_much:
        made = [f"Bitstream for {board.title}, clocked at {_clock(used, board):g} MHz: {outcome.bitstream}"]
    elif "clock_mhz" in too_much:
        made = [
            f"No bitstream: {board.title} is clocked at {_clock(used, board):g} MHz, which is too fast for this design."
        ]
        from codesign.backends.rtl import pll

        if board.shell is not None and used.fmax_mhz and used.fmax_mhz >= pll.FAMILIES[board.family].output[0]:
            made[0] += f" It reaches {used.fmax_mhz:g} MHz; give a lower --clock."
    elif too_much and (board.shell is not None or used.tool.startswith("Vivado ")):
        made = ["No bitstream: the design does not fit. More cycles for a frame (--cycles) make it smaller."]
    else:
        made = []
    if "lut" in exceeded and "lut" not in too_much:
        made.append(
            f"{board.part} has more lookup tables than it takes, --lut allows fewer. More cycles for a frame "
            "(--cycles) make it smaller."
        )
    allowed = f"on {board.part}" if limits["lut"] == board.lut else f"on {board.part}, by --lut"
    return [
        *_by_operator(outcome.operators),
        table(("resource", "used", allowed, ""), rows),
        table(("speed", ""), speed),
        f"By {used.tool}, {used.stage}{by_hand}.",
        *made,
    ]


def _by_operator(uses: Sequence[OperatorUse]) -> list[Any]:
    """Return the table of what each operator takes, and what limits the design."""
    if not uses:
        return []
    columns = ("node", "operator", "fold", "cycles", "LUT", "FF", "CARRY", "BRAM36", "DSP", "layer")
    rows = [
        (use.node, use.operator, use.fold, use.cycles, use.lut, use.ff, use.carry, use.bram36, use.dsp, use.label)
        for use in uses
    ]
    largest = max(uses, key=lambda use: use.lut)
    slowest = max(uses, key=lambda use: use.cycles or 0)
    share = 100 * largest.lut / max(1, sum(use.lut for use in uses))
    return [
        table(columns, rows),
        f"{slowest.node} ({slowest.operator}) takes the most cycles, {slowest.cycles:,}; {largest.node} "
        f"({largest.operator}) the most LUTs, {share:.0f} % of all.",
    ]
