"""The space of a model: which widths of its network may be chosen, and what each of them costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from codesign import data
from codesign.errors import UserError
from codesign.frontends.brevitas_trace import label, trace
from codesign.quant.layers import FloatLayers
from codesign.quant.mixed import MAX_BITS
from codesign.quant.recorded import Asked, RecordedLayers
from codesign.search.space import ActivationLayer, Space, WeightLayer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codesign.zoo import Model

_PASSING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
    nn.Flatten,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
)
"""Layers whose output has the width of their input, as bit operations are counted."""


def space_of(
    model: Model,
    *,
    weight_bits: Sequence[int] = tuple(range(MAX_BITS + 1)),
    activation_bits: Sequence[int] = tuple(range(1, MAX_BITS + 1)),
    schemes: Sequence[str] = ("uniform",),
) -> Space:
    """Return what may be chosen for the network of a model.

    Hidden layers and activations may have any width. The first and the last layer and what enters the last one have
    the widths of the model file, as do the operands of residual additions; a layer that reads one of these has an
    `input_bits`. The weights of first and last layer are counted in `fixed_bit_operations`; additions are no
    multiply-accumulates and are not counted.

    Parameters
    ----------
    model : codesign.zoo.Model
        Of the framework brevitas, float or quantised; no checkpoint is needed.
    weight_bits, activation_bits : sequence of int
        Widths that may be chosen, ascending.
    schemes : sequence of str
        Kinds of weights that may be chosen.

    Raises
    ------
    UserError
        When the model is of another framework, or a hidden layer reads a sum or another value that has no width of
        its own.
    """
    if model.framework != "brevitas":
        raise UserError(f"{model.name} is of the framework {model.framework}; a search takes one of brevitas.")
    info = data.info(model.dataset)
    layers = RecordedLayers(FloatLayers())
    network = model.module_of(layers)
    asked = layers.by_name(network)
    traced = trace(network)
    frame = info.shape if len(info.shape) == 1 else (info.shape[2], *info.shape[:2])
    shapes = _Shapes(traced).of(torch.zeros(1, *frame))
    weights: list[WeightLayer] = []
    activations: list[ActivationLayer] = []
    fixed = 0
    for node in traced.graph.nodes:
        if node.op != "call_module" or (kind := asked.get(label(node))) is None:
            continue
        name, shape = label(node), shapes[node]
        if kind.kind == "relu" and kind.hidden and all(layer.name != name for layer in activations):
            activations.append(ActivationLayer(name, channels=kind.channels, elements=shape[1:].numel()))
        elif kind.kind == "weights":
            activation, bits = _read_by(traced, node, asked, model, info.input_bits)
            layer = _weight_layer(name, network.get_submodule(name), shape, activation, bits)
            if kind.hidden:
                weights.append(layer)
            else:
                # What the first or the last layer reads has a fixed width wherever topologies are as they are here.
                own = getattr(model.widths, kind.field)
                fixed += layer.channels * layer.macs * own * (MAX_BITS if activation is not None else bits)
    return Space(tuple(weights), tuple(activations), tuple(weight_bits), tuple(activation_bits), tuple(schemes), fixed)


def _weight_layer(
    name: str, module: nn.Module, shape: torch.Size, activation: str | None, input_bits: int
) -> WeightLayer:
    """Return what is known of a convolution or dense layer whose output has `shape`."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)  # noqa: S101
    count = weight[0].numel()
    if not isinstance(module, nn.Conv2d):
        return WeightLayer(name, len(weight), count, count, activation=activation, input_bits=input_bits)
    return WeightLayer(
        name,
        channels=len(weight),
        weights=count,
        macs=count * shape[2] * shape[3],
        kernel=module.kernel_size[0],
        stride=module.stride[0],
        size=shape[2],
        depthwise=module.groups > 1 and weight.shape[1] == 1,
        activation=activation,
        input_bits=input_bits,
    )


def _read_by(
    traced: fx.GraphModule, node: fx.Node, asked: dict[str, Asked], model: Model, image_bits: int
) -> tuple[str | None, int]:
    """Return the activation of chosen width that a layer reads, or None and the width of what it reads."""
    name = label(node)
    source: Any = node.args[0]
    while isinstance(source, fx.Node):
        if source.op == "placeholder":
            return None, image_bits
        module = traced.get_submodule(str(source.target)) if source.op == "call_module" else None
        kind = asked.get(label(source)) if module is not None else None
        if kind is not None and kind.kind != "weights":
            return (label(source), MAX_BITS) if kind.hidden else (None, getattr(model.widths, kind.field))
        passes = isinstance(module, _PASSING) or getattr(source.target, "__name__", source.target) == "flatten"
        if not passes:
            break
        source = source.args[0]
    raise UserError(
        f"the layer {name} of {model.name} reads {label(source)!r}, which has no width of its own, such as a sum; "
        "a search takes networks with an activation in front of every layer."
    )


class _Shapes(fx.Interpreter):
    """Runs a network once and notes the shape of every value."""

    def __init__(self, traced: fx.GraphModule) -> None:
        super().__init__(traced)
        self.found: dict[fx.Node, torch.Size] = {}

    def of(self, frame: torch.Tensor) -> dict[fx.Node, torch.Size]:
        with torch.no_grad():
            self.run(frame)
        return self.found

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.found[n] = value.shape
        return value
