"""From the project to a bitstream: synthesis with a serial shell around the network, place and route, packing."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign import resources
from codesign.backends.rtl import mapping, stage, synthesis
from codesign.backends.rtl.folder import read_map
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

SHELL = "build/shell/"
"""Below the project folder: sources and pins of the shell."""


@dataclass(frozen=True)
class Family:
    """How a family is synthesised, placed, packed and counted.

    Parameters
    ----------
    synth : str
        Command of Yosys, without multiplier blocks.
    map_dsp : str
        What makes a multiplier block of a multiplication in Yosys.
    dsp_bits : tuple of (int, int)
        Operands of a multiplier block.
    distributed : bool
        Whether there are memories of lookup tables.
    lut, bram, dsp : mapping of str to float
        Weights of nextpnr's kinds of place.
    bram_kib : int
        Of a block memory.
    ff : str or None
        Kind of place; None where it is shared with lookup tables and the netlist's flip-flops are counted.
    pins : str
        Suffix of the constraints file.
    constraints : callable
        Makes its text of the pins and the clock.
    part : callable
        Makes the arguments of nextpnr of an ordering code.
    place : callable
        Makes the arguments of nextpnr of a constraints file and an output file.
    placed, packed : str
        Names of nextpnr's output and of the bitstream.
    pack : callable
        Makes the arguments of the packer of its input and output.
    """

    synth: str
    map_dsp: str
    dsp_bits: tuple[int, int]
    distributed: bool
    lut: Mapping[str, float]
    bram: Mapping[str, float]
    dsp: Mapping[str, float]
    bram_kib: int
    ff: str | None
    pins: str
    constraints: Callable[[Shell, float], str]
    part: Callable[[str], list[str]]
    place: Callable[[str, str], list[str]]
    placed: str
    packed: str
    pack: Callable[[str, str], list[str]]


def _lpf(shell: Shell, clock_mhz: float) -> str:
    lines = [f'LOCATE COMP "{port}" SITE "{pin}";' for port, pin in _ports(shell).items()]
    lines += [f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "tx", "led")]
    lines += ['IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;', f'FREQUENCY PORT "clk" {clock_mhz:g} MHZ;']
    return "\n".join(lines) + "\n"


def _pcf(shell: Shell, clock_mhz: float) -> str:
    lines = [f"set_io {'-pullup yes ' * (port == 'rx')}{port} {pin}" for port, pin in _ports(shell).items()]
    return "\n".join([*lines, f"set_frequency clk {clock_mhz:g}"]) + "\n"


def _cst(shell: Shell, clock_mhz: float) -> str:
    lines = [f'IO_LOC "{port}" {pin};' for port, pin in _ports(shell).items()]
    lines += [f'IO_PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "tx", "led")]
    return "\n".join([*lines, 'IO_PORT "rx" IO_TYPE=LVCMOS33 PULL_MODE=UP;']) + "\n"


def _ports(shell: Shell) -> dict[str, str]:
    return {"clk": shell.clock, "rx": shell.rx, "tx": shell.tx, "led": shell.led}


def _read_part(pattern: str, part: str, example: str) -> re.Match[str]:
    found = re.fullmatch(pattern, part)
    if found is None:
        raise UserError(f"'{part}' is no part that is placed and routed here; the field 'part' reads like {example}.")
    return found


def _ecp5_part(part: str) -> list[str]:
    found = _read_part(r"LFE5U-(12|25|45|85)F-([678])BG(256|381|554|756)[CI]", part, "LFE5U-25F-6BG381C")
    return [f"--{found[1]}k", "--package", f"CABGA{found[3]}", "--speed", found[2]]


def _ice40_part(part: str) -> list[str]:
    found = _read_part(r"iCE40((?:UP|HX|LP)\d+K)-?([A-Z]+\d+)", part, "iCE40UP5K-SG48")
    return [f"--{found[1].lower()}", "--package", found[2].lower()]


def _gowin_part(part: str) -> list[str]:
    _read_part(r"GW2AR-LV18\w+/\w+", part, "GW2AR-LV18QN88C8/I7")
    return ["--device", part, "--vopt", f"family={_GOWIN}"]


_GOWIN = "GW2A-18C"
"""Name of the die of all GW2AR-18 parts that the tools know."""


def _mul2dsp(library: str, name: str, bits: int) -> str:
    widths = f"-D DSP_A_MAXWIDTH={bits} -D DSP_B_MAXWIDTH={bits} -D DSP_A_MINWIDTH=2 -D DSP_B_MINWIDTH=2"
    return f"techmap -map +/mul2dsp.v -map +/{library} {widths} -D DSP_NAME={name}"


FAMILIES = {
    "ecp5": Family(
        synth="synth_ecp5 -nodsp",
        map_dsp=_mul2dsp("lattice/dsp_map_18x18.v", "$__MUL18X18", 18),
        dsp_bits=(18, 18),
        distributed=True,
        lut={"TRELLIS_COMB": 1},
        bram={"DP16KD": 1},
        dsp={"MULT18X18D": 1},
        bram_kib=18,
        ff="TRELLIS_FF",
        pins="lpf",
        constraints=_lpf,
        part=_ecp5_part,
        # The other router takes several times as long.
        place=lambda pins, out: ["--lpf", pins, "--textcfg", out, "--router", "router2"],
        placed="placed.config",
        packed="network.bit",
        pack=lambda source, out: ["--input", source, "--bit", out, "--compress"],
    ),
    "ice40": Family(
        synth="synth_ice40",
        map_dsp=_mul2dsp("ice40/dsp_map.v", "$__MUL16X16", 16),
        dsp_bits=(16, 16),
        distributed=False,
        # A logic cell holds a lookup table, a flip-flop, or both.
        lut={"ICESTORM_LC": 1},
        bram={"ICESTORM_RAM": 1},
        dsp={"ICESTORM_DSP": 1},
        bram_kib=4,
        ff=None,
        pins="pcf",
        constraints=_pcf,
        part=_ice40_part,
        place=lambda pins, out: ["--pcf", pins, "--asc", out],
        placed="placed.asc",
        packed="network.bin",
        pack=lambda source, out: [source, out],
    ),
    "gowin": Family(
        synth="synth_gowin -family gw2a -nodsp",
        map_dsp=_mul2dsp("gowin/dsp_map.v", "$__MUL18X18", 18),
        dsp_bits=(18, 18),
        distributed=True,
        # A carry takes the place of a lookup table.
        lut={"LUT4": 1, "ALU": 1},
        bram={"BSRAM": 1},
        dsp={"MULT18X18": 1, "MULT9X9": 0.5, "MULT36X36": 4},
        bram_kib=18,
        ff="DFF",
        pins="cst",
        constraints=_cst,
        part=_gowin_part,
        place=lambda pins, out: ["--vopt", f"cst={pins}", "--write", out],
        placed="placed.json",
        packed="network.fs",
        pack=lambda source, out: ["-d", _GOWIN, "-o", out, source],
    ),
}
"""By the family of a board; the same as those of `codesign.toolchain.nextpnr`."""


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
        """The pins of the board.

        Raises
        ------
        UserError
            When its file has none.
        """
        if self.board.shell is None:
            raise UserError(f"the file of the board {self.board.name} has no table [shell] with its pins; add one.")
        return self.board.shell

    def write_shell(self) -> None:
        """Write sources and pins of the shell into the project."""
        hw = resources.folder("hw")
        files = [*(hw / "shell").glob("*.sv")]
        # The network may do without it.
        needed = hw / "rtl" / "lane_adapter.sv"
        files += [needed] * (not (self.folder / needed.name).is_file())
        texts = {path.name: path.read_text() for path in files}
        if self.pll:
            texts |= {Path(name).name: (hw / "shell" / name).read_text() for name in self.pll.files}
            texts["clock_source.sv"] = self.pll.clock_source()
        for old in (self.folder / SHELL).glob("*.sv"):
            if old.name not in texts:
                old.unlink()
        for name, text in texts.items():
            atomic_write(self.folder / SHELL / name, text)
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
        script = mapping.synthesise(TOP, self.family.synth, self.family.map_dsp, elaborated, chosen)
        return f"{script} -json {place}netlist.json\ntee -q -o {place}cells.json stat -json\n"

    def route(self, netlist: str, place: str) -> list[str]:
        """Return the arguments of nextpnr."""
        wanted = ["--json", netlist, "--freq", f"{self.clock_mhz:.6g}", "--timing-allow-fail"]
        return [*self.family.part(self.board.part), *wanted, *self.family.place(self.pins, place + self.family.placed)]

    def by_hand(self) -> str:
        """Return what to type in a shell for all steps; Yosys alone chooses which multiplications take blocks."""
        family, tools = self.family, nextpnr.FAMILIES[self.board.family]
        netlist = "build/netlist.json"
        script = self.elaborate("build/") + mapping.two_steps(family.synth.replace(" -nodsp", ""), TOP)
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
    source = f"{netlist}netlist.json"
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
        Places below the project folder; the second one holds ``netlist.json`` and ``cells.json``.
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
    chosen = choose(multiplications, family.dsp_bits, read_map(folder)["multiplier_blocks"])
    name = stage.digest(folder, [f"{elaborated}design.il"], yosys.version, design.synthesise("", "", chosen))
    netlist = stage.kept(
        folder,
        f"build/netlist-{name}/",
        lambda p: yosys.script(
            folder, design.synthesise(elaborated, p, chosen), place=p, timeout_s=synthesis.TIMEOUT_S
        ),
    )
    return elaborated, netlist


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
