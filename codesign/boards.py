"""Boards by name, read from `board/*.toml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from codesign import names as _names
from codesign import resources, tomlfile
from codesign.errors import UserError

Count = Annotated[int, msgspec.Meta(ge=0)]
Toolchain = Literal["vivado", "yosys+nextpnr"]


_Pin = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_]+$")]


class Shell(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pins of the serial shell in ``hw/shell`` that a bitstream wraps the network with.

    Attributes
    ----------
    clock, rx, tx, led : str
        Pins, as the place and route tool names them: oscillator, serial line into the part and out of it, lamp.
    led_low : bool
        The lamp is lit by 0.
    baud : int
        Bits per second on the serial line.
    """

    clock: _Pin
    rx: _Pin
    tx: _Pin
    led: _Pin
    led_low: bool = False
    baud: Annotated[int, msgspec.Meta(ge=300, le=12_000_000)] = 115_200


_Nanoseconds = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class Processor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a board gives the processing system of its Zynq-7000: crystal and DDR memory.

    Attributes
    ----------
    crystal_mhz : float
    ddr_part : str
        As the processing system's core in Vivado names it, such as "MT41J256M16 RE-125".
    ddr_bits : {16, 32}
        Width of the data bus.
    ddr_mhz : float
        Clock of the memory.
    ddr_mib : int
        Size of the memory, a power of two.
    ddr_board_delay_ns, ddr_dqs_to_clock_ns : tuple of four floats
        Delays of the board's traces, one for each byte lane.
    """

    crystal_mhz: Annotated[float, msgspec.Meta(ge=30, le=60)]
    ddr_part: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9 -]+$")]
    ddr_bits: Literal[16, 32]
    ddr_mhz: Annotated[float, msgspec.Meta(ge=200, le=600)]
    ddr_mib: Literal[256, 512, 1024]
    ddr_board_delay_ns: tuple[_Nanoseconds, _Nanoseconds, _Nanoseconds, _Nanoseconds]
    ddr_dqs_to_clock_ns: tuple[_Nanoseconds, _Nanoseconds, _Nanoseconds, _Nanoseconds]


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One FPGA board: the part on it, what the part holds, and the tools that build for it.

    Attributes
    ----------
    name : str
        File name without ``.toml``.
    title, vendor, family, part : str
        `part` is the full ordering code that the synthesis tools take.
    toolchain : {"vivado", "yosys+nextpnr"}
    clock_mhz : float
        Default clock of the network, in MHz; where there is a shell, that of the oscillator which drives it.
    lut, ff, dsp, uram : int
        Lookup tables, flip-flops, multiplier blocks, 288-Kib memories.
    bram36, bram18, bram4 : int or None
        Block memories of 36 Kib, or of 18 or 4 Kib for families that count them so; exactly one is set.
    lut_inputs : int
        Inputs of one lookup table.
    shell : Shell or None
        Where bitstreams are made with open tools.
    processor : Processor or None
        Where Vivado makes bitstreams with the processing system of a Zynq-7000.
    sources : tuple of str
        Where the numbers and pins come from.
    """

    name: str = ""
    title: str
    vendor: str
    family: str
    part: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9/-]+$")]
    toolchain: Toolchain
    clock_mhz: Annotated[float, msgspec.Meta(gt=0, le=1000)]
    lut: Count
    ff: Count
    dsp: Count
    bram36: Count | None = None
    bram18: Count | None = None
    bram4: Count | None = None
    uram: Count = 0
    lut_inputs: Annotated[int, msgspec.Meta(ge=4, le=8)] = 6
    shell: Shell | None = None
    processor: Processor | None = None
    sources: tuple[str, ...] = ()

    @property
    def memories(self) -> tuple[int, int]:
        """Number of block memories, and Kib of each."""
        sizes = {36: self.bram36, 18: self.bram18, 4: self.bram4}
        return next((count, size) for size, count in sizes.items() if count is not None)

    @property
    def limits(self) -> dict[str, float]:
        """What a design may take of the part: ``lut``, ``ff``, ``dsp``, ``bram36`` (smaller memories by their Kib)."""
        count, kib = self.memories
        return {"lut": self.lut, "ff": self.ff, "bram36": count * kib / 36, "dsp": self.dsp}

    @property
    def clock_period_ns(self) -> float:
        """Period of the default clock in nanoseconds."""
        return 1000.0 / self.clock_mhz

    def resources(self) -> dict[str, int]:
        """What the part holds: ``lut``, ``ff``, ``bram36``, ``bram18`` or ``bram4``, ``dsp``, ``uram``."""
        held = {
            "lut": self.lut,
            "ff": self.ff,
            "bram36": self.bram36,
            "bram18": self.bram18,
            "bram4": self.bram4,
            "dsp": self.dsp,
            "uram": self.uram,
        }
        return {name: count for name, count in held.items() if count is not None}


def names() -> list[str]:
    """Names of all boards, sorted."""
    return sorted(_files())


def load(name: str) -> Board:
    """Read one board.

    Parameters
    ----------
    name : str
        A name from `names`.

    Raises
    ------
    UserError
        For an unknown name (with the closest ones), or a file with a wrong field.
    """
    files = _files()
    path = files[_names.check("board", name, files)]
    board = tomlfile.read(path, Board)
    if board.name not in ("", name):
        raise UserError(f"{path}: the field 'name' must be left out or be '{name}', found '{board.name}'.")
    if [board.bram36, board.bram18, board.bram4].count(None) != 2:
        raise UserError(f"{path}: give either the field 'bram36' or the field 'bram18' or the field 'bram4'.")
    return msgspec.structs.replace(board, name=name)


def _files() -> dict[str, Path]:
    """Board files by name; a folder named by CODESIGN_BOARDS adds to those that travel with the package."""
    folders = [resources.folder("board")]
    if own := os.environ.get("CODESIGN_BOARDS"):
        if not Path(own).is_dir():
            raise UserError(f"CODESIGN_BOARDS names '{own}', which is no folder; correct it or unset it.")
        folders.append(Path(own))
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
