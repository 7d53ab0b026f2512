"""A folder with a QONNX file: run it in the `qonnx` executor."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from codesign import ir
from codesign.backends.base import Emitted, Simulation, SynthResult
from codesign.backends.qonnx.folder import GRAPH_FILE, MODEL_FILE
from codesign.errors import UserError
from codesign.ir import golden
from codesign.ir.ops import SelectDyadic, SelectThreshold

BATCH = 8
"""Frames that the executor computes at once, where no index chooses constants for each of them."""
INSTALL = "pip install 'codesign[qonnx-check]'"


class QonnxProject(Emitted):
    """A folder of the qonnx backend."""

    @property
    def simulation(self) -> Simulation:
        """The executor and its release."""
        try:
            release = version("qonnx")
        except PackageNotFoundError:
            release = "not installed"
        return Simulation(kind="execution of the QONNX file", of=f"qonnx {release}")

    def compile(self) -> Path:
        """Read the file, of which nothing is to be compiled, and return its path.

        Raises
        ------
        UserError
            When the executor is not installed or the file is damaged.
        """
        _ = self._model
        return self.folder / MODEL_FILE

    @functools.cached_property
    def _model(self) -> Any:
        try:
            import onnxruntime  # noqa: F401
            from qonnx.core.modelwrapper import ModelWrapper
        except ImportError as error:
            raise UserError(f"running QONNX files needs the package qonnx; install it with: {INSTALL}.") from error
        path = self.folder / MODEL_FILE
        try:
            return ModelWrapper(str(path))
        except Exception as error:  # of protobuf, or of the file system
            raise UserError(f"{path} is no ONNX file that can be read; write it anew with codesign emit.") from error

    @overload
    def run(self, x: np.ndarray, trace: Literal[False] = False) -> np.ndarray: ...
    @overload
    def run(self, x: np.ndarray, trace: Literal[True]) -> dict[str, np.ndarray]: ...
    def run(self, x: np.ndarray, trace: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """Execute the file node by node on frames, as `codesign.ir.golden.run` does in NumPy.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        trace : bool
            Return every edge of the graph.

        Raises
        ------
        UserError
            When the frames do not fit, or the executor is not installed.
        """
        x = golden.checked_input(self.graph, x)
        wanted = [*self.graph.inputs, *(node.name for node in self.graph)] if trace else [self.graph.outputs[0]]
        selects = any(isinstance(node.op, SelectThreshold | SelectDyadic) for node in self.graph)
        batch = 1 if selects else BATCH
        pieces: list[dict[str, np.ndarray]] = []
        for begin in range(0, len(x), batch):
            found = self._execute(x[begin : begin + batch])
            pieces.append({edge: self._integers(edge, found[edge]) for edge in wanted})
        edges = {
            edge: np.concatenate([piece[edge] for piece in pieces])
            if pieces
            else np.empty((0, *self.graph.edges[edge].shape), dtype=np.int64)
            for edge in wanted
        }
        return edges if trace else edges[self.graph.outputs[0]]

    def synth(self, say: Callable[[str], None] | None = None) -> SynthResult:
        """Refuse: a QONNX file is no hardware.

        Raises
        ------
        UserError
            Always.
        """
        raise UserError("a QONNX file is not synthesised; give its network to --backend finn, rtl or hls4ml.")

    def _execute(self, x: np.ndarray) -> dict[str, np.ndarray]:
        from qonnx.core.onnx_exec import execute_onnx

        model = self._model
        edge = self.graph.inputs[0]
        _set_batch(model.model, len(x))
        if x.ndim == 4:
            x = x.transpose(0, 3, 1, 2)
        dtype = model.make_empty_exec_context()[edge].dtype
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, np.ndarray] = execute_onnx(
                model, {edge: np.ascontiguousarray(x.astype(dtype))}, return_full_exec_context=True
            )
        return found

    def _integers(self, edge: str, values: np.ndarray) -> np.ndarray:
        """Return an edge as the graph has it: integers, channels last."""
        if values.ndim == 4:
            values = values.transpose(0, 2, 3, 1)
        integers = values.astype(np.int64)
        if not np.array_equal(integers, values):
            raise UserError(f"the executor made fractions in {edge}; its release does not fit this file.")
        return integers


def _set_batch(model: Any, frames: int) -> None:
    """Give every tensor that is no constant a batch of so many frames, in memory."""
    graph = model.graph
    if graph.input[0].type.tensor_type.shape.dim[0].dim_value == frames:
        return
    constants = {constant.name for constant in graph.initializer}
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.name not in constants:
            info.type.tensor_type.shape.dim[0].dim_value = frames


def open_project(folder: str | Path) -> QonnxProject:
    """Return the project that was emitted into a folder.

    Raises
    ------
    UserError
        When the folder holds no emitted graph.
    """
    folder = Path(folder)
    return QonnxProject(folder, ir.load(folder / GRAPH_FILE))
