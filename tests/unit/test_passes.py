"""Each pass keeps every output, fires where it may, and keeps away where it may not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import (
    Add,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    Operator,
    SelectDyadic,
    SelectThreshold,
    SumPool,
    Threshold,
)
from codesign.ir.passes import (
    PASSES,
    absorb_negation,
    compose_dyadic_threshold,
    merge_duplicates,
    pool_after_threshold,
    remove_dead,
    remove_identity,
    settle_selection,
    simplify,
)


def outputs(graph: Graph, x: np.ndarray) -> list[list]:
    """What every output of a graph gives; golden runs one at a time."""
    return [
        golden.run(Graph(graph.name, graph.nodes, graph.edges, graph.inputs, (edge,), {**graph.scales}), x).tolist()
        for edge in graph.outputs
    ]


def frames(graph: Graph, seed: int = 0, count: int = 40) -> np.ndarray:
    kind = graph.input.type
    x = np.random.default_rng(seed).integers(kind.min, kind.max + 1, size=(count, *graph.input.shape))
    x[0], x[1] = kind.min, kind.max
    return x


def kinds(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def check(graph: Graph, rewrite: Callable[[Graph], Graph], expected: list[str] | None, seed: int = 0) -> Graph:
    """Run a pass: the operators left (None: untouched) and unchanged outputs."""
    after = rewrite(graph)
    if expected is None:
        assert after is graph
    else:
        assert kinds(after) == expected
    x = frames(graph, seed)
    assert outputs(after, x) == outputs(graph, x), f"seed {seed}"
    assert [after.scales[e] for e in after.outputs] == [graph.scales[e] for e in graph.outputs]
    assert after.scales[after.inputs[0]] == graph.scales[graph.inputs[0]]
    return after


def signs(values: list[int], bits: int, signed: bool = True) -> Dyadic:
    zeros = np.zeros(len(values), dtype=np.int64)
    return Dyadic(np.array(values), zeros, zeros, IntType(bits, signed))


def chain(*ops: Operator, shape: tuple[int, ...] = (4, 4, 2), bits: int = 4, signed: bool = True) -> Graph:
    builder = GraphBuilder()
    edge = builder.input(shape, IntType(bits, signed), scale=0.25)
    for op in ops:
        edge = builder.add(op, edge)
    return builder.build(edge, scales={edge: 0.5})


CONV = Conv2d(np.array([[1, -4], [3, -2]]).reshape(1, 1, 2, 2), bias=np.array([5, -7]))
THRESHOLD = Threshold(np.array([[-9, 0, 4], [1, 2, 30]]), -1)


def test_dead_nodes_go():
    builder = GraphBuilder()
    x = builder.input((3,), IntType(4, signed=True))
    builder.add(Add(), x, x)
    y = builder.add(Dense(np.eye(3, dtype=np.int64)), x)
    builder.add(Add(), y, y)
    after = check(builder.build(y), remove_dead, ["dense"])
    assert after.outputs == ("n0",)


def test_a_living_graph_is_returned_as_it_is(residual: Graph):
    for rewrite in PASSES:
        if rewrite is not merge_duplicates:
            assert rewrite(remove_dead(residual)) is residual or kinds(rewrite(residual)) != kinds(residual)
    assert remove_dead(residual) is residual


def test_identities_go():
    one = signs([1], 4)
    check(chain(one, MaxPool(1), SumPool(1), Flatten(), Flatten()), remove_identity, ["flatten"])
    check(chain(CONV, signs([1, 1], 62)), remove_identity, None)  # another type
    check(chain(CONV, Dyadic(*(np.array([v]) for v in (1, 1, 0)), CONV_TYPE)), remove_identity, None)
    check(chain(CONV, Dyadic(*(np.array([v]) for v in (2, 0, 1)), CONV_TYPE)), remove_identity, None)
    check(chain(CONV, MaxPool(1, 2)), remove_identity, None)


CONV_TYPE = chain(CONV).output.type


def test_an_identity_between_two_scales_stays():
    check(chain(signs([1], 4)), remove_identity, None)  # input scale 0.25, output scale 0.5
    builder = GraphBuilder()
    x = builder.input((2,), IntType(4, signed=True))
    y = builder.add(Dense(np.eye(2, dtype=np.int64)), x)
    z = builder.add(signs([1], builder.edge(y).type.bits), y)
    check(builder.build(y, z, scales={y: 0.5, z: 2.0}), remove_identity, None)


def test_duplicates_merge_once_per_round():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    a, b, c = (builder.add(CONV, x, label=label) for label in "abc")
    other = builder.add(Conv2d(CONV.weight, bias=np.array([5, -6])), x)
    sums = [builder.add(Add(), a, b), builder.add(Add(), b, c), builder.add(Add(), b, other)]
    graph = builder.build(builder.add(Add(), builder.add(Add(), sums[0], sums[1]), sums[2]))
    after = check(graph, merge_duplicates, ["conv2d", "conv2d", "add", "add", "add", "add", "add"])
    check(after, merge_duplicates, ["conv2d", "conv2d", "add", "add", "add", "add"])


def test_merged_outputs_point_at_the_survivor():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    a, b = builder.add(CONV, x), builder.add(CONV, x)
    after = merge_duplicates(builder.build(b, scales={b: 0.5}))
    assert (kinds(after), after.outputs, after.scales["n0"].factor) == (["conv2d"], ("n0",), 0.5)
    assert a != b


def test_a_negation_moves_into_weights_bias_and_widths():
    after = check(chain(CONV, signs([1, -1], 20)), absorb_negation, ["conv2d"])
    op = after.nodes[0].op
    assert op.values().reshape(2, 2).tolist() == [[1, 4], [3, 2]]
    assert op.bias.tolist() == [5, 7]
    assert op.weight_bits == (3, 4)  # -4 fits 3 bits, +4 needs 4
    after = check(chain(CONV, signs([-1], 20)), absorb_negation, ["conv2d"])
    assert after.nodes[0].op.bias.tolist() == [-5, 7]


def test_a_negation_uses_a_codebook_that_has_the_values():
    book = np.array([-4, 0, 4, 1])
    weight = np.array([[0, 1], [2, 2]])
    dense = Dense(weight, codebook=book)
    after = check(chain(dense, signs([-1, 1], 20), shape=(2,)), absorb_negation, ["dense"])
    assert after.nodes[0].op.values().tolist() == [[4, 0], [-4, 4]]
    assert after.nodes[0].op.codebook.tolist() == book.tolist()
    lacking = Dense(np.array([[3, 1], [2, 2]]), codebook=book)
    check(chain(lacking, signs([-1, 1], 20), shape=(2,)), absorb_negation, None)


def test_a_negation_that_clamps_stays():
    # The accumulator reaches -8 exactly; a 4-bit type clamps its negation 8 to 7.
    dense = Dense(np.array([[1]]))
    graph = chain(dense, signs([-1], 4), shape=(1,))
    assert graph.edges["n0"].type == IntType(4, signed=True)
    check(graph, absorb_negation, None)
    check(chain(dense, signs([-1], 5), shape=(1,)), absorb_negation, ["dense"])
    check(chain(dense, signs([-1], 5, signed=False), shape=(1,)), absorb_negation, None)  # a ReLU of -x


def test_a_negation_that_no_weight_width_holds_stays():
    dense = Dense(np.array([[-(1 << 23)]]))
    check(chain(dense, signs([-1], 40), shape=(1,)), absorb_negation, None)


def test_a_negation_stays_where_the_accumulator_is_read_too():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    a = builder.add(CONV, x)
    b = builder.add(signs([1, -1], 20), a)
    check(builder.build(b, a), absorb_negation, None)
    check(builder.build(builder.add(Add(), a, b)), absorb_negation, None)
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    check(builder.build(builder.add(signs([1, -1], 20), x)), absorb_negation, None)


def test_other_dyadics_are_no_negations():
    wide = IntType(20, signed=True)
    for m, b, n in ((-1, 1, 0), (-1, 0, 1), (-2, 0, 0), (1, 0, 0), (0, 0, 0)):
        check(chain(CONV, Dyadic(*(np.array([v]) for v in (m, b, n)), wide)), absorb_negation, None)


@pytest.mark.parametrize("seed", range(60))
def test_a_dyadic_and_thresholds_compose(seed: int):
    rng = np.random.default_rng(seed)
    count, rows = (int(rng.choice([1, 2])) for _ in range(2))
    bits = int(rng.integers(1, 9))
    dyadic = Dyadic(
        rng.integers(1, 60, size=count),
        rng.integers(-400, 400, size=count),
        rng.integers(0, 7, size=count),
        IntType(bits, bool(rng.integers(2))),
    )
    threshold = Threshold(np.sort(rng.integers(-70, 70, size=(rows, 5)), axis=1), int(rng.integers(-3, 3)))
    check(chain(CONV, dyadic, threshold), compose_dyadic_threshold, ["conv2d", "threshold"], seed)


def test_a_falling_or_shared_dyadic_does_not_compose():
    for multiplier in (-3, 0):
        falling = Dyadic(np.array([5, multiplier]), *(np.array([v, v]) for v in (0, 2)), IntType(6, signed=True))
        check(chain(CONV, falling, THRESHOLD), compose_dyadic_threshold, None)
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    wide = builder.add(Dyadic(*(np.array([v]) for v in (5, 3, 2)), IntType(6, signed=True)), x)
    narrow = builder.add(THRESHOLD, wide)
    check(builder.build(narrow, wide), compose_dyadic_threshold, None)
    check(builder.build(builder.add(Add(), narrow, wide)), compose_dyadic_threshold, None)


def test_pooling_moves_behind_thresholds():
    for pool in (MaxPool(2), MaxPool(3, 1), MaxPool((1, 2), (3, 1))):
        after = check(chain(CONV, pool, THRESHOLD), pool_after_threshold, ["conv2d", "threshold", "max_pool"])
        assert after.edges["n1"].type.bits == after.edges["n2"].type.bits
        check(after, pool_after_threshold, None)
    check(chain(CONV, SumPool(2), THRESHOLD), pool_after_threshold, None)


def test_pooling_stays_where_its_result_is_read_too():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    pooled = builder.add(MaxPool(2), x)
    narrow = builder.add(THRESHOLD, pooled)
    check(builder.build(narrow, pooled), pool_after_threshold, None)
    check(builder.build(builder.add(Add(), narrow, pooled)), pool_after_threshold, None)


def indexed(op: Operator, builder: GraphBuilder, x: str, seed: int = 0) -> str:
    """Add a selecting operator behind a frame buffer, its index from the sum of the frame: 0 or 1."""
    flat = builder.add(Flatten(), builder.add(SumPool(builder.edge(x).shape[:2]), x))
    weight = np.random.default_rng(seed).integers(-3, 4, size=(builder.edge(x).channels, 1))
    index = builder.add(Threshold(np.array([[seed % 5]])), builder.add(Dense(weight), flat))
    return builder.add(op, builder.add(FrameBuffer(), x), index)


SELECT = SelectThreshold(np.array([[[-9, 0, 4], [1, 2, 30]], [[-3, -3, 1], [0, 5, 6]]]), -1)
CONSTANTS = np.array([[3, 5], [1, 2]]), np.array([[7, -9], [0, 4]]), np.array([[1, 0], [0, 1]])
SELECT_WIDE = SelectDyadic(*CONSTANTS, IntType(5, signed=True))
PATTERN = ["sum_pool", "flatten", "dense", "threshold", "frame_buffer"]


def selected_graph(op: Operator, *before: Operator) -> Graph:
    builder = GraphBuilder()
    edge = builder.input((4, 4, 2), IntType(4, signed=True))
    for each in before:
        edge = builder.add(each, edge)
    return builder.build(indexed(op, builder, edge))


@pytest.mark.parametrize("op", [SELECT, SELECT_WIDE], ids=lambda op: op.name)
def test_frame_buffer_and_selection_stay(op: Operator):
    for before in ((), (CONV,), (MaxPool(2),), (Dyadic(*(np.array([v]) for v in (5, 3, 2)), CONV_TYPE),)):
        graph = selected_graph(op, *before)
        assert kinds(graph)[len(before) :] == [*PATTERN, op.name]
        for rewrite in PASSES:
            check(graph, rewrite, None)


def test_nothing_passes_a_frame_buffer():
    scale = Dyadic(*(np.array([v]) for v in (5, 3, 2)), IntType(6, signed=True))
    check(chain(CONV, scale, FrameBuffer(), THRESHOLD), simplify, None)
    check(chain(CONV, MaxPool(2), FrameBuffer(), THRESHOLD), simplify, None)
    check(chain(CONV, FrameBuffer(), signs([1, -1], 20)), simplify, None)
    after = check(chain(FrameBuffer(), signs([1], 4), FrameBuffer()), simplify, ["frame_buffer"] * 2)
    assert after.nodes[1].inputs == ("n0",)


def test_thresholds_do_not_compose_with_what_an_index_chooses():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    wide = indexed(SELECT_WIDE, builder, x)
    check(builder.build(builder.add(THRESHOLD, wide)), simplify, None)


def test_two_buffers_of_one_edge_merge_and_two_selections_do_not():
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    both = builder.add(Add(), indexed(SELECT, builder, x, 1), indexed(SELECT, builder, x, 2))
    after = check(
        builder.build(both), simplify, [*PATTERN, "select_threshold", *PATTERN[2:4], "select_threshold", "add"]
    )
    selections = [node for node in after if node.op.name == "select_threshold"]
    assert selections[0].inputs[0] == selections[1].inputs[0]
    assert selections[0].inputs[1] != selections[1].inputs[1]
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(4, signed=True))
    both = builder.add(Add(), indexed(SELECT, builder, x), indexed(SELECT, builder, x))
    check(builder.build(both), simplify, [*PATTERN, "select_threshold", "add"])


def test_equal_entries_need_no_index():
    same = SelectThreshold(np.stack([THRESHOLD.thresholds] * 3), THRESHOLD.offset)
    graph = selected_graph(same)
    after = check(graph, settle_selection, [*PATTERN, "threshold"])
    assert after.nodes[-1].op.same_as(THRESHOLD)
    check(graph, simplify, ["frame_buffer", "threshold"])
    same = SelectDyadic(*(table[[1, 1]] for table in CONSTANTS), IntType(5, signed=True))
    check(selected_graph(same), simplify, ["frame_buffer", "dyadic"])
    for table in range(3):
        constants = [values[[1, 1]] for values in CONSTANTS]
        constants[table][0, 1] += 1
        check(selected_graph(SelectDyadic(*constants, IntType(5, signed=True))), settle_selection, None)


def random_graph(rng: np.random.Generator) -> Graph:
    """Chains, forks and joins of what the passes look for."""
    builder = GraphBuilder()
    edges = [builder.input((5, 5, 2), IntType(int(rng.integers(1, 6)), bool(rng.integers(2))), scale=0.125)]

    def operator() -> Operator:
        match rng.integers(9):
            case 0:
                return Conv2d(rng.integers(-4, 4, size=(1, 1, 2, 2)), bias=rng.integers(-9, 9, size=2))
            case 1:
                book = np.array([[-2, -1, 1, 2], [-4, 0, 1, 4]])[rng.integers(2)]
                return Conv2d(rng.integers(0, 4, size=(1, 1, 2, 2)), codebook=book)
            case 2:
                return signs(rng.choice([-1, 1], size=2).tolist(), int(rng.choice([4, 30])))
            case 3:
                constants = (rng.integers(-3 if rng.random() < 0.2 else 1, 9, size=2), rng.integers(-9, 9, size=2))
                return Dyadic(
                    *constants, rng.integers(0, 3, size=2), IntType(int(rng.integers(2, 8)), bool(rng.integers(2)))
                )
            case 4 | 5:
                return Threshold(
                    np.sort(rng.integers(-12, 12, size=(rng.integers(1, 3), 3)), axis=1), int(rng.integers(-2, 2))
                )
            case 6:
                return MaxPool(1)
            case 7:
                return CONV
            case _:
                return signs([1, 1], 5)

    for _ in range(int(rng.integers(3, 14))):
        source = edges[-1] if rng.random() < 0.7 else edges[rng.integers(len(edges))]
        if rng.random() < 0.2:
            edges.append(builder.add(Add(), source, edges[rng.integers(len(edges))]))
        elif rng.random() < 0.2:
            thresholds = np.sort(rng.integers(-12, 12, size=(2, rng.integers(1, 3), 3)), axis=2)
            entries = thresholds[[0, 0]] if rng.random() < 0.3 else thresholds
            edges.append(indexed(SelectThreshold(entries), builder, source, int(rng.integers(3))))
        elif builder.edge(source).type.bits < 24:
            edges.append(builder.add(operator(), source))
    edges.append(builder.add(MaxPool(2), edges[-1]))
    edges.append(builder.add(Threshold(np.array([[-3, 5, 9]])), edges[-1]))
    leaving = [edges[-1], *(edges[i] for i in rng.integers(1, len(edges), size=rng.integers(3)))]
    return builder.build(*dict.fromkeys(leaving), scales={edge: float(2**i) for i, edge in enumerate(leaving)})


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_graphs_keep_their_outputs(first: int):
    for seed in range(first, first + 25):
        graph = random_graph(np.random.default_rng(seed))
        x = frames(graph, seed, 12)
        expected = outputs(graph, x)
        for rewrite in PASSES:
            assert outputs(rewrite(graph), x) == expected, f"seed {seed}: {rewrite.__name__}\n{graph}"
        after = simplify(graph)
        assert outputs(after, x) == expected, f"seed {seed}: simplify\n{graph}"
        assert simplify(after) is after, f"seed {seed}"
        assert len(after.nodes) <= len(graph.nodes)
        single = len(graph.outputs) == len(set(after.outputs))
        if single:
            assert [after.scales[e].factor for e in after.outputs] == [graph.scales[e].factor for e in graph.outputs]


def test_every_pass_fires_on_the_random_graphs():
    fired = {
        rewrite.__name__
        for seed in range(60)
        for rewrite in PASSES
        if rewrite(graph := random_graph(np.random.default_rng(seed))) is not graph
    }
    assert fired == {rewrite.__name__ for rewrite in PASSES}


def test_simplify_of_a_typical_layer():
    pool, scale = MaxPool(2), Dyadic(*(np.array([v]) for v in (5, 3, 2)), IntType(12, signed=True))
    graph = chain(CONV, signs([1, -1], 20), pool, scale, THRESHOLD)
    after = check(graph, simplify, ["conv2d", "threshold", "max_pool"])
    assert after.edges["n1"].type.bits == 3
