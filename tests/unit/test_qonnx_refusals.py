"""What the QONNX frontend refuses: one sentence that names the node or the file, and a way out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")

import onnx
from onnx import TensorProto, helper

from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import convert, from_qonnx
from codesign.ir import IntType

from .qonnx_networks import GENERAL, Maker


def refused(data: bytes, **options: Any) -> str:
    """Return the sentence with which a file is refused."""
    options.setdefault("input_type", IntType(4, signed=True))
    options.setdefault("input_scale", 0.25)
    with pytest.raises(UserError) as caught:
        convert(qonnx_file.loads(data, "net.onnx"), **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def features(make: Callable[[Maker], str], shape: tuple[int, ...] = (1, 6)) -> bytes:
    m = Maker(shape)
    return m.build(make(m))


def dense(m: Maker, x: str = "x") -> str:
    return m.node("MatMul", x, m.weights((6, 6), 1))


def raw_quant(m: Maker, scale: Any = 0.5, zero: Any = 0.0, bits: Any = 4.0, **attributes: Any) -> str:
    attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attributes
    attributes = {key: value for key, value in attributes.items() if value is not None}
    return m.node("Quant", dense(m), m.const(scale), m.const(zero), m.const(bits), domain=GENERAL, **attributes)


OPERATORS: dict[str, tuple[Callable[[Maker], str], str]] = {
    "unknown operator": (lambda m: m.node("Sigmoid", dense(m)), "operator that is not supported"),
    "unknown domain": (lambda m: m.node("Thing", dense(m), domain="evil.domain"), "domain 'evil.domain'"),
    "softmax": (lambda m: m.node("Softmax", dense(m)), "end in its logits"),
    "float weights": (
        lambda m: m.node("MatMul", "x", m.const(m.rng.normal(size=(6, 3)))), "float weights; quantise them with a Quant"
    ),
    "activation not quantised": (
        lambda m: m.node("MatMul", m.node("Clip", dense(m), m.const(-1.0), m.const(1.0)), m.weights((6, 3), 1)),
        "not quantised",
    ),
    "ends unquantised": (lambda m: m.node("Clip", dense(m), m.const(-1.0), m.const(1.0)), "not quantised"),
    "scale of zero": (lambda m: raw_quant(m, scale=0.0), "scale that is not positive"),
    "negative scale": (lambda m: raw_quant(m, scale=-0.5), "scale that is not positive"),
    "scale of NaN": (lambda m: raw_quant(m, scale=np.nan), "NaN or infinity"),
    "infinite scale": (lambda m: raw_quant(m, scale=np.inf), "NaN or infinity"),
    "fraction of a bit": (lambda m: raw_quant(m, bits=2.5), "whole number of bits"),
    "no bits": (lambda m: raw_quant(m, bits=0.0), "whole number of bits"),
    "too many bits": (lambda m: raw_quant(m, bits=20.0), "at most 16"),
    "bits per channel": (lambda m: raw_quant(m, bits=[2.0, 3.0]), "whole number of bits"),
    "fraction of a zero point": (lambda m: raw_quant(m, zero=0.5), "zero point"),
    "zero point per channel": (lambda m: raw_quant(m, zero=np.arange(6.0)), "zero point per channel"),
    "unknown rounding": (lambda m: raw_quant(m, rounding_mode="STOCHASTIC"), "'STOCHASTIC'"),
    "no sign": (lambda m: raw_quant(m, signed=None), "'signed'"),
    "wrong attribute type": (lambda m: raw_quant(m, signed=1.5), "'signed'"),
    "single level": (lambda m: raw_quant(m, bits=1.0, signed=0, narrow=1), "single level"),
    "scale for other channels": (lambda m: raw_quant(m, scale=np.ones(5)), "one per channel (6)"),
    "wide ties": (lambda m: m.quant(m.node("MatMul", "x", m.const(np.eye(6))), 10, 0.5), "at most 8 bits"),
    "two activations multiplied": (
        lambda m: (lambda a: m.node("Mul", a, a))(raw_quant(m)), "combines two activations"
    ),
    "divided by zero": (lambda m: m.node("Div", dense(m), m.const(0.0)), "division by a constant"),
    "divided by an activation": (lambda m: m.node("Div", m.const(1.0), dense(m)), "division by a constant"),
    "unrelated scales added": (
        lambda m: m.node("Add", m.quant(dense(m), 4, 0.3), m.quant(dense(m), 4, 0.7)), "unrelated scales"
    ),
    "weights per input": (
        lambda m: m.node("MatMul", "x", m.quant(m.const(np.eye(6)), 3, m.scale(-3, 3, (6, 1)))),
        "differ within an output channel",
    ),
    "matrix of another size": (lambda m: m.node("MatMul", "x", m.weights((5, 3), 1)), "5 inputs and reads 6"),
    "activations on both sides": (lambda m: m.node("MatMul", "x", dense(m)), "where a constant is expected"),
    "bias of another size": (
        lambda m: m.node("Gemm", "x", m.weights((6, 3), 1), m.const(np.ones(4))), "bias of shape (4,)"
    ),
    "transposed input": (lambda m: m.node("Gemm", "x", m.weights((6, 3), 1), transA=1), "transA"),
    "alpha": (lambda m: m.node("Gemm", "x", m.weights((6, 3), 1), alpha=0.5), "alpha or beta"),
    "a bias per frame": (
        lambda m: m.node("Gemm", "x", m.weights((6, 3), 1), m.const([[1.0], [2.0], [3.0]])), "bias of shape (3, 1)"
    ),
    "truncation to nothing": (
        lambda m: m.node(
            "Trunc", dense(m), *(m.const(v) for v in (1e38, 0.0, 8.0, 1e-38, 4.0)), domain=GENERAL,
            rounding_mode="FLOOR",
        ),
        "adds bits",
    ),
    "truncation beyond float": (
        lambda m: m.node(
            "Trunc", dense(m), *(m.const(v) for v in (1e-38, 0.0, 8.0, 1e38, 4.0)), domain=GENERAL,
            rounding_mode="FLOOR",
        ),
        "adds bits",
    ),
    "variance below zero": (
        lambda m: m.node("BatchNormalization", dense(m), *(m.const(np.full(6, v)) for v in (1.0, 0.0, 0.0, -1.0))),
        "variance",
    ),
    "too many logits": (lambda m: m.node("TopK", dense(m), m.const([2], np.int64), outputs=2), "one largest"),
    "reshape to nothing": (
        lambda m: m.node("Reshape", dense(m), m.const([1, 0, 7], np.int64), allowzero=1), "not as large"
    ),
    "split batch": (lambda m: m.node("Reshape", dense(m), m.const([6, 1], np.int64)), "only flattening"),
    "cast": (lambda m: m.node("Cast", dense(m), to=int(TensorProto.INT64)), "casts activations"),
    "constant output": (lambda m: m.node("Identity", m.const(1.0)), "does not depend on its input"),
    "nothing computed": (lambda m: m.node("Identity", "x"), "no layer that computes"),
    "overflow": (
        lambda m: m.quant(m.node("Mul", m.node("Mul", dense(m), m.const(1e30)), m.const(1e30)), 4, 1.0),
        "beyond float32",
    ),
    "thresholds for other channels": (
        lambda m: m.node("MultiThreshold", dense(m), m.const(np.zeros((5, 3))), domain=GENERAL, out_dtype="UINT2"),
        "thresholds for 5 channels",
    ),
    "constant of a wide type": (
        lambda m: m.node("Add", dense(m), m.const([1], np.int64)), "use float32"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str):
    make, sentence = OPERATORS[name]
    assert sentence in refused(features(make))


FRAMES: dict[str, tuple[Callable[[Maker], str], str]] = {
    "dilated": (lambda m: m.node("Conv", "x", m.weights((4, 3, 3, 3)), dilations=[2, 2]), "dilated"),
    "one dimension": (lambda m: m.node("Conv", "x", m.weights((4, 3, 3))), "two dimensions"),
    "groups": (lambda m: m.node("Conv", "x", m.weights((4, 3, 3, 3)), group=2), "in 2 groups"),
    "huge pads": (lambda m: m.node("Conv", "x", m.weights((4, 3, 3, 3)), pads=[1 << 40] * 4), "pads"),
    "kernel beyond the frame": (lambda m: m.node("Conv", "x", m.weights((4, 3, 9, 9))), "use a smaller one"),
    "kernel_shape of others": (
        lambda m: m.node("Conv", "x", m.weights((4, 3, 3, 3)), kernel_shape=[5, 5]), "kernel_shape"
    ),
    "zero stride": (lambda m: m.node("MaxPool", "x", kernel_shape=[2, 2], strides=[0, 1]), "numbers as strides"),
    "no kernel": (lambda m: m.node("MaxPool", "x"), "positive numbers as kernel_shape"),
    "padded pool of negatives": (
        lambda m: m.node("MaxPool", "x", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), "may be negative"
    ),
    "uncounted padding": (
        lambda m: m.node("AveragePool", "x", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), "count_include_pad=1"
    ),
    "ceil mode": (lambda m: m.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), "ceil_mode=0"),
    "padding of an offset": (
        lambda m: m.node("Conv", m.node("Add", "x", m.const(0.3)), m.weights((4, 3, 3, 3)), pads=[1, 1, 1, 1]),
        "zero is not integer 0",
    ),
    "pads with ones": (
        lambda m: m.node("Pad", "x", m.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64), m.const(1.0)), "pad with zeros"
    ),
    "pads channels": (
        lambda m: m.node("Conv", m.node("Pad", "x", m.const([0, 1, *[0] * 6], np.int64)), m.weights((4, 4, 3, 3))),
        "only rows and columns of zeros",
    ),
    "cuts rows off": (lambda m: m.node("Pad", "x", m.const([0, 0, -1, 0, 0, 0, 0, 0], np.int64)), "cuts rows"),
    "frames exchanged": (lambda m: m.node("Transpose", "x", perm=[1, 0, 2, 3]), "behind the first"),
    "constant per pixel": (
        lambda m: m.node("Mul", "x", m.const(np.arange(1.0, 65).reshape(8, 8))), "one per channel"
    ),
    "joined rows": (lambda m: m.node("Concat", "x", "x", axis=2), "only channels can be joined"),
    "mean of rows": (lambda m: m.node("ReduceMean", "x", m.const([2], np.int64)), "whole frames"),
    "output flattened": (lambda m: m.node("Flatten", m.node("Conv", "x", m.weights((4, 3, 3, 3)))), "flattened frame"),
    "flattened from the front": (lambda m: m.node("Flatten", "x", axis=0), "use axis=1"),
    "axes of neither order": (
        lambda m: m.node("Conv", m.node("Transpose", "x", perm=[0, 2, 1, 3]), m.weights((4, 3, 3, 3))), "axes NCHW"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_frames(name: str):
    make, sentence = FRAMES[name]
    assert sentence in refused(features(make, (1, 3, 8, 8)))


# Files ------------------------------------------------------------------------------------------------------


def changed(change: Callable[[Any], None]) -> bytes:
    """A small good file after a change of its protocol buffer."""
    model = onnx.load_model_from_string(features(dense))
    change(model)
    return model.SerializeToString()


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def huge(model: Any) -> None:
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([1 << 40, 1 << 20])


def circle(model: Any) -> None:
    model.graph.node.append(helper.make_node("Add", ["b", "x"], ["a"]))
    model.graph.node.append(helper.make_node("Add", ["a", "x"], ["b"]))


def with_subgraph(model: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=body))


def typed_values(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0, 2.0])


FILES: dict[str, tuple[Callable[[Any], None], str]] = {
    "external data": (external, "in another file"),
    "huge tensor": (huge, "but 36 values"),
    "too few typed values": (typed_values, "but 2 values"),
    "negative extent": (lambda m: m.graph.initializer[0].dims.__setitem__(0, -1), "makes no sense"),
    "unknown type": (lambda m: setattr(m.graph.initializer[0], "data_type", 10), "data type"),
    "circle": (circle, "in a circle"),
    "subgraph": (with_subgraph, "of a kind that is not supported"),
    "missing tensor": (lambda m: m.graph.initializer.pop(0), "which nothing makes"),
    "made twice": (lambda m: m.graph.node.append(m.graph.node[0]), "twice"),
    "no nodes": (lambda m: m.graph.ClearField("node"), "no network"),
    "no input": (lambda m: m.graph.ClearField("input"), "0 inputs"),
    "two outputs": (lambda m: m.graph.output.append(m.graph.input[0]), "2 outputs"),
    "output of nothing": (lambda m: setattr(m.graph.output[0], "name", "?"), "makes its output"),
    "unknown extents": (
        lambda m: m.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value"), "fixed extents"
    ),
    "no shape": (lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"), "does not tell the shape"),
    "scalar input": (lambda m: m.graph.input[0].type.tensor_type.shape.ClearField("dim"), "fixed extents"),
    "huge input": (
        lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 1 << 60), "numbers per frame"
    ),
    "integer input": (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 7), "not float32"),
    "a function": (lambda m: m.functions.add(name="f"), "functions"),
    "too many nodes": (
        lambda m: m.graph.node.extend(helper.make_node("Identity", ["x"], [f"i{k}"]) for k in range(6000)), "nodes"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files(name: str):
    change, sentence = FILES[name]
    assert sentence in refused(changed(change))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no network"),
        (b"not a protocol buffer", "damaged"),
        (b"\x3a\xff\xff\xff\xff\x0f", "damaged"),
        # A graph of a million empty nodes in two megabytes.
        (b"\x3a\x80\x89\x7a" + b"\x0a\x00" * 1_000_000, "fields"),
    ],
)
def test_damaged_files(data: bytes, sentence: str):
    assert sentence in refused(data)


def test_constants_that_would_grow_without_end():
    m = Maker((1, 6))
    wide = m.const(np.ones((4096, 1)))
    for _ in range(4):
        wide = m.node("Concat", wide, wide, wide, wide, axis=0)
    tall = m.node("Transpose", wide, perm=[1, 0])
    assert "constant of more than" in refused(m.build(m.node("Add", dense(m), m.node("Mul", wide, tall))))


def test_a_list_of_millions_of_numbers():
    def field(number: int, content: bytes) -> bytes:
        size, digits = len(content), []
        while size:
            digits.append(size & 0x7F | (0x80 if size > 0x7F else 0))
            size >>= 7
        return bytes([number << 3 | 2, *digits]) + content

    data = field(7, field(1, field(5, field(1, b"pads") + field(8, b"\x01" * 4_000_000))))
    assert "more than 400,000 fields" in refused(data)


def test_many_large_constants():
    m = Maker((1, 6))
    rows, columns = m.const(np.ones((4096, 1))), m.const(np.ones((1, 4096)))
    made = [m.node("Add", rows, columns) for _ in range(6)]
    for other in made[1:]:
        made[0] = m.node("Add", made[0], other)
    assert "constants without end" in refused(m.build(m.node("Add", dense(m), made[0])))


@pytest.mark.parametrize("op", ["AveragePool", "Pad", "ReduceMean", "Squeeze", "Transpose"])
@pytest.mark.parametrize("values", [["1", "z"], [1.0, 2.0], [float("nan"), 1.0]])
def test_lists_that_are_no_whole_numbers(op: str, values: list):
    m = Maker((1, 2, 6, 6))
    name = {"AveragePool": "pads", "Pad": "pads", "Transpose": "perm"}.get(op, "axes")
    assert f"attribute {name!r} has the wrong type" in refused(
        m.build(m.node(op, "x", **{"kernel_shape": [2, 2]} if op == "AveragePool" else {}, **{name: values}))
    )


def test_choices_of_many_constants_end():
    m = Maker((1, 64))
    ones = m.const(np.ones((64, 1)))
    index = m.node("Cast", m.quant(m.node("MatMul", "x", ones), 8, 1.0, signed=False), to=7)
    index = m.node("Reshape", index, m.const([1], np.int64))
    x = m.node("MatMul", "x", m.const(np.ones((64, 4096))))
    x = m.node("Mul", x, m.node("Gather", m.const(np.ones((256, 4096))), index))
    for _ in range(3):
        x = m.node("Add", x, m.const(1.0))
    assert "larger than any FPGA" in refused(m.build(m.node("Floor", x)))


def test_a_row_of_many_constants_ends():
    m = Maker((1, 6))
    x = dense(m)
    for _ in range(1000):
        x = m.node("Mul", x, m.const(1.0000001))
    assert "too many operations" in refused(m.build(m.quant(x, 4, 1.0)))


def test_an_integer_annotation_of_what_is_no_integer():
    m = Maker((1, 6))
    x = m.node("MatMul", "x", m.weights((6, 6), 1))
    annotated(m, x, "INT8")
    assert "annotated as 'INT8'" in refused(m.build(m.quant(x, 4, 1.0)))


def annotated(m: Maker, name: str, kind: str) -> None:
    pair = onnx.StringStringEntryProto(key="finn_datatype", value=kind)
    m.annotations.append(onnx.TensorAnnotation(tensor_name=name, quant_parameter_tensor_names=[pair]))


def test_an_input_annotated_as_integers_has_no_scale():
    m = Maker((1, 6))
    annotated(m, "x", "UINT4")
    assert "leave out the input scale" in refused(m.build(dense(m)))


def test_an_initializer_annotated_as_integers():
    m = Maker((1, 6))
    weights = m.const(np.eye(6) / 2)
    annotated(m, weights, "INT2")
    assert "'c0' is annotated" in refused(m.build(m.node("MatMul", "x", weights)))


@pytest.mark.parametrize("scale", [-1.0, float("nan"), float("inf"), 0.1])
def test_input_scales(scale: float):
    assert "scale" in refused(features(dense), input_scale=scale)


def test_an_input_that_nothing_explains():
    assert "--input-scale" in refused(features(dense), input_scale=None)


def test_layouts():
    assert "NCHW, NHWC" in refused(features(dense), layout="CHWN")
    frames = features(lambda m: m.node("Conv", "x", m.weights((4, 3, 3, 3))), (1, 3, 8, 8))
    assert "finds NHWC" in refused(frames, layout="NHWC")


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        from_qonnx(tmp_path / "absent.onnx")
    with pytest.raises(UserError, match="cannot read"):
        from_qonnx(tmp_path)


def test_names_of_the_user_are_short_and_printable_in_messages():
    m = Maker((1, 6))
    m.nodes.append(helper.make_node("Sigmoid", ["x"], ["y"], name="\x1b[31m\n" + "a" * 500))
    sentence = refused(m.build("y"))
    assert sentence.isprintable()
    assert len(sentence) < 250


def test_without_onnx_one_sentence_tells_what_to_install(tmp_path: Path):
    path = tmp_path / "net.onnx"
    path.write_bytes(features(dense))
    code = "import sys; sys.modules['onnx'] = None; from codesign.cli.main import main; main(sys.argv[1:])"
    told = subprocess.run(
        [sys.executable, "-c", code, "import", str(path), "--name", "net"], cwd=tmp_path, capture_output=True,
        text=True, env={key: value for key, value in os.environ.items() if key != "CODESIGN_MODELS"}, check=False,
    )  # fmt: skip
    assert told.returncode == 2
    assert "pip install 'codesign[qonnx]'" in told.stderr
    assert "Traceback" not in told.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx"]
