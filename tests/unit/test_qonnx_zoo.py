"""Networks built as those of the public QONNX model zoo are: TFC, CNV, MobileNet; equal to the qonnx executor.

References
----------
Umuroglu et al., FINN, FPGA 2017 (TFC and CNV); Howard et al., MobileNets, arXiv 1704.04861.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")

from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import Imported, convert
from codesign.frontends.qonnx_reference import compared
from codesign.ir import IntType

from .qonnx_networks import GENERAL, Maker

UINT8 = IntType(8, signed=False)


def activation(m: Maker, x: str, bits: int) -> str:
    """Between -1 and 1, as the zoo's binary and ternary networks have them."""
    if bits == 1:
        return m.node("BipolarQuant", x, m.const(1.0), domain=GENERAL)
    return m.quant(x, bits, 1.0 / (2 ** (bits - 1) - 1), narrow=True)


def weights(m: Maker, shape: tuple[int, ...], bits: int) -> str:
    values = m.const(m.rng.normal(size=shape) * 0.6)
    if bits == 1:
        return m.node("BipolarQuant", values, m.const(1.0), domain=GENERAL)
    return m.quant(values, bits, 1.0 / (2 ** (bits - 1) - 1), narrow=True)


def centred(m: Maker, x: str) -> str:
    """Pixels from 0 to 1 become numbers from -1 to 1."""
    return m.node("Sub", m.node("Mul", x, m.const(2.0)), m.const(1.0))


def tensor_norm(m: Maker, x: str) -> str:
    """One scale and one shift for all logits, written out."""
    x = m.node("Sub", x, m.const([0.4]))
    x = m.node("Div", x, m.const([7.25]))
    return m.node("Add", m.node("Mul", x, m.const([1.5])), m.const([-0.3]))


def tfc(bits: int, hidden: int = 64) -> bytes:
    """28x28 pixels, three hidden layers, ten classes."""
    m = Maker((1, 1, 28, 28), seed=bits, exact=False)
    x = activation(m, centred(m, m.node("Reshape", "x", m.const([1, -1], np.int64))), bits)
    inputs = 784
    for _ in range(3):
        matrix = m.node("Transpose", weights(m, (hidden, inputs), bits), perm=[1, 0])
        x = activation(m, m.batch_norm(m.node("MatMul", x, matrix), hidden), bits)
        inputs = hidden
    return m.build(tensor_norm(m, m.node("Gemm", x, weights(m, (10, hidden), bits), transB=1)))


def cnv(bits: int, width: int, inputs: int = 8) -> bytes:
    """32x32 pixels, six convolutions without padding, two pools, three dense layers."""
    m = Maker((1, 3, 32, 32), seed=7 + bits, exact=False)
    x = m.quant(centred(m, "x"), inputs, 2.0 ** (1 - inputs), narrow=True)
    channels = 3
    for outputs, pools in ((1, 0), (1, 1), (2, 0), (2, 1), (4, 0), (4, 0)):
        x = m.node("Conv", x, weights(m, (outputs * width, channels, 3, 3), bits))
        channels = outputs * width
        x = activation(m, m.batch_norm(x, channels), bits)
        if pools:
            x = m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m.node("Flatten", x)
    for outputs in (8 * width, 8 * width):
        x = m.node("Gemm", x, weights(m, (outputs, channels), bits), transB=1)
        x = activation(m, m.batch_norm(x, outputs), bits)
        channels = outputs
    return m.build(tensor_norm(m, m.node("Gemm", x, weights(m, (10, channels), bits), transB=1)))


def mobilenet(width: int, side: int = 32) -> bytes:
    """A 3x3 stem, depthwise separable blocks, a truncated average; four bits, scales per channel."""
    m = Maker((1, 3, side, side), seed=4, exact=False)

    def block(x: str, shape: tuple[int, ...], stride: int, groups: int = 1) -> str:
        bits = 8 if shape[1] == 3 and groups == 1 else 4
        scale = m.rng.uniform(0.02, 0.1, size=(shape[0], 1, 1, 1))
        kernel = m.quant(m.const(m.rng.normal(size=shape) * 0.2), bits, scale, narrow=True)
        pad = shape[2] // 2
        x = m.node("Conv", x, kernel, strides=[stride, stride], pads=[pad] * 4, group=groups)
        return m.quant(m.node("Relu", m.batch_norm(x, shape[0])), 4, m.scale(-2, 0), False)

    x = block(m.quant("x", 8, 1 / 255, False), (width, 3, 3, 3), 2)
    channels = width
    for outputs, stride in ((2, 1), (4, 2), (4, 1), (8, 2)):
        x = block(x, (channels, 1, 3, 3), stride, channels)
        x = block(x, (outputs * width, channels, 1, 1), 1)
        channels = outputs * width
    # The sum over all pixels, of which bits are dropped.
    pixels = (side // 8) ** 2
    entering = m.scale(0, 0)
    x = m.quant(x, 4, entering, False)
    x = m.node("Mul", m.node("GlobalAveragePool", x), m.const(float(pixels)))
    more = int(np.log2(pixels))
    parameters = (entering, 0.0, 4.0 + more, entering * pixels, 4.0)
    x = m.node("Trunc", x, *(m.const(p) for p in parameters), domain=GENERAL, rounding_mode="FLOOR", signed=0, narrow=0)
    matrix = m.quant(m.const(m.rng.normal(size=(10, channels)) * 0.2), 8, 0.03, narrow=True)
    return m.build(m.node("Gemm", m.node("Flatten", x), matrix, m.const(m.rng.normal(size=10) * 0.1), transB=1))


def assert_equal(data: bytes, frames: int = 3) -> Imported:
    found = convert(qonnx_file.loads(data), input_type=UINT8, input_scale=float(np.float32(1 / 255)))
    x = np.random.default_rng(0).integers(0, 256, size=(frames, *found.graph.input.shape))
    x[0], x[-1] = 0, 255
    expected, integers = compared(found, data, x)
    assert (expected == integers).all()
    assert len(np.unique(integers)) > 5
    return found


@pytest.mark.parametrize("bits", [1, 2])
def test_tfc(bits: int):
    found = assert_equal(tfc(bits))
    assert [node.op.name for node in found.graph].count("dense") == 4
    assert not found.open


@pytest.mark.parametrize("bits", [1, 2])
def test_narrow_cnv(bits: int):
    found = assert_equal(cnv(bits, width=8))
    kinds = [node.op.name for node in found.graph]
    assert (kinds.count("conv2d"), kinds.count("max_pool"), kinds.count("dense")) == (6, 2, 3)


def test_narrow_mobilenet():
    found = assert_equal(mobilenet(8))
    assert sum(node.op.name == "conv2d" and node.op.groups > 1 for node in found.graph) == 4


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 2])
def test_cnv_of_the_size_of_the_zoo(bits: int):
    found = assert_equal(cnv(bits, width=64))
    assert sum(node.op.values().size for node in found.graph if hasattr(node.op, "values")) == 1_542_848
