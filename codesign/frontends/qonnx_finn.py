"""Operators that FINN's dialect of QONNX has beside: windows, products of bits, and pools of integers."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_linear
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_stream import INTEGERS, Stream
from codesign.frontends.qonnx_windows import MAX_EXTENT, Window
from codesign.frontends.requantize import Affine
from codesign.ir.ops import Dyadic, SumPool
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk


def im2col(walk: Walk, node: Node) -> Stream:
    """Read frames as windows, rows before columns before channels; the product behind it becomes a convolution."""
    where = walk.where(node)
    x = walk.framed(node, 0, "NHWC")
    kernel, stride, dilation = (
        _extents(node, name, count, default, where)
        for name, count, default in (("kernel_size", 2, []), ("stride", 2, []), ("dilations", 2, [1, 1]))
    )
    top, left, bottom, right = _extents(node, "pad_amount", 4, [0, 0, 0, 0], where, least=0)
    if tuple(dilation) != (1, 1) or node.attribute("pad_value", 0) != 0:
        raise UserError(f"{where} is dilated, or pads with something else than 0; use neither.")
    padding = (top, bottom, left, right)
    height, width, _ = walk.edge(x).shape
    if kernel[0] > height + top + bottom or kernel[1] > width + left + right:
        raise UserError(f"{where} has a window of {tuple(kernel)} on frames of {(height, width)}; use a smaller one.")
    channelwise = node.attribute("depthwise", 0) == 1
    window = Window((kernel[0], kernel[1]), (stride[0], stride[1]), (1, 1), padding, channelwise)
    return dataclasses.replace(x, window=window)


def xnor_popcount(walk: Walk, node: Node) -> Stream:
    """Lower an XnorPopcountMatMul of bits: how many of them equal those of the weights.

    Σ [x = w] over bits x and w is Σ (2w - 1)·x plus the number of weights 0, also where x is a 0 of padding.
    """
    where = walk.where(node)
    x = walk.stream(node, 0, keep_window=True)
    bits = walk.constant(node, 1).values
    numbers = all(a == Affine(Fraction(1)) for a in x.affines) and not x.actual(walk.edge(x).type).error.any()
    if not numbers or walk.edge(x).type != IntType(1, signed=False):
        raise UserError(f"{where} counts equal bits and reads something else; let its input be 0 and 1.")
    if bits.dtype != np.float32 or bits.ndim != 2 or not np.isin(bits, (0, 1)).all():
        raise UserError(f"{where} has weights that are no bits; let them be a matrix of 0 and 1.")
    made = qonnx_linear.product(walk, node, Constant(2 * bits - 1))
    zeros = (bits == 0).sum(axis=0)
    if made.root.error.any():
        raise UserError(f"{where} counts more bits than float32 holds; split the layer.")
    affines = tuple(Affine(a.scale, Fraction(int(n))) for a, n in zip(made.affines, zeros, strict=True))
    value = dataclasses.replace(made.value, affines=affines)
    return made.rerooted(value, np.zeros(1))


def average_pool(walk: Walk, node: Node) -> Stream:
    """Lower a QuantAvgPool2d: sums over windows, and a shift by the bits that its output lacks."""
    where = walk.where(node)
    layout = node.attribute("data_layout", "NCHW")
    if layout not in ("NCHW", "NHWC"):
        raise UserError(f"{where} has an unknown data_layout; use NCHW or NHWC.")
    x = walk.linear(walk.framed(node, 0, layout), node)
    sizes = [node.attribute(name, 0) for name in ("kernel", "stride", "ibits", "obits")]
    if any(not 1 <= size <= MAX_EXTENT for size in sizes):
        raise UserError(f"{where} needs a kernel, a stride and two widths, all positive.")
    kernel, stride, bits_in, bits_out = sizes
    height, width, channels = walk.edge(x).shape
    type = walk.edge(x).type
    whole = all(a == Affine(Fraction(1)) for a in x.affines) and not x.actual(type).error.any()
    if not whole or max(-type.min, type.max) * kernel * kernel >= 1 << 20:
        raise UserError(f"{where} reads numbers that are no small integers; quantise them with scale 1 before it.")
    if kernel > min(height, width):
        raise UserError(f"{where} has a window of {kernel} on frames of {(height, width)}; use a smaller one.")
    edge = walk.lowering.add_operator(SumPool((kernel, kernel), (stride, stride)), x.edge, label=node.label)
    # As qonnx has it: the bits of the largest sum, whatever the sign.
    shift = max((((1 << min(bits_in, 32)) - 1) * kernel * kernel).bit_length() - bits_out, 0)
    if shift:
        sums = walk.lowering.builder.edge(edge).type
        one, half, shifts = (np.array([value], dtype=np.int64) for value in (1, -((1 << shift) >> 1), shift))
        op = Dyadic(one, half, shifts, IntType.for_range(sums.min >> shift, sums.max >> shift))
        edge = walk.lowering.add_operator(op, edge, label=node.label)
    return dataclasses.replace(x, edge=edge, affines=(Affine(Fraction(1)),) * channels, root=INTEGERS, steps=())


def _extents(node: Node, name: str, count: int, default: list[int], where: str, least: int = 1) -> list[int]:
    values = node.attribute(name, default)
    if len(values) != count or any(not isinstance(v, int) or not least <= v <= MAX_EXTENT for v in values):
        raise UserError(f"{where} needs {count} numbers of at least {least} as {name}, not {list(values)[:8]}.")
    return values
