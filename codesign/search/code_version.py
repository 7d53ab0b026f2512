"""Which version of the package evaluates candidates, as a digest: journals of another one are not continued."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import codesign

_PARTS = ("ir", "frontends", "folding", "estimate", "backends/rtl", "quant", "train", "data", "search", "zoo.py")
"""Folders and files whose code decides accuracy and cost of a candidate."""
_APART = "search/strategies/"
"""What only asks."""


@functools.cache
def code_digest() -> str:
    """Return a digest of the sources that the evaluation of a candidate runs through."""
    package = Path(codesign.__path__[0])
    total = hashlib.sha256()
    for part in _PARTS:
        for path in [package / part] if part.endswith(".py") else sorted((package / part).rglob("*.py")):
            name = path.relative_to(package).as_posix()
            if not name.startswith(_APART):
                total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]
