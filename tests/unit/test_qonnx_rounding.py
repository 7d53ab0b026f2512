"""Quantisers of QONNX alone, every rounding mode: golden equals the qonnx executor in every integer."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")

from qonnx.custom_op.general.intquant import int_quant

from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import Imported, convert
from codesign.ir import IntType, golden

from .qonnx_agreement import INT6, agree, every, row, single
from .qonnx_networks import GENERAL, ROUNDINGS, Maker


def assert_quant(type: IntType, bits: int, step: float, scale: float = 0.125, zero: float = 0.0, **options) -> Imported:
    """Import a Quant behind an accumulator and compare it with the executor's function on every integer."""
    m = single(type)
    data = m.build(m.quant(row(m), bits, step, zero=zero, **options))
    found = convert(qonnx_file.loads(data), input_type=type, input_scale=scale)
    assert not found.open
    x = every(type)
    real = x.astype(np.float32) * np.float32(scale)
    numbers = (np.asarray(v, dtype=np.float32) for v in (step, zero, float(bits)))
    signed, narrow = (options.get(name, name == "signed") for name in ("signed", "narrow"))
    expected = int_quant(real, *numbers, signed, narrow, options.get("rounding", "ROUND"))
    integers = golden.run(found.graph, x)
    assert (np.rint(expected / np.float32(step)) == integers).all()
    assert len(np.unique(integers)) > 1
    return found


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_quant_rounds_as_the_executor(rounding: str):
    # A step of 0.5 on integers times 0.125: ties, levels and what lies between.
    for signed, narrow in ((True, False), (True, True), (False, False), (False, True)):
        assert_quant(INT6, 3, 0.5, signed=signed, narrow=narrow, rounding=rounding)
    for zero in (3.0, -2.0):
        assert_quant(INT6, 4, 0.5, zero=zero, rounding=rounding)
    # 0.3, 0.6, 0.9 and others are steps in real numbers, and on one side or the other in float32.
    for step in (0.3, 0.1, 0.7, 1 / 3):
        assert_quant(IntType(10, signed=True), 8, step, rounding=rounding)


def test_quant_through_the_executor():
    m = single(INT6)
    agree(m.build(m.quant(row(m), 3, 0.5, rounding="HALF_DOWN")), scale=0.125, x=every(INT6))


def test_round_to_zero_is_down():
    files = []
    for rounding in ("ROUND_TO_ZERO", "DOWN"):
        m = single(INT6)
        files.append(convert(qonnx_file.loads(m.build(m.quant(row(m), 3, 0.5, rounding=rounding))), input_scale=0.125))
    assert files[0].graph.same_as(files[1].graph)


def test_quant_of_one_bit_is_a_sign():
    m = single(INT6)
    agree(m.build(m.quant(row(m), 1, 0.5)), scale=0.125, x=every(INT6))


@pytest.mark.parametrize(("step", "rounding"), [(1.0, "FLOOR"), (0.25, "FLOOR"), (0.3137, "ROUND"), (0.3137, "CEIL")])
def test_wide_quant_is_a_multiplication(step: float, rounding: str):
    for bits in (5, 8, 10):
        found = assert_quant(IntType(12, signed=True), bits, step, scale=0.0625, rounding=rounding)
        assert {node.op.name for node in found.graph} <= {"dense", "dyadic"}


def test_wide_quant_without_a_multiplier_takes_thresholds():
    # Half to even on a step of two integers: ties go up and down in turn.
    found = assert_quant(INT6, 5, 2.0, scale=1.0)
    assert "threshold" in {node.op.name for node in found.graph}


def test_quant_per_channel():
    m = Maker((8, 3))
    x = m.node("MatMul", "x", m.const(np.eye(3)))
    x = m.quant(x, 3, np.array([0.5, 1.0, 4.0]))
    agree(m.build(m.quant(x, 8, 0.5)), scale=0.125)


def test_float32_decides_where_real_numbers_would_not():
    # In float32 0.49999997 + 0.5 is 1, so that half-up rounding takes the level below the step.
    m = single(INT6)
    x = m.node("Mul", row(m), m.const(0.49999997))
    agree(m.build(m.quant(x, 3, 1.0, rounding="HALF_UP")), x=every(INT6))


def test_bipolar_quant():
    m = single(INT6)
    agree(m.build(m.node("BipolarQuant", row(m), m.const(0.5), domain=GENERAL)), scale=0.125, x=every(INT6))


def test_sign():
    m = single(INT6)
    agree(m.build(m.node("Sign", row(m))), x=every(INT6))


@pytest.mark.parametrize(
    ("version", "rounding"), [(1, "FLOOR"), (1, "ROUND"), (1, "DOWN"), (2, "FLOOR"), (2, "CEIL"), (2, "HALF_UP")]
)
def test_trunc(version: int, rounding: str):
    kind = IntType(8, signed=True)
    m = single(kind)
    m.version = version
    x = row(m)
    if version == 1:
        numbers = [m.const(v) for v in (0.25, 0.0, 8.0, 4.0)]
        x = m.node("Trunc", x, *numbers, domain=GENERAL, rounding_mode=rounding)
    else:
        numbers = [m.const(v) for v in (0.25, 0.0, 8.0, 4.0, 4.0)]
        x = m.node("Trunc", x, *numbers, domain=GENERAL, rounding_mode=rounding, signed=1, narrow=0)
    agree(m.build(x), kind, scale=0.25, x=every(kind))


@pytest.mark.parametrize(("scale", "bias"), [(1.0, 0.0), (1.0, -4.0), (0.5, -1.0), (0.25, 0.3)])
def test_multi_threshold(scale: float, bias: float):
    m = Maker((8, 3))
    x = m.node("MatMul", "x", m.const(np.eye(3)))
    table = m.rng.integers(-20, 20, size=(3, 7)).astype(float)  # not in order: the count does not mind
    table[1, 1] = table[1, 2]
    x = m.node(
        "MultiThreshold", x, m.const(table), domain=GENERAL, out_dtype="INT4", out_scale=scale, out_bias=bias
    )  # fmt: skip
    agree(m.build(m.node("MatMul", x, m.const([[1.0], [2.0], [-1.0]]))))


def test_a_bias_of_whole_steps_keeps_zero_at_zero():
    # 0.3 three times is no float32, and the bias the nearest that is one.
    m = Maker((2, 2, 4, 4))
    x = m.node(
        "MultiThreshold", "x", m.const([[-4.0, -1.0, 0.5, 2.0, 6.0]]), domain=GENERAL, out_dtype="INT4",
        out_scale=0.3, out_bias=float(np.float32(-0.9)),
    )  # fmt: skip
    found = agree(m.build(m.quant(m.node("Conv", x, m.weights((3, 2, 3, 3)), pads=[1] * 4), 4, 0.5)), opens=True)
    assert found.graph.nodes[0].op.offset == -3


def test_multi_threshold_channels_last():
    m = Maker((2, 4, 4, 3))
    table = np.sort(m.rng.integers(-20, 20, size=(3, 3)), axis=1)
    x = m.node(
        "MultiThreshold", "x", m.const(table), domain=GENERAL, out_dtype="UINT2", data_layout="NHWC", out_scale=1.0
    )  # fmt: skip
    assert agree(m.build(x)).layout == "NHWC"
