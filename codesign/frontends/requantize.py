"""From real scales to integer re-quantisation constants, in exact rational arithmetic.

The one question answered here: an edge carries integers i whose real value in channel c is
clamp(scale[c]·i + offset[c], low[c], high[c]), and a quantiser rounds that to a grid. Which `Threshold` or
`Dyadic` computes the quantiser's integer from i?
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codesign.errors import UserError
from codesign.ir.operator import OperatorError
from codesign.ir.ops import Dyadic, Threshold
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType

MAX_THRESHOLDS = 15
"""A quantiser of up to 16 levels (4 bits) becomes a `Threshold`; a wider one a `Dyadic` where that is exact enough."""

MULTIPLIER_BITS = 17
"""Magnitude of a dyadic multiplier: with its sign it fills the 18-bit port of a DSP48 or ECP5 multiplier."""

MAX_SHIFT = 40
"""Largest dyadic shift: beyond it a multiplier is indistinguishable from 0 for accumulators of 32 bits."""

ROUNDINGS = (
    "half_even", "half_up", "half_away", "half_zero", "floor", "ceil", "away", "toward_zero", "sign", "dead_zone",
)  # fmt: skip
"""Tie rules: torch.round and tf.round; floor(x + ½); ties away from zero and towards it; the directed ones: down, up,
away from zero and towards it; the binary quantiser that gives its highest level from 0 on and its lowest below (a
grid of -1 to 1, or 0 to 1); and the ternary one that gives the sign where |x| reaches a threshold and 0 elsewhere (a
grid of -1 to 1)."""


@dataclass(frozen=True)
class Affine:
    """Real meaning of an integer edge in one channel: clamp(scale·i + offset, low, high)."""

    scale: Fraction
    offset: Fraction = Fraction(0)
    low: Fraction | None = None
    high: Fraction | None = None

    def then(self, factor: Fraction, shift: Fraction) -> Affine:
        """Return factor·(this) + shift."""
        bounds = [None if b is None else factor * b + shift for b in (self.low, self.high)]
        if factor < 0:
            bounds.reverse()
        if factor == 0:
            bounds = [None, None]
        return Affine(factor * self.scale, factor * self.offset + shift, bounds[0], bounds[1])

    def clamped(self, low: Fraction | None, high: Fraction | None) -> Affine:
        """Return min(max(this, low), high)."""
        new_low, new_high = self.low, self.high
        if low is not None:
            new_low = low if new_low is None else max(new_low, low)
            new_high = None if new_high is None else max(new_high, low)
        if high is not None:
            new_high = high if new_high is None else min(new_high, high)
            new_low = None if new_low is None else min(new_low, high)
        return Affine(self.scale, self.offset, new_low, new_high)

    @property
    def linear(self) -> bool:
        """Whether nothing is clamped."""
        return self.low is None and self.high is None


@dataclass(frozen=True)
class Grid:
    """A uniform quantiser: integer clamp(round(real / scale), low, high), meaning scale·integer.

    A quantiser with zero point z and codes in [a, b] is the grid [a - z, b - z]: the edge then carries code - z,
    so that integer 0 is real 0. `threshold`, in units of the scale, matters to the rounding "dead_zone" alone.
    """

    scale: Fraction
    low: int
    high: int
    rounding: str = "half_even"
    threshold: Fraction = Fraction(1, 2)

    @property
    def keeps_levels(self) -> bool:
        """Whether a real value that is one of the levels always gives that level."""
        return self.rounding not in ("sign", "dead_zone")

    def __post_init__(self) -> None:
        if self.threshold <= 0:
            raise ValueError("a dead zone needs a positive threshold")
        if self.scale <= 0:
            raise ValueError("a quantiser's scale must be positive")
        if self.low >= self.high:
            raise ValueError("a quantiser needs at least two levels")
        if self.rounding not in ROUNDINGS:
            raise ValueError(f"unknown rounding {self.rounding!r}")


def fraction(value: float | Fraction, where: str = "the model") -> Fraction:
    """Return a float as the exact rational it is, refusing NaN and infinity; a fraction stays as it is."""
    if isinstance(value, Fraction):
        return value
    value = float(value)
    if not math.isfinite(value):
        raise UserError(
            f"{where} holds {value} where a finite number is needed; train it again or mend the checkpoint."
        )
    return Fraction(value)


def reaches(grid: Grid, level: int) -> tuple[Fraction, bool]:
    """Return (t, strict): the quantiser gives at least `level` for real/scale ≥ t, or > t when strict."""
    half = Fraction(1, 2)
    match grid.rounding:
        case "half_even":
            return level - half, level % 2 != 0
        case "half_up":
            return level - half, False
        case "half_away":
            return level - half, level <= 0
        case "half_zero":
            return level - half, level > 0
        case "floor":
            return Fraction(level), False
        case "away":
            return (Fraction(level - 1), True) if level > 0 else (Fraction(level), False)
        case "toward_zero":
            return (Fraction(level), False) if level > 0 else (Fraction(level - 1), True)
        case "sign":
            return Fraction(0), False
        case "dead_zone":
            return (grid.threshold, False) if level > 0 else (-grid.threshold, True)
        case _:
            return Fraction(level - 1), True


def channel_thresholds(affine: Affine, grid: Grid, input_type: IntType) -> list[int]:
    """Return for each level above the lowest the smallest input integer that reaches it.

    The scale must not be negative. Levels that every input reaches get the type's minimum, levels that none
    reaches its maximum + 1.
    """
    steps = (reaches(grid, level) for level in range(grid.low + 1, grid.high + 1))
    return smallest_inputs(affine, ((t * grid.scale, strict) for t, strict in steps), input_type)


def smallest_inputs(affine: Affine, steps: Iterable[tuple[Fraction, bool]], input_type: IntType) -> list[int]:
    """Return for each step (t, strict) the smallest input integer whose meaning is at least t, or above it when strict.

    The scale must not be negative. Steps that every input takes get the type's minimum, steps that none takes its
    maximum + 1.
    """
    always, never = input_type.min, input_type.max + 1
    found = []
    for t, strict in steps:

        def passes(value: Fraction, t: Fraction = t, strict: bool = strict) -> bool:
            return value > t if strict else value >= t

        if affine.low is not None and passes(affine.low):
            threshold = always
        elif affine.high is not None and not passes(affine.high):
            threshold = never
        elif affine.scale == 0:
            threshold = always if passes(affine.offset) else never
        else:
            position = (t - affine.offset) / affine.scale
            threshold = math.floor(position) + 1 if strict else math.ceil(position)
        found.append(min(max(threshold, always), never))
    return found


def threshold_operator(affines: Sequence[Affine], grid: Grid, input_type: IntType) -> Threshold:
    """Return the `Threshold` that equals the quantiser for every input; one row when all channels agree."""
    rows = [channel_thresholds(affine, grid, input_type) for affine in affines]
    if all(row == rows[0] for row in rows):
        rows = rows[:1]
    return Threshold(np.array(rows, dtype=np.int64), grid.low)


def dyadic_operator(affines: Sequence[Affine], grid: Grid) -> Dyadic | None:
    """Return the `Dyadic` closest to the quantiser, or None when its clamp or constants cannot express it.

    The multiplier is scale ratio · 2^shift rounded to `MULTIPLIER_BITS` bits and made odd where the ratio is
    a dyadic rational, so power-of-two ratios are exact. Ties go up whatever the quantiser's rule.
    """
    low, high = grid.low, grid.high
    # A clamp outside the grid changes nothing; one at 0 (ReLU), the same in all channels, makes the range unsigned.
    lows = {a.low for a in affines if a.low is not None and a.low > grid.low * grid.scale}
    if any(a.high is not None and a.high < grid.high * grid.scale for a in affines):
        return None
    if lows:
        if lows != {Fraction(0)} or any(a.low != 0 for a in affines):
            return None
        low = 0
    output = IntType.for_range(low, high)
    if (output.min, output.max) != (low, high) or grid.rounding not in (
        "half_even",
        "half_up",
        "half_away",
        "floor",
    ):
        return None
    multipliers, biases, shifts = [], [], []
    for affine in affines:
        ratio, offset = affine.scale / grid.scale, affine.offset / grid.scale
        if grid.rounding == "floor":
            offset -= Fraction(1, 2)
        multiplier, shift = _dyadic(ratio)
        if grid.rounding == "floor" and shift == 0:
            shift, multiplier = 1, multiplier * 2  # room for the half that turns rounding into truncation
        if offset != 0 and shift < 16 and (offset * (1 << shift)).denominator != 1:
            multiplier, shift = multiplier << (16 - shift), 16  # fraction bits for the bias
        multipliers.append(multiplier)
        shifts.append(shift)
        biases.append(round(offset * (1 << shift)))
    if max(abs(value) for value in (*multipliers, *biases)) >= 1 << 61:
        return None
    columns = [tuple(column) for column in zip(multipliers, biases, shifts, strict=True)]
    if all(column == columns[0] for column in columns):
        columns = columns[:1]
    m, b, n = (np.array(values, dtype=np.int64) for values in zip(*columns, strict=True))
    return Dyadic(m, b, n, output)


def _dyadic(ratio: Fraction) -> tuple[int, int]:
    """Return (multiplier, shift), multiplier / 2^shift closest to `ratio` among `MULTIPLIER_BITS`-bit multipliers."""
    if ratio == 0:
        return 0, 0
    exponent = abs(ratio.numerator).bit_length() - ratio.denominator.bit_length()
    exponent -= abs(ratio) < Fraction(2) ** exponent  # now the floor of the binary logarithm
    shift = min(max(MULTIPLIER_BITS - 1 - exponent, 0), MAX_SHIFT)
    multiplier = round(ratio * (1 << shift))
    if abs(multiplier) >= 1 << MULTIPLIER_BITS and shift > 0:
        shift -= 1
        multiplier = round(ratio * (1 << shift))
    while shift > 0 and multiplier % 2 == 0:
        multiplier //= 2
        shift -= 1
    return multiplier, shift


def requantizer(affines: Sequence[Affine], grid: Grid, input_type: IntType) -> Threshold | Dyadic:
    """Return the operator that turns integers of an edge into the quantiser's integers.

    Narrow grids get thresholds, which are exact. Wide ones get a `Dyadic`, unless its clamp cannot express the
    range or some input lies exactly on a step that it puts on the other side: then thresholds too.

    Parameters
    ----------
    affines : sequence of Affine
        Per channel, scales not negative.
    grid : Grid
    input_type : IntType
        Of the edge.

    Raises
    ------
    UserError
        When a quantiser of more than 8 bits needs thresholds.
    """
    levels = grid.high - grid.low
    if levels <= MAX_THRESHOLDS:
        return threshold_operator(affines, grid, input_type)
    dyadic = dyadic_operator(affines, grid)
    if dyadic is not None and not _fits(dyadic, input_type):
        dyadic = None
    if dyadic is not None and not _misses_step(affines, grid, input_type, dyadic):
        return dyadic
    if levels > 255:
        reason = (
            "its range is not that of an integer type, or its constants are too large"
            if dyadic is None
            else "its ties are not rounded up"
        )
        raise UserError(
            f"a quantiser with {levels + 1} levels is not supported because {reason}; "
            "use at most 8 bits there, or the full range of its width."
        )
    return threshold_operator(affines, grid, input_type)


def _fits(dyadic: Dyadic, input_type: IntType) -> bool:
    """Tell whether the products of the `Dyadic` fit an integer type."""
    try:
        dyadic.intermediate_type(Tensor((1,), input_type))
    except OperatorError:
        return False
    return True


def _misses_step(affines: Sequence[Affine], grid: Grid, input_type: IntType, dyadic: Dyadic) -> bool:
    """Tell whether an input lies exactly on a step of the quantiser and the `Dyadic` puts it on the other side.

    There the quantiser's tie rule decides, and neither a rounded multiplier nor another tie rule is a small
    error in a constant: power-of-two scales hit such inputs all the time, trained float scales never do.
    """
    # Steps lie at k + fraction for integers k.
    fraction_part = Fraction(1, 2) if grid.rounding.startswith("half") else Fraction(0)
    for channel, affine in enumerate(affines):
        a, d = affine.scale / grid.scale, affine.offset / grid.scale
        # Which integers i give a·i + d = k + fraction? Denominators of trained scales are huge, so this first
        # test (can the fraction be met at all?) nearly always settles it.
        target = (fraction_part - d) * a.denominator
        if target.denominator != 1:
            continue
        constant = channel % len(dyadic.multiplier)
        m, b, n, half = (int(v[constant]) for v in (dyadic.multiplier, dyadic.bias, dyadic.shift, dyadic.half))
        if a == 0:
            candidates = range(1)
        else:
            period = a.denominator
            i0 = int(target) * pow(a.numerator, -1, period) % period if period > 1 else 0
            start = max(input_type.min, math.floor((grid.low - 1 - d) / a))
            candidates = range(start + (i0 - start) % period, input_type.max + 1, period)
        for i in candidates:
            value = a * i + d
            if value > grid.high + 1:
                break
            level = math.floor(value - fraction_part) + (1 if fraction_part else 0)  # the upper side of the step
            upper = not reaches(grid, level)[1]
            expected = min(max(level if upper else level - 1, dyadic.type.min), dyadic.type.max)
            if min(max((m * i + b + half) >> n, dyadic.type.min), dyadic.type.max) != expected:
                return True
    return False
