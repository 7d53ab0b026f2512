"""Notes that verification and synthesis leave for the report, kept with the graph they belong to."""

from __future__ import annotations

from pathlib import Path

import msgspec

from codesign.files import atomic_write
from codesign.report.content import Check
from codesign.toolchain.synth_report import SynthReport

FILE = "notes.json"


class Notes(msgspec.Struct, kw_only=True):
    """What is known of one graph on one board.

    Attributes
    ----------
    graph_sha256 : str
        Digest of the graph; notes of another graph say nothing.
    checks : list of Check
        One of each name.
    synthesis : SynthReport or None
    command : str or None
        What to type where the synthesis tool is installed.
    measured : dict of str to str
        What evaluations have found, in words.
    """

    graph_sha256: str
    checks: list[Check] = msgspec.field(default_factory=list)
    synthesis: SynthReport | None = None
    command: str | None = None
    measured: dict[str, str] = msgspec.field(default_factory=dict)


def read(folder: Path, graph_sha256: str) -> Notes:
    """Return the notes of this graph; empty ones when there are none, or they belong to another graph."""
    try:
        notes = msgspec.json.decode((folder / FILE).read_bytes(), type=Notes)
    except (OSError, msgspec.DecodeError):
        return Notes(graph_sha256=graph_sha256)
    return notes if notes.graph_sha256 == graph_sha256 else Notes(graph_sha256=graph_sha256)


def note(folder: Path, graph_sha256: str, check: Check) -> None:
    """Keep the outcome of a check, in place of an earlier one of the same name.

    Where both found no difference, the one with more vectors is kept.
    """
    notes = read(folder, graph_sha256)
    earlier = next((kept for kept in notes.checks if kept.name == check.name), None)
    if earlier is not None and _equal(earlier) and _equal(check) and (earlier.vectors or 0) > (check.vectors or 0):
        return
    notes.checks = [*(kept for kept in notes.checks if kept.name != check.name), check]
    _write(folder, notes)


def _equal(check: Check) -> bool:
    return check.done and check.differences == 0


def note_synthesis(folder: Path, graph_sha256: str, report: SynthReport | None, command: str) -> None:
    """Keep the outcome of a synthesis, or the command for one."""
    notes = read(folder, graph_sha256)
    notes.synthesis, notes.command = report, command
    _write(folder, notes)


def note_measured(folder: Path, graph_sha256: str, name: str, text: str) -> None:
    """Keep the outcome of an evaluation, in place of an earlier one of the same name."""
    notes = read(folder, graph_sha256)
    notes.measured[name] = text
    _write(folder, notes)


def _write(folder: Path, notes: Notes) -> None:
    atomic_write(folder / FILE, msgspec.json.format(msgspec.json.encode(notes), indent=2))
