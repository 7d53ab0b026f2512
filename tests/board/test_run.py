"""`codesign run` as a user types it, with the board's twin at the other end of the port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codesign import data, zoo
from codesign.deploy.client import Client
from codesign.ir import golden
from codesign.toolchain import verilator
from codesign.verify.accuracy import top1

from ..flow.conftest import CommandLine
from .twin import Board, Twin

MODEL = """
title = "A perceptron of a few neurons"
framework = "brevitas"
dataset = "digits"
topology = "mlp"
input_scale = 0.0625

[topology_options]
hidden = [4]

[widths]
weight_bits = 2
activation_bits = 2
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `few` and `others`: the same network with other random weights."""
    import torch

    from codesign.train import checkpoint
    from codesign.train.batches import to_tensor

    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("few", "others")):
        (folder / f"{name}.toml").write_text(MODEL)
        model = zoo.read(folder / f"{name}.toml")
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            network = model.module().train()
            network(to_tensor(data.load("digits").x_train[:100], model.input_scale))
            checkpoint.write(model.checkpoint_path, network.state_dict())
    return folder


@pytest.fixture(scope="module")
def perceptron(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Board:
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    graph = zoo.read(models / "few.toml").graph()
    return Board(tmp_path_factory.mktemp("perceptron") / "project", graph)


@pytest.fixture
def few(perceptron: Board) -> Iterator[Twin]:
    with Twin(perceptron) as running:
        yield running


@pytest.fixture
def codesign(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODESIGN_MODELS", str(models))
    return CommandLine(tmp_path, capfd)


def expected_accuracy(models: Path, limit: int) -> float:
    digits = data.load("digits")
    found = top1(golden.run(zoo.read(models / "few.toml").graph(), digits.x_test[:limit]))
    return 100.0 * float((found == digits.y_test[:limit]).mean())


def test_answers_accuracy_and_no_word_of_speed(codesign: CommandLine, few: Twin, models: Path):
    done = codesign("run", "few", "--board", "icebreaker", "--port", few.port, "--limit", "20", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert (told["differences"], told["first_difference"], told["images"], told["retries"]) == (0, None, 20, 0)
    assert told["accuracy"] == expected_accuracy(models, 20)
    assert told["pseudo_terminal"] is True
    assert (told["frames_per_second"], told["latency_us"]) == (None, None)
    people = codesign("run", "few", "--board", "icebreaker", "--port", few.port, "--limit", "2")
    assert "20 integers equal the golden executor." in people.out
    assert "Nothing is said of speed" in people.out


def test_a_line_with_faults_costs_retries_and_no_integer(codesign: CommandLine, few: Twin):
    few.tell("to 40 flip 8", "to 300 lose 3", "from 60 flip 1", "from 150 reset")
    command = ("run", "few", "--board", "icebreaker", "--port", few.port, "--limit", "12", "--timeout", "0.5", "--json")
    told = codesign(*command).json
    assert (told["differences"], told["images"]) == (0, 12)
    assert told["retries"] >= 4
    assert told["refused"]["bad_checksum"] >= 2
    assert told["damaged"] >= 1


def test_a_device_that_computes_something_else_is_found(codesign: CommandLine, few: Twin, monkeypatch):
    request = Client.request

    def damaged(self, kind, payload=b""):
        answer = bytearray(request(self, kind, payload))
        if self.counts.requests == 3:
            answer[0] ^= 1
        return bytes(answer)

    monkeypatch.setattr(Client, "request", damaged)
    done = codesign("run", "few", "--board", "icebreaker", "--port", few.port, "--limit", "3", "--json")
    assert (done.code, done.json["differences"]) == (1, 1)
    assert (done.json["first_difference"]["image"], done.json["first_difference"]["element"]) == (1, [0])


def test_another_model_is_refused_in_one_sentence(codesign: CommandLine, few: Twin):
    done = codesign("run", "others", "--board", "icebreaker", "--port", few.port)
    assert done.code == 2
    (line,) = [line for line in done.err.splitlines() if line.startswith("codesign: ")]
    assert f"{few.port}: the device holds another network, the digest of its graph begins with" in line
    assert line.endswith("bitstream of `codesign synth others --board icebreaker --backend rtl`.")


def test_a_board_that_does_not_answer_is_told(codesign: CommandLine, few: Twin):
    few.tell("from 0 lose 1000000")
    done = codesign("run", "few", "--board", "icebreaker", "--port", few.port, "--timeout", "0.02", "--json")
    assert done.code == 2
    assert "gave no answer that is whole in 6 attempts at 115,200 baud; is it programmed" in done.json["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--board", "icebreaker", "--port", "/dev/tty-none"), "there is no port /dev/tty-none"),
        (("--board", "pynq-z2", "--port", "/dev/null"), "no bitstream with a serial port is made for pynq-z2"),
        (("--board", "icebreaker"), "--port"),
        (("--board", "icebreaker", "--port", "/dev/null", "--baud", "301"), "301 baud is no rate"),
    ],
)
def test_mistakes_are_told(codesign: CommandLine, arguments: tuple[str, ...], said: str):
    done = codesign("run", "few", *arguments)
    assert done.code == 2
    assert said in done.err
    assert not (codesign.folder / "build").exists()


@pytest.mark.slow
def test_a_trained_network_on_all_test_images(tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    monkeypatch.chdir(tmp_path)
    model = zoo.load("digits_cnn_w3")
    with Twin(Board(tmp_path / "project", model.graph(), cycles=2000)) as twin:
        run = ("run", "digits_cnn_w3", "--board", "icebreaker", "--port", twin.port, "--json")
        told = CommandLine(tmp_path, capfd)(*run).json
    assert (told["differences"], told["images"]) == (0, model.result.images)
    assert told["accuracy"] == model.result.accuracy
