"""The Python interface for a user's own model: import it, run it, verify it, emit it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from codesign import backends, boards
from codesign.errors import UserError
from codesign.ir import Graph, IntType, golden, save
from codesign.verify.compare import VerifyResult, verify
from codesign.verify.frames import random_frames

if TYPE_CHECKING:
    from torch import Tensor, nn

    from codesign.backends.base import Project


@dataclass(frozen=True, eq=False)
class Network(Graph):
    """An integer graph that knows its way to the hardware.

    Parameters are those of `codesign.ir.Graph`, which it is.
    """

    def run(self, x: np.ndarray) -> np.ndarray:
        """Compute the output integers exactly in NumPy.

        Parameters
        ----------
        x : ndarray of int, shape (frames, height, width, channels) or (frames, features)
            What the sensor gives.

        Returns
        -------
        ndarray of int64, shape (frames, *output shape)
        """
        return golden.run(self, x)

    def emit(
        self,
        backend: str = "hls4ml",
        board: str = "pynq-z2",
        folder: str | Path | None = None,
        **options: Any,
    ) -> Project:
        """Write the hardware project.

        Parameters
        ----------
        backend, board : str
            See `codesign boards`.
        folder : path, optional
            Where to; `build/<name>/<board>/<backend>` by default. An existing project there is replaced.
        **options
            Of the backend; hls4ml knows `io_type` ("io_stream", "io_parallel").

        Returns
        -------
        Project
            With `compile`, `run(x, trace=False)` and `synth`.

        Raises
        ------
        UserError
            On an unknown backend or board, or a graph that the backend cannot express.
        """
        target = boards.load(board)
        place = Path(folder) if folder is not None else Path("build") / _file_name(self.name) / board / backend
        return backends.load(backend).emit(self, target, place, **options)

    def verify(
        self,
        x: np.ndarray | None = None,
        *,
        vectors: int = 100,
        seed: int = 0,
        backend: str = "hls4ml",
        board: str = "pynq-z2",
        **options: Any,
    ) -> VerifyResult:
        """Emit, compile and simulate in a temporary folder, and compare every exposed edge with golden.

        Parameters
        ----------
        x : ndarray of int, optional
            Frames to send; random ones with the extremes first by default.
        vectors, seed : int
            Number and seed of the random frames.

        Returns
        -------
        VerifyResult
            True when no integer differs; else `first_difference` names operator and element.

        Raises
        ------
        UserError
            When the frames do not fit the input, or the compiler is missing.
        """
        frames = random_frames(self, vectors, seed) if x is None else golden.checked_input(self, x)
        if not len(frames):
            raise UserError("there is nothing to verify; give at least one frame.")
        with tempfile.TemporaryDirectory(prefix="codesign-") as folder:
            project = self.emit(backend, board, Path(folder) / "project", **options)
            project.compile()
            return verify(self, project, frames)

    def save(self, path: str | Path) -> None:
        """Write the graph in the package's file format, readable by `codesign.ir.load`."""
        save(self, path)


def from_brevitas(
    model: nn.Module,
    example_input: Tensor,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Network:
    """Convert a trained Brevitas module; see `codesign.frontends.brevitas.from_brevitas`."""
    from codesign.frontends import brevitas

    return _network(
        brevitas.from_brevitas(
            model,
            example_input,
            input_type=input_type,
            input_scale=input_scale,
            input_offset=input_offset,
            name=name,
        )
    )


def from_qkeras(
    model: Any,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] = 1.0,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Network:
    """Convert a trained QKeras model; see `codesign.frontends.qkeras.from_qkeras`."""
    from codesign.frontends import qkeras

    return _network(
        qkeras.from_qkeras(
            model,
            input_type=input_type or IntType(8, signed=False),
            input_scale=input_scale,
            input_offset=input_offset,
            name=name,
        )
    )


def from_qonnx(
    path: str | Path,
    *,
    input_type: IntType | None = None,
    input_scale: float | None = None,
    layout: str | None = None,
    name: str = "network",
) -> Network:
    """Convert a QONNX file; see `codesign.frontends.qonnx.from_qonnx`."""
    from codesign.frontends import qonnx

    return _network(qonnx.from_qonnx(path, input_type=input_type, input_scale=input_scale, layout=layout, name=name))


def from_zoo(name: str) -> Network:
    """Return the network of a model listed by `codesign models`."""
    from codesign import zoo

    return _network(zoo.load(name).graph())


def _network(graph: Graph) -> Network:
    return Network(graph.name, graph.nodes, graph.edges, graph.inputs, graph.outputs, graph.scales)


def _file_name(name: str) -> str:
    """Return a name that is safe as a folder: the user's own, stripped to letters, digits, dash and underscore."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)
    return kept.strip("_") or "network"
