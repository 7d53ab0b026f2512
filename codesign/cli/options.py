"""Arguments and options that several commands share."""

from __future__ import annotations

import rich_click as click

model = click.argument("model", metavar="MODEL")
board = click.option("--board", default="pynq-z2", show_default=True, help="Board, see `codesign boards`.")
seed = click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed.")
io = click.option(
    "--io",
    "io_type",
    type=click.Choice(["io_stream", "io_parallel"]),
    default="io_stream",
    show_default=True,
    help="Frames as a stream of pixels, or all at once (small networks only).",
)
