"""A choice of widths as a model: trained, evaluated and verified by the plain commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign import zoo
from codesign.search.mixed_model import write_model
from codesign.search.space import Assignment
from codesign.search.space_of import space_of
from codesign.toolchain import verilator

from .conftest import TOY, CommandLine

RECIPE = """
[recipe]
epochs = 2
batch = 100
learning_rate = 0.05
"""


def chosen(source: zoo.Model) -> Assignment:
    """Return widths that are all different, pruned and binary channels and a layer of each kind among them."""
    space = space_of(source, schemes=("uniform", "post"))
    weights = {
        layer.name: tuple((channel + place) % 6 for channel in range(layer.channels))
        for place, layer in enumerate(space.layers)
    }
    weights["stack2.shortcut"] = (1,) * len(weights["stack2.shortcut"])
    weights["stack1.conv2"] = (0,) * len(weights["stack1.conv2"])
    activations = {layer.name: 1 + place % 4 for place, layer in enumerate(space.activations)}
    return Assignment(weights, activations, {"stack2.conv2": "post", "stack3.shortcut": "post"})


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["csim", "rtl"])
def test_a_residual_network_of_mixed_widths_is_exact(
    codesign: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
):
    if backend == "rtl" and verilator.locate() is None:
        pytest.skip("needs Verilator, of the extra rtl")
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("CODESIGN_MODELS", str(folder))
    (folder / "small_w3.toml").write_text(TOY + RECIPE)
    assert codesign("train", "small_w3", "--record").code == 0
    source = zoo.load("small_w3")
    write_model(source, chosen(source), folder / "small_mixed.toml")
    trained = codesign("train", "small_mixed", "--record", "--json").json
    assert trained["accuracy"] == pytest.approx(trained["float_accuracy"], abs=2)
    (entry,) = [row for row in codesign("models", "--json").json["models"] if row["name"] == "small_mixed"]
    assert entry["mixed"]
    assert entry["accuracy"] == trained["accuracy"]
    found = codesign("verify", "small_mixed", "--backend", backend, "--vectors", "20", "--json")
    assert found.code == 0
    assert (found.json["differences"], found.json["vectors"]) == (0, 20)
