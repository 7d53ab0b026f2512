"""Synthesis of lanes by Yosys, kept by content, and the count of their cells."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from codesign.files import atomic_folder
from codesign.toolchain.yosys import Yosys
from lane_bench.designs import Combine, Design, combines, sources

FAMILIES = {
    # Area: no wide multiplexers made of several LUTs, no DSP blocks.
    "xc7": "synth_xilinx -family xc7 -top lanes -flatten -nodsp -nobram -nolutram -nosrl -noiopad -noclkbuf -nowidelut",
    "ecp5": "synth_ecp5 -top lanes -nodsp -nobram -nolutram -noiopad -nowidelut",
}


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
