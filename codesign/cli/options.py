"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import rich_click as click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

model = click.argument("model", metavar="MODEL")
board = click.option("--board", default="pynq-z2", show_default=True, help="Board, see `codesign boards`.")
seed = click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Random seed.")
backend = click.option(
    "--backend", type=click.Choice(["hls4ml"]), default="hls4ml", show_default=True, help="What to emit."
)
io_type = click.option(
    "--io",
    "io_type",
    type=click.Choice(["io_stream", "io_parallel"]),
    default="io_stream",
    show_default=True,
    help="Edges as streams of pixels, or as arrays of wires (small networks only).",
)
strategy = click.option(
    "--strategy",
    type=click.Choice(["Resource", "Latency"]),
    help="Fit the layers to the board, or compute each in one step. [default: Resource]",
)
reuse_factor = click.option(
    "--reuse-factor",
    type=click.IntRange(1),
    help="Steps per output, the same for all layers. [default: fitted]",
)
clock = click.option(
    "--clock", "clock_mhz", type=click.FloatRange(1, 1000), help="Clock in MHz. [default: the board's]"
)


def vectors(default: int) -> Decorator:
    """Return the option --vectors with its default."""
    return click.option(
        "--vectors", type=click.IntRange(1), default=default, show_default=True, help="Test vectors to send."
    )


def limit(what: str) -> Decorator:
    """Return the option --limit."""
    return click.option("--limit", type=click.IntRange(1), help=f"Use only the first N {what}. [default: all]")
