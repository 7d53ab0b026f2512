"""The committed vectors of every model: no part of the flow may change a single integer unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from codesign import zoo
from codesign.verify import vectors

from .conftest import CommandLine

MODELS = Path(__file__).parents[2] / "models"


def quantised() -> list[ParameterSet]:
    """Every trained model of the checkout with integers; so many run every time that each topology and method does."""
    found = (zoo.read(path) for path in sorted(MODELS.glob("*.toml")))
    seen: set[tuple[str, str, str]] = set()
    cases = []
    for model in found:
        if not model.checkpoint_path.is_file() or model.widths.is_float:
            continue
        parts = {"topology": model.topology, "weights": model.method.weights, "activations": model.method.activations}
        shown = {(model.framework, part, name) for part, name in parts.items()}
        cases.append(pytest.param(model.name, marks=[pytest.mark.slow] if shown <= seen else []))
        seen |= shown
    return cases


@pytest.mark.parametrize("name", quantised())
def test_no_integer_has_changed(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("CODESIGN_MODELS", str(MODELS))
    checked = codesign("csim", name, "--check", "--json")
    assert checked.json.get("changes") == [], checked.json
    assert checked.code == 0
    committed = vectors.load(vectors.path_of(zoo.load(name).checkpoint_path))
    assert checked.json["vectors"] == len(committed["frames"]) >= 2
