"""A folder that the RTL backend wrote: compile and simulate it, and synthesise it with open tools."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from codesign import boards, ir
from codesign.backends.base import Emitted, OperatorUse, Simulation, SynthResult
from codesign.backends.rtl import place_and_route, pll, simulate, synthesis, vivado
from codesign.backends.rtl.axi_stream import Ports
from codesign.backends.rtl.folder import GRAPH_FILE, ORDERS, read_map
from codesign.backends.rtl.folds import words
from codesign.backends.rtl.pll import Pll
from codesign.backends.rtl.serial_shell import SerialShell
from codesign.backends.rtl.simulate import Simulated
from codesign.backends.rtl.verilog import TOP, unit_name
from codesign.boards import Board
from codesign.files import atomic_write
from codesign.ir import Graph, golden
from codesign.toolchain import nextpnr, yosys

BY_HAND = "build/by_hand/"
"""Below the project folder: scripts of Yosys for those who run it themselves."""

STEADY = 4
"""Frames whose distances are measured."""


@dataclass(frozen=True)
class Cycles:
    """Clock cycles from frame to frame in steady state, and of the first frame; true when all are as promised.

    Parameters
    ----------
    promised : int
        By the schedule that chose the folds.
    simulated : tuple of int
        Between the last frames of a simulation.
    latency : int
        By the schedule, from the first word of a frame into the network to the last one out of it, when the source
        offers its words evenly over the clocks of a frame.
    latency_simulated : int
    """

    promised: int
    simulated: tuple[int, ...]
    latency: int
    latency_simulated: int

    def __bool__(self) -> bool:
        steady = bool(self.simulated) and set(self.simulated) == {self.promised}
        return steady and self.latency == self.latency_simulated

    @property
    def sentence(self) -> str:
        """The outcome, for people."""
        if self:
            return f"{self.promised:,} cycles per frame in steady state and a latency of {self.latency:,}, as promised."
        return (
            f"{self.promised:,} cycles per frame promised, {', '.join(f'{c:,}' for c in self.simulated)} simulated; a "
            f"latency of {self.latency:,} promised, {self.latency_simulated:,} simulated."
        )


class Pausing:
    """A project as `codesign.verify.compare.verify` takes it, run with random pauses at both ends."""

    def __init__(self, project: RtlProject, seed: int) -> None:
        self.project, self.seed = project, seed

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Simulate frames."""
        # Other pauses for other frames.
        self.seed += 1
        found = self.project.simulate(x, trace=trace, pauses=PAUSES, seed=self.seed)
        return found.edges if trace else found.output


PAUSES = 60, 60
"""Of 256 clocks, those in which the source has nothing, and in which the sink takes nothing."""


class RtlProject(Emitted):
    """A project of the rtl backend.

    Parameters
    ----------
    folder, graph, retired
        As for `Emitted`.
    tables : int, optional
        Lookup tables by estimate, where these were limited and it was just emitted.
    """

    def __init__(
        self, folder: str | Path, graph: Graph, retired: Path | None = None, tables: int | None = None
    ) -> None:
        super().__init__(folder, graph, retired)
        self.tables = tables

    @property
    def simulation(self) -> Simulation:
        """The simulation by Verilator, and the cycles of a frame."""
        return Simulation(kind="RTL simulation", of=f"Verilator, {self.cycles_per_frame:,} cycles per frame")

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """What ``map.json`` says: lanes, folds, FIFOs, cycles per frame, orders of channels."""
        return read_map(self.folder)

    @property
    def cycles_per_frame(self) -> int:
        """Clocks from frame to frame once the pipeline is full."""
        return int(self.about["cycles_per_frame"])

    def compile(self, trace: bool = True) -> Path:
        """Compile the simulation with Verilator, unless the same sources were compiled before.

        Parameters
        ----------
        trace : bool
            Watch every edge.
        """
        return simulate.compile_bench(self.folder, self._widths(), trace, wave=False)

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Simulate frames, as `codesign.ir.golden.run` does in NumPy; see `simulate` for pauses and clocks."""
        found = self.simulate(x, trace=trace)
        return found.edges if trace else found.output

    def simulate(self, x: np.ndarray, **options: Any) -> Simulated:
        """Simulate frames cycle by cycle; channels are returned in the order of the graph.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        **options
            Of `codesign.backends.rtl.simulate.simulate`.
        """
        x = golden.checked_input(self.graph, x)
        drain = self.about["latency_cycles"]
        found = simulate.simulate(self.graph, self.about["lanes"], self.folder, x, drain=drain, **options)
        for edge, order in self.about.get(ORDERS, {}).items():
            if edge in found.edges:
                found.edges[edge] = found.edges[edge][..., np.argsort(order)]
        return found

    def pausing(self, seed: int) -> Pausing:
        """Return this project with a source and a sink that pause at random."""
        return Pausing(self, seed)

    def count_cycles(self, x: np.ndarray, fast: bool = True) -> Cycles:
        """Send frames without a pause and count the cycles from one to the next, once the pipeline is full.

        Then send one whose words come evenly, for the latency.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
            Taken over and over.
        fast : bool
            Compile a fast program, else compile fast.
        """
        frames = -(-self.about["latency_cycles"] // self.cycles_per_frame) + 1 + STEADY
        x = golden.checked_input(self.graph, x)
        x = x[np.arange(frames) % len(x)]
        found = self.simulate(x, trace=True, fast=fast)
        steady = tuple(int(c) for c in np.diff(found.ends)[-STEADY:])
        alone = self.simulate(x[:1], trace=True, fast=fast, pace=self.cycles_per_frame)
        return Cycles(self.cycles_per_frame, steady, int(self.about["latency_cycles"]), int(alone.ends[0]) + 1)

    def write_wave(self, x: np.ndarray) -> Path:
        """Simulate frames and return the waveform, ``build/wave.vcd``, which GTKWave and Surfer read."""
        self.simulate(x, wave=True)
        return self.folder / "build" / "wave.vcd"

    def require_synth(self, tool: str | None = None, clock_mhz: float | None = None) -> None:
        """Accept what `synth` is to do; asked before a simulation, which may take long.

        Parameters
        ----------
        tool : {"yosys", "vivado", "vivado-ooc"}, optional
        clock_mhz : float, optional
            See `synth`; the clock that is made.

        Raises
        ------
        UserError
            When the board is none that the tool builds for, or what is around the network takes no words or frames of
            this size.
        """
        require_tool(self._board, tool, clock_mhz)
        if tool == "vivado":
            self._ports().require()
        elif tool not in vivado.SCRIPTS and self.about["family"] in nextpnr.FAMILIES:
            self._serial()

    def synth(
        self, say: Callable[[str], None] | None = None, tool: str | None = None, clock_mhz: float | None = None
    ) -> SynthResult:
        """Synthesise the design for the board, or say what to run where a tool is missing.

        For families that nextpnr knows, the network is wrapped with a serial shell, placed and routed, and packed to
        a bitstream; for 7-series and UltraScale+ parts Yosys counts the cells of the network. Every step is kept: a
        second call with the same sources, board and tools runs nothing, and one after a killed run goes on where that
        stopped.

        Parameters
        ----------
        say : callable, optional
            Told a line for every step that is done.
        tool : {"yosys", "vivado", "vivado-ooc"}, optional
            Open tools by default. Vivado makes a bitstream with the processing system of a Zynq-7000, or places
            and routes the network alone, out of context.
        clock_mhz : float, optional
            Of shell and network, made by a PLL to within a percent; that of the board's oscillator by default.

        Raises
        ------
        UserError
            When a tool fails, the board is none that the tool builds for, or its PLL cannot make the clock.
        """
        made = None if clock_mhz is None else pll.choose(self._board, clock_mhz)
        self.require_synth(tool, None if made is None else made.mhz)
        if tool in vivado.SCRIPTS:
            return self._vivado(tool)
        if self.about["family"] in nextpnr.FAMILIES:
            return self._place_and_route(made)
        family = synthesis.family(self.about["family"])
        nodes = [node.name for node in self.graph]
        for name, script in synthesis.by_hand(self.folder, family, nodes, BY_HAND).items():
            atomic_write(self.folder / BY_HAND / name, script)
        command = (
            f"cd {shlex.quote(str(self.folder))} && ( set -e; for script in {BY_HAND}*.ys; do yosys -s $script; done )"
        )
        found = yosys.locate()
        if found is None:
            return SynthResult(status="tool-missing", tool="Yosys", command=command)
        done = synthesis.synthesise(
            found, family, self.folder, nodes, self.cycles_per_frame, say or (lambda line: None)
        )
        return SynthResult(
            status="done",
            tool=done.report.tool,
            command=command,
            report=done.report,
            log=done.place / "yosys.log",
            operators=tuple(self._operators(done.parts)),
        )

    def _operators(self, parts: Mapping[str, synthesis.Counts]) -> Iterator[OperatorUse]:
        for node in self.graph:
            about = self.about["nodes"][node.name]
            yield OperatorUse(
                node=node.name,
                operator=node.op.name,
                label=node.label,
                fold=words(about),
                cycles=about["cycles"],
                **dataclasses.asdict(parts[unit_name(node.name)]),
            )
        yield OperatorUse(node=TOP, **dataclasses.asdict(parts[TOP]))

    @property
    def _board(self) -> Board:
        return boards.load(self.about["board"])

    def _place_and_route(self, made: Pll | None) -> SynthResult:
        board = self._board
        design = place_and_route.Design(self.folder, board, self._serial(), self.cycles_per_frame, made)
        design.write_shell()
        found, placer = yosys.locate(), nextpnr.locate(board.family)
        if found is None or placer is None:
            missing = "Yosys" if found is None else "nextpnr"
            return SynthResult(status="tool-missing", tool=missing, command=design.by_hand())
        built = place_and_route.build(found, placer, design)
        return SynthResult(
            status="done",
            tool=built.report.tool,
            command=built.command,
            report=built.report,
            log=built.log,
            bitstream=built.bitstream,
        )

    def _vivado(self, tool: str) -> SynthResult:
        design = vivado.Design(self.folder, self._board, self._ports(), self.cycles_per_frame, tool)
        return vivado.synthesise(design)

    def _serial(self) -> SerialShell:
        return SerialShell.of(self.graph, self.about["lanes"])

    def _ports(self) -> Ports:
        (source,), (result,) = self.graph.inputs, self.graph.outputs
        words_in, words_out = (self.graph.edges[edge].size // self.about["lanes"][edge] for edge in (source, result))
        # One that comes in and one that goes out beside those on the way.
        frames = -(-self.about["latency_cycles"] // self.cycles_per_frame) + 2
        return Ports(*self._widths(), words_in, words_out, frames)

    def _widths(self) -> tuple[int, int]:
        (source,), (result,) = self.graph.inputs, self.graph.outputs
        lanes, edges = self.about["lanes"], self.graph.edges
        return lanes[source] * edges[source].type.bits, lanes[result] * edges[result].type.bits


def require_tool(board: Board, tool: str | None = None, clock_mhz: float | None = None) -> None:
    """Accept a tool that can build for a board, with the clock that a PLL makes; see `RtlProject.synth`.

    Raises
    ------
    UserError
        When it cannot.
    """
    if tool in vivado.SCRIPTS:
        vivado.require(board, tool)
    elif board.family in nextpnr.FAMILIES:
        place_and_route.require(board, clock_mhz)
    else:
        synthesis.family(board.family)


def open_project(folder: str | Path) -> RtlProject:
    """Return the project that was emitted into a folder.

    Raises
    ------
    UserError
        When the folder holds no emitted graph.
    """
    folder = Path(folder)
    return RtlProject(folder, ir.load(folder / GRAPH_FILE))
