"""Operators of a QONNX graph that move numbers without changing them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_rounding import narrowed, without_offset
from codesign.frontends.qonnx_stream import LayoutError, Stream
from codesign.frontends.qonnx_windows import MAX_EXTENT
from codesign.frontends.requantize import Affine
from codesign.frontends.values import Value
from codesign.ir.operator import Operator
from codesign.ir.ops import Add, Conv2d, Dense

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk

MAX_FEATURES = 1 << 17
"""Most features that a frame may be flattened to."""

MAX_JOINED = 1 << 11
"""Most channels or features that a concatenation may have: it costs a matrix of their square."""


def transpose(walk: Walk, node: Node) -> Stream:
    """Lower a Transpose: the edge stays channels last, its axes are read in another order."""
    x = walk.stream(node, 0, keep_padding=True)
    rank = len(x.axes)
    order = node.attribute("perm", list(range(rank))[::-1])
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise UserError(f"{walk.where(node)} moves axes by {order[:8]}; only axes behind the first may change places.")
    return dataclasses.replace(x, axes="".join(x.axes[axis] for axis in order))


def reshape(walk: Walk, node: Node) -> Stream:
    """Lower a Reshape that flattens frames, or changes nothing."""
    where = walk.where(node)
    x, target = walk.stream(node, 0), walk.constant(node, 1).values
    if target.dtype != np.int64 or target.ndim != 1 or target.size > 8:
        raise UserError(f"{where} needs its new shape as a row of 64-bit integers.")
    shape = (walk.batch, *walk.shape(x)[1:])
    wanted = target.tolist()
    if not node.attribute("allowzero", 0):
        wanted = [shape[i] if extent == 0 and i < len(shape) else extent for i, extent in enumerate(wanted)]
    total = math.prod(shape)
    if wanted.count(-1) == 1:
        known = -math.prod(wanted)
        wanted = [total // known if extent == -1 and known > 0 else extent for extent in wanted]
    if math.prod(wanted) != total or min(wanted, default=0) < 1:
        raise UserError(
            f"{where} reshapes {shape} to {target.tolist()}, which is not as large; export the network again."
        )
    if tuple(wanted) == shape:
        return x
    if len(wanted) == 2 and wanted[0] == walk.batch:
        return walk.flattened(x, node.label)
    if (axes := _moved(x.axes, shape, wanted)) is not None:
        return dataclasses.replace(x, axes=axes)
    raise LayoutError(
        f"{where} reshapes {shape} to {tuple(wanted)}; only flattening to (frames, features) and moving axes of extent "
        "1 are supported."
    )


def _moved(axes: str, shape: Sequence[int], wanted: Sequence[int]) -> str | None:
    """Return the axes after a Reshape that moves axes of extent 1 alone, which exporters make of a Transpose."""
    extents = dict(zip(axes, shape, strict=True))

    def longer(order: str) -> list[str]:
        return [axis for axis in order if extents[axis] > 1]

    for order in ("NCHW", "NHWC") if len(axes) == 4 else ():
        if order != axes and [extents[axis] for axis in order] == list(wanted) and longer(order) == longer(axes):
            return order
    return None


def flatten(walk: Walk, node: Node) -> Stream:
    """Lower a Flatten from the second axis on."""
    x = walk.stream(node, 0)
    if node.attribute("axis", 1) not in (1, 1 - len(x.axes)):
        raise UserError(f"{walk.where(node)} flattens from another axis than 1, which mixes frames; use axis=1.")
    return walk.flattened(x, node.label)


def squeeze(walk: Walk, node: Node) -> Stream:
    """Lower a Squeeze of height and width 1."""
    x = walk.stream(node, 0)
    axes = node.numbers("axes")
    if axes is None and (given := walk.optional(node, 1)) is not None:
        axes = given.values.reshape(-1).tolist()
    rank = len(x.axes)
    wanted = {x.axes.index(axis) for axis in "HW"} if rank == 4 else set()
    if not isinstance(axes, list) or {int(a) % rank for a in axes} != wanted or walk.edge(x).shape[:2] != (1, 1):
        raise UserError(f"{walk.where(node)} squeezes axes {axes}; only height and width of extent 1 can be.")
    return walk.flattened(x, node.label)


def pad(walk: Walk, node: Node) -> Stream:
    """Lower a Pad with zeros around frames; a convolution behind it takes them over."""
    where = walk.where(node)
    x = walk.stream(node, 0, keep_padding=True)
    rank = len(x.axes)
    given = walk.optional(node, 1)
    pads = node.numbers("pads") if given is None else given.values.reshape(-1).tolist()
    fill = walk.optional(node, 2)
    value = node.attribute("value", 0.0) if fill is None else fill.values.reshape(-1)
    axes = walk.optional(node, 3)
    places = list(range(rank)) if axes is None else [int(a) % rank for a in axes.values.reshape(-1).tolist()]
    if not isinstance(pads, list) or len(pads) != 2 * len(places) or rank != 4 or len(set(places)) != len(places):
        raise UserError(f"{where} needs two paddings for each axis of a frame; export the network again.")
    if node.attribute("mode", "constant") != "constant" or np.any(np.asarray(value) != 0):
        raise UserError(f"{where} pads with something else than 0, which is not supported; pad with zeros.")
    added = dict.fromkeys(x.axes, (0, 0))
    for place, first, last in zip(places, pads[: len(places)], pads[len(places) :], strict=True):
        added[x.axes[place]] = (int(first), int(last))
    if any(added[axis] != (0, 0) for axis in "NC"):
        raise LayoutError(f"{where} pads frames or channels; only rows and columns of zeros can be added.")
    if any(not 0 <= p <= MAX_EXTENT for pair in added.values() for p in pair):
        raise UserError(f"{where} cuts rows or columns off, or adds too many; only zeros around a frame can be added.")
    ends = (*added["H"], *added["W"])
    total = [a + b for a, b in zip(x.padding, ends, strict=True)]
    return dataclasses.replace(x, padding=(total[0], total[1], total[2], total[3]))


def concat(walk: Walk, node: Node) -> Stream:
    """Lower a Concat along channels or features: each part is put in its place by a matrix of 0 and 1, then added."""
    where = walk.where(node)
    parts = [walk.linear(walk.stream(node, place), node) for place in range(len(node.inputs))]
    first = parts[0]
    axis = node.attribute("axis", 0)
    if axis not in (first.channel_axis, first.channel_axis - len(first.axes)):
        raise LayoutError(
            f"{where} joins along axis {axis}, which is not that of the channels; only channels can be joined."
        )
    frame = walk.edge(first).shape[:-1]
    if any(x.axes != first.axes or walk.edge(x).shape[:-1] != frame for x in parts):
        raise UserError(f"{where} joins activations of different frames or orders of axes; bring them to one.")
    counts = [len(x.affines) for x in parts]
    total = sum(counts)
    if total > MAX_JOINED:
        raise UserError(f"{where} makes {total:,} channels; at most {MAX_JOINED:,} can be joined.")
    walk.spend(total * total // 64, where)
    starts = np.cumsum([0, *counts])
    errors = [np.broadcast_to(x.actual(walk.edge(x).type).error, count) for x, count in zip(parts, counts, strict=True)]
    affines = [affine for x in parts for affine in x.affines]
    order = None
    if any(x.order is not None for x in parts):
        orders = [np.arange(n) if x.order is None else x.order for x, n in zip(parts, counts, strict=True)]
        order = np.concatenate([o + start for o, start in zip(orders, starts, strict=False)])
    edges = {x.edge for x in parts}
    if len(edges) == 1:
        matrix = np.tile(np.eye(counts[0], dtype=np.int64), len(parts))
        edge = walk.lowering.add_operator(_placing(matrix, frame), first.edge, label=node.label)
    else:
        edge = ""
        for x, start, count in zip(parts, starts, counts, strict=False):
            matrix = np.zeros((count, total), dtype=np.int64)
            matrix[np.arange(count), start + np.arange(count)] = 1
            placed = walk.lowering.add_operator(_placing(matrix, frame), x.edge, label=node.label)
            edge = walk.lowering.add_operator(Add(), edge, placed, label=node.label) if edge else placed
    return first.rerooted(Value(edge, tuple(affines)), np.concatenate(errors), order=order)


def _placing(matrix: np.ndarray, frame: tuple[int, ...]) -> Operator:
    """Return the operator that puts channels in their places: (from, to), 0 and 1."""
    book = np.array([0, 1], dtype=np.int64)
    return Conv2d(matrix[None, None], codebook=book) if frame else Dense(matrix, codebook=book)


def flattened(walk: Walk, x: Stream, label: str) -> Stream:
    """Read frames as vectors, and remember where each feature lies in the ONNX tensor."""
    if x.axes == "NF":
        return x
    height, width, channels = walk.edge(x).shape
    if height * width * channels > MAX_FEATURES:
        raise UserError(f"node {label!r} makes vectors of more than {MAX_FEATURES:,} features; pool before it.")
    axes = x.axes[1:]
    places = np.arange(height * width * channels).reshape(walk.shape(x)[1:])
    order = places.transpose([axes.index(axis) for axis in "HWC"]).reshape(-1)
    value = walk.lowering.flatten(x.value, label)
    trivial = bool((np.diff(order) == 1).all())
    return x.spread(value, height * width, "NF", None if trivial else order)


def padded(walk: Walk, x: Stream, padding: tuple[int, int, int, int], label: str) -> Stream:
    """Add rows and columns of zeros."""
    clamped = not x.linear
    x = without_offset(walk, narrowed(walk, x, label) if clamped else x, label)
    # Behind a clamp the executor's number for the integer 0 may be the bound.
    moved = clamped and any(side.any() for side in x.numbers(np.zeros((1, 1), dtype=np.int64)))
    if moved or any(affine.offset != 0 or not affine.linear for affine in x.affines):
        raise UserError(
            f"node {label!r} pads an input whose zero is not integer 0; quantise it without a zero point first."
        )
    edge = surrounded(walk, x, padding, label)
    return dataclasses.replace(x, edge=edge, affines=tuple(Affine(a.scale) for a in x.affines))


def surrounded(walk: Walk, x: Stream, padding: tuple[int, int, int, int], label: str) -> str:
    """Return the edge with rows and columns of the integer 0, added by a convolution that changes nothing else."""
    channels = walk.edge(x).channels
    ones = np.ones((1, 1, 1, channels), dtype=np.int64)
    return walk.lowering.add_operator(Conv2d(ones, padding=padding, groups=channels), x.edge, label=label)
