"""The QKeras model in float64 with its frozen constants: an independent witness of the integer graph.

It evaluates the frozen steps with real numbers in NumPy. Only what the frontend froze is shared with the
graph: integer weights times their scales, the quantizers' grids, and for wide quantizers the multiplier, bias
and shift. Point 6 of the numeric contract: its integers equal those of the golden executor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from codesign.frontends import qkeras_steps, witness
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer
from codesign.frontends.qkeras import Imported
from codesign.frontends.qkeras_activations import levels
from codesign.frontends.requantize import Grid
from codesign.frontends.values import Requantization
from codesign.ir import golden
from codesign.ir.ops import Dyadic, SelectDyadic


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
    rounding = _Rounding(imported.lowering.requantizations, integers)
    for step in imported.network.steps:
        inputs = [values[v] for v in step.inputs]
        raw = [unclamped[v] for v in step.inputs]
        key = str(step.output)
        if isinstance(step, qkeras_steps.Quantize):
            activation = step.activation
            rounded = rounding.rounded(raw[0], inputs[0], activation.grid, key) * float(activation.factor)
            values[step.output] = unclamped[step.output] = rounded
        elif isinstance(step, qkeras_steps.QuantizeAdaptively):
            values[step.output] = unclamped[step.output] = rounding.adapted(raw[0], inputs[0], step.adaptive, key)
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


class _Rounding:
    """Quantizes real values, and keeps the integers that are those of an edge.

    Parameters
    ----------
    records : dict
        The frozen constants by the number of the value that a quantizer makes.
    integers : dict
        Filled, by the name of the edge.
    """

    def __init__(self, records: Mapping[str, Requantization], integers: dict[str, np.ndarray]) -> None:
        self.records, self.integers = records, integers
        self.indices: dict[str, np.ndarray] = {}

    def rounded(self, raw: np.ndarray, x: np.ndarray, grid: Grid, key: str) -> np.ndarray:
        """Round to a grid; `x` is `raw` behind its clamps."""
        record = self.records.get(key)
        if record is not None and isinstance(record.op, (Dyadic, SelectDyadic)):
            found = self._dyadic(record, record.op, raw)
        else:
            found = _on_grid(x, grid)
        self._keep(key, found)
        return found * float(grid.scale)

    def adapted(self, raw: np.ndarray, x: np.ndarray, step: AdaptiveStep, key: str) -> np.ndarray:
        """Apply an adaptive step behind a ReLU: its factor is a function of the frame's averages."""
        rounded = self.rounded(raw, np.maximum(x, 0.0), step.input_grid, f"{key}.input")
        features = rounded.mean(axis=tuple(range(1, rounded.ndim - 1)))
        if step.hidden is not None and step.hidden_grid is not None:
            hidden = _dense(features, step.hidden)
            features = self.rounded(hidden, np.maximum(hidden, 0.0), step.hidden_grid, f"{key}.hidden")
        value = _dense(features, step.output)
        boundaries = np.array([float(boundary) for boundary in step.boundaries])
        # A value that float64 misses by its last bits has reached the boundary.
        index = (value + 1e-9 * np.maximum(np.abs(value), 1.0) >= boundaries).sum(axis=1)
        self._keep(f"{key}.index", index[:, None])
        self.indices[self.records[f"{key}.index"].edge_out] = index
        factor = np.array([float(f) for f in step.factors])[index].reshape(-1, *(1,) * (x.ndim - 1))
        codes = _on_grid(rounded / factor, step.grid)
        self._keep(key, codes)
        return codes * float(step.grid.scale) * factor

    def _keep(self, key: str, found: np.ndarray) -> None:
        if key in self.records:
            self.integers[self.records[key].edge_out] = found.astype(np.int64)

    def _dyadic(self, record: Requantization, op: Dyadic | SelectDyadic, x: np.ndarray) -> np.ndarray:
        """Quantize by the frozen multiplier, bias and shift instead of the real ratio."""
        # One row of constants for all frames, or one per frame.
        index = None if record.selector is None else self.indices[record.selector.edge]
        factors = [Fraction(1)] if record.selector is None else record.selector.factors

        def rows(values: Any) -> np.ndarray:
            table = np.atleast_2d(np.asarray(values, dtype=np.float64))
            chosen = table if index is None else table[index]
            return chosen.reshape(len(chosen), *(1,) * (x.ndim - 2), -1)

        scale = rows([[float(factor * a.scale) for a in record.affines] for factor in factors])
        offset = rows([[float(a.offset) for a in record.affines]] * len(factors))
        integer = np.rint((x - offset) / np.where(scale == 0, 1.0, scale))
        shift = rows(op.shift)
        ratio, bias = rows(op.multiplier) * 2.0**-shift, rows(op.bias) * 2.0**-shift
        rounded = np.floor(integer * ratio + bias + np.where(shift > 0, 0.5, 0.0))
        return np.clip(rounded, op.type.min, op.type.max)


def _on_grid(x: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the integers of a grid; what float64 misses of a half step by its last bits is meant to be one."""
    position = x / float(grid.scale)
    nearest = np.rint(2 * position) / 2
    position = np.where(np.abs(position - nearest) < 1e-9, nearest, position)
    return levels(replace(grid, scale=Fraction(1)), position)


def _dense(x: np.ndarray, layer: DenseLayer) -> np.ndarray:
    real = x @ (layer.weight * np.asarray(layer.scale, dtype=np.float64))
    return real if layer.bias is None else real + layer.bias


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
