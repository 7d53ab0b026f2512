"""`codesign boards`."""

from __future__ import annotations

from codesign import boards
from codesign.cli.console import Console, table
from codesign.cli.console import command as make
from codesign.errors import UserError


@make(name="boards", short_help="List the boards and what their parts hold.")
def command(console: Console) -> None:
    """List the boards and what their parts hold."""
    known = []
    for name in boards.names():
        try:
            known.append(boards.load(name))
        except UserError as error:
            # One bad file must not hide the others.
            console.say(str(error))
    listed = [
        {
            "name": board.name,
            "title": board.title,
            "vendor": board.vendor,
            "part": board.part,
            "family": board.family,
            **board.resources(),
            "clock_mhz": board.clock_mhz,
            "toolchain": board.toolchain,
        }
        for board in known
    ]
    columns = ("board", "part", "LUT", "FF", "BRAM", "DSP", "toolchain")
    rows = [
        (
            board.name,
            board.part,
            board.lut,
            board.ff,
            "{}×{}K".format(*board.memories),
            board.dsp,
            board.toolchain,
        )
        for board in known
    ]
    console.result({"boards": listed}, table(columns, rows))
