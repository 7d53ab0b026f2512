"""A FINN build folder: convert it with FINN's own transformations and execute the layers in Python."""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, overload

import numpy as np

from codesign import ir
from codesign.backends import manifest
from codesign.backends.base import Emitted, Simulation, SynthResult
from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.folder import GRAPH_FILE
from codesign.errors import UserError
from codesign.files import atomic_folder
from codesign.ir import Graph, Node, golden
from codesign.ir.exact import FLOAT32_EXACT
from codesign.ir.ops import Conv2d, Dense
from codesign.toolchain import finn
from codesign.toolchain.find import Tool
from codesign.toolchain.run import run

SCRIPTS = Path(__file__).resolve().parent / "scripts"
CONVERTED = Path("build") / "finn"
"""Below the folder, what FINN made of it."""
ESTIMATES_FILE = "estimates.json"
"""FINN's estimates, there."""
ESTIMATE_FILE = "estimate.json"
"""Ours, in the folder itself."""
_STAMP = "sources.sha256"
_HOURS = 3600.0


class FinnProject(Emitted):
    """A build folder of the finn backend."""

    @property
    def simulation(self) -> Simulation:
        """The Python execution of FINN's layers."""
        release = self._tool.version if self._tool else "not installed"
        return Simulation(kind="execution in FINN's Python", of=f"finn-plus {release}")

    @functools.cached_property
    def cycles_per_frame(self) -> int:
        """Clocks that a frame takes, by our estimate."""
        return int(json.loads((self.folder / ESTIMATE_FILE).read_bytes())["cycles_per_frame"])

    @property
    def converted(self) -> Path:
        """Where FINN's layers and its estimates (``estimates.json``) are after `compile`."""
        return self.folder / CONVERTED

    def compile(self) -> Path:
        """Convert the network to FINN's layers, fold them and estimate them, unless that was done to the same files.

        Returns
        -------
        Path
            FINN's estimates.

        Raises
        ------
        UserError
            When FINN is missing or fails; the sentence names the log.
        """
        stamp = self._digest()
        done = self.converted / _STAMP
        if not (done.is_file() and done.read_text() == stamp):
            with atomic_folder(self.converted) as new:
                self._python("convert.py", self.folder, new, log=self.folder / "build" / "finn.log")
                (new / _STAMP).write_text(stamp)
        return self.converted / ESTIMATES_FILE

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Execute FINN's layers on frames, as `codesign.ir.golden.run` does in NumPy.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        trace : bool
            Return a dict with the output; FINN exposes no other edge.

        Raises
        ------
        UserError
            When the frames do not fit, their sums leave float32, or FINN is missing or fails.
        """
        x = golden.checked_input(self.graph, x)
        _require_exact(self.graph, x)
        self.compile()
        with tempfile.TemporaryDirectory(prefix="codesign-finn-") as place:
            frames, result = Path(place) / "frames.npy", Path(place) / "result.npy"
            np.save(frames, x, allow_pickle=False)
            self._python("execute.py", self.converted, frames, result, log=Path(place) / "log.txt")
            found = np.load(result, allow_pickle=False)
        output = self.graph.outputs[0]
        y = found.reshape(len(x), *self.graph.edges[output].shape)
        integers = y.astype(np.int64)
        if not np.array_equal(integers, y):
            raise UserError("FINN's execution made fractions; its release does not fit this folder.")
        return {output: integers} if trace else integers

    def synth(self, say: Callable[[str], None] | None = None) -> SynthResult:
        """Say what to run where FINN and Vivado are installed.

        Parameters
        ----------
        say : callable, optional
            Not used.
        """
        command = f"cd {shlex.quote(str(self.folder))} && python build.py"
        return SynthResult(status="tool-missing", tool="FINN with Vivado", command=command)

    @functools.cached_property
    def _tool(self) -> Tool | None:
        return finn.locate()

    def _python(self, script: str, *arguments: Path, log: Path) -> None:
        """Run a script of this backend in FINN's environment."""
        if self._tool is None:
            raise UserError(
                "FINN is not installed here; make finn sets up its environment, or "
                f"{finn.VARIABLE} names the Python of one."
            )
        # Isolated, so that no package of ours is imported there.
        command: list[str | Path] = [
            self._tool.path.absolute(),
            "-I",
            SCRIPTS / script,
            *(path.absolute() for path in arguments),
        ]
        done = run(command, log=log, timeout_s=_HOURS)
        if done.returncode != 0:
            raise UserError(f"FINN failed on {self.folder}: {done.tail(1)}")

    def _digest(self) -> str:
        parts = [self.folder / manifest.FILE, SCRIPTS / "convert.py"]
        text = b"".join(path.read_bytes() for path in parts if path.is_file())
        release = self._tool.version if self._tool else ""
        return hashlib.sha256(text + release.encode()).hexdigest()


def _require_exact(graph: Graph, x: np.ndarray) -> None:
    """Raise `UserError` when a sum of these frames may leave what float32 holds, which FINN's Python adds in."""
    if not any(_may_leave(graph, node) for node in graph.nodes):
        return
    edges = golden.run(graph, x, trace=True)
    for node in graph.nodes:
        op, largest = node.op, edges[node.name]
        if isinstance(op, Conv2d | Dense) and _may_leave(graph, node):
            bias = None if op.bias is None else np.abs(op.bias)
            positive = replace(op, weight=np.abs(op.values()), weight_bits=None, codebook=None, bias=bias)
            largest = positive.execute(np.abs(edges[node.inputs[0]]))
        if largest.size and int(np.abs(largest).max()) > FLOAT32_EXACT:
            raise UserError(
                f"{node.name} ({op.name}) sums more than 2^24 on these frames, which FINN's execution in Python "
                "does not hold; compare fewer extremes, or use --backend qonnx."
            )


def _may_leave(graph: Graph, node: Node) -> bool:
    """Tell whether some frame makes partial sums of a node, or its output, that no float32 holds."""
    largest = datatypes.magnitude(graph.edges[node.name].type)
    if isinstance(node.op, Conv2d | Dense):
        values = node.op.values()
        sums = np.abs(values).reshape(-1, values.shape[-1]).sum(axis=0)
        largest = max(largest, int(sums.max()) * datatypes.magnitude(graph.edges[node.inputs[0]].type))
    return largest > FLOAT32_EXACT


def open_project(folder: str | Path) -> FinnProject:
    """Return the project that was emitted into a folder.

    Raises
    ------
    UserError
        When the folder holds no emitted graph.
    """
    folder = Path(folder)
    return FinnProject(folder, ir.load(folder / GRAPH_FILE))
