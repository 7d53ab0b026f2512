"""The QKeras model in float64 with its frozen constants: an independent witness of the integer graph.

It evaluates the frozen steps with real numbers in NumPy. Only what the frontend froze is shared with the
graph: integer weights times their scales, the quantizers' grids, and for wide quantizers the multiplier, bias
and shift. Point 6 of the numeric contract: its integers equal those of the golden executor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codesign.frontends import qkeras_quantizers, qkeras_steps, witness
from codesign.frontends.lowering import Requantization
from codesign.frontends.qkeras import Imported
from codesign.ir import golden
from codesign.ir.ops import Dyadic


def run(imported: Imported, x: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Evaluate raw integer frames in float64.

    Parameters
    ----------
    imported : Imported
        From `codesign.frontends.qkeras.import_qkeras`.
    x : ndarray of int, shape (frames, height, width, channels) or (frames, features)

    Returns
    -------
    tuple
        The real output (float64), and for each quantizer that became an operator its integers (int64) under
        the name of its edge in the unsimplified graph.
    """
    values = {0: x.astype(np.float64) * imported.input_scale + imported.input_offset}
    # Without clamps: a wide quantizer's constants act on the accumulator, and its output type is the clamp.
    unclamped = dict(values)
    integers: dict[str, np.ndarray] = {}
    for step in imported.network.steps:
        inputs = [values[v] for v in step.inputs]
        raw = [unclamped[v] for v in step.inputs]
        if isinstance(step, qkeras_steps.Quantize):
            record = imported.lowering.requantizations.get(str(step.output))
            if record is not None and isinstance(record.op, Dyadic):
                found = _dyadic(record, record.op, raw[0])
            else:
                found = qkeras_quantizers.levels(step.activation.grid, inputs[0])
            if record is not None:
                integers[record.edge_out] = found.astype(np.int64)
            activation = step.activation
            values[step.output] = found * float(activation.grid.scale) * float(activation.factor)
            unclamped[step.output] = values[step.output]
        elif isinstance(step, qkeras_steps.Clamp):
            values[step.output] = np.clip(inputs[0], step.low, step.high)
            unclamped[step.output] = raw[0]
        else:
            values[step.output] = _evaluate(step, inputs)
            same = all(a is b for a, b in zip(inputs, raw, strict=True))
            unclamped[step.output] = values[step.output] if same else _evaluate(step, raw)
    return values[imported.network.output], integers


def compared(imported: Imported, x: np.ndarray, batch: int = 250) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Evaluate frames by the witness and by the golden executor.

    Yields
    ------
    tuple
        Name, the witness's integers and golden's (int64), once per batch for every quantizer's edge of the
        unsimplified graph, and under `witness.OUTPUT` for the output of the simplified one.
    """
    unsimplified = imported.lowering.unsimplified()
    for start in range(0, len(x), batch):
        piece = x[start : start + batch]
        real, integers = run(imported, piece)
        traced = golden.run(unsimplified, piece, trace=True)
        for edge, expected in integers.items():
            yield edge, expected, traced[edge]
        found = golden.run(imported.graph, piece)
        yield witness.OUTPUT, witness.output_integers(imported.graph, found, real), found


def differences(imported: Imported, x: np.ndarray, batch: int = 250) -> Iterator[tuple[str, int, int]]:
    """Compare every quantizer's integers with the golden executor on the unsimplified graph.

    Yields
    ------
    tuple
        Edge, number of differing integers, number of integers compared, once per edge and batch.
    """
    for edge, expected, found in compared(imported, x, batch):
        if edge != witness.OUTPUT:
            yield edge, int((found != expected).sum()), expected.size


def _dyadic(record: Requantization, op: Dyadic, x: np.ndarray) -> np.ndarray:
    """Quantize by the frozen multiplier, bias and shift instead of the real ratio."""
    scale = np.array([float(a.scale) for a in record.affines])
    offset = np.array([float(a.offset) for a in record.affines])
    integer = np.rint((x - offset) / np.where(scale == 0, 1.0, scale))
    ratio, shift = np.ldexp(op.multiplier.astype(float), -op.shift), np.ldexp(op.bias.astype(float), -op.shift)
    rounded = np.floor(integer * ratio + shift + np.where(op.shift > 0, 0.5, 0.0))
    return np.clip(rounded, op.type.min, op.type.max)


def _evaluate(step: qkeras_steps.Step, inputs: list[np.ndarray]) -> np.ndarray:
    x = inputs[0]
    match step:
        case qkeras_steps.Conv():
            return _conv(step, x)
        case qkeras_steps.FullyConnected():
            return x @ step.weights.real() + (0.0 if step.bias is None else step.bias)
        case qkeras_steps.ScaleShift():
            return step.factor * x + step.shift
        case qkeras_steps.Sum():
            return inputs[0] + inputs[1]
        case qkeras_steps.MaxPool():
            return _windows(x, step.kernel, step.stride).max(axis=(4, 5))
        case qkeras_steps.AveragePool():
            return _windows(x, step.kernel, step.stride).sum(axis=(4, 5)) / (step.kernel[0] * step.kernel[1])
        case qkeras_steps.Flatten():
            return x.reshape(len(x), -1)
    raise TypeError(f"no float64 meaning for {type(step).__name__}")


def _windows(x: np.ndarray, kernel: tuple[int, ...], stride: tuple[int, int]) -> np.ndarray:
    """Return a view (frames, rows, columns, channels, kernel height, kernel width)."""
    view = np.lib.stride_tricks.sliding_window_view(x, kernel, axis=(1, 2))
    return np.asarray(view[:, :: stride[0], :: stride[1]])


def _conv(step: qkeras_steps.Conv, x: np.ndarray) -> np.ndarray:
    weights = step.weights.real()
    top, bottom, left, right = step.padding
    windows = _windows(np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0))), weights.shape[:2], step.stride)
    ins, outs = weights.shape[2], weights.shape[3] // step.groups
    parts = [
        np.einsum(
            "nijcuv,uvco->nijo",
            windows[:, :, :, g * ins : (g + 1) * ins],
            weights[..., g * outs : (g + 1) * outs],
            optimize=True,
        )
        for g in range(step.groups)
    ]
    return np.concatenate(parts, axis=3) + (0.0 if step.bias is None else step.bias)
