"""Files that the qonnx and finn backends write come back as graphs with the same integers."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")

from codesign import zoo
from codesign.backends.finn import ops as finn_ops
from codesign.backends.finn.place import FinnPlace
from codesign.backends.qonnx import ops
from codesign.backends.qonnx.export import export
from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import Imported, convert
from codesign.ir import Graph, IntType, Tensor, golden
from codesign.ir.ops import FrameBuffer, SelectDyadic, SelectThreshold
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

DIALECTS = ("qonnx", "finn")


def written(graph: Graph, dialect: str) -> bytes:
    return export(graph, ops.by_name()) if dialect == "qonnx" else export(graph, finn_ops.by_name(), FinnPlace)


def assert_comes_back(graph: Graph, dialect: str, frames: int = 6, seed: int = 0) -> Imported:
    """Write a graph, read the file, and compare the integers of the output for random frames and the extremes."""
    found = convert(qonnx_file.loads(written(graph, dialect)))
    assert found.settled, "the file leaves nothing to the rounding of a float"
    # QONNX has no name for -1 and 0.
    bits = max(2, graph.input.type.bits) if graph.input.type.signed else graph.input.type.bits
    assert found.graph.input == Tensor(graph.input.shape, IntType(bits, graph.input.type.signed))
    assert found.graph.scales[found.graph.outputs[0]].factor == 1.0
    x = random_frames(graph, frames, seed)
    expected, integers = golden.run(graph, x), golden.run(found.graph, x)
    assert expected.shape == integers.shape
    assert (expected == integers).all()
    return found


def needs_qkeras() -> None:
    # Not imported here: it would bring TensorFlow with the wrong Keras.
    if importlib.util.find_spec("qkeras") is None:
        pytest.skip("QKeras is not installed (extra qkeras)")


SLOW = pytest.mark.slow
MODELS = {
    "digits_cnn_w3": (),
    "unsw_mlp_w2": (),
    "resnet8_bitat_w1": (),
    **dict.fromkeys(("resnet8_w2", "resnet8_w3", "resnet8_w4", "resnet8_post_w4", "resnet8_sign_w1"), SLOW),
    **dict.fromkeys(("digits_qkeras_w4", "fashion_qkeras_post_w4"), SLOW),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", [pytest.param(name, marks=marks) for name, marks in MODELS.items()])
def test_models_come_back(name: str, dialect: str):
    if "qkeras" in name:
        needs_qkeras()
    graph = zoo.load(name).graph()
    found = assert_comes_back(graph, dialect).graph
    layers = [node.op for node in found if node.op.name in ("conv2d", "dense")]
    own = [node.op for node in graph if node.op.name in ("conv2d", "dense")]
    assert all((a.values() == b.values()).all() for a, b in zip(layers, own, strict=True))


ADAPTIVE = ("resnet8_asq_w2", "resnet8_asq_w3", "resnet8_asq_w4", "resnet8_asqpost_w4", "digits_qkeras_asq_w4")


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTIVE)
def test_models_without_a_form_for_finn_come_back(name: str):
    if "qkeras" in name:
        needs_qkeras()
    assert_comes_back(zoo.load(name).graph(), "qonnx", frames=3)


@pytest.mark.slow
def test_a_sum_that_float32_cannot_hold_is_told():
    graph = zoo.load("bireal_bitat_w1").graph()
    assert_comes_back(graph, "qonnx", frames=3)
    with pytest.raises(UserError, match="'INT26', which its float does not hold exactly"):
        assert_comes_back(graph, "finn")


def test_a_residual_network_comes_back(residual: Graph):
    for dialect in DIALECTS:
        assert_comes_back(residual, dialect)


REFUSED = {99: "'Add_n2'.* its float does not hold exactly"}
"""Random graphs whose sums behind a pool are bounded more widely than their types tell."""


@pytest.mark.parametrize("seed", [pytest.param(s, marks=() if s < 12 else SLOW) for s in range(150)])
def test_random_graphs_come_back(seed: int):
    graph = random_graph(seed)
    print(f"seed {seed}\n{graph}")
    if seed in REFUSED:
        with pytest.raises(UserError, match=REFUSED[seed]):
            assert_comes_back(graph, "qonnx")
        return
    found = assert_comes_back(graph, "qonnx", 9, seed).graph
    selecting = [node for node in found if isinstance(node.op, SelectThreshold | SelectDyadic)]
    made = {node.name: node.op for node in found}
    assert all(isinstance(made[node.inputs[0]], FrameBuffer) for node in selecting)


@pytest.mark.parametrize("seed", [pytest.param(s, marks=() if s < 30 else SLOW) for s in range(150)])
def test_random_graphs_come_back_from_finn(seed: int):
    graph = random_graph(seed)
    try:
        written(graph, "finn")
    except UserError:
        pytest.skip("FINN has no layer for an operator of this graph")
    print(f"seed {seed}\n{graph}")
    assert_comes_back(graph, "finn", 9, seed)


def test_a_changed_weight_is_seen(residual: Graph):
    file = qonnx_file.loads(written(residual, "qonnx"))
    name = next(node.inputs[1] for node in file.nodes if node.op == "MatMul")
    file.constants[name] = file.constants[name] + (np.arange(10) == 3).astype(np.float32)
    x = random_frames(residual, 20, 0)
    assert (golden.run(convert(file).graph, x) != golden.run(residual, x)).any()
