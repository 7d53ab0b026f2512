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
    shown: dict[str, set[tuple[str, str, str]]] = {}
    for path in sorted(MODELS.glob("*.toml")):
        model = zoo.read(path)
        if model.checkpoint_path.is_file() and not model.widths.is_float:
            parts = {
                "topology": model.topology,
                "weights": model.method.weights,
                "activations": model.method.activations,
            }
            shown[model.name] = {(model.framework, part, name) for part, name in parts.items()}
    quick, missing = set(), set().union(*shown.values())
    while missing:
        name = max(shown, key=lambda one: len(shown[one] & missing))
        quick.add(name)
        missing -= shown[name]
    return [pytest.param(name, marks=[] if name in quick else [pytest.mark.slow]) for name in shown]


@pytest.mark.parametrize("name", quantised())
def test_no_integer_has_changed(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("CODESIGN_MODELS", str(MODELS))
    checked = codesign("csim", name, "--check", "--json")
    assert checked.json.get("changes") == [], checked.json
    assert checked.code == 0
    committed = vectors.load(vectors.path_of(zoo.load(name).checkpoint_path))
    assert checked.json["vectors"] == len(committed["frames"]) >= 2
