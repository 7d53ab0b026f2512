"""An adaptive step lowered to integers: every frame's factor and codes are those of the real formula."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.frontends.adaptive import AdaptiveStep, DenseLayer, quantize_adaptively
from codesign.frontends.lowering import Lowering
from codesign.frontends.requantize import Grid
from codesign.frontends.values import Value
from codesign.ir import IntType, golden
from codesign.ir.ops import FrameBuffer, SelectDyadic, SelectThreshold

FACTORS = tuple(Fraction(2) ** (k - 3) for k in range(6))
BOUNDARIES = tuple((a + b) / 2 for a, b in itertools.pairwise(FACTORS))


def step_of(rng: np.random.Generator, channels: int, bits: int, hidden: bool = True) -> AdaptiveStep:
    """Random constants whose factors differ from frame to frame."""
    inner = channels // 2 if hidden else channels
    layer = DenseLayer(rng.integers(-127, 128, (channels, inner)), [2.0**-8], 8, rng.normal(0, 0.2, inner))
    grid = Grid(Fraction(2.0**-5), 0, 255)
    output = DenseLayer(rng.integers(-20, 128, (inner, 1)), [0.037], 8, np.array([0.11]))
    return AdaptiveStep(
        Grid(Fraction(0.0173), 0, 255),
        layer if hidden else None,
        grid if hidden else None,
        output,
        BOUNDARIES,
        FACTORS,
        Grid(Fraction(0.051), 0, 2**bits - 1),
    )


def start(shape: tuple[int, ...], scale: float) -> tuple[Lowering, Value]:
    lowering = Lowering("test")
    value = lowering.input(shape, IntType(8, signed=True), [scale], [0.0])
    return lowering, lowering.clamp(value, 0.0, None)


def frames(rng: np.random.Generator, shape: tuple[int, ...], count: int = 40) -> np.ndarray:
    """Dark and bright frames."""
    level = rng.integers(2, 128, (count, *(1,) * len(shape)))
    return (rng.uniform(-1, 1, (count, *shape)) * level).astype(np.int64)


def half_even(x: np.ndarray) -> np.ndarray:
    nearest = np.rint(2 * x) / 2
    return np.rint(np.where(np.abs(x - nearest) < 1e-9, nearest, x))


def expected(x: np.ndarray, scale: float, step: AdaptiveStep, rounded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The formula in float64 from the frame that was rounded to the input grid: positions and codes."""
    grid = float(step.input_grid.scale)
    # The frozen multiplier of a wide grid may be off by one integer, never more.
    assert np.abs(rounded - np.clip(x * scale / grid, 0, 255)).max() <= 0.51
    real = rounded * grid
    features = real.mean(tuple(range(1, x.ndim - 1))) if x.ndim == 4 else real
    if step.hidden is not None and step.hidden_grid is not None:
        hidden = features @ (step.hidden.weight * step.hidden.scale[0]) + step.hidden.bias
        unit = float(step.hidden_grid.scale)
        features = np.clip(half_even(hidden / unit), 0, 255) * unit
    value = features @ (step.output.weight * step.output.scale[0]) + step.output.bias
    index = (value >= [float(b) for b in step.boundaries]).sum(1)
    factor = np.array([float(f) for f in step.factors])[index].reshape(-1, *(1,) * (x.ndim - 1))
    return index, np.clip(half_even(real / (float(step.grid.scale) * factor)), 0, step.grid.high)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(5, 4, 6), (12,)], ids=["frame", "features"])
def test_factor_and_codes_are_those_of_the_formula(shape: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    step = step_of(rng, shape[-1], 2 + seed % 3, hidden=seed % 2 == 0)
    scale = 0.031
    lowering, x = start(shape, scale)
    y = quantize_adaptively(lowering, x, step, "act", "act")
    assert y.selector is not None
    inputs = frames(rng, shape)
    traced = golden.run(lowering.builder.build(y.edge), inputs, trace=True)
    names = lowering.requantizations
    index, codes = expected(inputs, scale, step, traced[names["act.input"].edge_out])
    assert len(set(index.tolist())) > 1, "frames that all pick one factor test nothing"
    assert np.array_equal(traced[names["act.index"].edge_out][:, 0], index)
    assert np.array_equal(traced[y.edge], codes)


@pytest.mark.parametrize("levels", [4, 200, 256])
@pytest.mark.parametrize("seed", range(4))
def test_a_layer_behind_it_is_requantised_with_the_factor_of_the_frame(seed: int, levels: int) -> None:
    rng = np.random.default_rng(100 + seed)
    step = step_of(rng, 6, 4)
    lowering, x = start((5, 4, 6), 0.031)
    y = quantize_adaptively(lowering, x, step, "act", "act")
    weight = rng.integers(-3, 4, (3, 3, 6, 5))
    sums = lowering.conv2d(y, weight, [0.21], "conv", bias=rng.normal(size=5), padding=(1, 1, 1, 1))
    gain = rng.normal(0, 1, 5)  # negative gains too
    shifted = lowering.scale_shift(sums, list(gain), list(rng.normal(size=5)), "bn")
    grid = Grid(Fraction(0.6 if levels > 4 else 11.0), 0, levels - 1)
    z = lowering.quantize(lowering.clamp(shifted, 0.0, None), grid, "next", "next")
    assert z.selector is None
    assert z.scale == grid.scale
    record = lowering.requantizations["next"]
    assert isinstance(record.op, SelectDyadic if levels == 256 else SelectThreshold)
    inputs = frames(rng, (5, 4, 6))
    traced = golden.run(lowering.builder.build(z.edge), inputs, trace=True)
    factor = np.array([float(f) for f in FACTORS])[traced[lowering.requantizations["act.index"].edge_out][:, 0]]
    scale, offset = (np.array([float(getattr(a, name)) for a in shifted.affines]) for name in ("scale", "offset"))
    real = traced[sums.edge] * factor.reshape(-1, 1, 1, 1) * scale + offset
    wanted = np.clip(half_even(real / float(grid.scale)), 0, levels - 1)
    differing = (traced[z.edge] != wanted).mean()
    # Thresholds are exact; a multiplier of 17 bits moves a step by a few parts in 10^5.
    assert differing == 0 if levels < 256 else differing < 2e-3
    assert np.abs(traced[z.edge] - wanted).max() <= 1


def test_pooling_and_flattening_keep_the_factor() -> None:
    rng = np.random.default_rng(5)
    lowering, x = start((4, 4, 6), 0.031)
    y = quantize_adaptively(lowering, x, step_of(rng, 6, 4), "act", "act")
    pooled = lowering.max_pool(y, (2, 2), (2, 2), "pool")
    averaged = lowering.average_pool(pooled, (2, 2), (2, 2), "average")
    flat = lowering.flatten(averaged, "flatten")
    sums = lowering.dense(flat, rng.integers(-7, 8, (6, 3)), [0.1], "dense")
    assert [v.selector for v in (pooled, averaged, flat, sums)] == [y.selector] * 4


def test_the_frame_is_stored_until_its_factor_is_known() -> None:
    lowering, x = start((4, 4, 6), 0.031)
    y = quantize_adaptively(lowering, x, step_of(np.random.default_rng(0), 6, 4), "act", "act")
    graph = lowering.builder.build(y.edge)
    select = graph.node(y.edge)
    assert isinstance(select.op, SelectThreshold)
    buffer = graph.node(select.inputs[0])
    assert isinstance(buffer.op, FrameBuffer)
    assert buffer.inputs == (lowering.requantizations["act.input"].edge_out,)


def test_what_has_no_fixed_scale_is_refused() -> None:
    lowering, x = start((4, 4, 6), 0.031)
    y = quantize_adaptively(lowering, x, step_of(np.random.default_rng(0), 6, 4), "act", "act")
    with pytest.raises(
        UserError, match=r"'sum' reads an activation with an adaptive step.*fixed step on both operands"
    ):
        lowering.add(y, y, "sum")
    with pytest.raises(UserError, match=r"ends in 'act', whose scale an adaptive step changes.*fixed step"):
        lowering.finish(y, "act")
