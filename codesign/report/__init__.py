"""Reports: one self-contained HTML page and the same content as JSON."""

from codesign.report.content import Check, ModelFacts, collect
from codesign.report.page import render, write

__all__ = ["Check", "ModelFacts", "collect", "render", "write"]
