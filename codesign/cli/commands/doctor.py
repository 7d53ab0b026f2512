"""`codesign doctor`."""

from __future__ import annotations

from codesign.cli.console import Console, table
from codesign.cli.console import command as make


@make(name="doctor", short_help="List the tools and libraries found, and what missing ones would give.")
def command(console: Console) -> None:
    """List the tools, libraries and data sets found, and what missing ones would give."""
    from codesign import data
    from codesign.data._fetch import folders
    from codesign.toolchain import inventory

    items = [
        {"name": item.name, "found": item.found, "version": item.version, "gives": item.gives}
        for item in inventory.take()
    ]
    for name in data.names():
        if name == "digits":
            continue  # comes with scikit-learn
        folder = next(
            (place for place in folders(name) if place.name == name and place.is_dir() and any(place.iterdir())), None
        )
        items.append(
            {
                "name": f"{name} data",
                "found": folder is not None,
                "version": None if folder is None else str(folder),
                "gives": "training and evaluation on it; Quick start in the README says where it comes from",
            }
        )
    rows = [(item["name"], item["version"] if item["found"] else "missing", item["gives"]) for item in items]
    console.result({"items": items}, table(("what", "version or place", "gives"), rows))
