"""hls4ml's own converters give golden's integers where scales are powers of two."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")
pytest.importorskip("hls4ml", reason="hls4ml is not installed")

from codesign import zoo
from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import convert
from codesign.ir import IntType, golden
from codesign.toolchain import gpp
from codesign.verify import hls4ml_stock
from codesign.verify.frames import random_frames

from .qonnx_networks import Maker

needs_compiler = pytest.mark.skipif(gpp.locate() is None, reason="g++ is not installed")
FRAMES = 120


def scaled(m: Maker, shape: tuple[int, ...], bits: int = 4) -> str:
    return m.quant(m.const(m.rng.normal(size=shape) * 0.4), bits, 2.0**-3, narrow=True)


def bias(m: Maker, count: int) -> str:
    return m.const(np.round(m.rng.normal(size=count) * 8) / 8)


def perceptron() -> bytes:
    m = Maker((1, 16), seed=3)
    x, inputs = m.quant("x", 8, 2.0**-4, False), 16
    for outputs in (12, 10):
        x = m.node("MatMul", x, m.node("Transpose", scaled(m, (outputs, inputs)), perm=[1, 0]))
        x = m.quant(m.node("Relu", m.node("Add", x, bias(m, outputs))), 4, 2.0**-2, False)
        inputs = outputs
    return m.build(m.quant(m.node("MatMul", x, scaled(m, (inputs, 5))), 8, 2.0**-3))


def convolutions() -> bytes:
    # Every attribute is there: qonnx's layout of channels last, which hls4ml wants, takes none by default.
    m = Maker((1, 2, 8, 8), seed=5)
    plain = {"kernel_shape": [3, 3], "strides": [1, 1], "dilations": [1, 1], "group": 1}
    x = m.quant("x", 6, 2.0**-3, True)
    x = m.node("Conv", x, scaled(m, (4, 2, 3, 3), 3), pads=[1, 1, 1, 1], **plain)
    x = m.quant(m.node("Relu", x), 4, 2.0**-1, False)
    pool = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0], "dilations": [1, 1], "ceil_mode": 0}
    x = m.node("MaxPool", x, storage_order=0, **pool)
    x = m.node("Conv", x, scaled(m, (6, 4, 3, 3)), bias(m, 6), pads=[0, 0, 0, 0], **plain)
    x = m.quant(m.node("Relu", x), 3, 1.0, False)
    return m.build(m.node("MatMul", m.node("Flatten", x), scaled(m, (24, 5))))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("network", [perceptron, convolutions])
def test_hls4ml_reads_qonnx_as_we_do(network, tmp_path: Path):
    path = tmp_path / "network.onnx"
    path.write_bytes(network())
    imported = convert(qonnx_file.read(path))
    graph = imported.graph
    x = random_frames(graph, FRAMES, 0)
    found = golden.run(graph, x)
    real = hls4ml_stock.simulate("onnx", path, graph, x, tmp_path, layout=imported.layout)
    result = hls4ml_stock.compared(graph, found, real)
    assert result.vectors == FRAMES
    assert result.differences == 0, result.first_difference
    assert len(np.unique(found)) > 5
    # The comparison sees one step of one number.
    step = graph.scales[graph.outputs[0]].factor
    real[7, 3] += step
    assert hls4ml_stock.compared(graph, found, real).first_difference.element == (7, 3)


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("qkeras") is None, reason="QKeras is not installed (extra qkeras)")
def test_hls4ml_reads_qkeras_as_we_do(tmp_path: Path):
    model = zoo.load("digits_qkeras_w4")
    graph = model.graph()
    result = hls4ml_stock.verify_stock(model, random_frames(graph, FRAMES, 0), tmp_path)
    assert (result.vectors, result.integers) == (FRAMES, 10 * FRAMES)
    assert result.differences == 0, result.first_difference


def test_types_of_inputs():
    assert hls4ml_stock.fixed(IntType(8, signed=False), 2.0**-4) == "ufixed<8,4>"
    assert hls4ml_stock.fixed(IntType(6, signed=True), 1.0) == "fixed<6,6>"
    assert hls4ml_stock.fixed(IntType(5, signed=False), 0.0625) == "ufixed<5,1>"
    with pytest.raises(UserError, match="no power of two"):
        hls4ml_stock.fixed(IntType(8, signed=False), 0.3)


def test_other_frameworks_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="reads QKeras models here, and unsw_mlp_w2 is of brevitas"):
        hls4ml_stock.verify_stock(zoo.load("unsw_mlp_w2"), np.zeros((1, 1)), tmp_path)
