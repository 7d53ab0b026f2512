"""A folder that the RTL backend wrote: compile and simulate it, and synthesise it with Yosys."""

from __future__ import annotations

import functools
import json
import shlex
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from codesign import ir
from codesign.backends.base import SynthResult
from codesign.backends.rtl import simulate, synthesis
from codesign.backends.rtl.simulate import Simulated
from codesign.ir import Graph, golden
from codesign.toolchain import yosys

GRAPH_FILE = "graph.cdg"
MAP_FILE = "map.json"


class RtlProject:
    """An emitted project.

    Parameters
    ----------
    folder : Path
    graph : Graph
        What it was emitted from.
    """

    def __init__(self, folder: str | Path, graph: Graph) -> None:
        self.folder = Path(folder)
        self.graph = graph

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """What ``map.json`` says: lanes, folds, FIFOs, cycles per frame."""
        about: dict[str, Any] = json.loads((self.folder / MAP_FILE).read_bytes())
        return about

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
        """Simulate frames cycle by cycle.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        **options
            Of `codesign.backends.rtl.simulate.simulate`.
        """
        x = golden.checked_input(self.graph, x)
        return simulate.simulate(self.graph, self.about["lanes"], self.folder, x, **options)

    def synth(self) -> SynthResult:
        """Map the design to the cells of the board's family with Yosys, or say what to run where it is missing.

        Raises
        ------
        UserError
            When Yosys fails, or the family of the board is none that is counted.
        """
        family = synthesis.family(self.about["family"])
        script = synthesis.script(self.folder, family)
        command = f"cd {shlex.quote(str(self.folder))} && yosys -p {shlex.quote(script.strip())}"
        found = yosys.locate()
        if found is None:
            return SynthResult(status="tool-missing", tool="Yosys", command=command)
        report = synthesis.synthesise(found, family, self.folder, self.cycles_per_frame)
        return SynthResult(
            status="done", tool=report.tool, command=command, report=report, log=self.folder / "build" / "yosys.log"
        )

    def _widths(self) -> tuple[int, int]:
        (source,), (result,) = self.graph.inputs, self.graph.outputs
        lanes, edges = self.about["lanes"], self.graph.edges
        return lanes[source] * edges[source].type.bits, lanes[result] * edges[result].type.bits


def open_project(folder: str | Path) -> RtlProject:
    """Return the project that was emitted into a folder.

    Raises
    ------
    UserError
        When the folder holds no emitted graph.
    """
    folder = Path(folder)
    return RtlProject(folder, ir.load(folder / GRAPH_FILE))
