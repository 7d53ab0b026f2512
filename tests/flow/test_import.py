"""`codesign import`: a QONNX file becomes a model that every command takes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")

from codesign import ir, zoo

from ..unit.qonnx_networks import Maker
from .conftest import CommandLine

SCALE = "0.0625"


def digits_file(folder: Path, name: str = "net.onnx", seed: int = 0) -> Path:
    """A network for frames of 8 x 8 x 1 and ten classes, of weights that nobody trained."""
    m = Maker((1, 1, 8, 8), seed)
    x = m.node("Conv", "x", m.weights((4, 1, 3, 3)), pads=[1, 1, 1, 1])
    x = m.quant(m.node("Relu", m.batch_norm(x, 4)), 3, 0.25, False)
    x = m.node("Flatten", m.node("MaxPool", x, kernel_shape=[4, 4], strides=[4, 4]))
    path = folder / name
    path.write_bytes(m.build(m.node("Gemm", x, m.weights((10, 16)), m.const(m.rng.normal(size=10)), transB=1)))
    return path


@pytest.fixture
def own(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Run commands in a folder whose models are its own."""
    monkeypatch.delenv("CODESIGN_MODELS")
    return codesign


def test_an_imported_model_is_one_like_any_other(own: CommandLine):
    path = digits_file(own.folder)
    told = own("import", str(path), "--name", "mine", "--data", "digits", "--input-scale", SCALE, "--json")
    assert told.code == 0, told.err
    assert told.json["input"] == "uint5[8x8x1]"
    assert told.json["layout"] == "NCHW"
    assert told.json["open_steps"] == 0
    assert sorted(p.name for p in (own.folder / "models").iterdir()) == ["mine.graph", "mine.toml"]
    listed = {entry["name"]: entry for entry in own("models", "--json").json["models"]}["mine"]
    assert listed["dataset"] == "digits"
    assert listed["activation_bits"] == 3
    assert listed["accuracy"] == told.json["accuracy"] == own("evaluate", "mine", "--json").json["accuracy"]
    emitted = own("emit", "mine", "--json").json
    assert emitted["graph_sha256"] == told.json["graph_sha256"] == ir.digest(zoo.load("mine").graph())
    assert own("report", "mine").code == 0
    for arguments in (("evaluate", "mine", "--backend", "float"), ("verify", "mine", "--backend", "float64")):
        refused = own(*arguments)
        assert refused.code == 2
        assert "imported as integers" in refused.err
    assert "no [recipe]" in own("train", "mine").err


def test_without_a_data_set_frames_are_random(own: CommandLine):
    path = digits_file(own.folder)
    assert own("import", str(path), "--input-scale", SCALE, "--input-type", "uint4").code == 0
    verified = own("verify", "net", "--vectors", "6", "--json")
    assert verified.json["differences"] == 0
    assert own("csim", "net", "--update", "--count", "4", "--json").json["recorded"]
    assert own("csim", "net").code == 0
    refused = own("evaluate", "net")
    assert refused.code == 2
    assert "--data" in refused.err


def test_a_name_that_is_taken(own: CommandLine):
    first, other = digits_file(own.folder), digits_file(own.folder, "other.onnx", seed=5)
    options = ("--name", "mine", "--input-scale", SCALE)
    assert own("import", str(first), *options).code == 0
    before = (own.folder / "models" / "mine.graph").read_bytes()
    refused = own("import", str(other), *options)
    assert refused.code == 2
    assert "--force" in refused.err
    assert (own.folder / "models" / "mine.graph").read_bytes() == before
    assert own("import", str(other), *options, "--force").code == 0
    assert (own.folder / "models" / "mine.graph").read_bytes() != before
    taken = own("import", str(first), "--name", "digits_cnn_w3", "--input-scale", SCALE, "--force")
    assert taken.code == 2
    assert "another model" in taken.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("absent.onnx", "--name", "x"), "cannot read absent.onnx"),
        (("net.onnx", "--name", "../x"), "letters, digits"),
        (("net.onnx", "--name", "x.toml"), "letters, digits"),
        (("net.onnx",), "--input-scale"),
        (("net.onnx", "--data", "digits"), "--input-scale"),
        (("net.onnx", "--data", "digist", "--input-scale", SCALE), "digits"),
        (("net.onnx", "--data", "cifar10", "--input-scale", SCALE), "choose another data set"),
        (("net.onnx", "--data", "digits", "--input-scale", SCALE, "--input-type", "int4"), "leave out --input-type"),
        (("net.onnx", "--input-scale", SCALE, "--input-type", "float"), "--input-type"),
        (("net.onnx", "--input-scale", "0.1"), "float32"),
        (("net.onnx", "--input-scale", "-1"), "--input-scale"),
        (("net.onnx", "--input-scale", SCALE, "--layout", "NHWC"), "finds NHWC"),
        (("bad.onnx", "--input-scale", SCALE), "damaged"),
        (("net.onnx", "--input-scale", SCALE, "--strict", "--short-multipliers"), "leave one out"),
    ],
)
def test_mistakes_leave_nothing_behind(own: CommandLine, arguments: tuple[str, ...], sentence: str):
    digits_file(own.folder)
    (own.folder / "bad.onnx").write_bytes(b"\x3a\x80\x80\x80\x80\x08")
    told = own("import", *arguments, "--json")
    assert told.code == 2
    assert sentence in told.json["error"]
    assert not (own.folder / "models").exists()


def test_a_folder_that_cannot_be_written(own: CommandLine):
    if os.geteuid() == 0:
        (own.folder / "models").write_text("no folder")
    else:
        (own.folder / "models").mkdir()
        (own.folder / "models").chmod(stat.S_IRUSR | stat.S_IXUSR)
    told = own("import", str(digits_file(own.folder)), "--input-scale", SCALE)
    assert told.code == 2
    assert "cannot write" in told.err


def test_a_graph_of_another_import_is_told(own: CommandLine):
    for name, seed in (("a", 0), ("b", 5)):
        digits_file(own.folder, f"{name}.onnx", seed)
        assert own("import", f"{name}.onnx", "--input-scale", SCALE).code == 0
    models = own.folder / "models"
    (models / "a.graph").write_bytes((models / "b.graph").read_bytes())
    told = own("emit", "a")
    assert told.code == 2
    assert "import the file again" in told.err


def open_file(folder: Path) -> Path:
    """A network whose steps meet sums that float32 rounds: rounding up from 0, where only noise is."""
    m = Maker((1, 24), exact=False)
    weights = m.quant(m.const(m.rng.normal(size=(24, 6))), 4, 0.1)
    x = m.quant(
        m.node("Relu", m.node("MatMul", m.node("Mul", "x", m.const(0.3)), weights)), 3, 0.37, False, rounding="UP"
    )
    path = folder / "open.onnx"
    path.write_bytes(m.build(m.node("MatMul", x, m.weights((6, 3), 1))))
    return path


def test_axes_that_nothing_in_the_file_tells(own: CommandLine):
    m = Maker((1, 8, 8, 1))
    path = own.folder / "net.onnx"
    path.write_bytes(m.build(m.node("Gemm", m.node("Flatten", "x"), m.weights((64, 10), 1))))
    options = ("import", str(path), "--data", "digits", "--input-scale", SCALE)
    told = own(*options)
    assert told.code == 2
    assert "--layout" in told.err
    assert own(*options, "--layout", "NHWC").code == 0


def test_a_batch_too_large_to_compare(own: CommandLine):
    m = Maker((1 << 40, 6))
    path = own.folder / "net.onnx"
    path.write_bytes(m.build(m.node("MatMul", m.quant("x", 4, 0.5), m.weights((6, 3), 1))))
    told = own("import", str(path), "--check", "1")
    assert told.code == 2
    assert "more memory than is sensible" in told.err
    assert not (own.folder / "models").exists()


def test_what_float32_leaves_open_is_told(own: CommandLine):
    path = open_file(own.folder)
    options = ("--input-scale", "1", "--input-type", "int4")
    refused = own("import", str(path), *options, "--strict")
    assert refused.code == 2
    assert "rounding of float32" in refused.err
    assert not (own.folder / "models").exists()
    told = own("import", str(path), *options, "--json")
    assert told.code == 0
    assert told.json["open_steps"] > 0
    assert len(told.json["open_nodes"]) == 1


def test_check_compares_with_the_executor(own: CommandLine, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
    pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")
    path = digits_file(own.folder)
    options = ("--input-scale", SCALE, "--check", "5", "--json")
    told = own("import", str(path), "--name", "good", *options)
    assert told.code == 0
    assert told.json["differences"] == 0
    assert told.json["vectors"] == 5

    from codesign.frontends import qonnx_reference

    whole = qonnx_reference.execute

    def broken(*arguments) -> np.ndarray:
        real = whole(*arguments)
        real[1, 2] += 4.0
        return real

    monkeypatch.setattr(qonnx_reference, "execute", broken)
    told = own("import", str(path), "--name", "bad", *options)
    assert told.code == 1
    assert told.json["differences"] == 1
    assert told.json["first_difference"] == [1, 2]
    assert not (own.folder / "models" / "bad.toml").exists()
