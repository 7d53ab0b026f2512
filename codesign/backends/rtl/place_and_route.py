"""From the project to a bitstream: synthesis with a serial shell around the network, place and route, packing."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign import resources
from codesign.backends.rtl import mapping, modules, stage, synthesis
from codesign.backends.rtl.families import FAMILIES, Family
from codesign.backends.rtl.folder import allowed_blocks
from codesign.backends.rtl.mapping import choose
from codesign.backends.rtl.pll import Pll
from codesign.backends.rtl.serial_shell import TOP, SerialShell, bit_clocks
from codesign.boards import Board, Shell
from codesign.errors import UserError
from codesign.files import atomic_write
from codesign.toolchain import nextpnr
from codesign.toolchain.nextpnr import Nextpnr
from codesign.toolchain.synth_report import SynthReport
from codesign.toolchain.yosys import Yosys

NETLIST = "netlist.json"
"""What nextpnr reads."""
MAPPED = "mapped.json"
"""The same as Yosys wrote it, for families whose netlist is changed before nextpnr reads it."""
SHELL = "build/shell/"
"""Below the project folder: sources and pins of the shell."""


def require(board: Board, clock_mhz: float | None = None) -> None:
    """Accept a board that bitstreams are made for.

    Parameters
    ----------
    board : Board
        Of a family in `FAMILIES`.
    clock_mhz : float, optional
        That a PLL makes, instead of the oscillator's.

    Raises
    ------
    UserError
        When its file has no pins or an unknown part, or its clock cannot make the rate of the serial line.
    """
    bit_clocks(clock_mhz or board.clock_mhz, pins(board).baud)
    FAMILIES[board.family].part(board.part)


def pins(board: Board) -> Shell:
    """Return the pins of the serial shell on a board.

    Raises
    ------
    UserError
        When its file has none.
    """
    if board.shell is None:
        raise UserError(f"the file of the board {board.name} has no table [shell] with its pins; add one.")
    return board.shell


@dataclass(frozen=True)
class Design:
    """A project with the shell around it.

    Parameters
    ----------
    folder : Path
        Of the project.
    board : Board
    serial : SerialShell
        Frames and identity of the network.
    cycles : int
        Clocks from frame to frame.
    pll : Pll, optional
        What makes the clock of shell and network, else the board's oscillator does.
    """

    folder: Path
    board: Board
    serial: SerialShell
    cycles: int
    pll: Pll | None = None

    @property
    def clock_mhz(self) -> float:
        """Clock of shell and network."""
        return self.pll.mhz if self.pll else self.board.clock_mhz

    @property
    def family(self) -> Family:
        """How the board's part is built for."""
        return FAMILIES[self.board.family]

    @property
    def shell(self) -> Shell:
        """The pins of the board; see `pins` for what is raised."""
        return pins(self.board)

    def write_shell(self) -> None:
        """Write sources and pins of the shell into the project."""
        hw = resources.folder("hw")
        texts = {name: path.read_text() for name, path in modules.files(hw / "shell").items()}
        if self.pll:
            texts |= {Path(name).stem: (hw / "shell" / name).read_text() for name in self.pll.files}
            texts["clock_source"] = self.pll.clock_source()
        library = modules.needed("".join(texts.values()), modules.files(hw / "rtl"))
        # What the network is made of as well lies in its folder.
        texts |= {name: text for name, text in library.items() if not (self.folder / f"{name}.sv").is_file()}
        for old in (self.folder / SHELL).glob("*.sv"):
            if old.stem not in texts:
                old.unlink()
        for name, text in texts.items():
            atomic_write(self.folder / SHELL / f"{name}.sv", text)
        atomic_write(self.folder / self.pins, self.family.constraints(self.shell, self.board.clock_mhz))

    @property
    def pins(self) -> str:
        """Where the constraints file lies."""
        return f"{SHELL}pins.{self.family.pins}"

    @property
    def sources(self) -> list[str]:
        """What Yosys reads, the shell included."""
        shell = sorted(f"{SHELL}{path.name}" for path in (self.folder / SHELL).glob("*.sv"))
        # What an earlier shell needed may lie in the project by now.
        own = synthesis.sources(self.folder)
        return [*own, *(path for path in shell if Path(path).name not in own)]

    def elaborate(self, place: str) -> str:
        """Return Yosys' script up to the widths of all multiplications."""
        clocks = bit_clocks(self.clock_mhz, self.shell.baud)
        parameters = self.serial.parameters(clocks, self.shell.led_low)
        given = " ".join(f"-G {name}={value}" for name, value in parameters.items())
        if self.pll:
            given += f" --blackboxed-module {self.pll.cell}"
        return mapping.elaborate(f"{TOP} {given}", self.sources, self.family.distributed, place)

    def synthesise(self, elaborated: str, place: str, chosen: list[str]) -> str:
        """Return Yosys' script from there to the netlist; the `chosen` multiplications take multiplier blocks."""
        family, (_, free) = self.family, allowed_blocks(self.folder)
        absorb = family.absorb if free else ()
        script = mapping.synthesise(
            TOP, family.synth, family.map_dsp, elaborated, chosen, absorb, clock_mhz=self.clock_mhz
        )
        netlist = MAPPED if family.trim else NETLIST
        return f"{script} -json {place}{netlist}\ntee -q -o {place}cells.json stat -json\n"

    def route(self, netlist: str, place: str) -> list[str]:
        """Return the arguments of nextpnr."""
        wanted = ["--json", netlist, "--freq", f"{self.clock_mhz:.6g}", "--timing-allow-fail"]
        return [*self.family.part(self.board.part), *wanted, *self.family.place(self.pins, place + self.family.placed)]

    def by_hand(self) -> str:
        """Return what to type in a shell for all steps.

        Which multiplications take multiplier blocks is chosen between two steps of Yosys, by their sizes over the
        whole design, which no script of Yosys can do. By hand, where the project may take blocks at all, Yosys takes
        them as it likes; for iCE40 it takes none. For ECP5, carry chains take a cell more each by hand.
        """
        family, tools = self.family, nextpnr.FAMILIES[self.board.family]
        netlist = "build/netlist.json"
        synth = family.synth.replace(" -nodsp", "") if allowed_blocks(self.folder)[0] else family.synth
        script = self.elaborate("build/") + mapping.unhurried(self.clock_mhz) + "\n" + mapping.two_steps(synth, TOP)
        script += f" -json {netlist}"
        commands = [
            ["cd", str(self.folder)],
            ["yosys", "-p", script],
            [tools.place[0], *self.route(netlist, "build/")],
            [tools.pack[0], *family.pack(f"build/{family.placed}", f"build/{family.packed}")],
        ]
        return " && ".join(shlex.join(command) for command in commands)


@dataclass(frozen=True)
class Built:
    """What `build` gives.

    Parameters
    ----------
    report : SynthReport
    bitstream : Path or None
        None when the design does not fit the part, or its fastest clock is slower than the one it has.
    log : Path
        Of the last tool that ran.
    command : str
        What to type in a shell to run the same by hand.
    """

    report: SynthReport
    bitstream: Path | None
    log: Path
    command: str


def build(yosys: Yosys, placer: Nextpnr, design: Design) -> Built:
    """Make a bitstream, step by step; what was done before for the same content is not done again.

    Parameters
    ----------
    yosys : Yosys
    placer : Nextpnr
    design : Design
        With its shell written.

    Raises
    ------
    UserError
        When a tool fails, or the part lacks what no field of the board counts.
    """
    folder, family = design.folder, design.family
    elaborated, netlist = map_cells(yosys, design)
    source = netlist + NETLIST
    name = stage.digest(folder, [source, design.pins], placer.version, design.route("", ""))
    routed = stage.kept(folder, f"build/routed-{name}/", lambda p: _route(placer, design, source, p))
    log = folder / routed / "nextpnr.log"
    commands = [
        ["cd", str(folder)],
        *([yosys.command, "-s", f"{place}script.ys"] for place in (elaborated, netlist)),
        [str(placer.place.path), *design.route(source, routed)],
        [str(placer.pack.path), *family.pack(routed + family.placed, f"build/{family.packed}")],
    ]
    command = " && ".join(shlex.join(words) for words in commands)
    report = _report(design, f"{yosys.version}, {placer.version}", folder / netlist, folder / routed)
    if report.fmax_mhz is None or report.fmax_mhz < design.clock_mhz:
        return Built(report, None, log, command)
    name = stage.digest(folder, [routed + family.placed], placer.pack.name, placer.pack.version, placer.version)
    packed = stage.kept(folder, f"build/bitstream-{name}/", lambda p: _pack(placer, design, routed, p))
    return Built(report, folder / packed / family.packed, log, command)


def map_cells(yosys: Yosys, design: Design) -> tuple[str, str]:
    """Make the netlist that goes to place and route, unless that was done before for the same content.

    Parameters
    ----------
    yosys : Yosys
    design : Design
        With its shell written.

    Returns
    -------
    elaborated, netlist : str
        Places below the project folder; the second one holds ``netlist.json`` and ``cells.json``, and for families
        that trim it ``mapped.json``, the netlist as Yosys wrote it.
    """
    folder, family = design.folder, design.family
    files = [*design.sources, *(path.name for path in folder.glob("*.mem"))]
    name = stage.digest(folder, files, yosys.version, design.elaborate(""))
    elaborated = stage.kept(
        folder,
        f"build/elaborated-{name}/",
        lambda p: yosys.script(folder, design.elaborate(p), place=p, timeout_s=synthesis.TIMEOUT_S),
    )
    multiplications = (folder / elaborated / "multiplications.txt").read_text()
    chosen = choose(multiplications, family.dsp_bits, *allowed_blocks(folder))
    name = stage.digest(folder, [f"{elaborated}design.il"], yosys.version, design.synthesise("", "", chosen))

    def make(place: str) -> None:
        yosys.script(folder, design.synthesise(elaborated, place, chosen), place=place, timeout_s=synthesis.TIMEOUT_S)
        if family.trim:
            netlist = json.loads((folder / place / MAPPED).read_bytes())
            family.trim(netlist)
            atomic_write(folder / place / NETLIST, json.dumps(netlist))

    return elaborated, stage.kept(folder, f"build/netlist-{name}/", make)


def _route(placer: Nextpnr, design: Design, netlist: str, place: str) -> None:
    log = Path(place) / "nextpnr.log"
    nextpnr.place_and_route(
        placer, design.folder, design.route(netlist, place), Path(place) / "report.json", log, synthesis.TIMEOUT_S
    )


def _pack(placer: Nextpnr, design: Design, routed: str, place: str) -> None:
    family = design.family
    arguments = family.pack(routed + family.placed, place + family.packed)
    nextpnr.pack(placer, design.folder, arguments, Path(place) / "pack.log")


def _report(design: Design, tool: str, netlist: Path, routed: Path) -> SynthReport:
    """Return the counts of a design that was routed, or that was found not to fit."""
    family, board = design.family, design.board
    path = routed / "report.json"
    fits = nextpnr.read_report(path.read_text()) if path.is_file() else None
    use = fits.use if fits else nextpnr.read_use((routed / "nextpnr.log").read_text(errors="replace"))

    def total(weights: Mapping[str, float]) -> float:
        return sum(weight * use[kind].used for kind, weight in weights.items() if kind in use)

    report = SynthReport(
        tool=tool,
        stage="place and route" if fits else "logic synthesis",
        lut=int(total(family.lut)),
        ff=use[family.ff].used if family.ff else _flip_flops(netlist),
        bram36=round(total(family.bram) * family.bram_kib / 36, 3),
        dsp=math.ceil(total(family.dsp)),
        clock_mhz=design.clock_mhz,
        fmax_mhz=fits.fmax_mhz if fits else None,
        cycles_per_frame=design.cycles,
    )
    if fits is None and not report.exceeds(board.resources()):
        raise UserError(f"the design does not fit {board.part}: it needs {nextpnr.too_many(use)}.")
    return report


def _flip_flops(netlist: Path) -> int:
    cells = synthesis.read_cells(netlist / "cells.json", TOP)
    return sum(number for cell, number in cells.items() if cell.startswith("SB_DFF"))
