"""Reports: one self-contained HTML page and the same content as JSON."""

from codesign.report.content import Check, ModelFacts, collect
from codesign.report.journal import note, note_measured, note_synthesis
from codesign.report.journal import read as read_notes
from codesign.report.page import render, write

__all__ = ["Check", "ModelFacts", "collect", "note", "note_measured", "note_synthesis", "read_notes", "render", "write"]
