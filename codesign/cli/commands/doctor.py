"""`codesign doctor`."""

from __future__ import annotations

from codesign.cli.console import Console, table
from codesign.cli.console import command as make


@make(name="doctor", short_help="List the tools and libraries found, and what missing ones would give.")
def command(console: Console) -> None:
    """List the tools and libraries found, and what missing ones would give."""
    from codesign.toolchain import inventory

    items = inventory.take()
    rows = [(item.name, item.version if item.found else "missing", item.gives) for item in items]
    console.result(
        {"items": [{"name": i.name, "found": i.found, "version": i.version, "gives": i.gives} for i in items]},
        table(("what", "version", "gives"), rows),
    )
