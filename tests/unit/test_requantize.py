"""Re-quantisation constants against the quantisers' own definitions in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.frontends.requantize import (
    MAX_THRESHOLDS,
    MULTIPLIER_BITS,
    ROUNDINGS,
    Affine,
    Grid,
    channel_thresholds,
    dyadic_operator,
    fraction,
    requantizer,
    threshold_operator,
)
from codesign.ir import IntType
from codesign.ir.ops import Dyadic, Threshold

HALF = Fraction(1, 2)


def meaning(affine: Affine, integer: int) -> Fraction:
    value = affine.scale * integer + affine.offset
    if affine.low is not None:
        value = max(value, affine.low)
    if affine.high is not None:
        value = min(value, affine.high)
    return value


def quantized(affine: Affine, grid: Grid, integer: int) -> int:
    """The quantiser itself: what each rounding means, written another way than by steps."""
    v = meaning(affine, integer) / grid.scale
    away = math.floor(abs(v) + HALF) * (1 if v > 0 else -1)
    match grid.rounding:
        case "half_even":
            level = round(v)
        case "half_up":
            level = math.floor(v + HALF)
        case "half_away":
            level = away
        case "half_zero":
            level = math.ceil(abs(v) - HALF) * (1 if v > 0 else -1)
        case "away":
            level = math.ceil(abs(v)) * (1 if v > 0 else -1)
        case "toward_zero":
            level = math.trunc(v)
        case "floor":
            level = math.floor(v)
        case "ceil":
            level = math.ceil(v)
        case "sign":
            level = grid.high if v >= 0 else grid.low
        case _:
            level = 0 if abs(v) < grid.threshold else (1 if v > 0 else -1)
            if v == -grid.threshold:
                level = -1
    return min(max(level, grid.low), grid.high)


def a_fraction(rng: np.random.Generator, power_of_two: bool) -> Fraction:
    if power_of_two:
        return Fraction(int(rng.integers(1, 64)), int(2 ** rng.integers(0, 8)))
    return fraction(float(rng.random() * 4 + 1e-3))


def an_affine(rng: np.random.Generator, power_of_two: bool) -> Affine:
    def value() -> Fraction:
        return a_fraction(rng, power_of_two)

    scale = value() if rng.random() > 0.08 else Fraction(0)
    affine = Affine(scale, (value() - value()) * 4)
    low = None if rng.random() < 0.5 else (Fraction(0) if rng.random() < 0.7 else value() - value())
    high = None if rng.random() < 0.8 else value() * 3
    return affine.clamped(low, high)


def a_grid(rng: np.random.Generator, power_of_two: bool) -> Grid:
    bits = int(rng.integers(1, 9))
    signed = bool(rng.integers(2)) and bits > 1
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if signed and rng.random() < 0.4:
        low += 1
    if rng.random() < 0.2:  # a zero point
        zero = int(rng.integers(-5, 6))
        low, high = low - zero, high - zero
    rounding = ROUNDINGS[rng.integers(len(ROUNDINGS))]
    if rounding in ("sign", "dead_zone"):
        low, high = -1, 1
    return Grid(a_fraction(rng, power_of_two), low, high, rounding, a_fraction(rng, True))


@pytest.mark.parametrize("first", range(0, 500, 50))
def test_random_quantisers_equal_exact_arithmetic(first: int):
    kind = IntType(7, signed=True)
    integers = range(kind.min, kind.max + 1)
    column = np.arange(kind.min, kind.max + 1)[:, None].repeat(3, axis=1)
    for seed in range(first, first + 50):
        rng = np.random.default_rng(seed)
        power_of_two = bool(rng.integers(2))
        grid = a_grid(rng, power_of_two)
        affines = [an_affine(rng, power_of_two) for _ in range(3)]
        if rng.random() < 0.2:
            affines = affines[:1] * 3
        op = requantizer(affines, grid, kind)
        expected = np.array([[quantized(a, grid, i) for a in affines] for i in integers])
        found = op.execute(column)
        if isinstance(op, Threshold):
            assert (found == expected).all(), f"seed {seed}: {grid} {affines}"
            continue
        # A multiplier of 17 bits misses steps that lie within its relative error, and no others.
        for channel, affine in enumerate(affines):
            for i in np.flatnonzero(found[:, channel] != expected[:, channel]):
                v = meaning(affine, integers[i]) / grid.scale
                step = HALF if grid.rounding.startswith("half") else Fraction(0)
                distance = abs(v - step - round(v - step))
                largest = affine.scale / grid.scale * 128
                assert 0 < distance < largest / 2 ** (MULTIPLIER_BITS - 1) + Fraction(1, 1 << 15), f"seed {seed}"


def test_the_random_quantisers_reach_both_operators():
    kinds = set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        power_of_two = bool(rng.integers(2))
        grid = a_grid(rng, power_of_two)
        affines = [an_affine(rng, power_of_two) for _ in range(3)]
        op = requantizer(affines, grid, IntType(7, signed=True))
        kinds.add((op.name, grid.rounding, grid.high - grid.low > MAX_THRESHOLDS))
    assert {("threshold", rounding, False) for rounding in ROUNDINGS} <= kinds
    assert {("threshold", rounding, True) for rounding in ("half_even", "ceil", "floor")} <= kinds
    assert {("dyadic", rounding, True) for rounding in ("half_even", "half_away", "floor")} <= kinds


@pytest.mark.parametrize("rounding", ["half_even", "half_up", "half_away", "floor", "ceil"])
@pytest.mark.parametrize("shift", [1, 2, 3, 6])
@pytest.mark.parametrize("signed", [False, True])
def test_power_of_two_scales_hit_every_tie_of_a_wide_grid(rounding: str, shift: int, signed: bool):
    kind = IntType(12, signed=True)
    low, high = (-128, 127) if signed else (0, 255)
    grid = Grid(Fraction(1, 4), low, high, rounding)
    affine = Affine(Fraction(1, 4 << shift), Fraction(3, 8))
    op = requantizer([affine], grid, kind)
    integers = np.arange(kind.min, kind.max + 1)
    expected = [quantized(affine, grid, int(i)) for i in integers]
    assert op.execute(integers[:, None])[:, 0].tolist() == expected
    expected_dyadic = rounding in ("half_up", "floor") or (
        rounding != "ceil" and not tie_rule_matters(affine, grid, integers)
    )
    assert isinstance(op, Dyadic) == expected_dyadic


def tie_rule_matters(affine: Affine, grid: Grid, integers: np.ndarray) -> bool:
    as_hardware = Grid(grid.scale, grid.low, grid.high, "half_up")
    return any(quantized(affine, grid, int(i)) != quantized(affine, as_hardware, int(i)) for i in integers)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, None, Threshold), (0, 6, Threshold), (-1, 1, Threshold), (None, None, Dyadic), (0, 40, Dyadic)],
)
def test_clamps_on_an_eight_bit_signed_grid(low: int | None, high: int | None, expected: type):
    # ReLU and a saturation outside the grid are a Dyadic's own clamp; others cut the range of an integer type.
    grid = Grid(fraction(0.1), -128, 127)
    affine = Affine(fraction(0.013)).clamped(*(None if b is None else Fraction(b) for b in (low, high)))
    kind = IntType(12, signed=True)
    op = requantizer([affine], grid, kind)
    if low == 0 and high is None:
        assert isinstance(op, Dyadic)
        assert op.type == IntType(7, signed=False)
    else:
        assert isinstance(op, expected)
    integers = np.arange(kind.min, kind.max + 1)
    found = op.execute(integers[:, None])[:, 0]
    assert found.tolist() == [quantized(affine, grid, int(i)) for i in integers]


def test_a_narrow_signed_grid_of_eight_bits_gets_thresholds():
    op = requantizer([Affine(fraction(0.3))], Grid(fraction(0.7), -127, 127), IntType(12, signed=True))
    assert isinstance(op, Threshold)
    assert op.levels == 255


def test_the_sign_quantiser_gives_minus_one_and_one():
    op = requantizer([Affine(fraction(0.3), fraction(-0.9))], Grid(Fraction(1), -1, 1, "sign"), IntType(5, signed=True))
    assert op.execute(np.arange(-4, 8)[:, None])[:, 0].tolist() == [-1] * 8 + [1] * 4  # 0.3 · 3 < 0.9 in floats
    op = requantizer([Affine(Fraction(1, 4))], Grid(Fraction(1), -1, 1, "sign"), IntType(5, signed=True))
    assert op.execute(np.array([[-1], [0], [1]]))[:, 0].tolist() == [-1, 1, 1]


def test_channels_that_agree_share_one_row():
    grid = Grid(Fraction(1), 0, 7)
    same = threshold_operator([Affine(Fraction(1, 3))] * 5, grid, IntType(6, signed=True))
    assert same.thresholds.shape == (1, 7)
    unlike = threshold_operator([Affine(Fraction(1, 3)), Affine(Fraction(2, 3))], grid, IntType(6, signed=True))
    assert unlike.thresholds.shape == (2, 7)


def test_thresholds_stay_within_reach_of_the_input():
    kind = IntType(4, signed=True)
    rows = channel_thresholds(Affine(Fraction(1), Fraction(1000)), Grid(Fraction(1), 0, 3), kind)
    assert rows == [kind.min] * 3
    rows = channel_thresholds(Affine(Fraction(1), Fraction(-1000)), Grid(Fraction(1), 0, 3), kind)
    assert rows == [kind.max + 1] * 3


def test_a_channel_of_scale_zero_is_its_constant():
    for bits in (3, 8):
        grid = Grid(Fraction(1, 2), 0, (1 << bits) - 1)
        op = requantizer([Affine(Fraction(0), Fraction(5, 4)), Affine(Fraction(1))], grid, IntType(8, signed=True))
        found = op.execute(np.array([[-128, 3], [127, 3]]))
        assert found.tolist() == [[2, 6], [2, 6]]


@pytest.mark.parametrize("exponent", [-1100, -300, -60, -40, 0, 17, 40, 70])
def test_ratios_of_any_size_are_right_or_refused(exponent: int):
    kind = IntType(10, signed=True)
    for bits in (4, 8):
        grid = Grid(Fraction(1), 0, (1 << bits) - 1)
        for factor in (Fraction(1), Fraction(2, 3), Fraction(4, 3)):
            affine = Affine(factor * Fraction(2) ** exponent, Fraction(5, 2) + Fraction(1, 1000))
            op = requantizer([affine], grid, kind)
            integers = [kind.min, -1, 0, 1, 100, kind.max]
            found = op.execute(np.array(integers)[:, None])[:, 0].tolist()
            assert found == [quantized(affine, grid, i) for i in integers], (bits, factor)


@pytest.mark.parametrize("offset", [10**9, -(10**15), 10**30])
def test_offsets_of_any_size_saturate(offset: int):
    grid = Grid(fraction(0.01), -128, 127)
    affine = Affine(fraction(0.003), Fraction(offset))
    op = requantizer([affine], grid, IntType(20, signed=True))
    expected = 127 if offset > 0 else -128
    assert op.execute(np.array([[-(1 << 19)], [0], [(1 << 19) - 1]]))[:, 0].tolist() == [expected] * 3


def test_more_than_eight_bits_are_a_dyadic_or_refused():
    kind = IntType(20, signed=True)
    wide = Grid(fraction(0.37), -(1 << 15), (1 << 15) - 1)
    op = requantizer([Affine(fraction(0.011), fraction(0.2))], wide, kind)
    assert isinstance(op, Dyadic)
    assert op.type == IntType(16, signed=True)
    with pytest.raises(UserError, match="65535 levels is not supported because its range"):
        requantizer([Affine(fraction(0.011))], Grid(fraction(0.37), -(1 << 15) + 1, (1 << 15) - 1), kind)
    with pytest.raises(UserError, match="ties are not rounded up"):
        requantizer([Affine(Fraction(1, 8))], Grid(Fraction(1, 4), -(1 << 15), (1 << 15) - 1), kind)


def test_multipliers_fill_their_port_and_no_more():
    rng = np.random.default_rng(0)
    for _ in range(300):
        ratio = fraction(float(np.exp(rng.normal() * 6)))
        op = dyadic_operator([Affine(ratio)], Grid(Fraction(1), -128, 127))
        assert op is not None
        m, n = int(op.multiplier[0]), int(op.shift[0])
        assert n == 0 or m < 1 << MULTIPLIER_BITS
        error = abs(Fraction(m, 1 << n) / ratio - 1)
        assert error <= Fraction(1, 1 << MULTIPLIER_BITS) or n == 40, ratio


def test_meanings_compose():
    rng = np.random.default_rng(0)
    for seed in range(300):
        affine = an_affine(rng, power_of_two=True)
        factor, shift = Fraction(int(rng.integers(-3, 4)), 2), Fraction(int(rng.integers(-9, 9)), 4)
        low, high = (Fraction(int(b)) for b in sorted(rng.integers(-9, 10, size=2)))
        for i in (-50, -3, 0, 7, 50):
            assert meaning(affine.then(factor, shift), i) == factor * meaning(affine, i) + shift, seed
            assert meaning(affine.clamped(low, None), i) == max(meaning(affine, i), low), seed
            assert meaning(affine.clamped(None, high), i) == min(meaning(affine, i), high), seed
            assert meaning(affine.clamped(low, high), i) == min(max(meaning(affine, i), low), high), seed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float):
    with pytest.raises(UserError, match="finite number"):
        fraction(value)


@pytest.mark.parametrize(
    ("scale", "low", "high", "rounding"), [(0, 0, 3, "floor"), (-1, 0, 3, "floor"), (1, 3, 3, "floor"), (1, 0, 3, "up")]
)
def test_senseless_grids_are_refused(scale: int, low: int, high: int, rounding: str):
    with pytest.raises(ValueError, match=r"quantiser|rounding"):
        Grid(Fraction(scale), low, high, rounding)
