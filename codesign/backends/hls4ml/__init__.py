"""hls4ml projects for Vitis HLS from integer graphs: `emit` writes one, `open_project` finds it again."""

from codesign.backends.hls4ml.emit import emit, require_board
from codesign.backends.hls4ml.project import Hls4mlProject, open_project

__all__ = ["Hls4mlProject", "emit", "open_project", "require_board"]
