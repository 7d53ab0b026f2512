"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import rich_click as click

from codesign import boards
from codesign.errors import UserError

T = TypeVar("T", int, float)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

model = click.argument("model", metavar="MODEL")
board = click.option("--board", default="pynq-z2", show_default=True, help="Board, see `codesign boards`.")
seed = click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Random seed.")


def backend(*names: str) -> Decorator:
    """Return the option --backend with the backends that a command serves."""
    return click.option(
        "--backend", type=click.Choice(names), default="hls4ml", show_default=True, help="What to emit."
    )


estimated_backend = click.option(
    "--backend", type=click.Choice(["rtl"]), default="rtl", show_default=True, help="Whose designs are estimated."
)
io_type = click.option(
    "--io",
    "io_type",
    type=click.Choice(["io_stream", "io_parallel"]),
    help="Edges as streams of pixels, or as arrays of wires (small networks only); hls4ml. [default: io_stream]",
)
strategy = click.option(
    "--strategy",
    type=click.Choice(["Resource", "Latency"]),
    help="Fit the layers to the board, or compute each in one step; hls4ml. [default: Resource]",
)
reuse_factor = click.option(
    "--reuse-factor",
    type=click.IntRange(1),
    help="Steps per output, the same for all layers; hls4ml. [default: fitted]",
)
clock = click.option(
    "--clock", "clock_mhz", type=click.FloatRange(1, 1000), help="Clock in MHz; hls4ml. [default: the board's]"
)
clock_or_pll = click.option(
    "--clock",
    "clock_mhz",
    type=click.FloatRange(1, 1000),
    help="Clock in MHz; hls4ml, and rtl on boards of the open tools, where a PLL makes it to within 1 %. "
    "[default: the board's]",
)
cycles = click.option(
    "--cycles",
    type=click.IntRange(1),
    help="Clock cycles that a frame may take; the design is the smallest by estimate that keeps to it; rtl, "
    "finn. [default: 10000]",
)
tool = click.option(
    "--tool",
    type=click.Choice(["yosys", "vivado", "vivado-ooc"]),
    help="Synthesise with open tools; with Vivado to a bitstream for a Zynq-7000 board; or with Vivado the network "
    "alone, out of context; rtl. [default: yosys]",
)
frames_per_second = click.option(
    "--fps",
    "frames_per_second",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames per second at the clock of the network, instead of --cycles; rtl, finn.",
)
fastest = click.option(
    "--fastest",
    is_flag=True,
    default=None,
    help="As few clock cycles as fit the board, by estimate, instead of --cycles; rtl, finn.",
)
dsp = click.option(
    "--dsp",
    type=click.IntRange(0),
    help="Multiplier blocks to use, at most those of the board, as if they were free; rtl. "
    "[default: those of the board, where they save most]",
)

lut = click.option(
    "--lut",
    type=click.IntRange(1),
    help="Lookup tables that the design may take by estimate, where they are fewer than those of the board; multiplier "
    "blocks take the place of others as far as they must; rtl.",
)


def folding(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose how far a design is laid out in parallel."""
    for option in (lut, dsp, fastest, frames_per_second, cycles):
        function = option(function)
    return function


_FLAGS = {
    "io_type": ("--io", ("hls4ml",)),
    "strategy": ("--strategy", ("hls4ml",)),
    "reuse_factor": ("--reuse-factor", ("hls4ml",)),
    "clock_mhz": ("--clock", ("hls4ml",)),
    "cycles": ("--cycles", ("rtl", "finn")),
    "frames_per_second": ("--fps", ("rtl", "finn")),
    "fastest": ("--fastest", ("rtl", "finn")),
    "dsp": ("--dsp", ("rtl",)),
    "lut": ("--lut", ("rtl",)),
    "tool": ("--tool", ("rtl",)),
}


def given(
    backend: str | None, chosen: dict[str, Any], board: str | None = None, clock_mhz: float | None = None
) -> dict[str, Any]:
    """Return the options of a backend that were given on the command line.

    Parameters
    ----------
    backend : str or None
        None for what has no options.
    chosen : dict
        Values by parameter, None where nothing was given.
    board : str, optional
        Whose clock a number of frames per second is for.
    clock_mhz : float, optional
        The clock that it is for instead.

    Raises
    ------
    UserError
        When an option of another backend was given.
    """
    found = {name: value for name, value in chosen.items() if value is not None}
    for name in found:
        flag, owners = _FLAGS[name]
        if backend not in owners:
            also = " With rtl, codesign synth has it." if (name, backend) == ("clock_mhz", "rtl") else ""
            raise UserError(f"{flag} is for the {' or '.join(owners)} backend; leave it out.{also}")
    speeds = [_FLAGS[name][0] for name in ("cycles", "frames_per_second", "fastest") if name in found]
    if len(speeds) > 1:
        raise UserError(f"{' and '.join(speeds)} each say how fast a design is to be; give one of them.")
    if (rate := found.pop("frames_per_second", None)) is not None:
        if board is None:
            raise UserError("--fps needs a board with a clock; give --cycles instead.")
        clock = boards.load(board).clock_mhz if clock_mhz is None else clock_mhz
        if not 1e-6 <= rate < math.inf:
            raise UserError(f"--fps {rate:g} is no number of frames per second; give one such as 30.")
        found["cycles"] = int(1e6 * clock / rate)
        if found["cycles"] < 1:
            raise UserError(f"--fps {rate:g} is more than a frame for each clock of {board}, {clock:g} MHz; give less.")
    return found


def require_reported(on: boards.Board) -> None:
    """Accept a board that the tools make reports for which are read here.

    Raises
    ------
    UserError
        When it has a part of the open tools.
    """
    from codesign.backends.rtl.families import FAMILIES

    if on.family in FAMILIES:
        raise UserError(
            f"reports are of tools for AMD parts, and {on.name} has another one; choose the board they are of."
        )


def other_cells(on: boards.Board) -> list[str]:
    """Return what is told of sizes on a board for which they are those of another family's cells."""
    from codesign.estimate import OTHER_CELLS

    if on.family not in OTHER_CELLS:
        return []
    cells = OTHER_CELLS[on.family]
    return [f"Sizes are counted in {cells} cells; what Vivado makes of the design for {on.family} was not measured."]


def vectors(default: int) -> Decorator:
    """Return the option --vectors with its default."""
    return click.option(
        "--vectors", type=click.IntRange(1), default=default, show_default=True, help="Test vectors to send."
    )


def limit(what: str) -> Decorator:
    """Return the option --limit."""
    return click.option("--limit", type=click.IntRange(1), help=f"Use only the first N {what}. [default: all]")


def limited(resources: Mapping[str, T], chosen: Mapping[str, Any]) -> dict[str, T]:
    """Return what a design may take: what the board has by resource, or less LUTs where --lut says so."""
    lut = chosen.get("lut")
    return {**resources, **({} if lut is None else {"lut": min(lut, resources["lut"])})}
