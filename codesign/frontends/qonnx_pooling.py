"""Pooling of a QONNX graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_file import CHANNELS_LAST, GENERAL, Node
from codesign.frontends.qonnx_float32 import Step
from codesign.frontends.qonnx_requantize import rising
from codesign.frontends.qonnx_rounding import narrowed
from codesign.frontends.qonnx_shapes import surrounded
from codesign.frontends.qonnx_stream import LayoutError, Stream, inexact_sum
from codesign.frontends.qonnx_windows import Window, window
from codesign.frontends.values import Value
from codesign.ir.ops import MaxPool, SumPool

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk


def max_pool(walk: Walk, node: Node) -> Stream:
    """Lower a MaxPool: rising functions and maxima change places."""
    where = walk.where(node)
    x = walk.framed(node, 0, "NHWC" if node.domain in (CHANNELS_LAST, GENERAL) else "NCHW")
    found = _window(walk, node, x, where)
    if len([name for name in node.outputs if name]) > 1:
        raise UserError(f"{where} returns indices, which is not supported; use its values alone.")
    x = rising(walk.lowering, x, node.label)
    if any(found.padding):
        x = narrowed(walk, x, node.label)
        # Padding never wins a maximum in ONNX; the integer 0 does not where no integer is below it, whatever it means.
        if walk.edge(x).type.min < 0 or any(
            p >= k for p, k in zip(found.padding, np.repeat(found.kernel, 2), strict=True)
        ):
            raise UserError(
                f"{where} is padded and reads numbers that may be negative; put a ReLU before it, or do "
                "without padding."
            )
        x = dataclasses.replace(x, edge=surrounded(walk, x, found.padding, node.label))
    edge = walk.lowering.add_operator(MaxPool(found.kernel, found.stride), x.edge, label=node.label)
    return dataclasses.replace(x, edge=edge)


def average_pool(walk: Walk, node: Node) -> Stream:
    """Lower an AveragePool to sums; the division changes the meaning."""
    where = walk.where(node)
    x = walk.framed(node, 0, "NCHW")
    found = _window(walk, node, x, where)
    if any(found.padding):
        if not node.attribute("count_include_pad", 0):
            raise UserError(
                f"{where} is padded and does not count its padding; set count_include_pad=1, or do without."
            )
        x = walk.padded(walk.linear(x, node), found.padding, node.label)
    return averaged(walk, x, found.kernel, found.stride, node)


def global_average(walk: Walk, node: Node) -> Stream:
    """Lower a GlobalAveragePool."""
    x = walk.framed(node, 0, "NCHW")
    height, width, _ = walk.edge(x).shape
    return averaged(walk, x, (height, width), (height, width), node)


def reduce_mean(walk: Walk, node: Node, *, divide: bool = True) -> Stream:
    """Lower a ReduceMean, or without `divide` a ReduceSum, over whole frames."""
    where = walk.where(node)
    x = walk.stream(node, 0)
    axes = node.numbers("axes")
    if axes is None and (given := walk.optional(node, 1)) is not None:
        axes = given.values.reshape(-1).tolist()
    rank = len(x.axes)
    wanted = {x.axes.index(axis) for axis in "HW"} if rank == 4 else None
    if not isinstance(axes, list) or wanted is None or {int(a) % rank for a in axes} != wanted or len(axes) != 2:
        raise LayoutError(
            f"{where} reduces over axes {axes}; only the mean or sum over whole frames, height and width, is supported."
        )
    height, width, _ = walk.edge(x).shape
    made = averaged(walk, x, (height, width), (height, width), node, divide)
    return made if node.attribute("keepdims", 1) else walk.flattened(made, node.label)


def _window(walk: Walk, node: Node, x: Stream, where: str) -> Window:
    found = window(node, walk.edge(x).shape, None, where)
    if found.dilation != (1, 1) or node.attribute("storage_order", 0):
        raise UserError(f"{where} is dilated or counts columns first, which is not supported; use neither.")
    if node.attribute("ceil_mode", 0):
        height, width, _ = walk.edge(x).shape
        spans = height + sum(found.padding[:2]) - found.kernel[0], width + sum(found.padding[2:]) - found.kernel[1]
        if any(span % stride for span, stride in zip(spans, found.stride, strict=True)):
            raise UserError(f"{where} has windows that reach over the edge (ceil_mode=1); use ceil_mode=0.")
    return found


def averaged(
    walk: Walk, x: Stream, kernel: tuple[int, int], stride: tuple[int, int], node: Node, divide: bool = True
) -> Stream:
    """Add sums over windows, then the executor's division."""
    x = walk.linear(x, node)
    actual = x.actual(walk.edge(x).type)
    taps = kernel[0] * kernel[1]
    edge = walk.lowering.add_operator(SumPool(kernel, stride), x.edge, label=node.label)
    affines = tuple(dataclasses.replace(a, offset=a.offset * taps) for a in x.affines)
    total, error = taps * actual.largest, taps * actual.error
    if not x.precision.holds(total, actual.unit).all():
        error = error + inexact_sum(taps, total, x.precision)
    made = x.rerooted(Value(edge, affines), error)
    if not divide or taps == 1:
        return made
    step = Step("div", (np.asarray(np.float32(taps)),))
    divided = [dataclasses.replace(a, scale=a.scale / taps, offset=a.offset / taps) for a in affines]
    return made.with_step(step, divided, node.label)
