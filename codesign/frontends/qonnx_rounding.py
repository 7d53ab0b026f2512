"""Floor, Ceil and Round of a QONNX graph, and clamps between integers: exact arithmetic becomes multiply and shift."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_quantizers import MAX_ACTIVATION_BITS, Quantizer
from codesign.frontends.qonnx_requantize import MAX_COMPARED
from codesign.frontends.qonnx_stream import INTEGERS, Reach, Stream, binary_grid
from codesign.frontends.requantize import Affine, Grid, reaches
from codesign.frontends.values import Value
from codesign.ir.ops import Dyadic, Threshold
from codesign.ir.types import IntType

if TYPE_CHECKING:
    from codesign.frontends.qonnx_walk import Walk

MAX_SHIFT = 50
"""Most fraction bits that a shift drops."""

_ROUNDINGS = {"Floor": "floor", "Ceil": "ceil", "Round": "half_even"}


def rounded(walk: Walk, node: Node) -> Stream:
    """Lower a Floor, Ceil or Round of an activation."""
    x = walk.linear(walk.stream(node, 0), node)
    if (op := shifted(walk, x, node.op)) is not None:
        edge = walk.lowering.add_operator(op, x.edge, label=node.label)
        walk.shifts[edge] = ((x.edge,), op)
        affines = (Affine(Fraction(1)),) * len(x.affines)
        return dataclasses.replace(x, edge=edge, affines=affines, root=INTEGERS.carried(x.precision), steps=())
    return walk.quantized(x, _levels(walk, x, node), node)


def shifted(walk: Walk, x: Stream, kind: str) -> Dyadic | None:
    """Return the `Dyadic` that rounds an edge whose numbers float holds exactly; None where it does not."""
    if kind == "Round":
        return None  # to even; a shift rounds up
    type = walk.edge(x).type
    shift = binary_grid(x.affines, type)
    if shift is None or shift > MAX_SHIFT or x.actual(type).error.any():
        return None
    rows = [(int(a.scale * 2**shift), int(a.offset * 2**shift)) for a in x.affines]
    up = (1 << shift) - 1 if kind == "Ceil" else 0
    if len(set(rows)) == 1:
        rows = rows[:1]
    m, c = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    reached = [(m_ * end + c_ + up) >> shift for m_, c_ in rows for end in (type.min, type.max)]
    half = (1 << shift) >> 1
    return Dyadic(m, c + up - half, np.full(len(m), shift), IntType.for_range(min(reached), max(reached)))


def _levels(walk: Walk, x: Stream, node: Node) -> Quantizer:
    """Return the rounding as steps between all integers that the edge reaches."""
    where = walk.where(node)
    function = {"Floor": np.floor, "Ceil": np.ceil, "Round": np.rint}[node.op]
    type = walk.edge(x).type
    ends = np.stack([function(side) for side in x.numbers(np.array([[type.min], [type.max]], dtype=np.int64))])
    if not np.isfinite(ends).all() or np.ptp(ends) >= 1 << MAX_ACTIVATION_BITS or np.abs(ends).max() >= 1 << 24:
        raise UserError(f"{where} makes integers of more than {MAX_ACTIVATION_BITS} bits; quantise before it.")
    low, high = int(ends.min()), int(ends.max())
    grid = Grid(Fraction(1), low, max(high, low + 1), _ROUNDINGS[node.op])
    steps = [reaches(grid, level) for level in range(grid.low + 1, grid.high + 1)]
    return Quantizer(grid.low, grid.high, function, lambda _: steps, (Affine(Fraction(1)),), (), grid)


def narrowed(walk: Walk, x: Stream, label: str) -> Stream:
    """Return the stream on an edge whose integers are clamped as its meaning is.

    It stays as it is where a clamp is at no integer, or where the executor's float for the outermost integer that is
    left is not certain to be the clamp.
    """
    if x.linear or any(a.scale <= 0 for a in x.affines):
        return x
    type = walk.edge(x).type
    found = {_ends(a, type) for a in x.affines}
    if len(found) != 1 or (ends := found.pop()) is None:
        return x
    low, high = ends
    sides = x.numbers(np.array([[type.min], [low], [high], [type.max]], dtype=np.int64))
    if not np.array_equal(*sides) or (sides[0][0] != sides[0][1]).any() or (sides[0][2] != sides[0][3]).any():
        return x
    kept = IntType.for_range(low, high)
    affines = tuple(Affine(a.scale, a.offset) for a in x.affines)
    if low in (kept.min, type.min) and high in (kept.max, type.max):
        sources, op = walk.shifts.get(x.edge, ((x.edge,), _SAME))
        op = dataclasses.replace(op, type=kept)
        edge = walk.lowering.add_operator(op, *sources, label=label)
        walk.shifts[edge] = (sources, op)
    elif high - low <= MAX_COMPARED:
        levels = np.arange(low + 1, high + 1, dtype=np.int64)
        edge = walk.lowering.add_operator(Threshold(levels[None], low), x.edge, label=label)
    else:
        return x
    least, greatest = (np.full(len(affines), end, dtype=np.int64) for end in (low, high))
    return dataclasses.replace(x, edge=edge, affines=affines, reach=Reach(edge, least, greatest))


def without_offset(walk: Walk, x: Stream, label: str) -> Stream:
    """Return the stream on an edge that carries offsets of whole steps itself, so that its integer 0 means 0.

    It stays as it is where float may have rounded its numbers.
    """
    if not x.linear or not any(a.offset for a in x.affines) or any(not a.scale for a in x.affines):
        return x
    steps = [a.offset / a.scale for a in x.affines]
    type = walk.edge(x).type
    if any(step.denominator != 1 or abs(step) >= 1 << 40 for step in steps) or x.actual(type).error.any():
        return x
    offset = np.array([int(step) for step in steps], dtype=np.int64)
    one, zero = np.ones_like(offset), np.zeros_like(offset)
    made = IntType.for_range(type.min + int(offset.min()), type.max + int(offset.max()))
    edge = walk.lowering.add_operator(Dyadic(one, offset, zero, made), x.edge, label=label)
    return x.rerooted(Value(edge, tuple(Affine(a.scale) for a in x.affines)), np.zeros(1))


_SAME = Dyadic(np.array([1]), np.array([0]), np.array([0]), IntType(1, signed=False))
"""Every integer as it is, but for the type."""


def _ends(affine: Affine, type: IntType) -> tuple[int, int] | None:
    """Return the least and greatest integer that a clamped meaning leaves of a type, None without such."""
    ends = []
    for bound, extreme in ((affine.low, type.min), (affine.high, type.max)):
        place = Fraction(extreme) if bound is None else (bound - affine.offset) / affine.scale
        if place.denominator != 1:
            return None
        ends.append(min(max(int(place), type.min), type.max))
    low, high = ends
    return (low, high) if low < high else None
