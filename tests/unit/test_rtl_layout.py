"""Layout of the RTL backend: folds, adapters between lanes, and what is refused."""

from __future__ import annotations

import math
import pkgutil
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import folds, ops
from codesign.backends.rtl.joints import adapters
from codesign.backends.rtl.layout import lay_out
from codesign.backends.rtl.timing import Every, Narrow
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir import ops as ir_ops
from codesign.ir.ops import Conv2d, Dense, Flatten, Threshold

from ..conftest import residual_graph

BOARD = boards.load("pynq-z2")


def network(channels: int = 6) -> Graph:
    rng = np.random.default_rng(channels)
    builder = GraphBuilder()
    edge = builder.input((4, 4, 2), IntType(3, signed=False))
    for kernel, outputs in ((3, channels), (1, 4)):
        weight = rng.integers(-2, 3, (kernel, kernel, builder.edge(edge).channels, outputs))
        edge = builder.add(Conv2d(weight, padding=kernel // 2), edge)
        edge = builder.add(Threshold(np.sort(rng.integers(-9, 9, (outputs, 3)), axis=1)), edge)
    edge = builder.add(Flatten(), edge)
    return builder.build(builder.add(Dense(rng.integers(-2, 3, (64, 5))), edge))


@pytest.mark.parametrize(
    ("lanes", "wanted", "words"),
    [(4, 4, []), (4, 2, [2]), (2, 6, [6]), (6, 4, [2, 4]), (4, 6, [2, 6]), (3, 5, [1, 5])],
)
def test_adapters_go_over_the_common_divisor(lanes: int, wanted: int, words: list[int]) -> None:
    blocks = adapters(3, lanes, wanted)
    assert [block.parameters["OUT"] for block in blocks] == words
    before = lanes
    for block in blocks:
        entering, leaving = int(block.parameters["IN"]), int(block.parameters["OUT"])
        assert (entering, block.parameters["BITS"], block.width) == (before, 3, 3 * leaving)
        assert math.gcd(entering, leaving) in (entering, leaving)
        if entering > leaving:
            assert block.timing == Narrow(entering // leaving)
        else:
            assert block.timing == Every(leaving // entering, 1)
        before = leaving
    assert before == wanted


@pytest.mark.parametrize("graph", [network(4), residual_graph()], ids=["straight", "residual"])
def test_more_clocks_are_never_answered_with_fewer(graph: Graph) -> None:
    wanted = [1, 64, 100, 256, 300, 500, 1000, 5000]
    promised = [lay_out(graph, cycles).cycles_per_frame for cycles in wanted]
    assert promised == sorted(promised)
    # From the fastest that it can be on, the promise keeps to what was asked for.
    assert all(clocks <= max(asked, promised[0]) for asked, clocks in zip(wanted, promised, strict=True))
    assert promised[0] < promised[-1]


def test_a_promise_counts_the_slowest_part() -> None:
    # Words of 6 become words of 4 over words of 2: the adapter is the slowest.
    graph = network(12)
    folds = {"n0": {"pe": 6}, "n1": {"pe": 6}, "n2": {"simd": 4, "pe": 4}, "n3": {"pe": 4}}
    laid = lay_out(graph, 1, folds)
    sizes = {edge: tensor.size for edge, tensor in graph.edges.items()}
    (channel,) = (c for c in laid.channels if c.node == "n2")
    assert [block.parameters["OUT"] for block in (channel.parts, *channel.adapters)] == [2, 4]
    assert laid.cycles_per_frame >= sizes["n1"] // 2
    assert laid.cycles_per_frame >= max(unit.cycles for unit in laid.units.values())


def test_chosen_folds_are_kept_and_impossible_ones_refused() -> None:
    graph = network()
    assert lay_out(graph, 1, {"n0": {"pe": 3, "simd": 1}}).folds["n0"].pe == 3
    with pytest.raises(UserError, match=r"n0 \(conv2d\) has no fold with pe = 4; PE divides its outputs"):
        lay_out(graph, 1, {"n0": {"pe": 4}})
    with pytest.raises(UserError, match="has no fold with colour = 1"):
        lay_out(graph, 1, {"n0": {"colour": 1}})
    with pytest.raises(UserError, match="folds are given for n99, which the graph does not have"):
        lay_out(graph, 1, {"n99": {"pe": 1}})


def test_operators_that_the_backend_has_not_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds.ops, "names", lambda: ["conv2d", "flatten"])
    with pytest.raises(UserError) as refused:
        lay_out(network(), 100)
    assert str(refused.value) == "the rtl backend has no operator threshold (n1); use the hls4ml backend."


def test_every_operator_of_the_graph_is_there() -> None:
    assert ops.names() == sorted(info.name for info in pkgutil.iter_modules(ir_ops.__path__))


def test_several_inputs_or_outputs_are_refused(tmp_path: Path) -> None:
    builder = GraphBuilder()
    one, two = (builder.input((3,), IntType(3, signed=True)) for _ in range(2))
    a, b = (builder.add(Dense(np.eye(3, dtype=np.int64)), edge) for edge in (one, two))
    several = builder.build(a, b)
    builder = GraphBuilder()
    one = builder.input((3,), IntType(3, signed=True))
    a, b = (builder.add(Dense(np.eye(3, dtype=np.int64) * sign), one) for sign in (1, -1))
    for graph in (several, builder.build(a, b)):
        with pytest.raises(UserError) as refused:
            rtl.emit(graph, BOARD, tmp_path / "p")
        assert str(refused.value) == ("the rtl backend writes networks with one input and one output; split the graph.")
        assert not (tmp_path / "p").exists()
