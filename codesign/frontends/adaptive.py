"""An adaptive step size (ASQ) as integer operators.

The frame is rounded to a fixed grid of 8 bits and stored; meanwhile its average per channel goes through two
small dense layers, whose one result picks an entry of a codebook of step factors. The stored frame is then
rounded to the step times that factor.

References
----------
Zhou et al., ASQ, arXiv 2504.17263; the codebook and the integer form are ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codesign.frontends.lowering import Lowering
from codesign.frontends.requantize import Affine, Grid
from codesign.frontends.selected import Selector
from codesign.frontends.values import Requantization, Value
from codesign.ir.ops import FrameBuffer, Threshold


@dataclass(frozen=True)
class DenseLayer:
    """A small dense layer of the adapter.

    Parameters
    ----------
    weight : ndarray of int64, shape (inputs, outputs)
    scale : sequence of float
        Per output or one: real weight = scale · integer.
    bits : int or tuple of int
        Declared width of the weights.
    bias : ndarray of float64 or None
    """

    weight: np.ndarray
    scale: Sequence[float]
    bits: int | tuple[int, ...]
    bias: np.ndarray | None


@dataclass(frozen=True)
class AdaptiveStep:
    """What a trained adaptive step consists of.

    Parameters
    ----------
    input_grid : Grid
        To which the frame is rounded first; unsigned.
    hidden : DenseLayer or None
        From the averages per channel.
    hidden_grid : Grid or None
        Of the hidden values behind a ReLU; with `hidden`.
    output : DenseLayer
        To the one value that picks the factor.
    boundaries : tuple of Fraction
        Ascending; the factor's position is how many of them that value reaches.
    factors : tuple of Fraction
        Ascending and positive, one more than boundaries.
    grid : Grid
        For a factor of 1; unsigned.
    """

    input_grid: Grid
    hidden: DenseLayer | None
    hidden_grid: Grid | None
    output: DenseLayer
    boundaries: tuple[Fraction, ...]
    factors: tuple[Fraction, ...]
    grid: Grid


def quantize_adaptively(lowering: Lowering, x: Value, step: AdaptiveStep, label: str, key: str) -> Value:
    """Add the operators of an adaptive step; the result's meaning follows the factor that was picked.

    Parameters
    ----------
    lowering : Lowering
    x : Value
        Clamped to positive values.
    step : AdaptiveStep
    label : str
        For people.
    key : str
        Under which the frozen constants are kept in `lowering.requantizations`: `key` itself for the codes,
        with ".input", ".hidden" and ".index" for what leads to them.
    """
    rounded = lowering.quantize(x, step.input_grid, label, f"{key}.input")
    average = rounded
    tensor = lowering.builder.edge(rounded.edge)
    if len(tensor.shape) == 3:
        size = (tensor.shape[0], tensor.shape[1])
        average = lowering.flatten(lowering.average_pool(rounded, size, size, label), label)
    features = average
    if step.hidden is not None and step.hidden_grid is not None:
        hidden = lowering.clamp(_dense(lowering, features, step.hidden, label), 0.0, None)
        features = lowering.quantize(hidden, step.hidden_grid, label, f"{key}.hidden")
    value = _dense(lowering, features, step.output, label)
    index = _index(lowering, value, step, label, f"{key}.index")
    stored = lowering.add_operator(FrameBuffer(), rounded.edge, label=label)
    return lowering.quantize_selected(
        Value(stored, rounded.affines), Selector(index, step.factors), step.grid, label, key
    )


def _dense(lowering: Lowering, x: Value, layer: DenseLayer, label: str) -> Value:
    return lowering.dense(x, layer.weight, layer.scale, label, bias=layer.bias, weight_bits=layer.bits)


def _index(lowering: Lowering, value: Value, step: AdaptiveStep, label: str, key: str) -> str:
    """Add the threshold that counts the boundaries reached, and return its edge."""
    (affine,) = value.affines
    tensor = lowering.builder.edge(value.edge)
    always, never = tensor.type.min, tensor.type.max + 1
    row = [
        min(max(math.ceil((boundary - affine.offset) / affine.scale), always), never) for boundary in step.boundaries
    ]
    op = Threshold(np.array([row], dtype=np.int64))
    edge = lowering.add_operator(op, value.edge, label=label)
    grid = Grid(Fraction(1), 0, len(row))  # of positions, which mean nothing real
    lowering.requantizations[key] = Requantization(value.edge, edge, (Affine(affine.scale, affine.offset),), grid, op)
    return edge
