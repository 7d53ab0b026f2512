"""Quantisers of a QONNX graph on activations: Quant, BipolarQuant, Sign, Trunc and MultiThreshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_quantizers
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_stream import LayoutError, Stream

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk


def quant(walk: Walk, node: Node) -> Stream:
    """Lower a Quant."""
    x, where = walk.stream(node, 0), walk.where(node)
    parameters = qonnx_quantizers.read_quant(node, [walk.optional(node, place) for place in range(1, len(node.inputs))])
    return walk.quantized(
        x, qonnx_quantizers.quant(node, parameters, lambda values: walk.per_channel(x, values, where)), node
    )


def bipolar(walk: Walk, node: Node) -> Stream:
    """Lower a BipolarQuant."""
    x, where = walk.stream(node, 0), walk.where(node)
    scale = walk.optional(node, 1)
    return walk.quantized(
        x, qonnx_quantizers.bipolar(node, scale, lambda values: walk.per_channel(x, values, where)), node
    )


def sign(walk: Walk, node: Node) -> Stream:
    """Lower a Sign."""
    return walk.quantized(walk.stream(node, 0), qonnx_quantizers.sign(), node)


def trunc(walk: Walk, node: Node) -> Stream:
    """Lower a Trunc."""
    x = walk.stream(node, 0)
    type = walk.edge(x).type
    ends = np.array([[type.min], [type.max]], dtype=np.int64)

    def reached(levels: qonnx_quantizers.Levels) -> tuple[int, int]:
        found = np.stack([levels(side) for side in x.numbers(ends)])
        if not np.isfinite(found).all() or np.abs(found).max() >= 1 << 24:
            raise UserError(f"{walk.where(node)} truncates numbers beyond float32; scale the network down.")
        return int(found.min()), int(found.max())

    parameters = [walk.optional(node, place) for place in range(1, len(node.inputs))]
    return walk.quantized(x, qonnx_quantizers.trunc(node, parameters, reached), node)


def multi_threshold(walk: Walk, node: Node) -> Stream:
    """Lower a MultiThreshold."""
    x = walk.stream(node, 0)
    return walk.quantized(x, thresholds(walk, node, x, walk.optional(node, 1)), node)


def thresholds(walk: Walk, node: Node, x: Stream, constant: Constant | None) -> qonnx_quantizers.Quantizer:
    """Return the function of a MultiThreshold with these thresholds."""
    where = walk.where(node)
    layout = node.attribute("data_layout", "")
    axis = layout.index("C") if "C" in layout and len(layout) == len(x.axes) else 1
    channels = len(x.affines)

    def rows(table: np.ndarray) -> np.ndarray:
        if len(table) == 1:
            return table
        if axis != x.channel_axis:
            raise LayoutError(f"{where} has thresholds for axis {axis} of {x.axes}, which are not the channels.")
        if len(table) != channels:
            raise UserError(f"{where} has thresholds for {len(table)} channels and reads {channels}.")
        return table if x.order is None else table[x.order]

    return qonnx_quantizers.multi_threshold(node, constant, rows, x.precision.dtype)
