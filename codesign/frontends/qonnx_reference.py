"""The qonnx executor as witness of an imported file: its output for the same frames, as integers.

Needs the packages qonnx and onnxruntime, which the import itself does not.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import witness
from codesign.frontends.qonnx import Imported
from codesign.ir import golden


def executable(data: bytes) -> Any:
    """Return a file's bytes as a qonnx `ModelWrapper` with all shapes.

    Raises
    ------
    UserError
        When qonnx or onnxruntime is not installed, or qonnx does not accept the file.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.transformation.infer_shapes import InferShapes
    except ImportError as error:
        raise UserError(
            "comparing with the qonnx executor needs the packages qonnx and onnxruntime; "
            "install them with pip install 'codesign[qonnx-check]', or leave the comparison out."
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ModelWrapper(_with_batch(onnx.load_model_from_string(data))).transform(InferShapes())
    except Exception as error:  # whatever qonnx raises
        raise UserError(f"the qonnx executor does not accept the file ({_line(error)}).") from error


def _with_batch(model: Any) -> Any:
    """Return a model that takes one frame where its batch is not fixed, as the executor wants fixed shapes."""
    constants = {tensor.name for tensor in model.graph.initializer}
    ends = [value for value in (*model.graph.input, *model.graph.output) if value.name not in constants]
    open_ends = [dims for value in ends if (dims := value.type.tensor_type.shape.dim) and dims[0].dim_value <= 0]
    for dims in open_ends:
        dims[0].dim_value = 1
    if open_ends:
        del model.graph.value_info[:]  # shapes of the open batch
    return model


def execute(model: Any, imported: Imported, x: np.ndarray) -> np.ndarray:
    """Run integer frames through the executor.

    Parameters
    ----------
    model : ModelWrapper
        From `executable`.
    imported : Imported
        Tells the input's scale and layout.
    x : ndarray of int, shape (frames, *input shape)
        Channels last, as the integer graph takes them; a multiple of the file's batch.

    Returns
    -------
    ndarray of float32
        As the file's output is, frames first.
    """
    from qonnx.core.onnx_exec import execute_onnx

    real = x.astype(np.float32) * np.float32(imported.input_scale)
    if imported.layout == "NCHW":
        real = np.moveaxis(real, -1, 1)
    name, batch = imported.file.input, imported.file.shape[0] or 1
    pieces = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(real), batch):
            piece = np.ascontiguousarray(real[start : start + batch])
            try:
                pieces.append(execute_onnx(model, {name: piece})[imported.file.output])
            except Exception as error:  # whatever qonnx or ONNX Runtime raise
                raise UserError(f"the qonnx executor does not run the file ({_line(error)}).") from error
    return np.concatenate(pieces)


def compared(imported: Imported, data: bytes, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the executor's output as integers and golden's, both channels last.

    Where the output is plain, they are the nearest integers; see `witness.output_integers` for what the bias of logits
    may round otherwise.
    """
    found = golden.run(imported.graph, x)
    real = execute(executable(data), imported, x).astype(np.float64)
    if real.ndim == 4 and imported.output_axes == "NCHW":
        real = np.moveaxis(real, 1, -1)
    unit = imported.graph.scales[imported.graph.outputs[0]].factor
    position = real.reshape(found.shape) / unit
    if imported.output_plain:
        expected = np.rint(position).astype(np.int64)
        allowed = 1e-6 + imported.output_error / unit
    else:
        expected = witness.output_integers(imported.graph, found, real)
        # A bias that rounds to half a unit of the logits may lie on either side by the last digits of float32.
        allowed = 0.5 + 1e-6 + imported.output_error / unit
    return np.where(np.abs(position - found) <= allowed, found, expected), found


def _line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
