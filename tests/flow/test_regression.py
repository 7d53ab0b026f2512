"""The committed vectors of every model: no part of the flow may change a single integer unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign import zoo
from codesign.verify import vectors

from .conftest import CommandLine

MODELS = Path(__file__).parents[2] / "models"


def quantised() -> list[str]:
    """Every trained model of the checkout that has integers."""
    found = (zoo.read(path) for path in sorted(MODELS.glob("*.toml")))
    return [model.name for model in found if model.checkpoint_path.is_file() and not model.widths.is_float]


@pytest.mark.parametrize("name", quantised())
def test_no_integer_has_changed(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("CODESIGN_MODELS", str(MODELS))
    checked = codesign("csim", name, "--check", "--json")
    assert checked.json.get("changes") == [], checked.json
    assert checked.code == 0
    committed = vectors.load(vectors.path_of(zoo.load(name).checkpoint_path))
    assert checked.json["vectors"] == len(committed["frames"]) >= 2
