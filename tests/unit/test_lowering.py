"""Real-valued layers to integers: the meaning of every edge stays what the real layers compute."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.frontends.lowering import Lowering
from codesign.frontends.requantize import Grid
from codesign.frontends.values import Value
from codesign.ir import IntType, golden
from codesign.ir.ops import Dyadic, Threshold

INT4 = IntType(4, signed=True)


def start(
    shape: tuple[int, ...] = (5, 5, 4),
    kind: IntType = INT4,
    scale: tuple[float, ...] = (0.5,),
    offset: tuple[float, ...] = (0.0,),
) -> tuple[Lowering, Value]:
    lowering = Lowering("test")
    return lowering, lowering.input(shape, kind, scale, offset)


def frames(lowering: Lowering, seed: int = 0, count: int = 6) -> np.ndarray:
    tensor = lowering.builder.edge(lowering.entry)
    rng = np.random.default_rng(seed)
    return rng.integers(tensor.type.min, tensor.type.max + 1, size=(count, *tensor.shape))


def real(lowering: Lowering, value: Value, x: np.ndarray) -> np.ndarray:
    """What an edge means: an object array of fractions."""
    graph = lowering.builder.build(value.edge)
    integers = golden.run(graph, x)
    found = np.empty(integers.shape, dtype=object)
    for index in np.ndindex(integers.shape):
        affine = value.affines[index[-1]]
        meant = affine.scale * int(integers[index]) + affine.offset
        if affine.low is not None:
            meant = max(meant, affine.low)
        if affine.high is not None:
            meant = min(meant, affine.high)
        found[index] = meant
    return found


def fractions(values: object) -> np.ndarray:
    array = np.asarray(values)
    found = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        found[index] = Fraction(float(array[index]))
    return found


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_convolutions_read_offsets_of_their_own_group(groups: int, seed: int):
    rng = np.random.default_rng(seed)
    lowering, x = start(offset=(0.5, -0.25, 1.0, 0.125))
    weight = rng.integers(-3, 4, size=(2, 2, 4 // groups, 8))
    scale, bias = rng.integers(1, 9, size=8) / 4, rng.integers(-9, 9, size=8) / 8
    y = lowering.conv2d(x, weight, scale.tolist(), "conv", bias=bias, groups=groups)
    values = frames(lowering, seed, count=2)
    entering = real(lowering, x, values)
    expected = np.empty((2, 4, 4, 8), dtype=object)
    for n, i, j, o in np.ndindex(expected.shape):
        first = o // (8 // groups) * (4 // groups)
        window = entering[n, i : i + 2, j : j + 2, first : first + 4 // groups]
        total = sum((window * weight[..., o]).ravel().tolist(), Fraction(0))
        expected[n, i, j, o] = total * Fraction(float(scale[o])) + Fraction(float(bias[o]))
    assert (real(lowering, y, values) == expected).all()


def test_dense_layers_sum_offsets_feature_by_feature():
    lowering, x = start((3,), offset=(1.0, -2.0, 0.5))
    weight = np.array([[1, -1], [2, 3], [-3, 0]])
    y = lowering.dense(x, weight, [0.25, 2.0], "dense", bias=np.array([1.0, -1.0]))
    values = frames(lowering)
    expected = real(lowering, x, values) @ (weight * fractions([0.25, 2.0])) + fractions([1.0, -1.0])
    assert (real(lowering, y, values) == expected).all()


def test_batch_norm_clamps_and_pools_keep_their_meaning():
    lowering, x = start((6, 6, 3))
    factor, shift = [1.5, -0.75, 0.0], [0.5, 0.25, -1.0]
    scaled = lowering.scale_shift(x, factor, shift, "norm")
    values = frames(lowering)
    expected = real(lowering, x, values) * fractions(factor) + fractions(shift)
    assert (real(lowering, scaled, values) == expected).all()
    clamped = lowering.clamp(scaled, 0.0, 1.25)
    cut = np.minimum(np.maximum(expected, Fraction(0)), Fraction(5, 4))
    assert (real(lowering, clamped, values) == cut).all()
    windows = cut.reshape(6, 3, 2, 3, 2, 3)
    pooled = lowering.max_pool(clamped, (2, 2), (2, 2), "max")
    assert (real(lowering, pooled, values) == windows.max(axis=(2, 4))).all()
    averaged = lowering.average_pool(scaled, (2, 2), (2, 2), "mean")
    means = expected.reshape(6, 3, 2, 3, 2, 3).sum(axis=(2, 4)) / 4
    assert (real(lowering, averaged, values) == means).all()
    flat = lowering.flatten(averaged, "flat")
    assert (real(lowering, flat, values) == means.reshape(6, -1)).all()


@pytest.mark.parametrize("levels", [3, 4, 8])
@pytest.mark.parametrize("seed", range(5))
def test_quantisers_behind_falling_channels(levels: int, seed: int):
    rng = np.random.default_rng(seed)
    lowering, x = start((5, 5, 4))
    factor = rng.choice([-2.0, -0.5, 0.0, 1.0], size=4)
    scaled = lowering.scale_shift(x, factor.tolist(), [0.0625] * 4, "norm")
    grid = Grid(Fraction(1, 3), 0, (1 << levels) - 1)
    y = lowering.quantize(scaled, grid, "act", key="act")
    values = frames(lowering, seed)
    expected = real(lowering, scaled, values)
    rounded = np.array([min(max(round(v * 3), grid.low), grid.high) for v in expected.ravel()]).reshape(expected.shape)
    assert (golden.run(lowering.builder.build(y.edge), values) == rounded).all()
    record = lowering.requantizations["act"]
    assert record.edge_out == y.edge
    assert all(affine.scale >= 0 for affine in record.affines)
    assert isinstance(record.op, Threshold if levels < 5 else (Threshold, Dyadic))


def test_a_value_on_its_grid_stays_but_for_signs():
    lowering, x = start((3,), kind=IntType(2, signed=True))
    assert lowering.quantize(x, Grid(Fraction(1, 2), -2, 1), "same") is x
    assert lowering.quantize(x, Grid(Fraction(1, 2), -8, 7), "wider") is x
    assert lowering.quantize(x, Grid(Fraction(1, 2), -1, 1), "narrower") is not x
    assert lowering.quantize(x, Grid(Fraction(1, 4), -8, 7), "finer") is not x
    assert lowering.quantize(x, Grid(Fraction(1, 2), -2, 2, "sign"), "sign") is not x
    shifted = lowering.scale_shift(x, [1.0], [0.5], "norm")
    assert lowering.quantize(shifted, Grid(Fraction(1, 2), -8, 7), "shifted") is not shifted


@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 0.125), (-0.5, 0.75), (0.0, 0.25), (3.0, -3.0)])
def test_additions_align_their_operands(scales: tuple[float, float]):
    lowering, x = start((3,))
    a = lowering.scale_shift(x, [scales[0], 1.0, 0.0], [0.25, 0.0, 1.0], "a")
    b = lowering.scale_shift(x, [scales[1], 0.5, 0.0], [0.0, -1.0, 0.5], "b")
    y = lowering.add(a, b, "add")
    values = frames(lowering)
    assert (real(lowering, y, values) == real(lowering, a, values) + real(lowering, b, values)).all()


def test_logits_of_negative_scales_come_out_rising():
    for factors in ([-1.0, -1.0], [-1.0, 0.5]):
        lowering, x = start((2,), scale=(1.0,))
        y = lowering.scale_shift(lowering.dense(x, np.eye(2, dtype=int), [1.0], "dense"), factors, [0.0], "norm")
        values = frames(lowering)
        graph = lowering.finish(y, "end")
        factor = graph.scales[graph.outputs[0]].factor
        assert factor > 0
        assert np.allclose(golden.run(graph, values) * factor, values * factors)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    return str(caught.value)


def test_refusals_name_the_layer():
    lowering, x = start((5, 5, 2))
    ones = np.ones((3, 3, 2, 4), dtype=int)
    clamped = lowering.clamp(x, 0.0, None)
    assert "'a' reads an activation that is not quantised" in refusal(
        lambda: lowering.conv2d(clamped, ones, [1.0], "a")
    )
    assert "the average pooling 'b' reads" in refusal(lambda: lowering.average_pool(clamped, (2, 2), (2, 2), "b"))
    assert "'c'" in refusal(lambda: lowering.add(clamped, x, "c"))
    assert "ends in 'd'" in refusal(lambda: lowering.finish(clamped, "d"))
    uneven = lowering.scale_shift(x, [1.0, 2.0], [0.0], "norm")
    assert "'e' reads channels of different scales" in refusal(lambda: lowering.conv2d(uneven, ones, [1.0], "e"))
    shifted = lowering.scale_shift(x, [1.0], [1.0], "norm")
    assert "'f' pads" in refusal(lambda: lowering.conv2d(shifted, ones, [1.0], "f", padding=(1, 1, 1, 1)))
    assert "'g' cannot be expressed" in refusal(lambda: lowering.conv2d(x, ones * 100, [1.0], "g", weight_bits=4))
    assert "'h' cannot be expressed" in refusal(lambda: lowering.conv2d(x, ones[:, :, :1], [1.0], "h"))
    assert "'i' cannot be expressed" in refusal(lambda: lowering.dense(x, ones[0, 0], [1.0], "i"))
    assert "'j' has 3 biases for 4" in refusal(lambda: lowering.conv2d(x, ones, [1.0], "j", bias=np.zeros(3)))
    assert "'k' has 3 entries for 4" in refusal(lambda: lowering.conv2d(x, ones, [1.0] * 3, "k"))
    assert "'l' holds nan" in refusal(lambda: lowering.conv2d(x, ones, [float("nan")], "l"))
    assert "'m' holds inf" in refusal(lambda: lowering.scale_shift(x, [1.0], [float("inf")], "m"))
    assert "'n' cannot be expressed" in refusal(lambda: lowering.max_pool(x, (6, 6), (1, 1), "n"))
    odd = lowering.scale_shift(x, [1.0 / 3], [0.0], "norm")
    assert "'o' have unrelated scales" in refusal(lambda: lowering.add(x, odd, "o"))
    assert "no layer" in refusal(lambda: lowering.finish(x, "p"))


def test_a_bias_beyond_all_integers_is_refused():
    lowering, x = start((2,))
    y = lowering.dense(x, np.eye(2, dtype=int), [1e-12], "dense", bias=np.array([1e12, 0.0]))
    assert "'end' cannot be expressed" in refusal(lambda: lowering.finish(y, "end"))


def test_weights_with_a_codebook():
    lowering, x = start((3,), kind=IntType(4, signed=False), scale=(1.0,))
    book = np.array([-4, 0, 1, 2])
    y = lowering.dense(x, np.array([[0, 1], [2, 3], [3, 0]]), [0.5], "dense", codebook=book)
    graph = lowering.finish(y, "end")
    values = frames(lowering)
    expected = values @ np.array([[-4, 0], [1, 2], [2, -4]])
    assert (golden.run(graph, values) == expected).all()
    assert graph.scales[graph.outputs[0]].factor == 0.5


@pytest.mark.parametrize("bits", [3, 8])
def test_the_step_of_a_pruned_channel_makes_no_constant_wide(bits: int):
    """All its weights are 0, so that its step, which nothing trains, means nothing."""
    made = []
    for step in (0.25, 1e6):
        lowering, x = start()
        weight = np.random.default_rng(0).integers(-3, 4, size=(1, 1, 4, 3))
        weight[..., 1] = 0
        y = lowering.conv2d(x, weight, [0.25, step, 0.25], "conv")
        y = lowering.scale_shift(y, [-1.0, 2.0, 1.0], [0.125, 0.75, 0.3], "norm")
        y = lowering.clamp(y, 0.0, None)
        y = lowering.quantize(y, Grid(Fraction(1, 16), 0, (1 << bits) - 1), "act")
        graph = lowering.builder.build(y.edge)
        # 0.75 in steps of 1/16, as far as there are levels.
        assert (golden.run(graph, frames(lowering))[..., 1] == min(12, (1 << bits) - 1)).all()
        made.append(graph.nodes[-1].op)
    if bits == 8:
        first, second = made
        assert isinstance(first, Dyadic)
        assert isinstance(second, Dyadic)
        assert second.multiplier[1] == 0
        assert (first.multiplier == second.multiplier).all()
        assert (first.bias == second.bias).all()
    else:
        assert isinstance(made[1], Threshold)
