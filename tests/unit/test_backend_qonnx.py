"""QONNX files in the qonnx executor: every integer of every edge equals golden."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import qonnx
from codesign.backends.qonnx import datatypes, staircase
from codesign.backends.qonnx.folder import MODEL_FILE
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import (
    ArgMax,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    SelectDyadic,
    SelectThreshold,
    SumPool,
    Threshold,
)
from codesign.verify.compare import verify
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

onnx = pytest.importorskip("onnx", reason="needs onnx, of the extra qonnx")
pytest.importorskip("qonnx", reason="needs qonnx, of the extra qonnx-check")

BOARD = boards.load("pynq-z2")
RNG = np.random.default_rng(7)


NARROW = IntType(4, signed=True)


def graph_of(op, shape=(5, 6, 4), type=NARROW) -> Graph:
    """A graph of one operator."""
    builder = GraphBuilder()
    return builder.build(builder.add(op, builder.input(shape, type)))


def weights(*shape: int, limit: int = 7) -> np.ndarray:
    return RNG.integers(-limit, limit + 1, size=shape)


def rows(channels: int, levels: int, spread: int = 9) -> np.ndarray:
    return np.sort(RNG.integers(-spread, spread + 1, size=(channels, levels - 1)), axis=1)


def dyadic(channels: int, bits: int, signed: bool, factor: int = 5, shift: int = 3) -> Dyadic:
    multiplier = RNG.integers(1, factor + 1, size=channels)
    return Dyadic(multiplier, RNG.integers(-9, 9, size=channels), np.full(channels, shift), IntType(bits, signed))


def indexed(op, entries: int) -> Graph:
    """A graph whose operator reads an index that the frame itself makes."""
    builder = GraphBuilder()
    x = builder.input((3, 3, 4), IntType(6, signed=True))
    total = builder.add(Flatten(), builder.add(SumPool((3, 3)), x))
    total = builder.add(Dense(np.ones((4, 1), dtype=np.int64)), total)
    index = builder.add(Threshold(np.array([[-300, 0, 200][: entries - 1]])), total)
    return builder.build(builder.add(op, builder.add(FrameBuffer(), x), index))


WIDE = IntType(20, signed=True)
CASES = {
    "conv2d": graph_of(Conv2d(weights(3, 2, 4, 5), padding=(1, 0, 0, 1), stride=(2, 1), bias=weights(5, limit=99))),
    "conv2d, grouped": graph_of(Conv2d(weights(2, 2, 2, 6), groups=2, padding=1)),
    "conv2d, depthwise": graph_of(Conv2d(weights(3, 3, 1, 8), groups=4)),
    "conv2d, binary": graph_of(Conv2d(np.array([[[[0, 1]] * 4]]), codebook=np.array([-1, 1]))),
    "conv2d beyond float32": graph_of(Conv2d(weights(2, 2, 4, 3, limit=5000), bias=weights(3, limit=99)), type=WIDE),
    "conv2d, even weights": graph_of(Conv2d(weights(2, 2, 4, 3, limit=90) * 256), type=WIDE),
    "dense": graph_of(Dense(weights(9, 4), bias=weights(4, limit=50)), (9,)),
    "dense beyond float32": graph_of(Dense(weights(9, 4, limit=2**20)), (9,), WIDE),
    "threshold": graph_of(Threshold(rows(4, 8), offset=-3)),
    "threshold, shared": graph_of(Threshold(rows(1, 4), offset=2)),
    "threshold, bipolar": graph_of(Threshold(np.array([[1, 1]]), offset=-1), (7,)),
    "threshold, out of reach": graph_of(Threshold(np.array([[-(1 << 40), 0, 1 << 40]]))),
    "threshold beyond float32": graph_of(Threshold(rows(5, 9, spread=1 << 30)), (5,), IntType(33, signed=True)),
    "dyadic as thresholds": graph_of(dyadic(4, 8, signed=False)),
    "dyadic, signed": graph_of(dyadic(1, 5, signed=True, shift=0)),
    "dyadic that falls": graph_of(Dyadic([-3, 2, 0, -1], [5, 0, 40, 8], [2, 1, 3, 4], IntType(4, signed=True))),
    "dyadic in float32": graph_of(dyadic(4, 12, signed=True), type=IntType(14, signed=True)),
    "dyadic in float64": graph_of(dyadic(4, 16, signed=True, factor=1 << 16, shift=15), type=WIDE),
    "dyadic without input": graph_of(Dyadic([0, 0, 0, 0], [-9, 0, 9, 99], [1, 2, 3, 0], IntType(3, signed=False))),
    "max_pool": graph_of(MaxPool((2, 3), (2, 1))),
    "sum_pool": graph_of(SumPool((3, 2), (1, 2))),
    "sum_pool, all": graph_of(SumPool((5, 6)), type=IntType(1, signed=False)),
    "flatten": graph_of(Flatten()),
    "flatten, one pixel": graph_of(Flatten(), (1, 1, 6)),
    "arg_max with ties": graph_of(ArgMax(), (6,), IntType(1, signed=False)),
    "frame_buffer": graph_of(FrameBuffer()),
    "select_threshold": indexed(SelectThreshold(np.stack([rows(4, 6, 20) for _ in range(4)]), offset=-2), 4),
    "select_threshold, shared": indexed(SelectThreshold(np.stack([rows(1, 3, 20) for _ in range(2)])), 2),
    "select_dyadic": indexed(
        SelectDyadic(
            RNG.integers(-9, 99, size=(4, 4)),
            RNG.integers(-99, 99, size=(4, 4)),
            RNG.integers(0, 9, size=(4, 4)),
            IntType(9, signed=True),
        ),
        4,
    ),
    "select_dyadic in float64": indexed(
        SelectDyadic([[1 << 20], [3]], [[-(1 << 33)], [2]], [[19], [0]], IntType(8, signed=False)), 2
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_operator_is_exact(name: str, tmp_path: Path):
    graph = CASES[name]
    result = verify(graph, qonnx.emit(graph, BOARD, tmp_path / "project"), random_frames(graph, 11, 3))
    assert result.differences == 0, result.first_difference
    assert result.tensors == len(graph.nodes)


@pytest.mark.parametrize("seed", [pytest.param(s, marks=[] if s < 8 else [pytest.mark.slow]) for s in range(100)])
def test_random_graphs_are_exact(seed: int, tmp_path: Path):
    graph = random_graph(seed)
    print(f"seed {seed}\n{graph}")
    result = verify(graph, qonnx.emit(graph, BOARD, tmp_path / "project"), random_frames(graph, 9, seed))
    assert result.differences == 0, f"seed {seed}: {result.first_difference}"


def test_a_residual_network_is_exact(residual: Graph, tmp_path: Path):
    project = qonnx.emit(residual, BOARD, tmp_path / "project")
    assert verify(residual, project, random_frames(residual, 10, 0))
    again = qonnx.open_project(tmp_path / "project")
    assert again.run(random_frames(residual, 0, 0)).shape == (0, 10)


def change(folder: Path, constant: str, by: float) -> None:
    """Add to the first element of a constant of a file."""
    path = folder / MODEL_FILE
    model = onnx.load(path)
    (found,) = (each for each in model.graph.initializer if each.name.startswith(constant))
    values = onnx.numpy_helper.to_array(found).copy()
    values.flat[0] += by
    found.CopyFrom(onnx.numpy_helper.from_array(values, found.name))
    onnx.save(model, path)


@pytest.mark.parametrize(("constant", "operator"), [("n2_", "conv2d"), ("n1_", "threshold")])
def test_a_changed_file_is_caught(residual: Graph, tmp_path: Path, constant: str, operator: str):
    qonnx.emit(residual, BOARD, tmp_path)
    change(tmp_path, constant, 3 if operator == "conv2d" else 1e6)
    result = verify(residual, qonnx.open_project(tmp_path), random_frames(residual, 8, 0))
    assert result.differences > 0
    assert result.first_difference is not None
    assert result.first_difference.operator == operator


def test_the_same_graph_makes_the_same_bytes_without_labels(residual: Graph, tmp_path: Path):
    for name in ("a", "b"):
        qonnx.emit(residual, BOARD, tmp_path / name)
    content = (tmp_path / "a" / MODEL_FILE).read_bytes()
    assert content == (tmp_path / "b" / MODEL_FILE).read_bytes()
    for label in (b"stack1", b"classifier", b"resnet8_like"):
        assert label not in content
    onnx.checker.check_model(onnx.load_from_string(content), full_check=False)


def test_integers_are_annotated(tmp_path: Path):
    graph = CASES["conv2d, binary"]
    qonnx.emit(graph, BOARD, tmp_path)
    from qonnx.core.modelwrapper import ModelWrapper

    model = ModelWrapper(str(tmp_path / MODEL_FILE))
    assert model.get_tensor_datatype("x0").name == "INT4"
    assert model.get_tensor_datatype(model.graph.node[0].input[1]).name == "BIPOLAR"
    assert model.get_tensor_datatype("n0").name == f"INT{graph.output.type.bits}"


@pytest.mark.parametrize(
    ("type", "name"),
    [
        (IntType(1, signed=False), "BINARY"),
        (IntType(1, signed=True), "INT2"),
        (IntType(8, signed=False), "UINT8"),
        (IntType(26, signed=True), "INT26"),
    ],
)
def test_names_of_types(type: IntType, name: str):
    assert datatypes.name(type) == name


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (graph_of(Dense(weights(9, 4, limit=2**20)), (9,), IntType(38, signed=True)), "n0 (dense) has no exact form"),
        (graph_of(Conv2d(weights(2, 2, 4, 3)), type=IntType(30, signed=True)), "n0 (conv2d) has no exact form"),
        (graph_of(SumPool(2), type=IntType(23, signed=False)), "n0 (sum_pool) has no exact form"),
        (graph_of(Threshold(np.array([[0]]), offset=1 << 30)), "n0 (threshold) has no exact form"),
        (graph_of(Flatten(), type=IntType(60, signed=True)), "the input is int60"),
    ],
)
def test_what_floats_do_not_hold_is_refused(graph: Graph, sentence: str, tmp_path: Path):
    with pytest.raises(UserError) as refused:
        qonnx.emit(graph, BOARD, tmp_path / "project")
    assert sentence in str(refused.value)
    assert not (tmp_path / "project").exists()


def test_unknown_options_and_missing_packages_are_told(
    residual: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UserError, match="has no option 'speed'"):
        qonnx.emit(residual, BOARD, tmp_path, speed=3)
    project = qonnx.emit(residual, BOARD, tmp_path / "project")
    with pytest.raises(UserError, match="not synthesised"):
        project.synth()
    (tmp_path / "project" / MODEL_FILE).write_bytes(b"no onnx")
    with pytest.raises(UserError, match="no ONNX file"):
        qonnx.open_project(tmp_path / "project").compile()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'codesign\[qonnx\]'"):
        qonnx.emit(residual, BOARD, tmp_path / "other")


def test_staircases_reach_every_level_where_the_dyadic_does():
    op = dyadic(3, 6, signed=True, factor=40, shift=6)
    x = np.arange(-512, 512)
    levels = staircase.thresholds(op, IntType(10, signed=True))
    for channel in range(3):
        counted = op.type.min + (x[:, None] >= levels[channel]).sum(axis=1)
        alone = Dyadic(op.multiplier[[channel]], op.bias[[channel]], op.shift[[channel]], op.type)
        np.testing.assert_array_equal(counted, alone.execute(x[:, None])[:, 0])
