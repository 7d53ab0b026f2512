"""A small model to run whole commands on, and ways to run them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TOY = """
title = "A narrow residual network"
framework = "brevitas"
dataset = "digits"
topology = "resnet8"
input_scale = 0.0625

[topology_options]
width = 4

[widths]
weight_bits = 3
activation_bits = 3
"""


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        (line,) = self.out.splitlines()
        return json.loads(line)


class CommandLine:
    """Runs `codesign` in a folder of its own, inside this process: torch is loaded once."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def __call__(self, *arguments: str) -> Outcome:
        from codesign.cli.main import main

        self._capture.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        captured = self._capture.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)


@pytest.fixture
def unmeasured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A board of a family of which no synthesis was measured."""
    folder = tmp_path / "own boards"
    folder.mkdir()
    text = (Path(__file__).parents[2] / "board" / "zcu104.toml").read_text()
    (folder / "later.toml").write_text(text.replace("zynq-ultrascale+", "versal"))
    monkeypatch.setenv("CODESIGN_BOARDS", str(folder))
    return "later"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `toy_w3`: random weights, batch norms that have seen data, a checkpoint."""
    import torch

    from codesign import data, zoo
    from codesign.train import checkpoint
    from codesign.train.batches import to_tensor

    folder = tmp_path_factory.mktemp("models")
    (folder / "toy_w3.toml").write_text(TOY)
    model = zoo.read(folder / "toy_w3.toml")
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = model.module().train()
        for _ in range(3):
            network(to_tensor(data.load("digits").x_train[:100], model.input_scale))
    checkpoint.write(model.checkpoint_path, network.state_dict())
    return folder


@pytest.fixture(scope="session")
def compiled(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `build` with the compiled project of `toy_w3` for the PYNQ-Z2."""
    from codesign import boards, zoo
    from codesign.backends import hls4ml

    build = tmp_path_factory.mktemp("compiled") / "build"
    graph = zoo.read(models / "toy_w3.toml").graph()
    hls4ml.emit(graph, boards.load("pynq-z2"), build / "toy_w3" / "pynq-z2" / "hls4ml").compile()
    return build


@pytest.fixture
def codesign(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    """Run commands in an empty folder, with `toy_w3` among the models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODESIGN_MODELS", str(models))
    return CommandLine(tmp_path, capfd)


@pytest.fixture
def prepared(codesign: CommandLine, compiled: Path) -> CommandLine:
    """Run commands in a folder where `toy_w3` has been compiled before."""
    shutil.copytree(compiled, codesign.folder / "build")
    return codesign


def start(folder: Path, models: Path, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """Start `codesign` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "codesign", *arguments],
        cwd=folder,
        env={**os.environ, "CODESIGN_MODELS": str(models)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )
