"""What a report says, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import UserError

RESOURCES = ("lut", "ff", "bram36", "dsp")
MOST_CELLS = 1e9
"""Larger numbers are no count of cells."""

Usage = Mapping[str, float]
"""Cells by resource, of `RESOURCES`; what a report does not tell is not there."""


@dataclass(frozen=True)
class VendorReport:
    """What a report says.

    Parameters
    ----------
    tool : {"vivado", "vitis-hls", "finn", "finn-estimate"}
    release : str
        Tool with its release, where the report tells it.
    stage : str
        Such as "synthesis" or "estimate".
    total : mapping of str to float
        Of the whole design; empty where the report has no such line.
    parts : sequence of (str, mapping)
        Of instances, modules or layers with their names as the tool has them, those that are inside of another
        included. A name may come up several times.
    sha256 : str
        Digest of the file.
    """

    tool: str
    release: str
    stage: str
    total: Usage
    parts: tuple[tuple[str, Usage], ...] = ()
    sha256: str = ""


def number(path: Path, text: object, what: str) -> float:
    """Return a count of cells.

    Raises
    ------
    UserError
        When it is none.
    """
    try:
        value = float(text) if not isinstance(text, bool) else math.nan  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not 0 <= value <= MOST_CELLS:
        raise UserError(f"{path}: {what} is {str(text)[:40]!r}, which is no number of cells; the report is damaged.")
    return value
