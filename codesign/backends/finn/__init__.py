"""FINN build folders from integer graphs, run in FINN's Python: `emit` writes one, `open_project` finds it again."""

from codesign.backends.finn.emit import emit, require_board
from codesign.backends.finn.project import FinnProject, open_project

__all__ = ["FinnProject", "emit", "open_project", "require_board"]
