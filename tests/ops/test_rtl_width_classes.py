"""Layers with weights of several widths in RTL: folded, both kinds of units, channels in an order of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import ops
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Add, Conv2d, Dense, Flatten, Threshold
from codesign.toolchain import verilator
from codesign.verify.compare import compare
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

WIDTHS = {
    # A third of the channels pruned, which fill a lane. They share their order with those of n2.
    "n0": [6, 0, 6, 2, 2, 0],
    "n2": [1, 2, 7, 4, 3, 5],
    # One channel, which has one lane.
    "n5": [4],
    "n7": [2, 5, 5, 2],
    # The output, whose order stays.
    "n10": [3, 0, 5, 3],
}


def weights(rng: np.random.Generator, widths: list[int], *shape: int) -> np.ndarray:
    """Return weights of which each output has exactly a width, 0 for none but zeros."""
    result = np.zeros((*shape, len(widths)), dtype=np.int64)
    for channel, width in enumerate(widths):
        if width:
            half = 1 << (width - 1)
            result[..., channel] = rng.integers(-half, half, shape)
            result[..., channel].flat[0] = -half
    return result


def network() -> Graph:
    """Layers of several widths, a fork and its join, a flattened frame."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder()

    def requantised(edge: str, levels: int) -> str:
        spread = 1 << (builder.edge(edge).type.bits - 2)
        table = np.sort(rng.integers(-spread, spread, (builder.edge(edge).channels, levels)), axis=1)
        return builder.add(Threshold(table), edge)

    x = builder.input((3, 4, 2), IntType(2, signed=False))
    bias = rng.integers(-20, 20, 6)
    first = requantised(builder.add(Conv2d(weights(rng, WIDTHS["n0"], 3, 3, 2), padding=1, bias=bias), x), 3)
    inner = requantised(builder.add(Conv2d(weights(rng, WIDTHS["n2"], 1, 1, 6)), first), 3)
    one = requantised(builder.add(Conv2d(weights(rng, WIDTHS["n5"], 1, 1, 6)), builder.add(Add(), inner, first)), 2)
    last = requantised(builder.add(Conv2d(weights(rng, WIDTHS["n7"], 1, 1, 1)), one), 3)
    outputs = Dense(weights(rng, WIDTHS["n10"], 48), bias=rng.integers(-20, 20, 4))
    return builder.build(builder.add(outputs, builder.add(Flatten(), last)))


def folds(planes: int) -> dict[str, dict[str, Any]]:
    pes = {"n0": 3, "n2": 3, "n5": 1, "n7": 2, "n10": 4}
    return {name: {"pe": pe, "simd": 1, "window": False, "planes": planes} for name, pe in pes.items()}


def emit(folder: Path, planes: int, graph: Graph | None = None, **options: Any) -> rtl.RtlProject:
    return rtl.emit(graph or network(), boards.load("pynq-z2"), folder, folds=folds(planes), **options)


@pytest.mark.parametrize("planes", [0, 1])
def test_equals_golden(planes: int, tmp_path: Path) -> None:
    if verilator.locate() is None:
        pytest.skip("Verilator is missing; it comes with the extra rtl")
    graph = network()
    project = emit(tmp_path / "p", planes)
    x = random_frames(graph, 8, 1)
    expected = golden.run(graph, x, trace=True)
    for pauses in ((0, 0), (60, 60), (10, 200)):
        found = project.simulate(x, trace=True, pauses=pauses, seed=2, fast=False)
        assert found.edges.keys() == graph.edges.keys()
        result = compare(graph, expected, found.edges)
        assert result.differences == 0, f"pauses {pauses}: {result.first_difference}"
    counted = project.count_cycles(x, fast=False)
    assert counted, counted.sentence
    # What hardware calls channel i is recorded: with another record nothing fits.
    orders = project.about["channel_orders"]
    assert orders.keys() == {"n0", "n1", "n2", "n3", "n4", "n7", "n8", "n9"}
    orders["n1"] = np.roll(orders["n1"], 1).tolist()
    found = project.simulate(x, trace=True, fast=False)
    assert compare(graph, expected, found.edges).first_difference.node == "n1"  # type: ignore[union-attr]
    again = rtl.open_project(project.folder).simulate(x, trace=True, fast=False)
    assert np.array_equal(again.edges["n1"], expected["n1"])


def test_the_map_tells_lanes_and_orders(tmp_path: Path) -> None:
    graph = network()
    about = json.loads((emit(tmp_path / "p", 0).folder / "map.json").read_text())
    told = {name: node["lanes_by_width"] for name, node in about["nodes"].items() if "lanes_by_width" in node}
    assert told == {
        "n0": {"0": 1, "2": 1, "6": 1},
        "n2": {"4": 1, "5": 1, "7": 1},
        "n7": {"2": 1, "5": 1},
        "n10": {"0": 1, "3": 2, "5": 1},
    }
    moved = np.array(WIDTHS["n0"])[about["channel_orders"]["n0"]]
    assert sorted(moved.reshape(2, 3).T.tolist()) == [[0, 0], [2, 2], [6, 6]]
    assert about["channel_orders"]["n0"] == about["channel_orders"]["n4"]
    assert about["graph_sha256"] == rtl.emit(graph, boards.load("pynq-z2"), tmp_path / "q").about["graph_sha256"]


def multiplying(graph: Graph, seed: int) -> dict[str, dict[str, Any]]:
    """Return folds with multipliers for all layers that can have them, of several lanes where that is possible."""
    rng = np.random.default_rng(seed)
    chosen = {}
    for node in graph:
        if isinstance(node.op, Conv2d | Dense):
            found = [fold for fold in ops.module(node.op.name).folds(node, graph) if not fold.planes]
            several = [fold for fold in found if fold.pe > 1]
            fold = (several or found)[rng.integers(len(several or found))]
            chosen[node.name] = {"pe": fold.pe, "simd": fold.simd, "window": fold.window, "planes": 0}
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_with_multipliers(seed: int, verify_rtl: Callable[..., None]) -> None:
    graph = random_graph(seed)
    print(f"seed {seed}\n{graph}")
    verify_rtl(graph, 1, seed, folds=multiplying(graph, seed))
