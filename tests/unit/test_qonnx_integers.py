"""Integers in floats: rounding, clamps and float64, and FINN's windows, bits and pools, against the qonnx executor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")

from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import convert
from codesign.frontends.qonnx_constants import powers_of_two
from codesign.frontends.qonnx_float32 import DOUBLE, SINGLE
from codesign.ir import IntType

from .qonnx_agreement import INT6, UINT4, agree, every, row, single
from .qonnx_networks import GENERAL, Maker

D = np.float64
BIT = IntType(1, signed=False)


# Rounding ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Floor", "Ceil", "Round"])
@pytest.mark.parametrize(("scale", "offset"), [(0.375, 0.25), (-0.125, 3.0), (0.3, 0.1), (2.0, 0.5)])
def test_rounding_of_every_integer(op: str, scale: float, offset: float):
    m = single(INT6)
    x = m.node("Add", m.node("Mul", row(m), m.const(scale)), m.const(offset))
    found = agree(m.build(m.node(op, x)), x=every(INT6))
    if op != "Round" and scale != 0.3:
        assert found.graph.nodes[-1].op.name == "dyadic"


def test_rounding_channel_by_channel():
    m = Maker((4, 6))
    x = m.node("MatMul", "x", m.const(m.rng.integers(-3, 4, size=(6, 3))))
    x = m.node("Add", m.node("Mul", x, m.const([0.5, -0.25, 0.0])), m.const([0.0, 1.5, 2.75]))
    found = agree(m.build(m.node("Floor", x)))
    assert [node.op.name for node in found.graph] == ["dense", "dyadic"]
    assert found.graph.scales[found.graph.outputs[0]].factor == 1.0


def shift_and_clamp(m: Maker, dtype: type, low: float, high: float) -> str:
    """The multiply and shift of this package's own files."""
    x = m.node("MatMul", "x", m.const(m.rng.integers(-30, 31, size=(6, 3))))
    x = m.node("Cast", x, to=11) if dtype is D else x
    for op, values in (("Mul", [905.0, 3.0, 77.0]), ("Add", [1 << 14, -(1 << 11), 5.0]), ("Mul", [2.0**-12])):
        x = m.node(op, x, m.const(values, dtype))
    x = m.node("Max", m.node("Floor", x), m.const(low, dtype))
    x = m.node("Min", x, m.const(high, dtype))
    return m.node("Cast", x, to=1) if dtype is D else x


@pytest.mark.parametrize("dtype", [np.float32, D])
@pytest.mark.parametrize(("low", "high"), [(-128, 127), (0, 255), (-5, 9), (0, 15)])
def test_multiply_and_shift_comes_back_as_one_operator(dtype: type, low: float, high: float):
    m = Maker((4, 6))
    found = agree(m.build(shift_and_clamp(m, dtype, low, high)), scale=1.0)
    whole = (low, high) != (-5, 9)
    assert [node.op.name for node in found.graph] == ["dense", "dyadic" if whole else "threshold"]
    if whole:
        assert (found.graph.output.type.min, found.graph.output.type.max) == (low, high)


@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-2.0, 1.5), (0.0, 1.5)])
def test_a_clip_at_integers_needs_no_quantiser(bounds: tuple[float, float]):
    m = single(INT6)
    x = m.node("Clip", m.node("Mul", row(m), m.const(0.25)), m.const(bounds[0]), m.const(bounds[1]))
    agree(m.build(m.node("MatMul", x, m.const([[2.0]]))), x=every(INT6))


def test_a_clip_between_integers_is_no_integer():
    m = single(INT6)
    x = m.node("Clip", m.node("Mul", row(m), m.const(0.25)), m.const(-1.1), m.const(1.0))
    assert "put a Quant before it" in refused(m.build(m.node("MatMul", x, m.const([[2.0]]))))


def test_padding_around_an_offset_of_whole_steps():
    m = Maker((2, 2, 6, 5))
    x = m.node("Conv", m.node("Add", "x", m.const(1.5)), m.weights((4, 2, 3, 3)), pads=[1, 1, 0, 1])
    found = agree(m.build(x), UINT4, scale=0.25)
    assert found.graph.nodes[0].op.name == "dyadic"


# Exactness --------------------------------------------------------------------------------------------------


def test_powers_of_two_of_numbers():
    assert powers_of_two(np.array([0.0, 1.0, -6.0, 0.75, 2.0**-140, 3.0 * 2**60])).tolist() == [
        np.inf, 1.0, 2.0, 0.25, 2.0**-140, 2.0**60,
    ]  # fmt: skip


def test_what_floats_hold():
    edge = np.array([float(1 << 24), float((1 << 24) + 2)])
    assert SINGLE.holds(edge, 1.0).tolist() == [True, False]
    assert SINGLE.holds(edge, np.array([0.0, 2.0])).tolist() == [False, True]
    assert DOUBLE.holds(edge * 2.0**27, 1.0).tolist() == [True, True]
    assert DOUBLE.holds(edge * 2.0**30, 1.0).tolist() == [False, False]


@pytest.mark.parametrize("dtype", [np.float32, D])
def test_wide_sums_are_exact_in_the_float_that_holds_them(dtype: type):
    m = Maker((4, 40))
    type = IntType(14, signed=True)
    x = m.node("Cast", "x", to=11) if dtype is D else "x"
    x = m.node("MatMul", x, m.const(m.rng.integers(-64, 64, size=(40, 3)) * 2 + 1, dtype))
    x = m.node("Add", x, m.const([5, -7, 1], dtype))
    x = m.node("MatMul", x, m.const([[1, 2], [300, 5], [7, 11]], dtype))
    x = m.node("MultiThreshold", x, m.const([[-70001, 5, 33333]], dtype), domain=GENERAL, out_dtype="UINT2")
    data = m.build(m.node("Cast", x, to=1) if dtype is D else x)
    found = convert(qonnx_file.loads(data), input_type=type, input_scale=1.0)
    assert found.settled == (dtype is D)
    if dtype is D:
        agree(data, type)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda m: m.node("Relu", m.node("Cast", row(m), to=11)), "(Relu) computes in float64"),
        (lambda m: m.node("Cast", row(m), to=6), "casts activations to another type"),
        (lambda m: m.node("Add", m.node("Cast", row(m), to=11), m.const(1.0)), "constant of type float32; use float64"),
        (lambda m: m.node("Add", row(m), m.node("Cast", row(m), to=11)), "a float32 and a float64 activation"),
        (lambda m: m.node("Max", row(m), row(m)), "compares several activations"),
        (lambda m: m.node("Floor", m.node("Mul", row(m), m.const(1e6 / 3))), "more than 16 bits"),
        (
            lambda m: m.node("MultiThreshold", row(m), m.const([[0.0]], D), domain=GENERAL, out_dtype="UINT1"),
            "of type float64",
        ),
    ],
)
def test_what_is_refused(make: Callable[[Maker], str], sentence: str):
    m = single(INT6)
    assert sentence in refused(m.build(make(m)))


def refused(data: bytes, type: IntType = INT6) -> str:
    with pytest.raises(UserError) as caught:
        convert(qonnx_file.loads(data), input_type=type, input_scale=1.0)
    return str(caught.value)


# FINN -------------------------------------------------------------------------------------------------------


def windows(m: Maker, x: str = "x", **more) -> str:
    about = {
        "kernel_size": [3, 2], "stride": [2, 1], "pad_amount": [1, 0, 1, 2], "input_shape": "(1,6,5,4)",
        "pad_value": 0, "dilations": [1, 1], "depthwise": 0,
    } | more  # fmt: skip
    return m.node("Im2Col", x, domain=GENERAL, **about)


def test_windows_and_a_product_are_a_convolution():
    m = Maker((1, 6, 5, 4))
    m.annotate("UINT4", "x")
    x = m.node("MatMul", windows(m), m.weights((3 * 2 * 4, 5), 1))
    found = agree(m.build(m.quant(x, 4, 8.0)), UINT4)
    assert found.layout == "NHWC"
    assert found.graph.nodes[0].op.name == "conv2d"


def test_windows_channel_by_channel():
    m = Maker((1, 6, 5, 4))
    m.annotate("UINT4", "x")
    matrix = np.zeros((3, 2, 4, 4))
    matrix[:, :, np.arange(4), np.arange(4)] = m.rng.integers(-3, 4, size=(3, 2, 4))
    x = m.node("MatMul", windows(m, depthwise=1), m.const(matrix.reshape(24, 4)))
    found = agree(m.build(x), UINT4)
    assert found.graph.nodes[0].op.groups == 4


@pytest.mark.parametrize("padded", [0, 1])
def test_equal_bits_are_counted(padded: int):
    m = Maker((1, 6, 5, 4))
    x = windows(m, pad_amount=[padded] * 4, stride=[1, 1])
    weights = m.const(m.rng.integers(0, 2, size=(24, 6)))
    m.annotate("BINARY", "x", weights)
    x = m.node("XnorPopcountMatMul", x, weights, domain=GENERAL)
    x = m.node("MultiThreshold", x, m.const([[9, 11, 13]]), domain=GENERAL, out_dtype="UINT2", data_layout="NHWC")
    found = agree(m.build(x), BIT)
    assert found.graph.nodes[0].op.codebook.tolist() == [-1, 1]


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("bits", "out"), [(4, 6), (4, 3), (6, 10)])
def test_pools_of_integers(layout: str, bits: int, out: int):
    m = Maker((1, 6, 5, 5) if layout == "NHWC" else (1, 5, 6, 5))
    x = m.node(
        "QuantAvgPool2d", "x", domain=GENERAL, kernel=2, stride=1, ibits=bits, obits=out, signed=0, data_layout=layout
    )
    agree(m.build(x), IntType(bits, signed=False))


def test_sums_over_frames_of_channels_last():
    m = Maker((1, 6, 5, 4))
    found = agree(m.build(m.node("ReduceSum", "x", m.const([1, 2], np.int64), keepdims=1)), UINT4)
    assert (found.layout, found.graph.nodes[0].op.name) == ("NHWC", "sum_pool")


def test_a_convolution_with_ones_is_a_sum():
    m = Maker((1, 4, 6, 5))
    ones = m.const(np.full((4, 1, 2, 3), 0.5))
    found = agree(m.build(m.node("Conv", "x", ones, group=4, strides=[2, 1])), UINT4)
    assert [node.op.name for node in found.graph] == ["sum_pool"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda m: m.node("Relu", windows(m)), "reads windows of an Im2Col"),
        (lambda m: m.node("MatMul", windows(m, dilations=[2, 1]), m.weights((24, 5), 1)), "is dilated, or pads"),
        (lambda m: m.node("MatMul", windows(m, pad_value=1), m.weights((24, 5), 1)), "is dilated, or pads"),
        (lambda m: m.node("MatMul", windows(m, stride=[1]), m.weights((24, 5), 1)), "needs 2 numbers of at least 1"),
        (lambda m: m.node("MatMul", windows(m, kernel_size=[9, 1]), m.weights((36, 5), 1)), "use a smaller one"),
        (lambda m: m.node("MatMul", windows(m), m.weights((23, 5), 1)), "weights for 23 inputs and reads 24"),
        (lambda m: windows(m), "ends in windows"),
        (
            lambda m: m.node("XnorPopcountMatMul", windows(m), m.const(np.ones((24, 2))), domain=GENERAL),
            "let its input be 0 and 1",
        ),
    ],
)
def test_what_of_finn_is_refused(make: Callable[[Maker], str], sentence: str):
    m = Maker((1, 6, 5, 4))
    assert sentence in refused(m.build(make(m)), UINT4)


# Choices ----------------------------------------------------------------------------------------------------


def index(m: Maker) -> str:
    """Two bits that depend on the frame."""
    x = m.node("MatMul", "x", m.const(np.ones((6, 1))))
    x = m.node("MultiThreshold", x, m.const([[-40, 0, 40]]), domain=GENERAL, out_dtype="UINT2")
    return m.node("Reshape", m.node("Cast", x, to=7), m.const([1], np.int64))


def test_chosen_thresholds_and_factors():
    m = Maker((1, 6))
    chosen = index(m)
    rows = np.sort(m.rng.integers(-30, 31, size=(4, 6, 3)), axis=2)
    table = m.node("Reshape", m.node("Gather", m.const(rows), chosen, axis=0), m.const([6, 3], np.int64))
    x = m.node("MultiThreshold", "x", table, domain=GENERAL, out_dtype="INT3", out_bias=-1.0)
    for op, values in (("Mul", m.rng.integers(1, 60, size=(4, 6))), ("Add", m.rng.integers(-9, 9, size=(4, 6)))):
        x = m.node(op, x, m.node("Gather", m.const(values), chosen, axis=0))
    x = m.node("Floor", m.node("Mul", x, m.const(0.125)))
    x = m.node("Clip", x, m.const(-8.0), m.const(7.0))
    frames = m.rng.integers(INT6.min, INT6.max + 1, size=(60, 6)) // m.rng.integers(1, 30, size=(60, 1))
    found = agree(m.build(x), x=frames)
    kinds = [node.op.name for node in found.graph]
    assert kinds.count("select_threshold") == kinds.count("select_dyadic") == 1
    assert kinds.count("frame_buffer") == 2
    assert str(found.graph.output.type) == "int4"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda m, table: m.node("Relu", table), "reads what an index chooses"),
        (lambda m, table: m.node("Add", table, "x"), "activations first"),
        (lambda m, table: m.node("Floor", m.node("Mul", "x", table)), "does not hold exactly"),
        (lambda m, table: m.node("MatMul", m.node("Mul", "x", table), m.weights((6, 2), 1)), "an index chooses"),
        (lambda m, table: m.node("Reshape", table, m.const([5], np.int64)), "does not fit"),
        (lambda m, table: table, "does not depend on its input"),
    ],
)
def test_what_an_index_may_not_choose(make: Callable[[Maker, str], str], sentence: str):
    m = Maker((1, 6))
    table = m.node("Gather", m.const(m.rng.normal(size=(4, 6))), index(m), axis=0)
    assert sentence in refused(m.build(make(m, table)))
