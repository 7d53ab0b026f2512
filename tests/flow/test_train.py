"""Training from the command line."""

from __future__ import annotations

import signal
import tomllib
from pathlib import Path

import pytest

from .conftest import TOY, CommandLine, start

RECIPE = """
[recipe]
epochs = {epochs}
batch = 100
learning_rate = 0.05
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the untrained model `small_w3` and its recipe."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "small_w3.toml").write_text(TOY + RECIPE.format(epochs=2))
    return folder


def test_a_trained_model_can_be_used_at_once(codesign: CommandLine, recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CODESIGN_MODELS", str(recipe))
    trained = codesign("train", "small_w3", "--json")
    assert trained.code == 0
    result = trained.json
    assert result["images"] == 360
    assert 0 <= result["accuracy"] <= 100
    assert abs(result["accuracy"] - result["float_accuracy"]) < 3
    assert not (recipe / "small_w3.safetensors").exists()

    noted = tomllib.loads(Path(result["path"]).read_text())["result"]
    assert noted["accuracy"] == result["accuracy"]
    assert noted["checkpoint_sha256"] == result["checkpoint_sha256"]
    again = codesign("evaluate", result["path"], "--json").json
    assert again["accuracy"] == pytest.approx(result["accuracy"], abs=1e-3)

    # A finished training is not done twice, and --record puts it where the model lies.
    recorded = codesign("train", "small_w3", "--record", "--json").json
    assert recorded["checkpoint_sha256"] == result["checkpoint_sha256"]
    assert (recipe / "small_w3.safetensors").read_bytes() == Path(result["checkpoint"]).read_bytes()
    assert tomllib.loads((recipe / "small_w3.toml").read_text())["result"] == noted


@pytest.mark.parametrize("native", [False, True])
def test_a_processor_without_bfloat16_is_told(
    codesign: CommandLine, recipe: Path, monkeypatch: pytest.MonkeyPatch, native: bool
):
    monkeypatch.setenv("CODESIGN_MODELS", str(recipe))
    monkeypatch.setattr("codesign.train.precision.has_bfloat16", lambda: native)
    (recipe / "small_w3.toml").write_text(TOY + RECIPE.format(epochs=1))
    assert "bfloat16" not in codesign("train", "small_w3").err
    (recipe / "small_w3.toml").write_text(TOY + RECIPE.format(epochs=1) + 'precision = "bfloat16"\n')
    told = codesign("train", "small_w3", "--fresh", "--json")
    assert ("has no fast bfloat16; training is in float32" in told.err) != native
    noted = tomllib.loads(Path(told.json["path"]).read_text())["result"]
    assert noted.get("precision") == (None if native else "float32")
    assert noted == {key: value for key, value in told.json.items() if key in noted}


def test_an_interrupted_training_says_how_to_go_on(tmp_path: Path, recipe: Path):
    (recipe / "small_w3.toml").write_text(TOY + RECIPE.format(epochs=5000))
    process = start(tmp_path, recipe, "train", "small_w3")
    state = tmp_path / "build" / "small_w3" / "train" / "state.safetensors"
    while not state.is_file():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "the same command continues it" in err.splitlines()[-1]
    assert state.is_file()


def test_a_model_without_a_recipe_cannot_be_trained(codesign: CommandLine):
    told = codesign("train", "toy_w3", "--json")
    assert told.code == 2
    assert "[recipe]" in told.json["error"]
