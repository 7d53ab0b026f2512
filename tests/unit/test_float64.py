"""The float64 witness against golden, and what it says when either is broken."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from codesign import zoo
from codesign.frontends.brevitas import Imported
from codesign.ir import Graph
from codesign.ir.graph import rebuild
from codesign.ir.ops import Dense, Threshold
from codesign.verify.float64 import verify_float64
from codesign.verify.frames import random_frames


@pytest.fixture(scope="module")
def imported() -> Imported:
    return zoo.load("digits_cnn_w3").imported()


class Model:
    """A model of the zoo that was imported already."""

    framework = "brevitas"

    def __init__(self, imported: Imported) -> None:
        self._imported = imported

    def imported(self) -> Imported:
        return self._imported


def check(imported: Imported, frames: int = 120) -> Any:
    return verify_float64(Model(imported), random_frames(imported.graph, frames, seed=3))  # type: ignore[arg-type]


def changed(graph: Graph, kind: type, field: str, change: Any) -> Graph:
    """Return the graph with one attribute of the last operator of a kind changed."""
    target = [node for node in graph.nodes if isinstance(node.op, kind)][-1]
    op = dataclasses.replace(target.op, **{field: change(getattr(target.op, field))})
    return rebuild(graph, [(n.name, op if n is target else n.op, n.inputs, n.label) for n in graph.nodes], {})


def test_quantisers_and_output_agree(imported: Imported) -> None:
    result = check(imported)
    assert result.differences == 0
    assert result.first_difference is None
    assert result.vectors == 120
    # Three quantisers and the output.
    assert result.tensors == 4
    per_frame = sum(
        imported.graph.edges[node.name].size
        for node in imported.graph
        if node.op.name in ("threshold", "dyadic") or node.name in imported.graph.outputs
    )
    assert result.integers == 120 * per_frame


def test_a_wrong_weight_of_the_last_layer_shows(imported: Imported) -> None:
    def negate(weight: np.ndarray) -> np.ndarray:
        copy = weight.copy()
        copy[:, 3] *= -1
        return copy

    broken = dataclasses.replace(imported, graph=changed(imported.graph, Dense, "weight", negate))
    result = check(broken)
    assert result.differences > 0
    assert result.first_difference is not None
    assert result.first_difference.node == "output"
    assert result.first_difference.element[-1] == 3
    assert result.first_difference.expected != result.first_difference.found


def test_a_wrong_output_bias_shows(imported: Imported) -> None:
    broken = dataclasses.replace(imported, graph=changed(imported.graph, Dense, "bias", lambda bias: bias + 2))
    result = check(broken)
    assert result.differences == 120 * imported.graph.output.size


def test_a_wrong_threshold_shows_in_the_output(imported: Imported) -> None:
    shifted = changed(imported.graph, Threshold, "thresholds", lambda t: t + 3)
    result = check(dataclasses.replace(imported, graph=shifted))
    assert result.differences > 0
    assert result.first_difference is not None
    assert result.first_difference.node == "output"


def test_a_wrong_threshold_before_the_passes_is_named(imported: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = imported.lowering.unsimplified()
    shifted = changed(plain, Threshold, "thresholds", lambda t: t + 1)
    edge = [node.name for node in plain if isinstance(node.op, Threshold)][-1]
    monkeypatch.setattr(imported.lowering, "unsimplified", lambda: shifted)
    result = check(imported)
    assert result.first_difference is not None
    assert (result.first_difference.node, result.first_difference.operator) == (edge, "quantiser")
