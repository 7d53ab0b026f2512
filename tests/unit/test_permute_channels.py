"""Channels in another order: outputs as before, edges as recorded, lanes of like width, and nothing moved in vain."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.ir import Graph, GraphBuilder, IntType, Operator, golden
from codesign.ir.channels import components, spread
from codesign.ir.ops import (
    Add,
    ArgMax,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    SelectThreshold,
    SumPool,
    Threshold,
)
from codesign.ir.passes import permute_channels
from codesign.ir.passes.permute_channels import channel_orders, reordered
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

IMAGE = (5, 4, 3)


def weights(widths: list[int], shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Return weights of which each output has exactly a width, 0 for none but zeros."""
    rng = np.random.default_rng(seed)
    result = np.zeros((*shape, len(widths)), dtype=np.int64)
    for channel, width in enumerate(widths):
        if width:
            half = 1 << (width - 1)
            result[..., channel] = rng.integers(-half, half, shape)
            result[..., channel].flat[0] = -half
    return result


def thresholds(channels: int, seed: int = 1) -> Threshold:
    return Threshold(np.sort(np.random.default_rng(seed).integers(-40, 40, (channels, 3)), axis=1))


def conv(widths: list[int], inputs: int, seed: int = 0, groups: int = 1, **options: object) -> Conv2d:
    weight = weights(widths, (3, 3, inputs // groups), seed)
    bias = np.random.default_rng(seed).integers(-30, 30, len(widths))
    return Conv2d(weight, padding=1, bias=bias, groups=groups, **options)  # type: ignore[arg-type]


def chain(*ops: Operator, shape: tuple[int, ...] = IMAGE) -> Graph:
    builder = GraphBuilder()
    edge = builder.input(shape, IntType(3, signed=False))
    for op in ops:
        edge = builder.add(op, edge)
    return builder.build(edge)


def check(graph: Graph, lanes: dict[str, int] | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Compare a graph with the permuted one on every edge, and return the orders."""
    orders = channel_orders(graph, lanes)
    after = permute_channels(graph, lanes)
    assert (after is graph) == (not orders)
    assert dict(after.edges) == dict(graph.edges)
    assert [(n.name, n.op.name, n.inputs, n.label) for n in after] == [
        (n.name, n.op.name, n.inputs, n.label) for n in graph
    ]
    assert (after.inputs, after.outputs, after.scales) == (graph.inputs, graph.outputs, graph.scales)
    assert not {*graph.inputs, *graph.outputs} & orders.keys()
    x = random_frames(graph, 12, seed)
    expected, found = golden.run(graph, x, trace=True), golden.run(after, x, trace=True)
    for edge, values in expected.items():
        moved = values if edge not in orders else values[..., orders[edge]]
        assert np.array_equal(found[edge], moved), edge
    # What it has made is left alone.
    assert permute_channels(after, lanes) is after
    return orders


def lanes_of(graph: Graph, node: str, pe: int) -> list[list[int]]:
    """Return the widths in each lane."""
    return graph.node(node).op.used_widths.reshape(-1, pe).T.tolist()  # type: ignore[attr-defined]


@pytest.mark.parametrize("pe", [1, 2, 4, 8])
@pytest.mark.parametrize("told", [True, False])
def test_lanes_get_channels_of_like_width(pe: int, told: bool) -> None:
    widths = [6, 2, 2, 6, 1, 0, 8, 3]
    graph = chain(conv(widths, 3), thresholds(8), conv([3] * 4, 8, seed=2))
    lanes = {"n0": pe} if told else None
    orders = check(graph, lanes)
    after = permute_channels(graph, lanes)
    wanted = np.sort(widths).reshape(pe, -1)
    found = np.sort(lanes_of(after, "n0", pe), axis=1)
    assert found[np.lexsort(found.T)].tolist() == wanted.tolist()
    # One lane, or one for each channel: any order is as good.
    assert set(orders) == (set() if told and pe in (1, 8) else {"n0", "n1"})


def test_a_pe_off_the_powers_of_two_is_served_when_told() -> None:
    widths = [5, 1, 2, 5, 1, 2, 2, 5, 1, 2, 5, 1]
    graph = chain(conv(widths, 3), thresholds(12), conv([3] * 4, 12))
    check(graph, {"n0": 3})
    assert sorted(lanes_of(permute_channels(graph, {"n0": 3}), "n0", 3)) == [[1] * 4, [2] * 4, [5] * 4]


def test_declared_widths_and_codebooks_move_along() -> None:
    book = np.array([0, 1, -1, 181, -181])
    codes = np.random.default_rng(0).integers(0, 5, (3, 3, 3, 4))
    codes[..., 1:3] = 0
    graph = chain(Conv2d(codes, codebook=book), thresholds(4), conv([3] * 2, 4))
    assert {"n0", "n1"} == set(check(graph))
    declared = Conv2d(weights([2, 2, 2, 2], (3, 3, 3)), weight_bits=(8, 3, 8, 3), padding=1)
    after = permute_channels(chain(declared, thresholds(4), conv([3] * 2, 4)), {"n0": 2})
    # Weights count as wide as they are, not as wide as they may be.
    assert after.node("n0").op.channel_bits == (8, 3, 8, 3)  # type: ignore[attr-defined]
    wider = Conv2d(weights([7, 2, 2, 7], (3, 3, 3)), weight_bits=(8, 3, 3, 8), padding=1)
    after = permute_channels(chain(wider, thresholds(4), conv([3] * 2, 4)), {"n0": 2})
    assert sorted(after.node("n0").op.channel_bits[::2]) in ([3, 3], [8, 8])  # type: ignore[attr-defined]


def test_uniform_layers_ends_and_a_ranking_stay() -> None:
    uniform = chain(conv([3] * 4, 3), thresholds(4), conv([2] * 4, 4))
    # Narrower than declared by chance.
    chance = chain(Conv2d(weights([3, 2, 3, 2], (3, 3, 3)), weight_bits=3), thresholds(4), conv([2] * 4, 4))
    last = chain(conv([6, 2, 2, 6], 3))
    ranked = chain(Flatten(), Dense(weights([6, 2, 2, 6], (60,))), ArgMax())
    for graph in (uniform, chance, last, ranked):
        assert permute_channels(graph) is graph


def test_all_operators_that_keep_the_order_are_followed() -> None:
    middle = (
        thresholds(4),
        MaxPool(2, 1),
        Conv2d(weights([3, 3, 3, 3], (3, 3, 1), 5), padding=1, groups=4),
        Dyadic(np.array([3, 5, -4, 2]), np.array([1, 2, 3, 4]), np.array([3, 2, 4, 3]), IntType(5, signed=True)),
        SumPool(2, 1),
        FrameBuffer(),
        Dyadic(*(np.array([v]) for v in (3, 1, 2)), IntType(4, signed=True)),
    )
    graph = chain(conv([6, 2, 2, 6], 3), *middle, conv([2] * 3, 4))
    assert set(check(graph, {"n0": 2})) == {f"n{i}" for i in range(8)}


def test_features_behind_a_flatten_move_with_their_channels() -> None:
    rng = np.random.default_rng(3)
    tail = (Flatten(), Threshold(np.sort(rng.integers(-9, 9, (80, 1)), axis=1)), Dense(rng.integers(-3, 4, (80, 5))))
    graph = chain(conv([6, 2, 2, 6], 3), thresholds(4), *tail)
    orders = check(graph, {"n0": 2})
    assert set(orders) == {"n0", "n1", "n2", "n3"}
    assert np.array_equal(orders["n2"], (np.arange(0, 80, 4)[:, None] + orders["n0"]).reshape(-1))


def test_a_dense_layer_that_is_added_to_a_flattened_frame_moves_in_its_period() -> None:
    builder = GraphBuilder()
    x = builder.input((2, 3, 4), IntType(3, signed=True))
    frame = builder.add(Flatten(), builder.add(conv([6, 2, 2, 6], 4), x))
    other = builder.add(Dense(weights([5, 1, 2, 7] * 6, (24,))), builder.add(Flatten(), x))
    total = builder.add(Add(), frame, other)
    graph = builder.build(builder.add(Dense(weights([3, 3], (24,))), total))
    orders = check(graph)
    assert {"n0", "n1", "n3", "n4"} == set(orders)


def test_both_operands_of_a_sum_have_one_order() -> None:
    builder = GraphBuilder()
    x = builder.input(IMAGE, IntType(3, signed=False))
    first = builder.add(thresholds(4), builder.add(conv([3, 7, 7, 3], 3), x))
    inner = builder.add(thresholds(4, 2), builder.add(conv([5, 2, 2, 5], 4, 3), first))
    second = builder.add(conv([2, 6, 2, 6], 4, 4), inner)
    total = builder.add(Add(), builder.add(thresholds(4, 3), second), first)
    graph = builder.build(builder.add(conv([2] * 4, 4, 5), builder.add(Add(), total, first)))
    lanes = {"n0": 2, "n2": 2, "n4": 2}
    orders = check(graph, lanes)
    joined = {"n1", "n5", "n6", "n7", "n0", "n4"}
    assert any(joined == set(component.edges) for component in components(graph))
    # The second layer has the more weights; the first gets what is left.
    after = permute_channels(graph, lanes)
    assert sorted(lanes_of(after, "n4", 2)) == [[2, 2], [6, 6]]
    assert sorted(lanes_of(after, "n2", 2)) == [[2, 2], [5, 5]]
    assert {"n2", "n3"} <= orders.keys()


def test_a_residual_around_the_input_keeps_its_order() -> None:
    builder = GraphBuilder()
    x = builder.input(IMAGE, IntType(3, signed=False))
    graph = builder.build(builder.add(conv([3] * 2, 3), builder.add(Add(), builder.add(conv([6, 2, 6], 3), x), x)))
    assert check(graph) == {}


def test_groups_keep_their_places() -> None:
    grouped = conv([6, 1, 6, 1, 2, 7, 2, 7], 4, seed=1, groups=2)
    graph = chain(conv([5, 3, 3, 5], 3), thresholds(4), grouped, thresholds(8), conv([2] * 3, 8))
    orders = check(graph, {"n0": 2, "n2": 2})
    assert set(orders["n2"][:4].tolist()) == {0, 1, 2, 3}
    after = permute_channels(graph, {"n0": 2, "n2": 2})
    lanes = np.array(lanes_of(after, "n2", 2))
    assert sorted(lanes[:, :2].tolist()) == [[1, 1], [6, 6]]
    assert sorted(lanes[:, 2:].tolist()) == [[2, 2], [7, 7]]
    # Its inputs may change places within a group of two only.
    assert set(orders.get("n0", np.arange(4))[:2].tolist()) == {0, 1}
    # A channel multiplier: each input has a place, its outputs change places among themselves.
    multiplied = conv([1, 6, 5, 2, 7, 3], 3, seed=1, groups=3)
    orders = check(chain(multiplied, thresholds(6), conv([2] * 3, 6)), {"n0": 2})
    assert all({2 * i, 2 * i + 1} == set(orders["n0"][2 * i : 2 * i + 2].tolist()) for i in range(3))


def test_an_adaptive_step_is_followed() -> None:
    builder = GraphBuilder()
    x = builder.input(IMAGE, IntType(3, signed=False))
    wide = builder.add(conv([6, 2, 2, 6], 3), x)
    sums = builder.add(Flatten(), builder.add(SumPool((5, 4)), wide))
    index = builder.add(Threshold(np.array([[-50, 0, 50]])), builder.add(Dense(weights([3], (4,))), sums))
    levels = np.sort(np.random.default_rng(2).integers(-60, 60, (4, 4, 3)), axis=2)
    chosen = builder.add(SelectThreshold(levels), builder.add(FrameBuffer(), wide), index)
    graph = builder.build(builder.add(conv([2] * 3, 4), chosen))
    assert {"n0", "n1", "n2", "n5", "n6"} == set(check(graph, {"n0": 2}))


@pytest.mark.parametrize("first", [0, 50, 100])
def test_random_graphs(first: int) -> None:
    moved: set[str] = set()
    for seed in range(first, first + 50):
        graph = random_graph(seed)
        rng = np.random.default_rng(seed)
        lanes = {}
        for node in graph:
            if isinstance(node.op, Conv2d | Dense):
                outputs = node.op.weight.shape[-1] // getattr(node.op, "groups", 1)
                lanes[node.name] = int(rng.choice([d for d in range(1, outputs + 1) if outputs % d == 0]))
        print(f"seed {seed}\n{graph}")
        for told in (None, lanes):
            orders = check(graph, told, seed)
            moved |= {graph.node(edge).op.name for edge in orders}
        # Any order that keeps to the components is as good, if they are right.
        free = {}
        for component in components(graph):
            order = np.arange(component.channels)
            for label in np.unique(component.labels):
                places = np.flatnonzero(component.labels == label)
                order[places] = rng.permutation(places)
            free |= {edge: spread(order, graph.edges[edge].channels) for edge in component.edges}
        assert free.keys() == graph.edges.keys()
        x = random_frames(graph, 6, seed)
        expected, found = golden.run(graph, x, trace=True), golden.run(reordered(graph, free), x, trace=True)
        assert all(np.array_equal(found[edge], expected[edge][..., free[edge]]) for edge in expected), f"seed {seed}"
    assert {"conv2d", "dense", "threshold", "dyadic", "flatten"} <= moved
