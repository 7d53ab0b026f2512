"""Folding one graph after the other: what is kept changes nothing of the estimates."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.backends.rtl import estimation, hardware, refolding
from codesign.backends.rtl.options import Options
from codesign.backends.rtl.refolding import Refolding
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Conv2d, Threshold

BOARD = boards.load("pynq-z2")
OPTIONS = [
    Options(cycles=300),
    Options(cycles=64, dsp=0),
    Options(fastest=True),
    Options(cycles=64, lut=1500),
    Options(fastest=True, lut=1500),
]


def network(seed: int, widths: tuple[int, ...] = (3,), bits: int = 3) -> Graph:
    """Two convolutions and what is between; the first one's weights have these widths, in turn."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder()
    edge = builder.input((4, 4, 4), IntType(bits, signed=False))
    for place in range(2):
        own = [widths[i % len(widths)] if place == 0 else 3 for i in range(8)]
        limits = np.array([(1 << (width - 1)) - 1 for width in own])
        weight = np.round(rng.uniform(-1, 1, size=(3, 3, builder.edge(edge).channels, 8)) * limits).astype(int)
        weight[0, 0, 0] = limits
        edge = builder.add(Conv2d(weight, weight_bits=tuple(own), padding=1), edge)
        rows = np.sort(rng.integers(-40, 40, size=(8, (1 << bits) - 1)), axis=1)
        edge = builder.add(Threshold(rows), edge)
    return builder.build(edge)


def full(graph: Graph, options: Options) -> estimation.Estimate:
    return estimation.of_layout(hardware.chosen(graph, BOARD, options)[0].layout, BOARD)


@pytest.mark.parametrize("options", OPTIONS)
def test_it_is_the_estimate_of_what_is_emitted(options: Options) -> None:
    folding = Refolding(BOARD, options)
    for seed in (0, 1):
        graph = network(seed)
        assert folding.estimate(graph) == full(graph, options)


@pytest.mark.parametrize("options", OPTIONS)
def test_what_came_before_changes_nothing(options: Options) -> None:
    graphs = [network(0), network(1, (2, 5)), network(2, bits=4), network(1, (2, 5)), network(3, (4, 1, 2))]
    folding = Refolding(BOARD, options)
    for graph in graphs:
        assert folding.estimate(graph) == Refolding(BOARD, options).estimate(graph)


def test_for_several_widths_what_is_emitted_keeps_to_the_same_clocks() -> None:
    options = Options(cycles=144)
    for seed in range(3):
        graph = network(seed, (2, 6, 3))
        quick, emitted = Refolding(BOARD, options).estimate(graph), full(graph, options)
        assert max(quick.cycles_per_frame, emitted.cycles_per_frame) <= 144
        assert quick.amount.lut == pytest.approx(emitted.amount.lut, rel=0.15)


def test_only_the_latest_nodes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refolding, "NODES", 5)
    folding = Refolding(BOARD, OPTIONS[0])
    for seed in range(4):
        folding.estimate(network(seed))
        assert len(folding._kept) <= 5


def test_a_node_is_known_by_all_that_its_folds_depend_on() -> None:
    graph = network(0)
    others = [network(1), network(0, (4,)), network(0, bits=4)]
    own = [refolding._content(node, graph) for node in graph]
    assert own == [refolding._content(node, network(0)) for node in network(0)]
    for other in others:
        first = next(iter(other))
        assert refolding._content(first, other) not in own


def test_a_board_without_measurements_is_refused() -> None:
    with pytest.raises(UserError, match="no synthesis was measured"):
        Refolding(msgspec.structs.replace(boards.load("zcu104"), family="versal"), Options())
