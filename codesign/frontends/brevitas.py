"""Trained Brevitas modules to integer graphs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from codesign.errors import UserError
from codesign.frontends import brevitas_quantizers as quantizers
from codesign.frontends.brevitas_trace import constant, trace
from codesign.frontends.brevitas_trace import label as label_of
from codesign.frontends.lowering import Lowering, Value
from codesign.frontends.requantize import fraction
from codesign.ir.graph import Graph
from codesign.ir.types import IntType

WAY_OUT = "see 'Supported layers' in the README"


@dataclass(frozen=True)
class Step:
    """What the walk knows at one point of the module.

    Parameters
    ----------
    value : Value
        Integer edge and meaning, channels last.
    order : ndarray of int64 or None
        After a flatten: torch feature index of each feature of the edge (torch flattens channels first).
    """

    value: Value
    order: np.ndarray | None = None


@dataclass(frozen=True)
class Imported:
    """A converted module.

    Parameters
    ----------
    graph : Graph
        Simplified.
    lowering : Lowering
        With the frozen constants of every quantiser, by fx node name.
    module : torch.fx.GraphModule
        The traced module, in evaluation mode.
    input_scale, input_offset : ndarray of float64
        Per input channel, real = scale · integer + offset.
    biases : dict of str to ndarray of float64
        Bias of every layer that has one, as its own quantiser rounds it, by fx node name.
    orders : dict of str to ndarray of int64
        For quantisers behind a flatten, by their key in `lowering.requantizations`: see `Step.order`.
    """

    graph: Graph
    lowering: Lowering
    module: fx.GraphModule
    input_scale: np.ndarray
    input_offset: np.ndarray
    biases: dict[str, np.ndarray]
    orders: dict[str, np.ndarray]


def from_brevitas(
    model: nn.Module,
    example_input: torch.Tensor,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Graph:
    """Convert a trained Brevitas module to an integer graph.

    Parameters
    ----------
    model : torch.nn.Module
        Conv2d and Linear layers of `brevitas.nn` with quantised weights; every value that enters one is
        quantised (QuantReLU, QuantIdentity, QuantHardTanh) or a sum pool of quantised values. Batch norm,
        ReLU, pooling, flatten, dropout, additions and arithmetic with constants may stand between them.
    example_input : torch.Tensor
        One batch, (frames, channels, height, width) or (frames, features). An integer tensor is taken for the
        sensor's raw values and gives `input_type`; of a float tensor only the shape is read.
    input_type : IntType, optional
        Integers that the sensor gives; unsigned 8 bits by default.
    input_scale, input_offset : float or one per channel
        What the module was trained on is scale · integer + offset. With a float example and without a scale,
        the module must begin with a quantiser: the graph then takes that quantiser's integers.
    name : str
        For people.

    Returns
    -------
    Graph
        Its input is channels last: (height, width, channels) or (features,).

    Raises
    ------
    UserError
        Naming the layer that has no exact integer form, and what to do instead.
    """
    return import_brevitas(
        model,
        example_input,
        input_type=input_type,
        input_scale=input_scale,
        input_offset=input_offset,
        name=name,
    ).graph


def import_brevitas(
    model: nn.Module,
    example_input: torch.Tensor,
    *,
    input_type: IntType | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] = 0.0,
    name: str = "network",
) -> Imported:
    """Convert as `from_brevitas` does, and keep the frozen constants for `FrozenModel`."""
    traced = trace(model)
    shape = tuple(example_input.shape[1:])
    if len(shape) not in (1, 3):
        raise UserError(
            f"the example input has shape {tuple(example_input.shape)}; give (frames, channels, height, width) "
            "or (frames, features)."
        )
    channels = shape[0]
    frame = shape if len(shape) == 1 else (shape[1], shape[2], shape[0])
    if input_type is None and not example_input.dtype.is_floating_point:
        input_type = _integers_of(example_input.dtype)
    if input_scale is None:
        if not example_input.dtype.is_floating_point:
            input_scale = 1.0
        else:
            grid = _leading_grid(traced)
            input_scale, input_type = float(grid.scale), IntType.for_range(grid.low, grid.high)
    lowering = Lowering(name)
    scale, offset = (
        np.atleast_1d(np.asarray(input_scale, float)),
        np.atleast_1d(np.asarray(input_offset, float)),
    )
    start = lowering.input(frame, input_type or IntType(8, signed=False), list(scale), list(offset))
    walk = _Walk(traced, lowering, Step(start), quantizers.read_biases(traced, shape))
    graph = walk.run()
    wide = np.ones(channels)
    return Imported(graph, lowering, traced, scale * wide, offset * wide, walk.biases, walk.orders)


def _integers_of(dtype: torch.dtype) -> IntType:
    """Return the type of an integer example input."""
    if dtype not in (torch.uint8, torch.int8, torch.int16):
        raise UserError(
            f"the example input holds {dtype}, which does not tell how wide the sensor's integers are; "
            "give input_type=IntType(bits, signed) or an example of torch.uint8."
        )
    info = torch.iinfo(dtype)
    return IntType(info.bits, info.min < 0)


def _leading_grid(traced: fx.GraphModule) -> Any:
    """Return the grid of the quantiser that reads the module's input."""
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            readers = list(node.users)
            if len(readers) == 1 and readers[0].op == "call_module":
                module = traced.get_submodule(str(readers[0].target))
                proxy = getattr(module, "act_quant", None) or getattr(module, "input_quant", None)
                if quantizers.is_quantizer(proxy):
                    return quantizers.read_grid(proxy, label_of(readers[0]))
            break
    raise UserError(
        "the network reads its float input without quantising it; say what the sensor gives by input_scale "
        "(real = scale · integer), or begin the network with a QuantIdentity."
    )


class _Walk:
    """Walks the fx graph once and lowers node by node."""

    def __init__(self, traced: fx.GraphModule, lowering: Lowering, start: Step, biases: dict[str, np.ndarray]) -> None:
        self.traced = traced
        self.lowering = lowering
        self.start = start
        self.known: dict[fx.Node, Step] = {}
        self.biases = biases
        self.orders: dict[str, np.ndarray] = {}

    def run(self) -> Graph:
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
                step = self._function(node)
                if step is not None:
                    self.known[node] = step
            elif node.op == "output":
                (result,) = node.args
                if not isinstance(result, fx.Node):
                    raise UserError("the network returns several values; return only the logits.")
                step = self._step(result, "output")
                if step.order is not None and (np.diff(step.order) != 1).any():
                    raise UserError(
                        "the network returns a flattened frame; end it with a dense layer or drop the flatten."
                    )
                return self.lowering.finish(step.value, label_of(result))
        raise UserError("the network returns nothing.")

    def _step(self, node: Any, label: str) -> Step:
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

    def _sole(self, node: fx.Node, label: str) -> Step:
        _refuse_overwriting(node, label, getattr(self._target(node), "inplace", False))
        return self._step(node.args[0] if node.args else node.kwargs.get("input"), label)

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
        return replace(step, value=self.lowering.quantize(value, quantizers.read_grid(proxy, label), label, key))

    def conv2d(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._quantized_io(
            self._sole(node, label), getattr(module, "input_quant", None), label, f"{node.name}.in"
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
            padding=_padding(module),
            groups=int(module.groups),
            weight_bits=None if weights.codebook is not None else weights.bits,
            codebook=weights.codebook,
        )
        return self._quantized_io(Step(value), getattr(module, "output_quant", None), label, f"{node.name}.out")

    def linear(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._quantized_io(
            self._sole(node, label), getattr(module, "input_quant", None), label, f"{node.name}.in"
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
        raise UserError(
            f"layer {label!r} is a {type(module).__name__} with float weights; "
            f"use brevitas.nn.Quant{type(module).__name__}."
        )

    def activation(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._sole(node, label)
        if not quantizers.is_quantizer(module.act_quant):
            raise UserError(
                f"the quantiser of layer {label!r} is switched off; switch it on or use nn.ReLU or nn.Identity."
            )
        step = self._quantized_io(step, getattr(module, "input_quant", None), label, f"{node.name}.in")
        return self._quantized_io(step, module.act_quant, label, node.name)

    def batch_norm(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._sole(node, label)
        if module.running_mean is None:
            raise UserError(f"layer {label!r} keeps no running statistics; train it with track_running_stats=True.")
        mean, variance = module.running_mean.double().numpy(), module.running_var.double().numpy()
        gain = np.ones_like(mean) if module.weight is None else module.weight.detach().double().numpy()
        bias = np.zeros_like(mean) if module.bias is None else module.bias.detach().double().numpy()
        factor = gain / np.sqrt(variance + module.eps)
        return self._scale_shift(step, factor, bias - mean * factor, label)

    def _scale_shift(self, step: Step, factor: Sequence[Any], shift: Sequence[Any], label: str) -> Step:
        if step.order is not None:
            order = step.order.tolist()
            if not {len(factor), len(shift)} <= {1, len(order)}:
                raise UserError(f"layer {label!r} has {len(factor)} channels for {len(order)} features.")
            factor, shift = ([v[i] for i in order] if len(v) > 1 else v for v in (factor, shift))
        return replace(step, value=self.lowering.scale_shift(step.value, list(factor), list(shift), label))

    def relu(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._sole(node, label)
        high = 6.0 if isinstance(module, nn.ReLU6) else None
        return replace(step, value=self.lowering.clamp(step.value, 0.0, high))

    def hardtanh(self, node: fx.Node, module: Any, label: str) -> Step:
        step = self._sole(node, label)
        return replace(step, value=self.lowering.clamp(step.value, module.min_val, module.max_val))

    def same(self, node: fx.Node, module: Any, label: str) -> Step:
        return self._sole(node, label)

    def truncated_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        if module.is_trunc_quant_enabled:
            raise UserError(
                f"the pooling {label!r} truncates its sum, which is not supported; use nn.AvgPool2d or "
                "nn.AdaptiveAvgPool2d, and a QuantIdentity behind it where fewer bits are wanted."
            )
        adaptive = isinstance(module, nn.AdaptiveAvgPool2d)
        return (self.adaptive_average_pool if adaptive else self.average_pool)(node, module, label)

    def max_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        if _pair(module.padding) != (0, 0) or _pair(module.dilation) != (1, 1) or module.ceil_mode:
            raise UserError(f"the max pooling {label!r} is padded, dilated or in ceil mode; use none of these.")
        step = self._sole(node, label)
        kernel = _pair(module.kernel_size)
        stride = kernel if module.stride is None else _pair(module.stride)
        return Step(self.lowering.max_pool(step.value, kernel, stride, label))

    def average_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        if _pair(module.padding) != (0, 0) or module.ceil_mode or module.divisor_override:
            raise UserError(
                f"the average pooling {label!r} is padded, in ceil mode or has a divisor; use none of these."
            )
        step = self._sole(node, label)
        kernel = _pair(module.kernel_size)
        stride = kernel if module.stride is None else _pair(module.stride)
        return Step(self.lowering.average_pool(step.value, kernel, stride, label))

    def adaptive_average_pool(self, node: fx.Node, module: Any, label: str) -> Step:
        return self._global_average(self._sole(node, label), module.output_size, label)

    def _global_average(self, step: Step, size: Any, label: str) -> Step:
        if size not in (1, (1,), (1, 1), [1], [1, 1]):
            raise UserError(f"the adaptive average pooling {label!r} has output {size}; only 1 is supported.")
        shape = self.lowering.builder.edge(step.value.edge).shape
        if len(shape) != 3:
            raise UserError(f"the adaptive average pooling {label!r} needs frames, found flat features.")
        height, width, _ = shape
        return Step(self.lowering.average_pool(step.value, (height, width), (height, width), label))

    def flatten(self, node: fx.Node, module: Any, label: str) -> Step:
        start = module.start_dim if module is not None else _argument(node, 1, "start_dim", 0)
        end = module.end_dim if module is not None else _argument(node, 2, "end_dim", -1)
        if start != 1 or end not in (-1, 3):
            raise UserError(f"{label!r} flattens axes {start} to {end}; flatten from axis 1 to the last, -1.")
        return self._flattened(self._sole(node, label), label)

    def _flattened(self, step: Step, label: str) -> Step:
        shape = self.lowering.builder.edge(step.value.edge).shape
        if len(shape) == 1:
            return step
        height, width, channels = shape
        order = np.arange(channels * height * width).reshape(channels, height, width).transpose(1, 2, 0).ravel()
        return Step(self.lowering.flatten(step.value, label), order)

    def eltwise_add(self, node: fx.Node, module: Any, label: str) -> Step:
        a, b = (
            self._quantized_io(self._step(arg, label), module.input_quant, label, f"{node.name}.in{i}")
            for i, arg in enumerate(node.args[:2])
        )
        return self._quantized_io(self._sum(a, b, label), module.output_quant, label, f"{node.name}.out")

    def _sum(self, a: Step, b: Step, label: str) -> Step:
        if not np.array_equal(self._order(a), self._order(b)):
            raise UserError(
                f"the addition {label!r} adds a flattened frame to features in another order; "
                "add before flattening, or after a dense layer."
            )
        return replace(a, value=self.lowering.add(a.value, b.value, label))

    def _order(self, step: Step) -> np.ndarray:
        """Return the torch feature index of each feature of the edge, for a frame its channels."""
        return np.arange(len(step.value.affines)) if step.order is None else step.order

    # Functions and methods ----------------------------------------------------------------------------------

    def _function(self, node: fx.Node) -> Step | None:
        target = node.target
        name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
        label = node.name
        if name in ("add", "iadd", "add_", "sub", "mul", "imul", "truediv", "div"):
            return self._arithmetic(node, name, label)
        if name in ("relu", "relu_"):
            _refuse_overwriting(node, label, name == "relu_" or bool(node.kwargs.get("inplace")))
            step = self._sole(node, label)
            return replace(step, value=self.lowering.clamp(step.value, 0.0, None))
        if name == "flatten":
            return self.flatten(node, None, label)
        if name in ("view", "reshape"):
            if not self._is_flat_view(node):
                raise UserError(f"{label!r} reshapes to {node.args[1:]}; only flattening to (frames, -1) is supported.")
            return self._flattened(self._sole(node, label), label)
        if name == "dropout" and _argument(node, 2, "training", True):
            raise UserError(f"{label!r} drops values in evaluation too; use nn.Dropout or training=self.training.")
        if name in ("dropout", "identity", "contiguous", "float", "detach"):
            return self._sole(node, label)
        if name == "getattr" and node.args[1] in ("value", "tensor"):
            return self._sole(node, label)
        if name == "getattr" and node.args[1] == "shape":
            return None
        if name == "size" or (target is operator.getitem and node.args[0] not in self.known):
            return None
        if name == "adaptive_avg_pool2d":
            return self._global_average(self._sole(node, label), _argument(node, 1, "output_size", None), label)
        if name == "mean":
            axes = _argument(node, 1, "dim", None)
            if isinstance(axes, (tuple, list)) and sorted(a % 4 for a in axes) == [2, 3]:
                step = self._global_average(self._sole(node, label), 1, label)
                return step if _argument(node, 2, "keepdim", False) else self._flattened(step, label)
            raise UserError(
                f"{label!r} averages over axes {axes}; only the mean of whole frames, (2, 3), is supported."
            )
        if name in ("avg_pool2d", "max_pool2d"):
            return self._functional_pool(node, name, label)
        raise UserError(f"the function {name!r} at {label!r} is not supported; {WAY_OUT}.")

    def _functional_pool(self, node: fx.Node, name: str, label: str) -> Step:
        kernel = _pair(_argument(node, 1, "kernel_size", None))
        stride = _argument(node, 2, "stride", None)
        stride = kernel if stride is None else _pair(stride)
        extras = {
            "padding": 0,
            "dilation": 1,
            "ceil_mode": False,
            "divisor_override": None,
            "return_indices": False,
        }
        if len(node.args) > 3 or any(node.kwargs.get(key, value) != value for key, value in extras.items()):
            raise UserError(f"the pooling {label!r} is padded, dilated or in ceil mode; use none of these.")
        pool = self.lowering.average_pool if name == "avg_pool2d" else self.lowering.max_pool
        return Step(pool(self._sole(node, label).value, kernel, stride, label))

    def _arithmetic(self, node: fx.Node, name: str, label: str) -> Step:
        operands = [*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs)]
        extras = set(node.kwargs) - {"input", "other"}
        if len(operands) != 2 or extras:
            odd = ", ".join(sorted(extras)) or "odd operands"
            raise UserError(f"{label!r} calls {name} with {odd}; use {name}(a, b) alone.")
        left, right = operands
        _refuse_overwriting(node, label, name in ("iadd", "imul", "add_"))
        addition = name in ("add", "iadd", "add_")
        if all(isinstance(operand, fx.Node) and operand in self.known for operand in operands):
            if not addition:
                raise UserError(f"{label!r} combines two activations by {name}; only addition is supported.")
            return self._sum(self._step(left, label), self._step(right, label), label)
        forward = isinstance(left, fx.Node) and left in self.known
        step = self._step(left if forward else right, label)
        values = self._constant(right if forward else left, step, label)
        one, zero = [Fraction(1)] * len(values), [Fraction(0)] * len(values)
        minus = [-c for c in values]
        if addition:
            return self._scale_shift(step, one, values, label)
        if name == "sub":
            if forward:
                return self._scale_shift(step, one, minus, label)
            return self._scale_shift(step, [Fraction(-1)] * len(values), values, label)
        if name in ("mul", "imul"):
            return self._scale_shift(step, values, zero, label)
        if forward and all(values):
            return self._scale_shift(step, [1 / c for c in values], zero, label)
        raise UserError(f"{label!r} divides by an activation or by zero; only division by a constant is supported.")

    def _constant(self, source: Any, step: Step, label: str) -> list[Fraction]:
        """Return a number, or one per channel, that meets an activation in arithmetic."""
        if isinstance(source, (int, float)):
            return [fraction(source, repr(label))]
        if isinstance(source, fx.Node) and source.op == "get_attr":
            found = constant(self.traced, source)
            frame = len(self.lowering.builder.edge(step.value.edge).shape) == 3
            # torch aligns shapes at their ends: channels are the third axis from the end in frames, else the last.
            channel_axis = -3 if frame else -1
            if found is not None and all(
                extent == 1 or axis == channel_axis for axis, extent in enumerate(found.shape, -found.ndim)
            ):
                return [fraction(float(value), repr(label)) for value in found.detach().double().ravel()]
        raise UserError(
            f"{label!r} uses a constant that is neither a number nor one value per channel, of shape "
            f"(channels, 1, 1) for frames; {WAY_OUT}."
        )

    def _is_flat_view(self, node: fx.Node) -> bool:
        """Tell whether a view is (x.size(0), -1), (x.shape[0], -1) or (-1, features)."""
        shape = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], (tuple, list)) else node.args[1:]
        if len(shape) != 2 or node.kwargs:
            return False
        if shape[0] == -1:
            return bool(shape[1] == self.lowering.builder.edge(self._sole(node, node.name).value.edge).size)
        return bool(shape[1] == -1) and isinstance(shape[0], fx.Node) and _is_batch_size(shape[0])


def _is_batch_size(node: fx.Node) -> bool:
    """Tell whether a node is x.size(0), x.size()[0] or x.shape[0]."""
    if node.target == "size":
        return _argument(node, 1, "dim", None) == 0
    if node.target is not operator.getitem or node.args[1] != 0 or not isinstance(node.args[0], fx.Node):
        return False
    source = node.args[0]
    return source.target == "size" or (source.target is getattr and source.args[1] == "shape")


def _refuse_overwriting(node: fx.Node, label: str, in_place: bool) -> None:
    """Refuse an operation in place on a value that a later one reads: the walk would read the old value."""
    if not in_place or not node.args or not isinstance(node.args[0], fx.Node):
        return
    order = {other: position for position, other in enumerate(node.graph.nodes)}
    if any(order[reader] > order[node] for reader in node.args[0].users):
        raise UserError(f"{label!r} works in place on a value that is read again later; use inplace=False.")


def _padding(module: Any) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a torch convolution."""
    padding = module.padding
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [k - 1 for k in module.kernel_size]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    rows, columns = _pair(padding)
    return rows, rows, columns, columns


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _argument(node: fx.Node, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


_MODULES: dict[str, Callable[[_Walk, fx.Node, Any, str], Step]] = {
    "QuantConv2d": _Walk.conv2d,
    "QuantLinear": _Walk.linear,
    "QuantEltwiseAdd": _Walk.eltwise_add,
    "QuantNonLinearActLayer": _Walk.activation,
    "BatchNorm1d": _Walk.batch_norm,
    "BatchNorm2d": _Walk.batch_norm,
    "ReLU": _Walk.relu,
    "Hardtanh": _Walk.hardtanh,
    "ReLU6": _Walk.relu,
    "MaxPool2d": _Walk.max_pool,
    "TruncAvgPool2d": _Walk.truncated_pool,
    "TruncAdaptiveAvgPool2d": _Walk.truncated_pool,
    "AvgPool2d": _Walk.average_pool,
    "AdaptiveAvgPool2d": _Walk.adaptive_average_pool,
    "Flatten": _Walk.flatten,
    "Dropout": _Walk.same,
    "Dropout2d": _Walk.same,
    "Identity": _Walk.same,
    "Conv2d": _Walk.float_layer,
    "Linear": _Walk.float_layer,
}
"""By class name along the inheritance, so that a user's subclass is found too."""
