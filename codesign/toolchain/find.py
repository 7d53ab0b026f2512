"""Finding the outside tools and asking them for their versions."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from codesign.errors import UserError
from codesign.toolchain.run import run

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*(?:\+\d+)?")


class Tool(msgspec.Struct, frozen=True):
    """A tool that was found.

    Attributes
    ----------
    name : str
        Command name, such as ``g++``.
    path : Path
    version : str
        As the tool states it, or ``"unknown"``.
    """

    name: str
    path: Path
    version: str


def find(commands: Sequence[str], *, folders: Sequence[Path] = (), version_flag: str = "--version") -> Tool | None:
    """Return the first of `commands` found in `folders` or on PATH, else None.

    Parameters
    ----------
    commands : sequence of str
        Command names, the preferred one first.
    folders : sequence of Path
        Looked through before PATH.
    version_flag : str
        What makes the tool print its version.
    """
    path = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
    for command in commands:
        if found := shutil.which(command, path=path):
            return Tool(command, Path(found), version(Path(found), version_flag))
    return None


def version(path: Path, flag: str = "--version") -> str:
    """Ask the tool at `path` for its version; ``"unknown"`` when it does not say."""
    try:
        match = _VERSION.search(run([path, flag], timeout_s=30).output)
    except UserError:
        return "unknown"
    return match.group() if match else "unknown"
