"""Walking a traced Brevitas module: each layer becomes operators of the integer graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import fx, nn

from codesign.errors import UserError
from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends.adaptive import quantize_adaptively
from codesign.frontends.brevitas_adaptive import adaptive_quantizer, read_step
from codesign.frontends.brevitas_functions import lower_function
from codesign.frontends.brevitas_step import WAY_OUT, Step, argument, pair, refuse_overwriting
from codesign.frontends.brevitas_trace import label as label_of
from codesign.frontends.lowering import Lowering
from codesign.ir.graph import Graph


class Walk:
    """Walks the fx graph once and lowers node by node."""

    def __init__(self, traced: fx.GraphModule, lowering: Lowering, start: Step, biases: dict[str, np.ndarray]) -> None:
        self.traced = traced
        self.lowering = lowering
        self.start = start
        self.known: dict[fx.Node, Step] = {}
        self.biases = biases
        self.orders: dict[str, np.ndarray] = {}

    def run(self) -> Graph:
        """Walk the module once and return the graph."""
        placeholders = 0
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                placeholders += 1
                if placeholders > 1:
                    raise UserError("the network has several inputs; only one is supported.")
                self.known[node] = self.start
            elif node.op == "call_module":
                self.known[node] = self._module(node)
            elif node.op in ("call_function", "call_method"):
                step = lower_function(self, node)
                if step is not None:
                    self.known[node] = step
            elif node.op == "output":
                (result,) = node.args
                if not isinstance(result, fx.Node):
                    raise UserError("the network returns several values; return only the logits.")
                step = self.step_of(result, "output")
                if step.order is not None and (np.diff(step.order) != 1).any():
                    raise UserError(
                        "the network returns a flattened frame; end it with a dense layer or drop the flatten."
                    )
                return self.lowering.finish(step.value, label_of(result))
        raise UserError("the network returns nothing.")

    def step_of(self, node: Any, label: str) -> Step:
        """Return what is known of a node, refusing what is no activation."""
        if not isinstance(node, fx.Node) or node not in self.known:
            raise UserError(f"{label!r} reads something that is not an activation of the network; {WAY_OUT}.")
        return self.known[node]

    def _module(self, node: fx.Node) -> Step:
        label = label_of(node)
        module = self.traced.get_submodule(str(node.target))
        for kind in type(module).__mro__:
            handler = _MODULES.get(kind.__name__)
            if handler is not None:
                return handler(self, node, module, label)
        raise UserError(f"layer {label!r} is a {type(module).__name__}, which is not supported; {WAY_OUT}.")

    def sole(self, node: fx.Node, label: str) -> Step:
        """Return what is known of the one activation that a node reads."""
        refuse_overwriting(node, label, getattr(self._target(node), "inplace", False))
        return self.step_of(node.args[0] if node.args else node.kwargs.get("input"), label)

    def _target(self, node: fx.Node) -> Any:
        return self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None

    # Layers -------------------------------------------------------------------------------------------------

    def _quantized_io(self, step: Step, proxy: Any, label: str, key: str) -> Step:
        """Apply a layer's own input or output quantiser, if it has one."""
        if not quantizers.is_quantizer(proxy):
            return step
        if step.order is not None:
            self.orders[key] = step.order
        value = self.lowering.clamp(step.value, *quantizers.activation_bounds(proxy, label))
        adaptive = adaptive_quantizer(proxy)
        if adaptive is None:
            return replace(step, value=self.lowering.quantize(value, quantizers.read_grid(proxy, label), label, key))
        value = quantize_adaptively(self.lowering, value, read_step(adaptive, label), label, key)
        return replace(step, value=value)

    def conv2d(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a QuantConv2d with its own input and output quantisers."""
        step = self._quantized_io(
            self.sole(node, label), getattr(module, "input_quant", None), label, f"{node.name}.in"
        )
        if tuple(module.dilation) != (1, 1) or module.padding_mode != "zeros":
            raise UserError(f"layer {label!r} uses dilation or padding other than zeros; use plain zero padding.")
        weights = quantizers.read_weights(module, label)
        value = self.lowering.conv2d(
            step.value,
            weights.values.transpose(2, 3, 1, 0),
            list(weights.scale),
            label,
            bias=self.biases.get(node.name),
            stride=tuple(module.stride),
            padding=padding_of(module),
            groups=int(module.groups),
            weight_bits=None if weights.codebook is not None else weights.bits,
            codebook=weights.codebook,
        )
        return self._quantized_io(Step(value), getattr(module, "output_quant", None), label, f"{node.name}.out")

    def linear(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a QuantLinear, its rows in the order of the edge."""
        step = self._quantized_io(
            self.sole(node, label), getattr(module, "input_quant", None), label, f"{node.name}.in"
        )
        weights = quantizers.read_weights(module, label)
        matrix = weights.values.T
        if step.order is not None and len(step.order) == len(matrix):
            matrix = matrix[step.order]  # of another length, the operator refuses it
        value = self.lowering.dense(
            step.value,
            matrix,
            list(weights.scale),
            label,
            bias=self.biases.get(node.name),
            weight_bits=None if weights.codebook is not None else weights.bits,
            codebook=weights.codebook,
        )
        return self._quantized_io(Step(value), getattr(module, "output_quant", None), label, f"{node.name}.out")

    def float_layer(self, node: fx.Node, module: Any, label: str) -> Step:
        """Refuse a layer with float weights."""
        raise UserError(
            f"layer {label!r} is a {type(module).__name__} with float weights; "
            f"use brevitas.nn.Quant{type(module).__name__}."
        )

    def activation(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a QuantReLU, QuantIdentity or QuantHardTanh."""
        step = self.sole(node, label)
        if not quantizers.is_quantizer(module.act_quant):
            raise UserError(
                f"the quantiser of layer {label!r} is switched off; switch it on or use nn.ReLU or nn.Identity."
            )
        step = self._quantized_io(step, getattr(module, "input_quant", None), label, f"{node.name}.in")
        return self._quantized_io(step, module.act_quant, label, node.name)

    def batch_norm(self, node: fx.Node, module: Any, label: str) -> Step:
        """Fold a batch norm into the meaning of its edge."""
        step = self.sole(node, label)
        if module.running_mean is None:
            raise UserError(f"layer {label!r} keeps no running statistics; train it with track_running_stats=True.")
        mean, variance = module.running_mean.double().numpy(), module.running_var.double().numpy()
        gain = np.ones_like(mean) if module.weight is None else module.weight.detach().double().numpy()
        bias = np.zeros_like(mean) if module.bias is None else module.bias.detach().double().numpy()
        factor = gain / np.sqrt(variance + module.eps)
        return self.scale_shift(step, factor, bias - mean * factor, label)

    def channel_shift(self, node: fx.Node, module: Any, label: str) -> Step:
        """Fold a learned shift per channel (ReActNet) into the meaning of its edge."""
        return self.scale_shift(self.sole(node, label), [1.0], module.value.detach().double().tolist(), label)

    def scale_shift(self, step: Step, factor: Sequence[Any], shift: Sequence[Any], label: str) -> Step:
        """Apply factor·x + shift, given once or per channel in torch order."""
        if step.order is not None:
            order = step.order.tolist()
            if not {len(factor), len(shift)} <= {1, len(order)}:
                raise UserError(f"layer {label!r} has {len(factor)} channels for {len(order)} features.")
            factor, shift = ([v[i] for i in order] if len(v) > 1 else v for v in (factor, shift))
        return replace(step, value=self.lowering.scale_shift(step.value, list(factor), list(shift), label))

    def relu(self, node: fx.Node, module: Any, label: str) -> Step:
        """Clamp as ReLU and ReLU6 do."""
        step = self.sole(node, label)
        high = 6.0 if isinstance(module, nn.ReLU6) else None
        return replace(step, value=self.lowering.clamp(step.value, 0.0, high))

    def hardtanh(self, node: fx.Node, module: Any, label: str) -> Step:
        """Clamp as Hardtanh does."""
        step = self.sole(node, label)
        return replace(step, value=self.lowering.clamp(step.value, module.min_val, module.max_val))

    def same(self, node: fx.Node, module: Any, label: str) -> Step:
        """Pass what changes nothing in evaluation."""
        return self.sole(node, label)

    def truncated_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        """Refuse a pooling that truncates; without its quantiser it is a plain one."""
        if module.is_trunc_quant_enabled:
            raise UserError(
                f"the pooling {label!r} truncates its sum, which is not supported; use nn.AvgPool2d or "
                "nn.AdaptiveAvgPool2d, and a QuantIdentity behind it where fewer bits are wanted."
            )
        adaptive = isinstance(module, nn.AdaptiveAvgPool2d)
        return (self.adaptive_average_pool if adaptive else self.average_pool)(node, module, label)

    def max_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a MaxPool2d without padding."""
        if pair(module.padding) != (0, 0) or pair(module.dilation) != (1, 1) or module.ceil_mode:
            raise UserError(f"the max pooling {label!r} is padded, dilated or in ceil mode; use none of these.")
        step = self.sole(node, label)
        kernel = pair(module.kernel_size)
        stride = kernel if module.stride is None else pair(module.stride)
        return Step(self.lowering.max_pool(step.value, kernel, stride, label))

    def average_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower an AvgPool2d without padding."""
        if pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override:
            raise UserError(
                f"the average pooling {label!r} is padded, in ceil mode or has a divisor; use none of these."
            )
        step = self.sole(node, label)
        kernel = pair(module.kernel_size)
        stride = kernel if module.stride is None else pair(module.stride)
        return Step(self.lowering.average_pool(step.value, kernel, stride, label))

    def adaptive_average_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower an adaptive average pooling to one value per channel."""
        return self.global_average(self.sole(node, label), module.output_size, label)

    def global_average(self, step: Step, size: Any, label: str) -> Step:
        """Average whole frames."""
        if size not in (1, (1,), (1, 1), [1], [1, 1]):
            raise UserError(f"the adaptive average pooling {label!r} has output {size}; only 1 is supported.")
        shape = self.lowering.builder.edge(step.value.edge).shape
        if len(shape) != 3:
            raise UserError(f"the adaptive average pooling {label!r} needs frames, found flat features.")
        height, width, _ = shape
        return Step(self.lowering.average_pool(step.value, (height, width), (height, width), label))

    def flatten(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a flatten from the first axis to the last, of a module or a function."""
        start = module.start_dim if module is not None else argument(node, 1, "start_dim", 0)
        end = module.end_dim if module is not None else argument(node, 2, "end_dim", -1)
        if start != 1 or end not in (-1, 3):
            raise UserError(f"{label!r} flattens axes {start} to {end}; flatten from axis 1 to the last, -1.")
        return self.flattened(self.sole(node, label), label)

    def flattened(self, step: Step, label: str) -> Step:
        """Flatten a frame and remember the order in which torch counts its features."""
        shape = self.lowering.builder.edge(step.value.edge).shape
        if len(shape) == 1:
            return step
        height, width, channels = shape
        order = np.arange(channels * height * width).reshape(channels, height, width).transpose(1, 2, 0).ravel()
        return Step(self.lowering.flatten(step.value, label), order)

    def eltwise_add(self, node: fx.Node, module: Any, label: str) -> Step:
        """Lower a QuantEltwiseAdd."""
        a, b = (
            self._quantized_io(self.step_of(arg, label), module.input_quant, label, f"{node.name}.in{i}")
            for i, arg in enumerate(node.args[:2])
        )
        return self._quantized_io(self.sum(a, b, label), module.output_quant, label, f"{node.name}.out")

    def sum(self, a: Step, b: Step, label: str) -> Step:
        """Add two activations whose features come in the same order."""
        if not np.array_equal(self._order(a), self._order(b)):
            raise UserError(
                f"the addition {label!r} adds a flattened frame to features in another order; "
                "add before flattening, or after a dense layer."
            )
        return replace(a, value=self.lowering.add(a.value, b.value, label))

    def _order(self, step: Step) -> np.ndarray:
        """Return the torch feature index of each feature of the edge, for a frame its channels."""
        return np.arange(len(step.value.affines)) if step.order is None else step.order


def padding_of(module: Any) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a torch convolution."""
    padding = module.padding
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [k - 1 for k in module.kernel_size]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    rows, columns = pair(padding)
    return rows, rows, columns, columns


_MODULES: dict[str, Callable[[Walk, fx.Node, Any, str], Step]] = {
    "QuantConv2d": Walk.conv2d,
    "QuantLinear": Walk.linear,
    "QuantEltwiseAdd": Walk.eltwise_add,
    "QuantNonLinearActLayer": Walk.activation,
    "BatchNorm1d": Walk.batch_norm,
    "BatchNorm2d": Walk.batch_norm,
    "ChannelShift": Walk.channel_shift,
    "ReLU": Walk.relu,
    "Hardtanh": Walk.hardtanh,
    "ReLU6": Walk.relu,
    "MaxPool2d": Walk.max_pool,
    "TruncAvgPool2d": Walk.truncated_pool,
    "TruncAdaptiveAvgPool2d": Walk.truncated_pool,
    "AvgPool2d": Walk.average_pool,
    "AdaptiveAvgPool2d": Walk.adaptive_average_pool,
    "Flatten": Walk.flatten,
    "Dropout": Walk.same,
    "Dropout2d": Walk.same,
    "Identity": Walk.same,
    "Conv2d": Walk.float_layer,
    "Linear": Walk.float_layer,
}
"""By class name along the inheritance, so that a user's subclass is found too."""
