"""What every backend offers: a graph becomes a folder that can be compiled, run and synthesised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, overload, runtime_checkable

import msgspec
import numpy as np

from codesign.boards import Board
from codesign.ir import Graph
from codesign.toolchain.synth_report import SynthReport


class OperatorUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the hardware of one node takes.

    Attributes
    ----------
    node : str
        "n3"; "network" for what joins the nodes.
    operator, label : str
        Its kind, and the layer of the user's model it came from.
    fold : str
        How far it is laid out in parallel, in words.
    cycles : int or None
        Clocks that it is busy with a frame.
    lut, ff, dsp, carry : int
    bram36 : float
        Block memories of 36 Kib; smaller ones by their share, halves of 18 Kib or ninths of 4 Kib.
    """

    node: str
    operator: str = ""
    label: str = ""
    fold: str = ""
    cycles: int | None = None
    lut: int
    ff: int
    bram36: float
    dsp: int
    carry: int


class SynthResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a synthesis ended.

    Attributes
    ----------
    status : {"done", "tool-missing"}
    tool : str
        Name of the tool that ran, or that is missing.
    command : str
        What to type in a shell to run the same by hand.
    report : SynthReport or None
        Size and speed, when the tool ran.
    log : Path or None
        Output of the tool.
    found : bool
        The tool is missing; the report is of a run by hand on the same files.
    bitstream : Path or None
        What the board is configured with, when the tools made it.
    operators : tuple of OperatorUse
        Node by node, where the tool was run so.
    """

    status: Literal["done", "tool-missing"]
    tool: str
    command: str
    report: SynthReport | None = None
    log: Path | None = None
    found: bool = False
    bitstream: Path | None = None
    operators: tuple[OperatorUse, ...] = ()


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What `Project.run` simulates, in words.

    Attributes
    ----------
    kind : str
        "C simulation", "RTL simulation" or "netlist simulation".
    of : str
        Backend, and options that matter.
    """

    kind: str
    of: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.of})"


@runtime_checkable
class Project(Protocol):
    """Files emitted from a graph.

    Attributes
    ----------
    folder : Path
        Holds everything; may be moved as a whole.
    graph : Graph
        What the files were made from.
    """

    folder: Path
    graph: Graph

    @property
    def simulation(self) -> Simulation:
        """What `run` simulates."""
        ...

    def compile(self) -> Path:
        """Build the simulation, unless one of the same sources exists, and return it.

        Raises
        ------
        UserError
            When the compiler is missing or refuses the sources; the sentence names the log.
        """
        ...

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Simulate frames, as `codesign.ir.golden.run` does in NumPy.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        trace : bool
            Return every edge that the backend exposes, by the names of the graph.

        Returns
        -------
        ndarray of int64, shape (frames, *output shape), or dict of such arrays
        """
        ...

    def synth(self, say: Callable[[str], None] | None = None) -> SynthResult:
        """Run the synthesis tool, or say which one is missing and what to run by hand.

        Parameters
        ----------
        say : callable, optional
            Told a line for every step that is done.
        """
        ...


class Emitted:
    """An emitted folder: what the projects of all backends have.

    Parameters
    ----------
    folder : path
    graph : Graph
        What it was emitted from.
    retired : Path, optional
        Where the emission put the folder that was there before, because it held more than emitted files.
    """

    def __init__(self, folder: str | Path, graph: Graph, retired: Path | None = None) -> None:
        self.folder = Path(folder)
        self.graph = graph
        self.retired = retired


@runtime_checkable
class Backend(Protocol):
    """A module or object that turns graphs into projects."""

    def emit(self, graph: Graph, board: Board, folder: str | Path, **options: Any) -> Project:
        """Write the project for `graph` on `board` into `folder`: the same graph makes the same bytes."""
        ...

    def require_board(self, board: Board) -> None:
        """Raise `UserError` for a board that the backend writes no projects for."""
        ...

    def open_project(self, folder: str | Path) -> Project:
        """Return the project that `emit` wrote into `folder`."""
        ...
