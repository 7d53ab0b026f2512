"""Which modules a source is made of, by the names that it instantiates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

# A module with parameters, a module with its instance and ports, or with those on the next line.
_INSTANCE = re.compile(r"^ *(\w+)(?: #\(| \w+ ?\(| \w+$)", re.MULTILINE)


def files(folder: Path) -> dict[str, Path]:
    """Return the sources in a folder by the module in them, which has the name of its file."""
    return {path.stem: path for path in sorted(folder.glob("*.sv"))}


def needed(text: str, known: Mapping[str, Path]) -> dict[str, str]:
    """Return the modules that a source instantiates, directly or through others, with their texts.

    Parameters
    ----------
    text : str
        SystemVerilog, as the library and `codesign.backends.rtl.verilog` write it: an instance begins a line.
    known : mapping of str to Path
        Files by module; what is not among them is left out, with what only it needs.

    Returns
    -------
    dict of str to str
        In the order of their names.
    """
    found: dict[str, str] = {}
    waiting = [text]
    while waiting:
        new = known.keys() & set(_INSTANCE.findall(waiting.pop())) - found.keys()
        texts = {name: known[name].read_text() for name in new}
        found |= texts
        waiting += texts.values()
    return dict(sorted(found.items()))
