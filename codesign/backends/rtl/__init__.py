"""SystemVerilog from integer graphs: `emit` writes a project, `open_project` finds it again."""

from codesign.backends.rtl.emit import emit, require_board
from codesign.backends.rtl.project import RtlProject, open_project, require_tool

__all__ = ["RtlProject", "emit", "open_project", "require_board", "require_tool"]
