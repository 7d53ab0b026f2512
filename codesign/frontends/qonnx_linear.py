"""Conv, Gemm and MatMul of a QONNX graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_constants as constants
from codesign.frontends.qonnx_constants import Constant, Weights
from codesign.frontends.qonnx_file import CHANNELS_LAST, Node
from codesign.frontends.qonnx_float32 import Step
from codesign.frontends.qonnx_rounding import without_offset
from codesign.frontends.qonnx_stream import NO_PADDING, Reach, Stream, inexact_sum
from codesign.frontends.qonnx_windows import POINT, Window, padded_shape, window
from codesign.frontends.requantize import Affine, fraction
from codesign.frontends.values import Value
from codesign.ir.ops import SumPool
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk


def conv(walk: Walk, node: Node) -> Stream:
    """Lower a Conv, with channels first or last."""
    where = walk.where(node)
    last = node.domain == CHANNELS_LAST
    x = walk.framed(node, 0, "NHWC" if last else "NCHW", keep_padding=True)
    before, x = x.padding, dataclasses.replace(x, padding=NO_PADDING)
    kernel = walk.constant(node, 1)
    if kernel.values.ndim != 4:
        raise UserError(
            f"{where} has weights of {kernel.values.ndim} axes; only convolutions of two dimensions are supported."
        )
    # Output channels last: (rows, columns, inputs, outputs).
    weights = constants.weights(kernel.rearranged(lambda w: w.transpose((1, 2, 3, 0) if last else (2, 3, 1, 0))), where)
    groups = node.attribute("group", 1)
    shape = padded_shape(walk.edge(x).shape, before)
    size = weights.integers.shape[:2]
    found = window(node, shape, size, where)
    inputs, outputs = weights.integers.shape[2:]
    if groups < 1 or inputs * groups != shape[2] or outputs % groups:
        raise UserError(
            f"{where} has weights for {inputs * max(groups, 0)} channels in {groups} groups and reads "
            f"{shape[2]} channels."
        )
    if found.dilation != (1, 1):
        raise UserError(f"{where} is dilated, which is not supported; train it with dilation 1.")
    top, bottom, left, right = (a + b for a, b in zip(before, found.padding, strict=True))
    x = walk.linear(x, node)
    if any((top, bottom, left, right)):
        x = without_offset(walk, x, node.label)
    if groups == outputs == shape[2] and not any((top, bottom, left, right)) and (weights.decoded() == 1).all():
        value = _summed(walk, x, weights, found, node.label)
    else:
        value = walk.lowering.conv2d(
            x.value, weights.integers, weights.scale.tolist(), node.label,
            stride=found.stride, padding=(top, bottom, left, right), groups=groups,
            weight_bits=weights.bits if weights.codebook is None else None, codebook=weights.codebook,
        )  # fmt: skip
    made = _rooted(walk, x, value, weights, groups, node.label)
    if (bias := walk.optional(node, 2)) is not None:
        # The executor adds it behind the sum.
        made = _added(made, _bias(bias, weights, where, (weights.integers.shape[-1],)), node.label)
    return made


def _summed(walk: Walk, x: Stream, weights: Weights, found: Window, label: str) -> Value:
    """Add sums over windows, which a convolution of each channel with ones is."""
    edge = walk.lowering.add_operator(SumPool(found.kernel, found.stride), x.edge, label=label)
    taps = found.kernel[0] * found.kernel[1]
    scales = [Fraction(float(scale)) for scale in weights.scale]
    affines = [Affine(a.scale * s, a.offset * taps * s) for a, s in zip(x.affines, scales, strict=True)]
    return Value(edge, tuple(affines))


def gemm(walk: Walk, node: Node) -> Stream:
    """Lower a Gemm: alpha · x · W + beta · C."""
    where = walk.where(node)
    if node.attribute("transA", 0):
        raise UserError(f"{where} transposes its input, which mixes frames; use transA=0.")
    alpha, beta = (np.float32(node.attribute(name, 1.0)) for name in ("alpha", "beta"))
    kernel = walk.constant(node, 1)
    if kernel.values.ndim != 2:
        raise UserError(f"{where} has weights of {kernel.values.ndim} axes, not 2.")
    if node.attribute("transB", 0):
        kernel = kernel.rearranged(np.transpose)
    if alpha != 1 or beta != 1:
        raise UserError(f"{where} has alpha or beta other than 1, which is not supported; fold them into scales.")
    x = walk.linear(walk.features(node, 0), node)
    bias = walk.optional(node, 2)
    return _dense(walk, x, kernel, where, node.label, bias)


def matmul(walk: Walk, node: Node) -> Stream:
    """Lower a MatMul of activations and a constant matrix: a dense layer, or a convolution of channels last.

    Behind an Im2Col it is one with the windows that it made, else one of 1x1.
    """
    return product(walk, node, walk.constant(node, 1))


def product(walk: Walk, node: Node, kernel: Constant) -> Stream:
    """Lower the product of a node's activations and a matrix (inputs, outputs); see `matmul`."""
    where = walk.where(node)
    x = walk.stream(node, 0, keep_window=True)
    if kernel.values.ndim != 2:
        raise UserError(f"{where} needs a constant matrix of 2 axes behind its input.")
    if x.axes == "NF":
        return _dense(walk, walk.linear(x, node), kernel, where, node.label, None)
    x = walk.linear(walk.framed(node, 0, "NHWC", keep_window=True), node)
    found = x.window or POINT
    channels, taps = walk.edge(x).shape[2], found.kernel[0] * found.kernel[1]
    _require_inputs(channels * taps, kernel.values.shape[0], where)
    groups = 1
    if found.channelwise and _is_diagonal(kernel.values, channels):
        # One output for each channel, zeros between them.
        groups = channels
        kernel = kernel.rearranged(lambda w: np.einsum("tcc->tc", w.reshape(taps, channels, channels))[:, None])
    shape = (*found.kernel, channels // groups, -1)
    weights = constants.weights(kernel.rearranged(lambda w: w.reshape(shape)), where, x.precision.dtype)
    x = dataclasses.replace(x, window=None)
    if any(found.padding):
        x = without_offset(walk, x, node.label)
    value = walk.lowering.conv2d(
        x.value, weights.integers, weights.scale.tolist(), node.label,
        stride=found.stride, padding=found.padding, groups=groups,
        weight_bits=weights.bits if weights.codebook is None else None, codebook=weights.codebook,
    )  # fmt: skip
    return _rooted(walk, x, value, weights, groups, node.label)


def _is_diagonal(matrix: np.ndarray, channels: int) -> bool:
    """Tell whether the weights (taps · channels, outputs) of every output are 0 but for the channel of its place."""
    if matrix.shape[1] != channels:
        return False
    return not (matrix.reshape(-1, channels, channels) * (1 - np.eye(channels, dtype=matrix.dtype))).any()


def _dense(walk: Walk, x: Stream, kernel: Constant, where: str, label: str, bias: Constant | None) -> Stream:
    _require_inputs(len(x.affines), kernel.values.shape[0], where)
    if x.order is not None:
        order = x.order
        kernel = kernel.rearranged(lambda w: w[order])
    weights = constants.weights(kernel, where, x.precision.dtype)
    value = walk.lowering.dense(
        x.value, weights.integers, weights.scale.tolist(), label,
        weight_bits=weights.bits if weights.codebook is None else None, codebook=weights.codebook,
    )  # fmt: skip
    x = dataclasses.replace(x, order=None)
    return _rooted(walk, x, value, weights, 1, label, None if bias is None else _bias(bias, weights, where))


def _require_inputs(found: int, expected: int, where: str) -> None:
    if found != expected:
        raise UserError(f"{where} has weights for {expected} inputs and reads {found}; export the network again.")


def _rooted(
    walk: Walk, x: Stream, value: Value, weights: Weights, groups: int, label: str, amid: np.ndarray | None = None
) -> Stream:
    """Return the sums of a linear operator, with what float32 may do to them.

    `amid` is a bias that the executor may add first, last or between the products.
    """
    walk.spend(weights.integers.size // 64, f"node {label!r}")
    actual = x.actual(walk.edge(x).type)
    outputs = weights.integers.shape[-1]
    matrix = np.abs(weights.values.astype(np.float64)).reshape(-1, outputs)
    off = np.abs(weights.values.astype(np.float64) - weights.decoded() * weights.scale).reshape(-1, outputs)
    least, greatest, error = (
        _per_weight(part, weights, groups) for part in (actual.least, actual.greatest, actual.error)
    )
    largest = np.maximum(np.abs(least), np.abs(greatest))
    total = (matrix * largest).sum(axis=0)
    missed = (matrix * error).sum(axis=0) + (off * (largest + error)).sum(axis=0)
    terms = (matrix != 0).sum(axis=0)
    unit = actual.unit * constants.power_of_two(weights.values)
    holds = x.precision.holds
    # Whatever the order, a sum on the way is one of some of the terms.
    partial = _partial(weights.values.astype(np.float64).reshape(-1, outputs), least, greatest)
    made = x.rerooted(
        value,
        missed if holds(partial, unit).all() else missed + inexact_sum(terms, total, x.precision),
        reach=Reach(value.edge, *_reached(weights, walk.edge(x).type)),
    )
    if amid is None or not amid.any():
        return made
    joint = min(unit, constants.power_of_two(amid))
    if not holds(partial, unit).all() or not holds(partial + np.abs(amid), joint).all():
        missed = missed + inexact_sum(terms + 1, total + np.abs(amid), x.precision)
    else:
        return _added(made, amid, label)
    return made.rerooted(_added(made, amid, label).value, missed)


def _partial(matrix: np.ndarray, least: np.ndarray, greatest: np.ndarray) -> np.ndarray:
    """Return the greatest magnitude of a sum of some products of each output (columns)."""
    products = matrix * least, matrix * greatest
    rising, falling = (
        np.maximum(0, np.maximum(sign * products[0], sign * products[1])).sum(axis=0) for sign in (1, -1)
    )
    found: np.ndarray = np.maximum(rising, falling)
    return found


def _reached(weights: Weights, x: IntType) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and greatest sum of each output."""
    matrix = weights.decoded().reshape(-1, weights.integers.shape[-1])
    rising, falling = np.maximum(matrix, 0).sum(axis=0), np.minimum(matrix, 0).sum(axis=0)
    return rising * x.min + falling * x.max, rising * x.max + falling * x.min


def _per_weight(part: np.ndarray, weights: Weights, groups: int) -> np.ndarray:
    """Return what is known of inputs, for each weight (terms, outputs)."""
    if part.size == 1:
        return part.reshape(1, 1)
    shape = weights.integers.shape
    outputs = np.arange(shape[-1])
    if len(shape) == 2:
        return part[:, None]
    inputs = np.arange(shape[2])[:, None] + outputs * groups // shape[-1] * shape[2]
    return np.broadcast_to(part[inputs], shape).reshape(-1, shape[-1])


def _bias(bias: Constant, weights: Weights, where: str, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return the bias of a layer as float32 of shape (outputs,) or (1,); it has `shape`, or one that broadcasts."""
    values, outputs = bias.values, weights.integers.shape[-1]
    # A column of numbers would be one per frame.
    fits = values.shape in ((shape,) if shape else ((), (1,), (outputs,), (1, 1), (1, outputs)))
    if values.dtype != np.float32 or not fits:
        raise UserError(f"{where} has a bias of shape {values.shape} for {outputs} outputs; use one per output.")
    return values.reshape(-1)


def _added(x: Stream, flat: np.ndarray, label: str) -> Stream:
    shifts: Sequence[float] = flat.tolist()
    shifts = list(shifts) * (len(x.affines) if len(shifts) == 1 else 1)
    affines = [a.then(fraction(1.0), fraction(s, f"node {label!r}")) for a, s in zip(x.affines, shifts, strict=True)]
    constant = flat.reshape(()) if flat.size == 1 else flat
    return x.with_step(Step("add", (constant,)), affines, label)
