"""The netlist of a network: its synthesis, and its simulation cell by cell behind the test bench of the RTL."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.backends.base import Simulation
from codesign.backends.rtl import cells, mapping, place_and_route, simulate, stage, synthesis
from codesign.backends.rtl.folder import allowed_blocks
from codesign.backends.rtl.project import Cycles, RtlProject
from codesign.backends.rtl.simulate import Simulated
from codesign.backends.rtl.verilog import TOP
from codesign.errors import UserError
from codesign.ir import golden
from codesign.toolchain import verilator, yosys
from codesign.toolchain.yosys import Yosys

NETLIST = "netlist.v"

QUIET = (
    # Yosys leaves out pins that do nothing: outputs that nobody reads, inputs of stages that parameters switch off.
    "PINMISSING",
    # Block memories and multipliers that are hollow in Yosys' library; the model that comes first counts, ours.
    "MODDUP",
    # Delays: a simulation by clocks has none.
    "SPECIFYIGN",
    # First values by nonblocking assignments, and a register with a first value that is also written: both as meant.
    "INITIALDLY",
    "PROCASSINIT",
    # Stages of a multiplier that are switched off assign `<=` without a clock; executed as `=`, which is the same.
    "COMBDLY",
    # A vector whose bits depend on each other looks like a loop; it is evaluated until nothing changes.
    "UNOPTFLAT",
    # Style of Yosys' library.
    "GENUNNAMED",
    "UNDRIVEN",
    "ASSIGNIN",
)
"""Warnings of Verilator on netlists and models of cells that are no faults; all others end the compilation."""


@dataclass(frozen=True)
class Mapped:
    """What synthesis made.

    Parameters
    ----------
    path : Path
        The netlist, in Verilog.
    cells : dict of str to int
        Cells by kind.
    """

    path: Path
    cells: dict[str, int]


class Netlist(RtlProject):
    """A project whose simulation is that of its netlist.

    For 7-series and UltraScale+ parts the netlist is the one that `synth` counts. For the families of the open tools it
    is that of the network alone, made by the same scripts for `mapping.CLOCK_MHZ`: the bitstream holds a serial shell
    besides, through which neither pauses nor cycles could be seen, and is mapped for the clock that was asked for.

    Only the output of the network is compared: the edges inside are gone.
    """

    @classmethod
    def of(cls, project: RtlProject) -> Netlist:
        """Return the netlist of a project."""
        return cls(project.folder, project.graph, project.retired)

    @property
    def simulation(self) -> Simulation:
        """The simulation by Verilator, and what the cells are."""
        return Simulation(kind="netlist simulation", of=f"Verilator, {cells.words(self.family)}")

    @property
    def family(self) -> str:
        """Of the board."""
        return str(self.about["family"])

    @functools.cached_property
    def mapped(self) -> Mapped:
        """The netlist; made now, unless that was done before for the same content.

        Raises
        ------
        UserError
            When a tool is missing or fails, or nothing models the family or one of the cells.
        """
        models = cells.family(self.family)
        # Told before Yosys has run for minutes.
        verilator.require()
        place = self._synthesise(_require())
        mapped = Mapped(place / NETLIST, synthesis.read_cells(place / "cells.json", TOP))
        cells.own(models, mapped.cells)
        return mapped

    def _synthesise(self, found: Yosys) -> Path:
        if self.family in synthesis.FAMILIES:
            family, nodes = synthesis.family(self.family), [node.name for node in self.graph]
            return synthesis.synthesise(found, family, self.folder, nodes, self.cycles_per_frame).place
        return _alone(found, self.folder, place_and_route.FAMILIES[self.family])

    def compile(self, trace: bool = False, fast: bool = False) -> Path:
        """Compile the netlist with the models of its cells, unless the same was compiled before.

        Parameters
        ----------
        trace : bool
            Of no meaning here.
        fast : bool
            Compile a fast program, else compile fast: for cells by the thousand a fast program takes minutes to
            make, and a few hundred frames in the other one seconds.
        """
        folder, mapped = self.folder, self.mapped
        models = cells.family(self.family)
        own, library = cells.own(models, mapped.cells), cells.library(_require(), models)
        netlist = str(mapped.path.relative_to(folder))
        bench = ["bench.sv", "main.cpp"]
        widths = self._widths()
        name = stage.digest(
            folder, [netlist, *bench], widths, fast, QUIET, [p.read_bytes() for p in (*own.values(), *library.values())]
        )
        place = stage.kept(folder, f"build/cells-{name}/", lambda p: _copy({**own, **library}, folder / p))
        program = folder / place / "simulation" / "Vbench"
        if program.is_file():
            return program
        first = next(iter(library))
        options = ["--top-module", "bench", f"-GIN={widths[0]}", f"-GOUT={widths[1]}", f"-I{place}"]
        options += [f"-Wno-{warning}" for warning in QUIET] + ["-v", f"{place}{first}"]
        sources = ["bench.sv", netlist, *(f"{place}{name}" for name in own), "main.cpp"]
        log = folder / place / "verilator.log"
        return verilator.build(folder, f"{place}simulation", sources, options, log, fast)

    def simulate(self, x: np.ndarray, **options: Any) -> Simulated:
        """Simulate frames cycle by cycle; of the edges there is only the output.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        **options
            Of `codesign.backends.rtl.simulate.simulate`; there are no waveforms.
        """
        options.pop("trace", None)
        x = golden.checked_input(self.graph, x)
        program = self.compile(fast=options.get("fast", False))
        found = simulate.simulate(self.graph, self.about["lanes"], self.folder, x, program=program, **options)
        return Simulated(found.output, found.ends, {self.graph.outputs[0]: found.output})

    def count_cycles(self, x: np.ndarray, fast: bool = False) -> Cycles:
        """Send frames without a pause and count the cycles from one to the next, and the latency; see `RtlProject`."""
        return super().count_cycles(x, fast)


def _require() -> Yosys:
    found = yosys.locate()
    if found is None:
        raise UserError("a netlist needs Yosys; install it with pip install 'codesign[rtl]'.")
    return found


def _alone(found: Yosys, folder: Path, family: place_and_route.Family) -> Path:
    """Map the network without a shell, as `codesign.backends.rtl.place_and_route` maps it with one."""
    blocks, free = allowed_blocks(folder)

    def elaborate(place: str) -> str:
        return mapping.elaborate(TOP, synthesis.sources(folder), family.distributed, place)

    def map_cells(elaborated: str, place: str) -> str:
        absorb = family.absorb if free else ()
        clock = mapping.CLOCK_MHZ
        script = mapping.synthesise(TOP, family.synth, family.map_dsp, elaborated, chosen, absorb, clock_mhz=clock)
        return f"{script}\ntee -q -o {place}cells.json stat -json\nwrite_verilog -noattr {place}{NETLIST}\n"

    def run(script: str, place: str) -> None:
        found.script(folder, script, place=place, timeout_s=synthesis.TIMEOUT_S)

    name = stage.digest(folder, synthesis.content(folder), found.version, elaborate(""))
    elaborated = stage.kept(folder, f"build/alone-{name}/", lambda p: run(elaborate(p), p))
    chosen = mapping.choose((folder / elaborated / "multiplications.txt").read_text(), family.dsp_bits, blocks, free)
    name = stage.digest(folder, [f"{elaborated}design.il"], found.version, map_cells("", ""))
    return folder / stage.kept(folder, f"build/netlist-{name}/", lambda p: run(map_cells(elaborated, p), p))


def _copy(files: Mapping[str, Path], folder: Path) -> None:
    for name, path in files.items():
        shutil.copyfile(path, folder / name)
