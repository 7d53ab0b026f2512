"""Co-design of low-bit neural networks and FPGA hardware, exact to the last integer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.api import Network, from_brevitas, from_qkeras, from_qonnx, from_zoo

__all__ = ["Network", "from_brevitas", "from_qkeras", "from_qonnx", "from_zoo"]


def __getattr__(name: str) -> Any:
    # The command line answers `--help` without loading any of this.
    if name in __all__:
        from codesign import api

        return getattr(api, name)
    raise AttributeError(f"module 'codesign' has no attribute {name!r}")
