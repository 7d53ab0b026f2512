"""Functions and methods that a Brevitas module's forward pass calls."""

from __future__ import annotations

import operator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import fx

from codesign.errors import UserError
from codesign.frontends.brevitas_step import WAY_OUT, Step, argument, pair, refuse_overwriting
from codesign.frontends.brevitas_trace import constant
from codesign.frontends.requantize import fraction

if TYPE_CHECKING:
    from codesign.frontends.brevitas_walk import Walk


def lower_function(walk: Walk, node: fx.Node) -> Step | None:
    """Lower a call of a function or method; None for what only computes shapes.

    Raises
    ------
    UserError
        When the function has no exact integer form here.
    """
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    label = node.name
    if name in ("add", "iadd", "add_", "sub", "mul", "imul", "truediv", "div"):
        return _arithmetic(walk, node, name, label)
    if name in ("relu", "relu_"):
        refuse_overwriting(node, label, name == "relu_" or bool(node.kwargs.get("inplace")))
        step = walk.sole(node, label)
        return replace(step, value=walk.lowering.clamp(step.value, 0.0, None))
    if name == "flatten":
        return walk.flatten(node, None, label)
    if name in ("view", "reshape"):
        if not _is_flat_view(walk, node):
            raise UserError(f"{label!r} reshapes to {node.args[1:]}; only flattening to (frames, -1) is supported.")
        return walk.flattened(walk.sole(node, label), label)
    if name == "dropout" and argument(node, 2, "training", True):
        raise UserError(f"{label!r} drops values in evaluation too; use nn.Dropout or training=self.training.")
    if name in ("dropout", "identity", "contiguous", "float", "detach"):
        return walk.sole(node, label)
    if name == "getattr" and node.args[1] in ("value", "tensor"):
        return walk.sole(node, label)
    if name == "getattr" and node.args[1] == "shape":
        return None
    if name == "size" or (target is operator.getitem and node.args[0] not in walk.known):
        return None
    if name == "adaptive_avg_pool2d":
        return walk.global_average(walk.sole(node, label), argument(node, 1, "output_size", None), label)
    if name == "mean":
        axes = argument(node, 1, "dim", None)
        if isinstance(axes, (tuple, list)) and sorted(a % 4 for a in axes) == [2, 3]:
            step = walk.global_average(walk.sole(node, label), 1, label)
            return step if argument(node, 2, "keepdim", False) else walk.flattened(step, label)
        raise UserError(f"{label!r} averages over axes {axes}; only the mean of whole frames, (2, 3), is supported.")
    if name in ("avg_pool2d", "max_pool2d"):
        return _functional_pool(walk, node, name, label)
    if name in ("cat", "concat", "concatenate"):
        return _repeated(walk, node, label)
    raise UserError(f"the function {name!r} at {label!r} is not supported; {WAY_OUT}.")


def _functional_pool(walk: Walk, node: fx.Node, name: str, label: str) -> Step:
    kernel = pair(argument(node, 1, "kernel_size", None))
    stride = argument(node, 2, "stride", None)
    stride = kernel if stride is None else pair(stride)
    extras = {
        "padding": 0,
        "dilation": 1,
        "ceil_mode": False,
        "divisor_override": None,
        "return_indices": False,
    }
    if len(node.args) > 3 or any(node.kwargs.get(key, value) != value for key, value in extras.items()):
        raise UserError(f"the pooling {label!r} is padded, dilated or in ceil mode; use none of these.")
    pool = walk.lowering.average_pool if name == "avg_pool2d" else walk.lowering.max_pool
    return Step(pool(walk.sole(node, label).value, kernel, stride, label))


def _repeated(walk: Walk, node: fx.Node, label: str) -> Step:
    """Lower the concatenation of a frame with itself along its channels: a 1x1 convolution of zeros and ones."""
    parts = argument(node, 0, "tensors", ())
    first = parts[0] if isinstance(parts, (tuple, list)) and parts else None
    step = walk.step_of(first, label)
    shape = walk.lowering.builder.edge(step.value.edge).shape
    if any(part is not first for part in parts) or argument(node, 1, "dim", 0) not in (1, -3) or len(shape) != 3:
        raise UserError(
            f"{label!r} concatenates; the only concatenation supported is that of a frame with itself along its "
            "channels, torch.cat([x, x], 1)."
        )
    matrix = np.tile(np.eye(shape[-1], dtype=np.int64), len(parts))
    value = walk.lowering.conv2d(
        step.value, matrix[None, None], [1.0], label, codebook=np.array([0, 1], dtype=np.int64)
    )
    return replace(step, value=value)


def _arithmetic(walk: Walk, node: fx.Node, name: str, label: str) -> Step:
    operands = [*node.args, *(node.kwargs[key] for key in ("input", "other") if key in node.kwargs)]
    extras = set(node.kwargs) - {"input", "other"}
    if len(operands) != 2 or extras:
        odd = ", ".join(sorted(extras)) or "odd operands"
        raise UserError(f"{label!r} calls {name} with {odd}; use {name}(a, b) alone.")
    left, right = operands
    refuse_overwriting(node, label, name in ("iadd", "imul", "add_"))
    addition = name in ("add", "iadd", "add_")
    if all(isinstance(operand, fx.Node) and operand in walk.known for operand in operands):
        if not addition:
            raise UserError(f"{label!r} combines two activations by {name}; only addition is supported.")
        return walk.sum(walk.step_of(left, label), walk.step_of(right, label), label)
    forward = isinstance(left, fx.Node) and left in walk.known
    step = walk.step_of(left if forward else right, label)
    values = _constant(walk, right if forward else left, step, label)
    one, zero = [Fraction(1)] * len(values), [Fraction(0)] * len(values)
    minus = [-c for c in values]
    if addition:
        return walk.scale_shift(step, one, values, label)
    if name == "sub":
        if forward:
            return walk.scale_shift(step, one, minus, label)
        return walk.scale_shift(step, [Fraction(-1)] * len(values), values, label)
    if name in ("mul", "imul"):
        return walk.scale_shift(step, values, zero, label)
    if forward and all(values):
        return walk.scale_shift(step, [1 / c for c in values], zero, label)
    raise UserError(f"{label!r} divides by an activation or by zero; only division by a constant is supported.")


def _constant(walk: Walk, source: Any, step: Step, label: str) -> list[Fraction]:
    """Return a number, or one per channel, that meets an activation in arithmetic."""
    if isinstance(source, (int, float)):
        return [fraction(source, repr(label))]
    if isinstance(source, fx.Node) and source.op == "get_attr":
        found = constant(walk.traced, source)
        frame = len(walk.lowering.builder.edge(step.value.edge).shape) == 3
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


def _is_flat_view(walk: Walk, node: fx.Node) -> bool:
    """Tell whether a view is (x.size(0), -1), (x.shape[0], -1) or (-1, features)."""
    shape = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], (tuple, list)) else node.args[1:]
    if len(shape) != 2 or node.kwargs:
        return False
    if shape[0] == -1:
        return bool(shape[1] == walk.lowering.builder.edge(walk.sole(node, node.name).value.edge).size)
    return bool(shape[1] == -1) and isinstance(shape[0], fx.Node) and _is_batch_size(shape[0])


def _is_batch_size(node: fx.Node) -> bool:
    """Tell whether a node is x.size(0), x.size()[0] or x.shape[0]."""
    if node.target == "size":
        return argument(node, 1, "dim", None) == 0
    if node.target is not operator.getitem or node.args[1] != 0 or not isinstance(node.args[0], fx.Node):
        return False
    source = node.args[0]
    return source.target == "size" or (source.target is getattr and source.args[1] == "shape")
