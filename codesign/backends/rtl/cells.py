"""Models of a family's cells, with which a netlist is simulated: those that Yosys brings, and those of hw/cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codesign import resources
from codesign.errors import UserError
from codesign.estimate import OTHER_CELLS
from codesign.toolchain.yosys import Yosys


@dataclass(frozen=True)
class Models:
    """Where the models of a family are.

    Parameters
    ----------
    library : str
        File of Yosys, below its data.
    includes : tuple of str
        Files beside it that it includes.
    known : frozenset of str
        Cells that it models; others are hollow there, or have timing alone.
    own : str or None
        Folder of hw/cells with the models of further cells, a file for each.
    parts : tuple of str
        Files of that folder that these are made of, beside those in `PARTS`.
    """

    library: str
    includes: tuple[str, ...]
    known: frozenset[str]
    own: str | None
    parts: tuple[str, ...] = ()


def _each(names: str) -> frozenset[str]:
    return frozenset(names.split())


_XILINX = Models(
    library="xilinx/cells_sim.v",
    includes=(),
    known=_each(
        "INV LUT1 LUT2 LUT3 LUT4 LUT5 LUT6 MUXF7 MUXF8 CARRY4 FDRE FDSE FDCE FDPE DSP48E1 SRL16E SRLC32E "
        "RAM32X1S RAM32X1D RAM32M RAM64X1S RAM64X1D RAM64M RAM128X1S RAM128X1D RAM256X1S"
    ),
    own="xilinx",
    parts=("block_ram.sv",),
)
FAMILIES = {
    "zynq-7000": _XILINX,
    "artix-7": _XILINX,
    # Its netlists are of 7-series cells, see `synthesis.FAMILIES`.
    "zynq-ultrascale+": _XILINX,
    "ecp5": Models(
        library="ecp5/cells_sim.v",
        includes=("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh", "ecp5/cells_ff.vh", "ecp5/cells_io.vh"),
        known=_each("LUT4 PFUMX L6MUX21 CCU2C TRELLIS_FF TRELLIS_DPR16X4"),
        own="ecp5",
    ),
    "ice40": Models(
        library="ice40/cells_sim.v",
        includes=(),
        known=_each(
            "SB_LUT4 SB_CARRY SB_DFF SB_DFFE SB_DFFSR SB_DFFSS SB_DFFESR SB_DFFESS SB_DFFR SB_DFFS SB_DFFER SB_DFFES "
            "SB_RAM40_4K SB_MAC16"
        ),
        own=None,
    ),
    "gowin": Models(
        library="gowin/cells_sim.v",
        includes=(),
        known=_each(
            "LUT1 LUT2 LUT3 LUT4 MUX2_LUT5 MUX2_LUT6 MUX2_LUT7 MUX2_LUT8 ALU VCC GND IBUF OBUF "
            "DFF DFFE DFFS DFFSE DFFR DFFRE DFFP DFFPE DFFC DFFCE RAM16SDP1 RAM16SDP2 RAM16SDP4"
        ),
        own="gowin",
    ),
}
"""By the family of a board."""

PARTS = ("first_content.svh", "block_memory.sv")
"""Files of hw/cells that the models of block memories are made of."""


def family(name: str) -> Models:
    """Return the models of the family of a board.

    Raises
    ------
    UserError
        When there are none.
    """
    if name not in FAMILIES:
        raise UserError(f"netlists of {name} are not simulated; choose a board of {', '.join(FAMILIES)}.")
    return FAMILIES[name]


def words(name: str) -> str:
    """Return what the cells of netlists for the family of a board are called, such as "cells of ecp5"."""
    return f"{OTHER_CELLS[name]} cells for {name}" if name in OTHER_CELLS else f"cells of {name}"


def own(models: Models, cells: Iterable[str]) -> dict[str, Path]:
    """Return the files of hw/cells that model some of the cells, by name.

    Raises
    ------
    UserError
        When there is a cell that nothing models.
    """
    room = resources.folder("hw") / "cells"
    found = {f"{path.stem}.sv": path for path in (room / models.own).glob("*.sv")} if models.own else {}
    wanted = sorted(set(cells) - models.known)
    if missing := [cell for cell in wanted if f"{cell}.sv" not in found]:
        raise UserError(
            f"no model simulates these cells of the netlist: {', '.join(missing)}; "
            "verify the design with --backend rtl."
        )
    if not wanted:
        return {}
    parts = {name: room / name for name in PARTS} | {name: found[name] for name in models.parts}
    return {**{f"{cell}.sv": found[f"{cell}.sv"] for cell in wanted}, **parts}


def library(yosys: Yosys, models: Models) -> dict[str, Path]:
    """Return the files of Yosys that model the other cells, by name, the library itself first.

    Raises
    ------
    UserError
        When this Yosys came without them.
    """
    found = {Path(name).name: yosys.share / name for name in (models.library, *models.includes)}
    for path in found.values():
        if not path.is_file():
            raise UserError(f"Yosys lacks {path}, its models of cells; install Yosys with pip install 'codesign[rtl]'.")
    return found
