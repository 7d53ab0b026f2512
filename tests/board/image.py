"""The digital twin of a board's image: shell and network in cells, as they go to place and route or come from it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from codesign import resources
from codesign.backends.rtl import cells, place_and_route, synthesis
from codesign.backends.rtl.netlist import QUIET
from codesign.backends.rtl.place_and_route import Design
from codesign.backends.rtl.pll import Pll
from codesign.backends.rtl.project import RtlProject
from codesign.backends.rtl.serial_shell import TOP, SerialShell, bit_clocks
from codesign.boards import Board
from codesign.errors import UserError
from codesign.toolchain import nextpnr, yosys
from codesign.toolchain.yosys import Yosys

from . import routed, twin

LATE_US = 10
"""Microseconds behind configuration in which block memories of an iCE40 read as 0: about 3 were measured
(github.com/YosysHQ/icestorm/issues/76), and no document of Lattice's tells."""


class Image:
    """A project's image for a board, compiled as a program for `twin.Twin`.

    Parameters
    ----------
    project : RtlProject
    board : Board
        Of the open tools; its oscillator and its baud rate say how many clocks a bit takes.
    pll : Pll, optional
        What makes the clock; in the simulation it makes the clock that it gets, and is not locked at first.
    place : bool
        Simulate what nextpnr made of the netlist, not the netlist.
    name : str
        Of the folder with the program, beside the netlist.
    change : callable, optional
        Makes another text of the netlist in Verilog: a fault of the hardware.
    late_us : float
        See `LATE_US`.
    fast : bool
        Compile a fast program, else compile fast.

    Raises
    ------
    UserError
        When a tool is missing or fails, or nothing models a cell.
    """

    def __init__(
        self,
        project: RtlProject,
        board: Board,
        *,
        pll: Pll | None = None,
        place: bool = False,
        name: str = "twin",
        change: Callable[[str], str] = str,
        late_us: float = LATE_US,
        fast: bool = False,
    ) -> None:
        if place and board.family not in routed.FAMILIES:
            raise UserError(f"placed cells of {board.family} are not modelled; choose {' or '.join(routed.FAMILIES)}.")
        found = yosys.locate()
        if found is None:
            raise UserError("the netlist of an image needs Yosys; install it with pip install 'codesign[rtl]'.")
        self.project = project
        self.serial = SerialShell.of(project.graph, project.about["lanes"])
        self.design = design = Design(project.folder, board, self.serial, project.cycles_per_frame, pll)
        self.clocks = bit_clocks(design.clock_mhz, design.shell.baud)
        self.idle = twin.idle(project)
        self.led_low = design.shell.led_low
        design.write_shell()
        _, self.netlist = place_and_route.map_cells(found, design)
        self.cells = synthesis.read_cells(project.folder / self.netlist / "cells.json", TOP)
        self.room = f"{self.netlist}{name}/"
        shutil.rmtree(project.folder / self.room, ignore_errors=True)
        (project.folder / self.room).mkdir()
        source, top = self._placed() if place else (f"{self.netlist}netlist.json", TOP)
        self._write_netlist(found, source, change)
        sources, options = self._copy_models(found, place, round(late_us * design.clock_mhz))
        options += ["--top-module", top, *(f"-Wno-{warning}" for warning in QUIET)]
        self.program = twin.compile_program(project.folder, f"{self.room}program", sources, options, fast)

    def _placed(self) -> tuple[str, str]:
        """Place and route, and return what nextpnr wrote and the name of its module."""
        folder, room, family = self.project.folder, self.room, self.design.board.family
        placer = nextpnr.locate(family)
        if placer is None:
            raise UserError("a placed image needs nextpnr; install it with pip install 'codesign[rtl]'.")
        arguments = [*self.design.route(f"{self.netlist}netlist.json", room), "--write", f"{room}nextpnr.json"]
        log, report = Path(room) / "nextpnr.log", Path(room) / "report.json"
        nextpnr.place_and_route(placer, folder, arguments, report, log, synthesis.TIMEOUT_S)
        text = json.dumps(routed.read((folder / room / "nextpnr.json").read_text()))
        (folder / room / "placed.json").write_text(text)
        return f"{room}placed.json", routed.TOP

    def _write_netlist(self, found: Yosys, source: str, change: Callable[[str], str]) -> None:
        """Write the very netlist that a tool reads or wrote, in a language that Verilator reads."""
        folder, room = self.project.folder, self.room
        found.script(folder, f"read_json {source}\nwrite_verilog -noattr {room}image.v\n", place=room)
        path = folder / room / "image.v"
        path.write_text(change(path.read_text()))

    def _copy_models(self, found: Yosys, place: bool, late: int) -> tuple[list[str], list[str]]:
        """Copy the models of the cells, and return what Verilator is given: sources, options."""
        room, family = self.room, self.design.board.family
        known = cells.family(family)
        pll = self.design.pll
        own = cells.own(known, (cell for cell in self.cells if not pll or cell != pll.cell))
        library = cells.library(found, known)
        if pll:
            own |= {Path(name).name: resources.folder("hw") / "shell" / name for name in pll.files[1:]}
        if place:
            own |= {path.name: path for path in routed.models(family)}
        for name, path in {**own, **library}.items():
            shutil.copyfile(path, self.project.folder / room / name)
        first = self.project.folder / room / next(iter(library))
        if family == "ice40":
            first.write_text(with_late_memories(first.read_text(), late))
        sources = [f"{room}{name}" for name in own if name.endswith(".sv")]
        return [f"{room}image.v", *sources], [f"-I{room}", "-v", f"{room}{first.name}"]


def with_late_memories(text: str, clocks: int) -> str:
    """Return Yosys' models of an iCE40 with block memories that read as 0 for some clocks, see `LATE_US`."""
    old = "RDATA_I <= memory[RADDR[7:0]] & ~RMASK_I;"
    assert text.count(old) == 1
    count = f"integer early = 0;\n\talways @(posedge RCLK) if (early < {clocks}) early <= early + 1;\n"
    begin = text.rindex("always @(posedge RCLK)", 0, text.index(old))
    reading = text[begin:].replace(old, f"RDATA_I <= early < {clocks} ? 16'd0 : memory[RADDR[7:0]] & ~RMASK_I;", 1)
    return f"{text[:begin]}{count}\t{reading}"
