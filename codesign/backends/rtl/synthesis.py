"""Synthesis by Yosys: the cells of a family, counted as its data sheet counts them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.backends.rtl import stage
from codesign.backends.rtl.verilog import TOP
from codesign.errors import UserError
from codesign.toolchain.synth_report import SynthReport
from codesign.toolchain.yosys import Yosys

TIMEOUT_S = 6 * 3600.0


@dataclass(frozen=True)
class Family:
    """How a family is synthesised and counted.

    Parameters
    ----------
    command : str
        Of Yosys.
    lut, ff, bram36, dsp : mapping of str to float
        What a cell counts as; cells that count as nothing, such as carry chains beside the LUTs, are in `free`.
    free : frozenset of str
    """

    command: str
    lut: Mapping[str, float]
    ff: Mapping[str, float]
    bram36: Mapping[str, float]
    dsp: Mapping[str, float]
    free: frozenset[str]


# UG474, 7 Series FPGAs Configurable Logic Block: the LUTs that a distributed memory or a shift register takes.
_XC7_MEMORY = {
    "RAM32X1S": 1,
    "RAM32X1D": 2,
    "RAM32M": 4,
    "RAM64X1S": 1,
    "RAM64X1D": 2,
    "RAM64M": 4,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "SRL16E": 1,
    "SRLC32E": 1,
}
_XC7 = Family(
    command="synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
    lut={"INV": 1, **{f"LUT{inputs}": 1 for inputs in range(1, 7)}, **_XC7_MEMORY},
    ff={"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
    bram36={"RAMB36E1": 1, "RAMB18E1": 0.5},
    dsp={"DSP48E1": 1},
    free=frozenset({"CARRY4", "MUXF7", "MUXF8"}),
)
FAMILIES = {"zynq-7000": _XC7, "artix-7": _XC7}
"""By the family of a board."""


def family(name: str) -> Family:
    """Return how the family of a board is synthesised.

    Raises
    ------
    UserError
        When it is none that is counted.
    """
    if name not in FAMILIES:
        raise UserError(f"Yosys' cells are not counted for {name} yet; choose a board of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def sources(folder: Path) -> list[str]:
    """Return the names of the files in a project folder that are synthesised, without the test bench."""
    return sorted(path.name for path in folder.glob("*.sv") if path.stem not in ("bench", "stream_monitor"))


def script(folder: Path, family: Family, place: str = "build/") -> str:
    """Return what Yosys is to do with the sources of a project folder; its results go to `place` below it."""
    return (
        f"read_slang --threads 1 --top {TOP} {' '.join(sources(folder))}\n{family.command} -top {TOP}\n"
        f"tee -q -o {place}cells.json stat -json\nwrite_verilog -noattr {place}netlist.v\n"
    )


def content(folder: Path) -> list[str]:
    """Return the names of the files in a project folder on which a netlist depends."""
    return [*sources(folder), *(path.name for path in folder.glob("*.mem"))]


def synthesise(yosys: Yosys, family: Family, folder: Path, cycles: int) -> tuple[SynthReport, Path]:
    """Map the sources of a project folder, unless that was done before.

    Returns
    -------
    SynthReport
    Path
        What Yosys left: ``yosys.log``, ``cells.json``, ``netlist.v``.

    Raises
    ------
    UserError
        When Yosys fails, or makes cells that nobody counts.
    """
    name = stage.digest(folder, content(folder), yosys.version, script(folder, family))
    place = stage.kept(
        folder,
        f"build/netlist-{name}/",
        lambda p: yosys.script(folder, script(folder, family, p), place=p, timeout_s=TIMEOUT_S),
    )
    cells = read_cells(folder / place / "cells.json", TOP)
    kinds = (family.lut, family.ff, family.bram36, family.dsp)
    if other := set(cells).difference(family.free, *kinds):
        raise UserError(f"the netlist has cells that nobody counts: {', '.join(sorted(other))}.")
    lut, ff, bram36, dsp = (sum(weight * cells.get(cell, 0) for cell, weight in kind.items()) for kind in kinds)
    report = SynthReport(
        tool=yosys.version,
        stage="logic synthesis",
        lut=int(lut),
        ff=int(ff),
        bram36=bram36,
        dsp=int(dsp),
        cycles_per_frame=cycles,
    )
    return report, folder / place


def read_cells(path: Path, top: str) -> dict[str, int]:
    """Return the cells of a module by kind, from what ``stat -json`` wrote."""
    cells = json.loads(path.read_bytes())["modules"][f"\\{top}"]["num_cells_by_type"]
    return {cell: number for cell, number in cells.items() if cell != "$scopeinfo"}
