"""The C++ compiler that builds the C simulation."""

from __future__ import annotations

from codesign.errors import UserError
from codesign.toolchain.find import Tool, find


def locate() -> Tool | None:
    """Return g++ (or clang++ under that name), or None when there is no compiler."""
    return find(["g++"])


def require() -> Tool:
    """Return g++.

    Raises
    ------
    UserError
        When it is not installed.
    """
    tool = locate()
    if tool is None:
        raise UserError("C simulation needs g++, which is not on PATH; install it (Debian: apt-get install g++).")
    return tool
