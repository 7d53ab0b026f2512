"""QONNX files from integer graphs, run in the `qonnx` executor: `emit` writes one, `open_project` finds it again."""

from codesign.backends.qonnx.emit import emit, require_board
from codesign.backends.qonnx.project import QonnxProject, open_project

__all__ = ["QonnxProject", "emit", "open_project", "require_board"]
