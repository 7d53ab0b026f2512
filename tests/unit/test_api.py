"""The Python interface: a module of one's own to integers, to files and to a simulation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from brevitas import nn as qnn
from torch import nn

import codesign
from codesign.errors import UserError
from codesign.ir import golden, load

HOSTILE = '"; system("rm -rf /")'


@pytest.fixture(scope="module")
def network() -> codesign.Network:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = nn.Sequential(
        qnn.QuantConv2d(1, 2, 3, stride=2, bias=False, weight_bit_width=3),
        nn.BatchNorm2d(2),
        qnn.QuantReLU(bit_width=2),
        nn.Flatten(),
    )
    model.add_module(HOSTILE, qnn.QuantLinear(8, 3, bias=True, weight_bit_width=4))
    with torch.no_grad():
        for _ in range(3):
            model(torch.rand(8, 1, 6, 6))
    return codesign.from_brevitas(model.eval(), torch.zeros(1, 1, 6, 6), input_scale=1 / 256, name=HOSTILE)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(5, 6, 6, 1)).astype(np.uint8)


def test_a_network_runs_and_is_a_graph(network: codesign.Network, frames: np.ndarray):
    found = network.run(frames)
    assert found.shape == (5, 3)
    assert (found == golden.run(network, frames)).all()
    assert str(network).startswith(HOSTILE)
    assert [node.label for node in network][-1] == HOSTILE


def test_a_network_is_kept_in_a_file(network: codesign.Network, tmp_path: Path, frames: np.ndarray):
    network.save(tmp_path / "network.graph")
    again = load(tmp_path / "network.graph")
    assert again.same_as(network)
    assert (golden.run(again, frames) == network.run(frames)).all()


def test_verification_through_the_hardware_simulation(network: codesign.Network):
    result = network.verify(vectors=20)
    assert result
    assert result.vectors == 20
    assert result.tensors >= 2
    assert result.integers >= 20 * 3


def test_a_project_is_written_where_the_name_is_harmless(
    network: codesign.Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    project = network.emit(board="pynq-z2")
    (folder,) = (tmp_path / "build").iterdir()
    assert folder.name == "system__rm_-rf"
    assert Path(project.folder).resolve() == (folder / "pynq-z2" / "hls4ml").resolve()
    for path in project.folder.rglob("*"):
        if path.suffix in (".cpp", ".h", ".tcl"):
            assert "rm -rf" not in path.read_text(), path
    again = network.emit(board="pynq-z2", folder=tmp_path / "again")
    for path in sorted(p for p in project.folder.rglob("*") if p.is_file()):
        assert (again.folder / path.relative_to(project.folder)).read_bytes() == path.read_bytes(), path


def test_unknown_boards_backends_and_options_are_refused(network: codesign.Network, tmp_path: Path):
    for options in ({"board": "pynq-z9"}, {"backend": "../hls4ml"}, {"backend": "hls5ml"}, {"io_type": "io_serial"}):
        with pytest.raises(UserError):
            network.emit(folder=tmp_path / "project", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_frames_that_do_not_fit_are_refused_before_anything_is_built(
    network: codesign.Network, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(codesign.Network, "emit", lambda *_, **__: pytest.fail("emitted"))
    with pytest.raises(UserError, match=r"the network expects \(frames, 6, 6, 1\)"):
        network.verify(np.zeros((2, 1, 6, 6), dtype=np.uint8))
    with pytest.raises(UserError, match="at least one frame"):
        network.verify(vectors=0)


def test_a_model_of_the_zoo():
    network = codesign.from_zoo("digits_cnn_w3")
    assert network.run(np.zeros((1, *network.input.shape), dtype=np.uint8)).shape == (1, *network.output.shape)
    with pytest.raises(UserError, match="digits_cnn_w3"):
        codesign.from_zoo("digits_cnn_w4")


def test_the_package_loads_no_framework():
    script = (
        "import sys, codesign, codesign.ir, codesign.ir.passes, codesign.verify.compare\n"
        "print([m for m in ('torch', 'brevitas', 'tensorflow', 'hls4ml', 'matplotlib') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert found.stdout.strip() == "[]"


def test_a_missing_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'from_onnx'"):
        codesign.from_onnx  # noqa: B018
