"""Commands on the qonnx and finn backends."""

from __future__ import annotations

import json
import warnings

import pytest

from codesign import zoo
from codesign.ir import digest
from codesign.toolchain import finn

from .conftest import CommandLine

pytest.importorskip("onnx", reason="needs onnx, of the extra qonnx")
pytest.importorskip("qonnx", reason="needs qonnx, of the extra qonnx-check")


def test_verify_compares_every_edge_of_the_qonnx_file(codesign: CommandLine):
    found = codesign("verify", "toy_w3", "--backend", "qonnx", "--vectors", "12", "--json")
    assert found.code == 0
    told = found.json
    assert (told["differences"], told["vectors"], told["first_difference"]) == (0, 12, None)
    assert told["tensors"] > 20
    content = json.loads((codesign.folder / codesign("report", "toy_w3", "--json").json["json"]).read_text())
    assert ("qonnx", 0) in [(check["kind"], check["differences"]) for check in content["checks"]]


def test_emit_writes_both_folders(codesign: CommandLine):
    for backend, file in (("qonnx", "model.onnx"), ("finn", "folding_config.json")):
        folder = codesign.folder / codesign("emit", "toy_w3", "--backend", backend, "--json").json["folder"]
        assert folder == codesign.folder / "build" / "toy_w3" / "pynq-z2" / backend
        assert (folder / file).is_file()


@pytest.mark.parametrize("backend", ["qonnx", "finn"])
def test_what_is_emitted_is_imported_again(codesign: CommandLine, backend: str):
    folder = codesign("emit", "toy_w3", "--backend", backend, "--json").json["folder"]
    found = codesign("import", f"{folder}/model.onnx", "--name", f"again_{backend}", "--strict", "--json")
    assert found.code == 0, found.err
    assert found.json["open_steps"] == 0
    assert codesign("verify", f"again_{backend}", "--backend", "qonnx", "--vectors", "4").code == 0


def test_a_file_of_brevitas_is_the_graph_of_its_own_frontend(codesign: CommandLine):
    pytest.importorskip("onnxscript", reason="Brevitas exports with onnxscript, of the extra qonnx-check")
    import torch
    from brevitas.export import export_qonnx

    model = zoo.load("digits_cnn_w3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(model.build(), torch.zeros(1, 1, 8, 8), str(codesign.folder / "net.onnx"))
    like_it = ("--data", "digits", "--input-scale", str(model.input_scale), "--json")
    found = {
        name: codesign("import", "net.onnx", "--name", name, *options, *like_it).json["graph_sha256"]
        for name, options in (("short", ("--short-multipliers",)), ("exact", ()))
    }
    assert found["short"] == digest(model.graph()) != found["exact"]


def test_more_clocks_make_a_smaller_design(codesign: CommandLine):
    sizes = []
    for cycles in ("2000", "100000"):
        told = codesign("emit", "toy_w3", "--backend", "finn", "--cycles", cycles, "--json").json
        sizes.append(json.loads((codesign.folder / told["folder"] / "estimate.json").read_text())["lut"])
    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("command", ["verify", "synth"])
def test_a_missing_finn_is_told_in_one_sentence(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str):
    monkeypatch.setenv(finn.VARIABLE, str(codesign.folder / "nowhere"))
    told = codesign(command, "toy_w3", "--backend", "finn")
    assert told.code == 2
    assert told.out == ""
    assert "FINN is not installed here; make finn sets up its environment" in told.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("emit", "toy_w3", "--backend", "qonnx", "--cycles", "9"), "--cycles is for the rtl or finn backend"),
        (("emit", "toy_w3", "--backend", "finn", "--io", "io_stream"), "--io is for the hls4ml backend"),
        (("emit", "toy_w3", "--backend", "finn", "--board", "ulx3s-85f"), "FINN builds for AMD parts"),
        (("synth", "toy_w3", "--backend", "qonnx"), "qonnx"),
        (("verify", "toy_w3", "--backend", "hls4ml-stock"), "hls4ml's own converter reads QKeras models here"),
        (("verify", "toy_w3", "--backend", "hls4ml-stock", "--cycles", "9"), "--cycles is for"),
    ],
)
def test_what_does_not_fit_is_told(codesign: CommandLine, arguments: tuple[str, ...], sentence: str):
    told = codesign(*arguments)
    assert told.code == 2
    assert sentence in told.err


@pytest.mark.skipif(finn.locate() is None, reason="needs FINN: make finn")
@pytest.mark.slow
def test_synth_goes_to_exact_layers_and_says_what_is_missing(codesign: CommandLine):
    found = codesign("synth", "toy_w3", "--backend", "finn", "--vectors", "6", "--json")
    assert found.code == 0
    told = found.json
    assert (told["status"], told["tool"], told["differences"]) == ("tool-missing", "FINN with Vivado", 0)
    assert told["command"] == "cd build/toy_w3/pynq-z2/finn && python build.py"
