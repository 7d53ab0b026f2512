"""FINN build folders: the dialect in the qonnx executor, folds and names of layers, and FINN itself where it is."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import finn as backend
from codesign.backends.finn import accumulators, layout, ops, order, units
from codesign.backends.finn.order import Step
from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.project import SCRIPTS
from codesign.backends.qonnx.export import export
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import (
    Add,
    ArgMax,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    SelectThreshold,
    SumPool,
    Threshold,
)
from codesign.toolchain import finn
from codesign.verify.compare import verify
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

onnx = pytest.importorskip("onnx", reason="needs onnx, of the extra qonnx")
pytest.importorskip("qonnx", reason="needs qonnx, of the extra qonnx-check")

needs_finn = pytest.mark.skipif(finn.locate() is None, reason="needs FINN: make finn")
BOARD = boards.load("pynq-z2")
RNG = np.random.default_rng(11)
NARROW = IntType(3, signed=False)
BIT = IntType(1, signed=False)
SIGNS = np.array([-1, 1])


def graph_of(op, shape=(6, 6, 4), type=NARROW) -> Graph:
    builder = GraphBuilder()
    return builder.build(builder.add(op, builder.input(shape, type)))


def weights(*shape: int) -> np.ndarray:
    return RNG.integers(-3, 4, size=shape)


def rows(channels: int, levels: int, spread: int) -> np.ndarray:
    return np.sort(RNG.integers(-spread, spread + 1, size=(channels, levels - 1)), axis=1)


def network(name: str = "small") -> Graph:
    """Every operator that FINN has a layer for: forks, binary and plain products, windows with and without padding."""
    builder = GraphBuilder(name)
    add = builder.add
    x = builder.input((6, 6, 2), IntType(8, signed=False))
    stem = add(Conv2d(RNG.integers(-99, 100, size=(3, 3, 2, 8)), padding=1, bias=weights(8)), x, label="stem")
    bits = add(Threshold(rows(8, 2, 2000)), stem)
    binary = add(Conv2d(RNG.integers(0, 2, size=(3, 3, 8, 8)), padding=1, codebook=SIGNS), bits)
    left = add(
        Dyadic(RNG.integers(1, 9, size=8), RNG.integers(-9, 9, size=8), [2] * 8, IntType(8, signed=True)), binary
    )
    right = add(Threshold(rows(8, 8, 3000), offset=-4), stem)
    joined = add(Add(), left, right)
    pooled = add(MaxPool(2), add(Threshold(rows(1, 8, 40)), joined))
    depthwise = add(Threshold(rows(8, 4, 20)), add(Conv2d(weights(3, 3, 1, 8), groups=8, padding=1), pooled))
    pointwise = add(Threshold(rows(8, 8, 20), offset=1), add(Conv2d(weights(1, 1, 8, 8)), depthwise))
    summed = add(SumPool(2, 1), add(Add(), pointwise, pooled))
    features = add(Flatten(), add(SumPool((2, 2)), add(Threshold(rows(8, 16, 60)), summed)))
    return builder.build(add(Dense(weights(8, 5), bias=weights(5)), features, label="classifier"))


def two_readers(pooled: bool) -> Graph:
    """Bits that a layer of -1 and 1 reads and one of wider weights, one of them through a pool."""
    builder = GraphBuilder()
    add = builder.add
    bits = add(Threshold(rows(4, 2, 9)), add(Conv2d(weights(1, 1, 2, 4)), builder.input((5, 5, 2), NARROW)))
    larger = add(MaxPool(2, 1), bits)
    signs = Conv2d(RNG.integers(0, 2, size=(1 if pooled else 2,) * 2 + (4, 4)), codebook=SIGNS)
    wider = Conv2d(weights(*(2 if pooled else 1,) * 2, 4, 4))
    return builder.build(
        add(Add(), *(add(op, x) for op, x in zip((signs, wider), (larger, bits)[:: 1 if pooled else -1], strict=True)))
    )


def summed_bits() -> Graph:
    """Bits that a layer of wider weights reads and a sum over windows."""
    builder = GraphBuilder()
    add = builder.add
    bits = add(Threshold(rows(4, 2, 9)), builder.input((4, 4, 4), NARROW))
    return builder.build(add(Add(), add(Conv2d(weights(2, 2, 4, 4)), bits), add(SumPool(2, 1), bits)))


def execute(content: bytes, graph: Graph, x: np.ndarray) -> np.ndarray:
    """Run a file in the qonnx executor, frame by frame."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    model = ModelWrapper(onnx.load_from_string(content))
    entering, leaving = graph.inputs[0], graph.outputs[0]
    return np.concatenate([execute_onnx(model, {entering: frame[None].astype(np.float32)})[leaving] for frame in x])


CASES = {
    "conv2d": graph_of(Conv2d(weights(3, 2, 4, 5), padding=(1, 0, 0, 1), stride=(2, 1), bias=weights(5))),
    "conv2d, strided pixels": graph_of(Conv2d(weights(1, 1, 4, 6), stride=2)),
    "conv2d, pixels": graph_of(Conv2d(weights(1, 1, 4, 6))),
    "conv2d, grouped": graph_of(Conv2d(weights(2, 2, 2, 6), groups=2)),
    "conv2d, depthwise": graph_of(Conv2d(weights(3, 3, 1, 4), groups=4, padding=1)),
    "conv2d, depthwise with more outputs": graph_of(Conv2d(weights(3, 3, 1, 8), groups=4)),
    "conv2d, binary": graph_of(
        Conv2d(RNG.integers(0, 2, size=(3, 3, 4, 5)), padding=1, codebook=SIGNS, bias=weights(5)), type=BIT
    ),
    "conv2d, bits and wider weights": graph_of(Conv2d(weights(2, 2, 4, 5)), type=BIT),
    "dense": graph_of(Dense(weights(9, 4), bias=weights(4)), (9,)),
    "threshold": graph_of(Threshold(rows(4, 6, 8), offset=-2)),
    "dyadic": graph_of(Dyadic([3, 0, 1, 7], [1, 5, -3, 0], [1, 0, 2, 3], IntType(8, signed=False))),
    "max_pool": graph_of(MaxPool(3, 2), type=IntType(5, signed=True)),
    "sum_pool": graph_of(SumPool(3, 2), type=IntType(5, signed=True)),
    "sum_pool, all": graph_of(SumPool(6)),
    "sum_pool, all of a strip": graph_of(SumPool((6, 3)), (6, 3, 4)),
    "arg_max": graph_of(ArgMax(), (6,), BIT),
    "all together": network(),
    "bits read as such and wider": two_readers(False),
    "bits read wider and pooled": two_readers(True),
    "bits read wider and summed": summed_bits(),
}


@pytest.mark.parametrize("name", CASES)
def test_the_dialect_is_exact(name: str):
    graph = CASES[name]
    x = random_frames(graph, 6, 2)
    found = execute(export(graph, ops.by_name(), FinnPlace), graph, x)
    np.testing.assert_array_equal(found, golden.run(graph, x))


def test_random_graphs_are_exact_where_finn_has_layers():
    written = []
    for seed in range(40):
        graph = random_graph(seed)
        try:
            content = export(graph, ops.by_name(), FinnPlace)
        except UserError:
            continue
        x = random_frames(graph, 4, seed)
        edges = golden.run(graph, x, trace=True)
        if max(int(np.abs(values).max()) for values in edges.values()) < 1 << 24:
            np.testing.assert_array_equal(execute(content, graph, x), edges[graph.outputs[0]], f"seed {seed}")
            assert layout.lay_out(graph, 2_000, {}).layers
            written.append(seed)
    assert len(written) >= 5


def test_offsets_go_into_thresholds_and_bits_are_counted():
    graph = network()
    content = onnx.load_from_string(export(graph, ops.by_name(), FinnPlace))
    kinds = [node.op_type for node in content.graph.node]
    assert kinds.count("XnorPopcountMatMul") == 1
    assert kinds.count("Add") == 3  # two joins and the bias that no threshold follows
    negative = (graph.node("n2").op.values() < 0).reshape(-1, 8).sum(axis=0)
    np.testing.assert_array_equal(accumulators.of(graph, "n2").offset, -negative)
    assert accumulators.of(graph, "n2").type == IntType.for_range(0, 72)


def doubled() -> Graph:
    builder = GraphBuilder()
    x = builder.add(Threshold(rows(4, 4, 9)), builder.input((4, 4, 4), NARROW))
    return builder.build(builder.add(Add(), x, x))


@pytest.mark.parametrize("pooled", [False, True])
def test_bits_have_one_width_for_all_readers(pooled: bool):
    content = onnx.load_from_string(export(two_readers(pooled), ops.by_name(), FinnPlace))
    assert "XnorPopcountMatMul" not in [node.op_type for node in content.graph.node]
    told = {
        note.tensor_name: note.quant_parameter_tensor_names[0].value for note in content.graph.quantization_annotation
    }
    assert "BINARY" not in told.values()
    assert told["n1"] == told["n2"] == "UINT2"


def test_sums_keep_every_bit_of_their_stream():
    content = onnx.load_from_string(export(summed_bits(), ops.by_name(), FinnPlace))
    (pool,) = (node for node in content.graph.node if node.op_type == "QuantAvgPool2d")
    assert (attribute(pool, "ibits"), attribute(pool, "obits")) == (2, 4)


@pytest.mark.parametrize(
    ("graph", "sentence"),
    [
        (graph_of(FrameBuffer()), "n0 (frame_buffer) has no FINN layer"),
        (doubled(), "n1 (add) has no FINN layer: FINN adds no stream to itself"),
        (graph_of(Dyadic([1], [0], [0], IntType(9, signed=True))), "n0 (dyadic) has no FINN layer: FINN re-quantises"),
        (graph_of(Dyadic([-1], [0], [0], IntType(4, signed=True))), "n0 (dyadic) has no FINN layer: FINN re-quantises"),
        (graph_of(SumPool((3, 2))), "n0 (sum_pool) has no FINN layer: FINN sums square windows"),
        (graph_of(MaxPool(1, 2)), "n0 (max_pool) has no FINN layer: FINN pools no windows with gaps"),
        (graph_of(Conv2d(weights(3, 3, 4, 2), padding=1), (1, 6, 4)), "n0 (conv2d) has no FINN layer: FINN slides"),
        (graph_of(Dense(weights(9, 4)), (9,), IntType(33, signed=True)), "the input is int33"),
    ],
)
def test_what_finn_has_no_layer_for_is_refused(graph: Graph, sentence: str, tmp_path: Path):
    if "the input" in sentence:
        sentence = "n0 (dense) has no FINN layer"
    with pytest.raises(UserError) as refused:
        backend.emit(graph, BOARD, tmp_path / "project")
    assert sentence in str(refused.value)
    assert not (tmp_path / "project").exists()


def test_an_index_has_no_layer(tmp_path: Path):
    builder = GraphBuilder()
    x = builder.input((4,), NARROW)
    index = builder.add(Threshold(np.array([[5]])), builder.add(Dense(np.ones((4, 1), dtype=np.int64)), x))
    graph = builder.build(builder.add(SelectThreshold(np.array([[[1]], [[2]]])), x, index))
    with pytest.raises(UserError, match=r"n2 \(select_threshold\) has no FINN layer"):
        backend.emit(graph, BOARD, tmp_path / "project")


def test_folds_may_be_given(tmp_path: Path):
    graph = network()
    given = {"n0": {"PE": 4, "SIMD": 9}, "n1": {"PE": 2}}
    project = backend.emit(graph, BOARD, tmp_path / "project", cycles=100_000, folds=given)
    layers = json.loads((project.folder / "estimate.json").read_bytes())["layers"]
    found = {kind: entry for name, entry in layers.items() if (kind := name.split("_")[0]) and entry["node"] == "n0"}
    assert (found["MVAU"]["PE"], found["MVAU"]["SIMD"]) == (4, 9)
    assert {entry["PE"] for name, entry in layers.items() if name.startswith("Thr") and entry["node"] == "n1"} == {2}
    for folds, sentence in (
        ({"n0": {"PE": 3}}, "n0 has no layer of FINN with PE = 3"),
        ({"n99": {"PE": 1}}, "folds are given for n99"),
        ({"n0": 3}, "folds are attributes by node"),
    ):
        with pytest.raises(UserError, match=sentence):
            backend.emit(graph, BOARD, tmp_path / "other", folds=folds)


def test_boards_and_options_are_checked(tmp_path: Path):
    with pytest.raises(UserError, match="FINN builds for AMD parts"):
        backend.emit(network(), boards.load("ulx3s-85f"), tmp_path)
    with pytest.raises(UserError, match="has no option 'speed'"):
        backend.emit(network(), BOARD, tmp_path, speed=1)
    with pytest.raises(UserError, match="cycles of the finn backend is a whole number"):
        backend.emit(network(), BOARD, tmp_path, cycles=0)


@pytest.mark.parametrize("cycles", [20_000, 2_000, 400])
def test_folds_divide_and_keep_to_the_clocks(cycles: int):
    found = layout.lay_out(network(), cycles, {})
    assert found.cycles <= cycles
    for each in found.layers:
        attributes = each.layer.attributes
        if each.layer.kind == "MVAU":
            assert attributes["MH"] % each.fold["PE"] == 0
            assert attributes["MW"] % each.fold["SIMD"] == 0
        if "NumChannels" in attributes:
            assert attributes["NumChannels"] % next(iter(each.fold.values())) == 0
    assert found.cost["lut"] > 0
    names = [each.name for each in found.layers]
    assert len(set(names)) == len(names)
    assert {"VVAU_hls_0", "Pool_hls_1", "DuplicateStreams_hls_1", "GlobalAccPool_hls_0"} <= set(names)


def test_fewer_clocks_take_more():
    slow, quick = (layout.lay_out(network(), cycles, {}) for cycles in (20_000, 400))
    assert slow.cost["lut"] < quick.cost["lut"]
    fastest = layout.lay_out(network(), None, {"lut": 1e9})
    assert fastest.cycles <= quick.cycles


def test_layers_are_numbered_as_finn_does():
    # A fork into a pool with a product, and thresholds with a padded window: the window comes before the product.
    kinds = [
        ("ElementwiseAdd", (-1,)),
        ("DuplicateStreams", (0,)),
        ("ConvolutionInputGenerator", (1,)),
        ("Pool", (2,)),
        ("Thresholding", (3,)),
        ("MVAU", (4,)),
        ("Thresholding", (1,)),
        ("FMPadding", (6,)),
        ("ConvolutionInputGenerator", (7,)),
        ("MVAU", (8,)),
    ]
    assert order.numbering([Step(*kind) for kind in kinds]) == [0, 1, 2, 6, 3, 7, 8, 4, 9, 5]
    chain = [Step("MVAU", (index - 1,)) for index in range(5)]
    assert order.numbering(chain) == [0, 1, 2, 3, 4]


def test_other_lines_of_finn_name_sums_otherwise():
    spec = importlib.util.spec_from_file_location("finn_build", SCRIPTS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    layers = layout.files(layout.lay_out(network(), 5_000, {}))["layers.json"]
    names = [layer["name"] for layer in layers]
    assert [name for _, name, _ in build.renamed(layers, names)] == names
    old = {ours: name for ours, name, _ in build.renamed(layers, ["AddStreams_hls_0"])}
    assert [old[f"ElementwiseAdd_hls_{k}"] for k in range(3)] == [
        "AddStreams_hls_0",
        "AddStreams_hls_1",
        "ChannelwiseOp_hls_0",
    ]


def test_memories_take_the_smaller_kind():
    assert units.memory(64, 10) == {"lut": 10}
    assert units.memory(1024, 36) == {"bram36": 1}
    assert units.memory(0, 8) == {}


def test_the_same_graph_makes_the_same_bytes_without_labels(tmp_path: Path):
    graph = network('"; import os; os.system("true") #')
    for name in ("a", "b"):
        backend.emit(graph, BOARD, tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [
        "build.json", "build.py", "estimate.json", "expected_output.npy", "files.sha256", "folding_config.json",
        "graph.cdg", "input.npy", "layers.json", "map.json", "model.onnx", "specialize_layers_config.json",
    ]  # fmt: skip
    for name in names:
        content = (tmp_path / "a" / name).read_bytes()
        assert content == (tmp_path / "b" / name).read_bytes()
        if name not in ("graph.cdg", "map.json"):
            assert b"classifier" not in content
            assert b"os.system" not in content
    compile((tmp_path / "a" / "build.py").read_text(), "build.py", "exec")
    settings = json.loads((tmp_path / "a" / "build.json").read_text())
    assert settings == {"finn_board": "Pynq-Z2", "part": "xc7z020clg400-1", "clock_ns": 10.0}
    x, y = (np.load(tmp_path / "a" / f"{name}.npy") for name in ("input", "expected_output"))
    np.testing.assert_array_equal(golden.run(graph, x.astype(np.int64)), y)


def test_a_missing_finn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(finn.VARIABLE, str(tmp_path / "python"))
    project = backend.emit(network(), BOARD, tmp_path / "project")
    assert project.simulation.of == "finn-plus not installed"
    with pytest.raises(UserError, match="FINN is not installed here; make finn"):
        project.compile()
    assert not project.converted.exists()
    outcome = project.synth()
    assert outcome.status == "tool-missing"
    assert outcome.command.endswith("python build.py")


def test_sums_beyond_float32_are_not_compared(tmp_path: Path):
    graph = graph_of(Dense(np.full((64, 2), 5000)), (64,), IntType(12, signed=False))
    project = backend.emit(graph, BOARD, tmp_path)
    with pytest.raises(UserError, match=r"n0 \(dense\) sums more than 2\^24"):
        project.run(np.full((1, 64), 4095))


def attribute(node: onnx.NodeProto, name: str) -> object:
    """Return an attribute of a node, None without it."""
    return next((onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name), None)


@needs_finn
def test_finn_makes_the_layers_and_computes_the_same(tmp_path: Path):
    graph = network()
    project = backend.emit(graph, BOARD, tmp_path, cycles=2_000)
    assert project.cycles_per_frame <= 2_000
    estimates = json.loads(project.compile().read_text())
    assert estimates["outside"] == []
    assert estimates["part"] == "xc7z020clg400-1"
    assert len(estimates["checks"]) == 8  # four frames, before and after streamlining
    assert all(check.endswith("SUCCESS") for check in estimates["checks"])
    # A popcount of 72 bits needs seven without a sign, whatever the weights.
    made = onnx.load(project.converted / "dataflow.onnx")
    counted = [node for node in made.graph.node if attribute(node, "binaryXnorMode") == 1]
    assert [attribute(node, "accDataType") for node in counted] == [b"UINT7"]
    ours = json.loads((tmp_path / "estimate.json").read_text())
    assert set(estimates["cycles"]) == set(ours["layers"])
    for name, cycles in estimates["cycles"].items():
        # A window and what reads it are one to us: the slower of the two.
        assert cycles <= ours["layers"][name]["cycles"], name
    assert estimates["network"]["max_cycles"] == ours["cycles_per_frame"]
    result = verify(graph, project, random_frames(graph, 20, 0))
    assert (result.differences, result.tensors, result.vectors) == (0, 1, 20)


@needs_finn
@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False])
def test_popcounts_beyond_half_of_their_bits_are_exact(told: bool, tmp_path: Path):
    # Half of the weights are negative: FINN takes the sum for -72 to 72, and the popcount reaches 144.
    codes = np.repeat([[1], [0]], 72, axis=0).repeat(2, axis=1)
    builder = GraphBuilder()
    sums = builder.add(Dense(codes, codebook=SIGNS), builder.input((144,), BIT))
    bits = builder.add(Threshold(np.array([[60, 71], [50, 70]])), sums)
    graph = builder.build(builder.add(Dense(np.array([[1], [3]])), bits))
    x = np.stack([np.arange(144) < 72 - fewer for fewer in range(30)]).astype(np.int64)
    project = backend.emit(graph, BOARD, tmp_path)
    if not told:
        script = tmp_path / "build.py"
        script.write_text(script.read_text().replace("    _count_without_sign()\n", ""))
    assert (verify(graph, project, x).differences == 0) is told


GENERATE = """
import sys
sys.path.insert(0, sys.argv[1])
import convert
convert.prepare()
from finn.transformation.fpgadataflow.prepare_ip import PrepareIP
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp
model = ModelWrapper(sys.argv[2]).transform(PrepareIP("xc7z020clg400-1", 10.0))
for node in model.graph.node:
    place = getCustomOp(node).get_nodeattr("code_gen_dir_ipgen")
    print("written", node.name, len(list(__import__("pathlib").Path(place).iterdir())))
"""


@needs_finn
@pytest.mark.slow
def test_finn_writes_the_sources_of_every_layer(tmp_path: Path):
    # What HLS has no types for, such as bits that are no signs, would fail here.
    project = backend.emit(network(), BOARD, tmp_path, cycles=2_000)
    project.compile()
    tool = finn.locate()
    assert tool is not None
    done = subprocess.run(
        [tool.path, "-I", "-c", GENERATE, SCRIPTS, project.converted / "dataflow.onnx"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = dict(re.findall(r"written (\S+) (\d+)", done.stdout))
    assert set(written) == set(json.loads((tmp_path / "estimate.json").read_text())["layers"])
    assert all(int(number) > 0 for number in written.values())


@needs_finn
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "conv2d",
        "conv2d, binary",
        "conv2d, bits and wider weights",
        "sum_pool",
        "dense",
        "bits read as such and wider",
        "bits read wider and pooled",
        "bits read wider and summed",
    ],
)
def test_finn_computes_single_operators(name: str, tmp_path: Path):
    graph = CASES[name]
    project = backend.emit(graph, BOARD, tmp_path)
    project.compile()
    assert verify(graph, project, random_frames(graph, 8, 1))


@needs_finn
@pytest.mark.slow
def test_a_changed_file_is_caught(tmp_path: Path):
    graph = network()
    backend.emit(graph, BOARD, tmp_path / "a")
    path = tmp_path / "a" / "model.onnx"
    model = onnx.load(path)
    last = graph.outputs[0]
    constant = next(each for each in model.graph.initializer if each.name.startswith(f"{last}_"))
    values = onnx.numpy_helper.to_array(constant)[::-1]  # weights of the first feature for the last
    constant.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), constant.name))
    onnx.save(model, path)
    # FINN's own checks see it as well.
    with pytest.raises(UserError, match="golden vectors failed: verify_initial_python_0_FAIL"):
        backend.open_project(tmp_path / "a").compile()
    found = execute(path.read_bytes(), graph, random_frames(graph, 8, 1))
    np.save(tmp_path / "a" / "input.npy", random_frames(graph, 8, 1).astype(np.float32))
    np.save(tmp_path / "a" / "expected_output.npy", found)
    project = backend.open_project(tmp_path / "a")
    project.compile()
    assert verify(graph, project, random_frames(graph, 8, 1)).differences > 0


@needs_finn
@pytest.mark.slow
def test_folds_of_another_order_are_refused(tmp_path: Path):
    backend.emit(network(), BOARD, tmp_path / "a")
    path = tmp_path / "a" / "layers.json"
    layers = json.loads(path.read_text())
    mvau = [layer for layer in layers if layer["name"].startswith("MVAU_hls")]
    mvau[0]["name"], mvau[1]["name"] = mvau[1]["name"], mvau[0]["name"]
    path.write_text(json.dumps(layers))
    with pytest.raises(UserError, match="the folds are for another order of layers"):
        backend.open_project(tmp_path / "a").compile()
    shutil.rmtree(tmp_path / "a" / "build")
