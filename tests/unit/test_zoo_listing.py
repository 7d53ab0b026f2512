"""`codesign models` and `codesign boards`, with files that are not right among the others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from codesign import resources, zoo


def listing(command: str, folder: Path, **environment: str) -> tuple[dict[str, Any], str]:
    """Return what `codesign COMMAND --json` lists, by name, and what it says on standard error."""
    kept = {key: value for key, value in os.environ.items() if key not in ("CODESIGN_MODELS", "CODESIGN_BOARDS")}
    done = subprocess.run(
        [sys.executable, "-m", "codesign", command, "--json"],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {entry["name"]: entry for entry in json.loads(done.stdout)[command]}, done.stderr


def test_accuracy_of_another_checkpoint_is_not_shown(tmp_path: Path) -> None:
    for ending in ("toml", "safetensors"):
        shutil.copy(resources.folder("models") / f"digits_cnn_w3.{ending}", tmp_path)
    honest, said = listing("models", tmp_path, CODESIGN_MODELS=str(tmp_path))
    assert honest["digits_cnn_w3"]["accuracy"] == zoo.load("digits_cnn_w3").result.accuracy
    assert said == ""
    with (tmp_path / "digits_cnn_w3.safetensors").open("ab") as stream:
        stream.write(b"\0")
    listed, said = listing("models", tmp_path, CODESIGN_MODELS=str(tmp_path))
    assert listed["digits_cnn_w3"]["accuracy"] is None
    assert listed["digits_cnn_w3"]["float_accuracy"] is None
    assert listed["resnet8_w3"]["accuracy"] is not None
    assert said.startswith("digits_cnn_w3: the accuracy in ")
    assert said.count("\n") == 1


def test_a_model_file_that_is_not_right_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "foo.toml").write_text("[tool]\nx = 1\n")
    (tmp_path / "models" / "my net.toml").write_text("[tool]\nx = 1\n")
    listed, said = listing("models", tmp_path)
    assert "resnet8_w3" in listed
    assert not {"foo", "my net"} & set(listed)
    assert len(said.splitlines()) == 2
    assert str(tmp_path / "models" / "foo.toml") in said
    assert "'my net'" in said
    assert "rename the file" in said


def test_a_board_file_that_is_not_right_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "Evil Board.toml").write_text("")
    (tmp_path / "empty.toml").write_text("")
    listed, said = listing("boards", tmp_path, CODESIGN_BOARDS=str(tmp_path))
    assert "pynq-z2" in listed
    assert len(said.splitlines()) == 2
    assert "'Evil Board'" in said
    assert "rename the file" in said
    assert "empty.toml: the field 'title' is missing" in said
