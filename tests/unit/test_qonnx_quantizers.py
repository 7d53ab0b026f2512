"""The two forms of a QONNX quantiser agree: its steps in real numbers, and the executor's float32 around them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from codesign.frontends import qonnx_quantizers as quantizers
from codesign.frontends.qonnx_constants import Constant, power_of_two, weights
from codesign.frontends.qonnx_file import GENERAL, Node
from codesign.frontends.qonnx_float32 import ROUNDING_NAMES


def constant(value: object) -> Constant:
    return Constant(np.asarray(value, dtype=np.float32))


def node(op: str, version: int = 1, **attributes: object) -> Node:
    return Node(op, GENERAL, version, ("x",), ("y",), attributes, op)


def same(values: np.ndarray) -> np.ndarray:
    return values


def assert_steps(quantizer: quantizers.Quantizer, channels: int = 1) -> None:
    """At each step of scales that are powers of two, float32 is exact: the level is reached there, or just above."""
    for channel in range(channels):
        steps = quantizer.reaches(channel)
        assert len(steps) == quantizer.high - quantizer.low
        for level, (place, strict) in enumerate(steps, quantizer.low + 1):
            t = np.float32(float(place))
            assert Fraction(float(t)) == place
            # A little above and below: the very next numbers would round to the step again, so near 0 they are.
            around = np.array([t - np.float32(2.0**-6), t, t + np.float32(2.0**-6)])
            under, on, above = quantizer.levels(np.repeat(around[:, None], channels, axis=1))[:, channel]
            assert under < level <= above
            assert bool(on >= level) is not strict


@pytest.mark.parametrize("rounding", ROUNDING_NAMES)
@pytest.mark.parametrize("zero", [0.0, 3.0])
def test_quant(rounding: str, zero: float):
    for signed, narrow in ((1, 0), (1, 1), (0, 0)):
        quant = node("Quant", signed=signed, narrow=narrow, rounding_mode=rounding)
        parameters = quantizers.read_quant(quant, [constant(0.25), constant(zero), constant(3.0)])
        assert_steps(quantizers.quant(quant, parameters, same))


@pytest.mark.parametrize("rounding", ROUNDING_NAMES)
@pytest.mark.parametrize("version", [1, 2])
def test_trunc(rounding: str, version: int):
    trunc = node("Trunc", version, rounding_mode=rounding, signed=1, narrow=0)
    numbers = (0.5, 0.0, 6.0, 3.0) if version == 1 else (0.5, 0.0, 6.0, 4.0, 3.0)
    assert_steps(quantizers.trunc(trunc, [constant(v) for v in numbers], lambda levels: (-4, 3)))


def test_sign_bipolar_and_thresholds():
    assert_steps(quantizers.sign())
    assert_steps(quantizers.bipolar(node("BipolarQuant"), constant(0.5), same))
    table = constant([[0.5, -1.0, 2.0], [1.0, 1.5, 0.25]])
    assert_steps(quantizers.multi_threshold(node("MultiThreshold", out_scale=0.5, out_bias=-1.0), table, same), 2)


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ([6.0, -4.0], 2.0),
        ([0.75, 0.5], 0.25),
        ([0.0], 0.0),
        ([2.0**-149], 2.0**-149),
        ([(2.0**24 - 1) * 2.0**103], 2.0**103),
    ],
)
def test_the_power_of_two_that_divides(values: list[float], unit: float):
    found = power_of_two(np.array(values, dtype=np.float32))
    assert found == unit
    ratios = np.array(values, dtype=np.float64) / (found or 1.0)
    assert (ratios == np.rint(ratios)).all()


def test_float_weights_that_are_integers_times_a_power_of_two():
    found = weights(constant([[0.5, -0.25], [1.0, 0.75]]), "here")
    assert (found.decoded() * found.scale == found.values).all()
    assert found.decoded().tolist() == [[2, -1], [4, 3]]
