"""Vitis HLS: finding it, running a project's Tcl script, and the command to type where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.find import Tool, find
from codesign.toolchain.run import Completed, run

# vitis-run replaced vitis_hls in release 2024.2; both take the same scripts.
_COMMANDS = ("vitis-run", "vitis_hls")
_VARIABLES = ("XILINX_HLS", "XILINX_VITIS")


def locate() -> Tool | None:
    """Return Vitis HLS from the folders that its settings script exports, or from PATH; else None."""
    folders = [Path(os.environ[name]) / "bin" for name in _VARIABLES if os.environ.get(name)]
    return find(_COMMANDS, folders=folders, version_flag="-version")


def command(script: str, tool: str = "vitis-run") -> list[str]:
    """Arguments that run the Tcl `script` of a project in its own folder."""
    if tool == "vitis_hls":
        return [tool, "-f", script]
    return [tool, "--mode", "hls", "--tcl", script]


def synthesise(tool: Tool, folder: Path, script: str = "build.tcl", timeout_s: float | None = None) -> Completed:
    """Run the project's script.

    Parameters
    ----------
    tool : Tool
        From `locate`.
    folder : Path
        The emitted project.
    script : str
        Its Tcl script, relative to `folder`.
    timeout_s : float, optional

    Raises
    ------
    UserError
        When the tool reports a failure; the sentence names the log.
    """
    arguments = [str(tool.path), *command(script, tool.name)[1:]]
    done = run(arguments, folder=folder, log=folder / "vitis_hls.log", timeout_s=timeout_s)
    if done.returncode != 0:
        raise UserError(f"{tool.name} ended with code {done.returncode}; see {done.log}.")
    return done
