"""From a quantiser of a QONNX graph to the operator on integers that does the same.

Where the executor's float32 number is a function of the integer, the smallest integer that reaches a level is found
by running that very function: it rises, so bisection finds it. Where float32 sums round in an order that is the
executor's own, the number is known up to a bound. A level that is reached at one integer for both ends of the bound
is settled; otherwise exact arithmetic decides, and the level is counted as one that float32 leaves open.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.frontends.lowering import Lowering
from codesign.frontends.qonnx_quantizers import Quantizer
from codesign.frontends.qonnx_stream import INTEGERS, Stream
from codesign.frontends.requantize import MAX_THRESHOLDS, Affine, dyadic_operator, smallest_inputs
from codesign.frontends.values import Value
from codesign.ir.operator import OperatorError
from codesign.ir.ops import Dyadic, SelectThreshold, Threshold
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType

MAX_EXACT_SHIFT = 44
"""Largest shift that is tried for a multiplier that rounds as the quantiser does at every integer."""

MAX_COMPARED = 255
"""Most thresholds of a channel."""

MAX_TABLE = 1 << 20
"""Most thresholds of all channels that are searched."""

_AT_ONCE = 1 << 21
"""Levels times channels that are searched at once."""


@dataclass(frozen=True)
class Open:
    """What float32 leaves open in one quantiser.

    Parameters
    ----------
    label : str
    steps : int
        Steps between levels, over all channels, that lie within the executor's rounding of an integer.
    total : int
    """

    label: str
    steps: int
    total: int


def quantize(
    lowering: Lowering, x: Stream, quantizer: Quantizer, label: str, exact: bool = True
) -> tuple[Stream, Open | None]:
    """Add the operator of a quantiser, or none where it gives every integer back.

    Parameters
    ----------
    lowering : Lowering
    x : Stream
    quantizer : Quantizer
    label : str
    exact : bool
        Let no `Dyadic` round otherwise than the quantiser. Without it one of `MULTIPLIER_BITS` is enough, as in the
        other frontends.

    Raises
    ------
    UserError
        When the quantiser has too many levels for thresholds and no multiplier gives them.
    """
    x = rising(lowering, x, label)
    tensor = lowering.builder.edge(x.edge)
    _require_finite(x, tensor.type, label)
    channels = len(x.affines)
    alike = quantizer.alike and x.uniform
    one = x.first_channel() if alike else x
    if (quantizer.high - quantizer.low) * len(one.affines) > MAX_TABLE:
        raise UserError(f"node {label!r} has too many levels for {channels:,} channels; use fewer bits there.")
    table, open_steps = _table(one, quantizer, tensor.type)
    affines = quantizer.affines * (channels if len(quantizer.affines) == 1 else 1)
    made = dataclasses.replace(x, affines=affines, root=INTEGERS.carried(x.precision), steps=quantizer.steps)
    times = channels if alike else 1
    found = Open(label, open_steps * times, table.size * times) if open_steps else None
    if _is_identity(table, quantizer, tensor.type):
        return made, found
    op = _operator(one, quantizer, table, tensor.type, label, exact)
    return dataclasses.replace(made, edge=lowering.add_operator(op, x.edge, label=label)), found


def quantize_chosen(
    lowering: Lowering,
    x: Stream,
    quantizers: Sequence[Quantizer],
    sources: Callable[[str], tuple[str, str]],
    label: str,
) -> tuple[Stream, Open | None]:
    """Add the thresholds of quantisers of which an index chooses one for each frame; else as `quantize`.

    `sources` gives the two edges that the operator reads, from that of `x`.
    """
    x = rising(lowering, x, label)
    type, first = lowering.builder.edge(x.edge).type, quantizers[0]
    _require_finite(x, type, label)
    one = x.first_channel() if x.uniform and all(quantizer.alike for quantizer in quantizers) else x
    steps = first.high - first.low
    if steps > MAX_COMPARED or steps * len(one.affines) * len(quantizers) > MAX_TABLE:
        raise UserError(f"node {label!r} has too many levels for what an index chooses; use at most 8 bits there.")
    tables = [_table(one, quantizer, type) for quantizer in quantizers]
    op = SelectThreshold(np.stack([table for table, _ in tables]), first.low)
    affines = first.affines * (len(x.affines) if len(first.affines) == 1 else 1)
    edge = lowering.add_operator(op, *sources(x.edge), label=label)
    root = INTEGERS.carried(x.precision)
    made = dataclasses.replace(x, edge=edge, affines=affines, root=root, steps=first.steps)
    left = sum(count for _, count in tables)
    return made, Open(label, left, op.thresholds.size) if left else None


def rising(lowering: Lowering, x: Stream, label: str) -> Stream:
    """Return the stream on an edge whose integers rise with their meaning."""
    falling = np.array([affine.scale < 0 for affine in x.affines])
    if not falling.any():
        return x
    edge, affines = lowering.positive(x.value, label)
    return x.negated(Value(edge, affines), falling)


def _require_finite(x: Stream, type: IntType, label: str) -> None:
    ends = np.array([[type.min], [type.max]], dtype=np.int64)
    if not all(np.isfinite(side).all() for side in x.numbers(ends)):
        raise UserError(f"node {label!r} reads numbers beyond float32; scale the network down.")


def _table(x: Stream, quantizer: Quantizer, type: IntType) -> tuple[np.ndarray, int]:
    """Return the smallest integer that reaches each level, (channels, levels - 1), and how many steps are left open."""
    levels = np.arange(quantizer.low + 1, quantizer.high + 1)
    channels = len(x.affines)
    pessimist, optimist = (_search(x, quantizer, type, levels, side) for side in (0, 1))
    table = optimist.copy()
    undecided = pessimist != optimist
    for channel in np.flatnonzero(undecided.any(axis=1)).tolist():
        exact = np.array(smallest_inputs(x.affines[channel], quantizer.reaches(channel), type), dtype=np.int64)
        table[channel] = np.clip(exact, optimist[channel], pessimist[channel])
    # Float32 cannot make a higher level come before a lower one, but the two sides were chosen separately.
    return np.maximum.accumulate(table, axis=1).reshape(channels, -1), int(undecided.sum())


def _search(x: Stream, quantizer: Quantizer, type: IntType, levels: np.ndarray, side: int) -> np.ndarray:
    """Bisect for one end of the executor's bounds: 0 the least number, 1 the greatest."""
    channels = len(x.affines)
    begin, end = type.min, type.max + 1
    low = np.full((len(levels), channels), begin, dtype=np.int64)
    high = np.full((len(levels), channels), end, dtype=np.int64)
    rows = max(1, _AT_ONCE // channels)
    for start in range(0, len(levels), rows):
        piece = slice(start, start + rows)
        a, b, wanted = low[piece], high[piece], levels[piece, None]
        while (a < b).any():
            middle = (a + b) >> 1
            reached = quantizer.levels(x.numbers(middle)[side]) >= wanted
            searching = a < b
            np.copyto(b, middle, where=reached & searching)
            np.copyto(a, middle + 1, where=~reached & searching)
    return np.ascontiguousarray(low.T)


def _is_identity(table: np.ndarray, quantizer: Quantizer, type: IntType) -> bool:
    if type.min < quantizer.low or type.max > quantizer.high:
        return False
    levels = np.arange(quantizer.low + 1, quantizer.high + 1)
    return bool((table == np.clip(levels, type.min, type.max + 1)).all())


def _operator(
    x: Stream, quantizer: Quantizer, table: np.ndarray, type: IntType, label: str, exact: bool
) -> Threshold | Dyadic:
    steps = quantizer.high - quantizer.low
    if steps > MAX_THRESHOLDS:
        near = None if quantizer.grid is None else dyadic_operator(x.affines, quantizer.grid)
        if not exact and near is not None and _fits(near, type):
            return near
        for op in (_exact_dyadic(x.affines, quantizer, table, type), near):
            if op is not None and _fits(op, type) and _same(op, table, quantizer, type):
                return op
    if steps > MAX_COMPARED:
        raise UserError(
            f"node {label!r} makes {steps + 1} levels, and no multiplier and shift round as it does at every integer; "
            "use at most 8 bits there, or scales that are powers of two."
        )
    same = bool((table == table[0]).all())
    return Threshold(table[:1] if same else table, quantizer.low)


def _fits(op: Dyadic, type: IntType) -> bool:
    try:
        op.intermediate_type(Tensor((1,), type))
    except OperatorError:
        return False
    return True


def _same(op: Dyadic, table: np.ndarray, quantizer: Quantizer, type: IntType) -> bool:
    """Tell whether a `Dyadic` reaches every level at the same integer as a table."""
    levels = np.arange(quantizer.low + 1, quantizer.high + 1, dtype=object)
    channels = len(op.multiplier)
    for channel in range(channels):
        m, n = int(op.multiplier[channel]), int(op.shift[channel])
        constant = int(op.bias[channel]) + int(op.half[channel])
        if m > 0:
            found = [-((constant - (int(level) << n)) // m) for level in levels]
        else:
            found = [type.min if constant >> n >= level else type.max + 1 for level in levels]
        found = [
            type.min if level <= op.type.min else type.max + 1 if level > op.type.max else value
            for level, value in zip(levels, found, strict=True)
        ]
        expected = np.clip(np.array(found, dtype=object), type.min, type.max + 1).astype(np.int64)
        rows = table if channels == 1 else table[channel : channel + 1]
        if not (rows == expected).all():
            return False
    return True


def _exact_dyadic(affines: tuple[Affine, ...], quantizer: Quantizer, table: np.ndarray, type: IntType) -> Dyadic | None:
    """Return the `Dyadic` of smallest shifts that reaches every level where the table says, or None."""
    reached = (table <= type.min).sum(axis=1) + quantizer.low, (table <= type.max).sum(axis=1) + quantizer.low
    output = IntType.for_range(int(reached[0].min()), int(reached[1].max()))
    scales = quantizer.affines * len(affines) if len(quantizer.affines) == 1 else quantizer.affines[: len(affines)]
    constants = []
    known: dict[object, tuple[int, int, int]] = {}
    for channel, (affine, scale) in enumerate(zip(affines, scales, strict=True)):
        ratio = affine.scale / scale.scale
        key = (ratio, table[channel].tobytes())
        if key not in known:
            solution = _solve(ratio, table[channel], quantizer, type, output)
            if solution is None:
                return None
            known[key] = solution
        constants.append(known[key])
    # One shift for all channels costs hardware nothing; what a smaller one can do, a larger one can.
    most = max(shift for _, _, shift in constants)
    rows = [(m << (most - n), c << (most - n)) for m, c, n in constants]
    if len(set(rows)) == 1:
        rows = rows[:1]
    if any(abs(value) >= 1 << 61 for row in rows for value in row):
        return None
    m, c = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Dyadic(m, c - ((1 << most) >> 1), np.full(len(m), most), output)


def _solve(
    ratio: object, row: np.ndarray, quantizer: Quantizer, type: IntType, output: IntType
) -> tuple[int, int, int] | None:
    """Return (m, c, n) for one channel: m·i + c reaches level·2^n exactly where the row says."""
    levels = np.arange(quantizer.low + 1, quantizer.high + 1)
    inner = (row > type.min) & (row <= type.max)
    at, level = row[inner], levels[inner]
    first, last = int((row <= type.min).sum()) + quantizer.low, int((row <= type.max).sum()) + quantizer.low
    # Points where m·i + c must reach a level, and others where it must not.
    reach = [(at, level)] + ([(np.array([type.min]), np.array([first]))] if first > output.min else [])
    miss = [(at - 1, level)] + ([(np.array([type.max]), np.array([last + 1]))] if last < output.max else [])
    reach_at, reach_level, miss_at, miss_level = (
        np.concatenate([pair[part] for pair in pairs]) for pairs in (reach, miss) for part in (0, 1)
    )
    width = max(abs(type.min), abs(type.max)).bit_length()
    for shift in range(MAX_EXACT_SHIFT + 1):
        slope = int(ratio * (1 << shift))  # type: ignore[operator]
        if slope.bit_length() + width > 60:
            return None
        for m in (slope, slope + 1):
            low = int(((reach_level << shift) - m * reach_at).max()) if reach_at.size else None
            high = int(((miss_level << shift) - m * miss_at).min()) - 1 if miss_at.size else None
            if low is None and high is None:
                low = high = first << shift
            if low is None or high is None or low <= high:
                constant = low if low is not None else high
                return m, int(constant or 0), shift
    return None
