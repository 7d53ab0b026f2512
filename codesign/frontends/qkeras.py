"""Trained QKeras models to integer graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qkeras_layers, qkeras_steps
from codesign.frontends.adaptive import quantize_adaptively
from codesign.frontends.lowering import Lowering
from codesign.frontends.values import Value
from codesign.ir.graph import Graph
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class Imported:
    """A converted model.

    Parameters
    ----------
    graph : Graph
        Simplified.
    lowering : Lowering
        With the frozen constants of every quantizer, by the number of the value it makes.
    network : qkeras_steps.Network
        The model's frozen steps.
    input_scale, input_offset : ndarray of float64
        Per input channel, real = scale · integer + offset.
    """

    graph: Graph
    lowering: Lowering
    network: qkeras_steps.Network
    input_scale: np.ndarray
    input_offset: np.ndarray


def from_qkeras(
    model: Any,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] = 1.0,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Graph:
    """Convert a trained QKeras model to an integer graph.

    Parameters
    ----------
    model : tf_keras.Model
        Functional or Sequential, with one input and one output, of QKeras layers (QConv2D, QDepthwiseConv2D,
        QDense, QActivation) and Keras layers that keep integers exact (batch norm, Add, pooling, Flatten,
        ZeroPadding2D, Dropout). Every value that enters a layer with weights after an activation function is
        quantized.
    input_type : IntType, optional
        Integers that the sensor gives; unsigned 8 bits by default.
    input_scale, input_offset : float or one per channel
        What the model was trained on is scale · integer + offset.
    name : str
        For people.

    Returns
    -------
    Graph
        Its input is channels last: (height, width, channels) or (features,).

    Raises
    ------
    UserError
        When QKeras is missing; or naming the layer that has no exact integer form, and what to do instead.
    """
    return import_qkeras(
        model, input_type=input_type, input_scale=input_scale, input_offset=input_offset, name=name
    ).graph


def import_qkeras(
    model: Any,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] = 1.0,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Imported:
    """Convert as `from_qkeras` does, and keep the frozen steps for `qkeras_reference`."""
    network = qkeras_layers.read(model)
    lowering = Lowering(name)
    scale = np.atleast_1d(np.asarray(input_scale, dtype=np.float64))
    offset = np.atleast_1d(np.asarray(input_offset, dtype=np.float64))
    start = lowering.input(network.input_shape, input_type or IntType(8, signed=False), list(scale), list(offset))
    values = {0: start}
    label = "the input"
    for step in network.steps:
        values[step.output] = _lower(lowering, step, [values[v] for v in step.inputs])
        label = step.label
    wide = np.ones(network.input_shape[-1])
    graph = lowering.finish(values[network.output], label)
    return Imported(graph, lowering, network, scale * wide, offset * wide)


def _lower(lowering: Lowering, step: qkeras_steps.Step, inputs: list[Value]) -> Value:
    """Add one step to the integer graph."""
    label = step.label
    match step:
        case qkeras_steps.Conv(weights=weights):
            return lowering.conv2d(
                _quantized(inputs[0], label),
                weights.values,
                list(weights.scale),
                label,
                bias=step.bias,
                stride=step.stride,
                padding=step.padding,
                groups=step.groups,
                weight_bits=weights.bits,
                codebook=weights.codebook,
            )
        case qkeras_steps.FullyConnected(weights=weights):
            return lowering.dense(
                _quantized(inputs[0], label),
                weights.values,
                list(weights.scale),
                label,
                bias=step.bias,
                weight_bits=weights.bits,
                codebook=weights.codebook,
            )
        case qkeras_steps.ScaleShift():
            return lowering.scale_shift(inputs[0], list(step.factor), list(step.shift), label)
        case qkeras_steps.Clamp():
            return lowering.clamp(inputs[0], step.low, step.high)
        case qkeras_steps.Quantize(activation=activation):
            rounded = lowering.quantize(inputs[0], activation.grid, label, str(step.output))
            return lowering.scale_shift(rounded, [float(activation.factor)], [0.0], label)
        case qkeras_steps.QuantizeAdaptively():
            return quantize_adaptively(
                lowering, lowering.clamp(inputs[0], 0.0, None), step.adaptive, label, str(step.output)
            )
        case qkeras_steps.Sum():
            a, b = (_quantized(value, label) for value in inputs)
            return lowering.add(a, b, label)
        case qkeras_steps.MaxPool():
            return lowering.max_pool(inputs[0], step.kernel, step.stride, label)
        case qkeras_steps.AveragePool():
            return lowering.average_pool(_quantized(inputs[0], label), step.kernel, step.stride, label)
        case qkeras_steps.Flatten():
            return lowering.flatten(inputs[0], label)
    raise TypeError(f"no lowering for {type(step).__name__}")


def _quantized(value: Value, label: str) -> Value:
    if not all(affine.linear for affine in value.affines):
        raise UserError(
            f"layer {label!r} reads the float output of an activation function; quantize it before, "
            "by QActivation('quantized_relu(4)') in place of a relu."
        )
    return value
