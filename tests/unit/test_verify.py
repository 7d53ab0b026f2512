"""Comparisons find every difference and name the first; accuracies count what they should."""

from __future__ import annotations

import re

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense
from codesign.verify.accuracy import evaluate, top1
from codesign.verify.compare import compare, verify
from codesign.verify.frames import dataset_frames, random_frames


class Faulty:
    """A project that computes as golden does, but for some integers."""

    def __init__(self, graph: Graph, faults: dict[tuple, int], only: set[str] | None = None) -> None:
        self.graph, self.faults, self.only = graph, faults, only

    def run(self, x, trace=False):
        traced = golden.run(self.graph, x, trace=True)
        for (edge, *element), error in self.faults.items():
            traced[edge] = traced[edge].copy()
            traced[edge][tuple(element)] += error
        if self.only is not None:
            traced = {edge: values for edge, values in traced.items() if edge in self.only}
        return traced if trace else traced[self.graph.outputs[0]]


@pytest.fixture
def frames(residual: Graph) -> np.ndarray:
    return random_frames(residual, 6, seed=3)


def test_equal_traces_compare_equal(residual: Graph, frames: np.ndarray):
    result = verify(residual, Faulty(residual, {}), frames)
    assert result
    assert (result.differences, result.vectors, result.tensors) == (0, 6, len(residual.nodes))
    assert result.integers == 6 * sum(residual.edges[node.name].size for node in residual.nodes)
    assert result.first_difference is None


def test_the_first_difference_is_the_first_in_execution_order(residual: Graph, frames: np.ndarray):
    faults = {("n9", 0, 0, 0, 1): 5, ("n3", 4, 2, 1, 3): -2, ("n3", 5, 0, 0, 0): 1}
    result = verify(residual, Faulty(residual, faults), frames)
    assert not result
    assert result.differences == 3
    first = result.first_difference
    assert first is not None
    assert (first.node, first.operator, first.label) == ("n3", "threshold", "stack1.activation1")
    assert first.element == (4, 2, 1, 3)
    assert first.expected is not None
    assert first.found == first.expected - 2
    assert str(first) == (
        f"n3 (threshold, layer 'stack1.activation1') at element [4, 2, 1, 3]: "
        f"expected {first.expected}, found {first.found}"
    )


@pytest.mark.parametrize("seed", range(20))
def test_any_single_integer_is_found(residual: Graph, frames: np.ndarray, seed: int):
    rng = np.random.default_rng(seed)
    node = residual.nodes[rng.integers(len(residual.nodes))]
    element = tuple(int(rng.integers(extent)) for extent in (6, *residual.edges[node.name].shape))
    result = verify(residual, Faulty(residual, {(node.name, *element): 1}), frames)
    assert result.differences == 1
    assert result.first_difference is not None
    assert (result.first_difference.node, result.first_difference.element) == (node.name, element)


def test_only_exposed_edges_are_compared(residual: Graph, frames: np.ndarray):
    output = residual.outputs[0]
    result = verify(residual, Faulty(residual, {("n3", 0, 0, 0, 0): 1}, only={output, "n4"}), frames)
    assert result
    assert result.tensors == 2


def test_another_shape_is_a_difference(residual: Graph, frames: np.ndarray):
    expected = golden.run(residual, frames, trace=True)
    found = {**expected, "n2": expected["n2"][:, :-1], "n5": expected["n5"] + 1}
    result = compare(residual, expected, found)
    assert result.differences == expected["n2"].size + expected["n5"].size
    assert result.first_difference is not None
    assert result.first_difference.found is None
    assert re.search(r"n2 \(conv2d.*another shape", str(result.first_difference))
    fewer = {edge: values[:-1] for edge, values in expected.items()}
    assert compare(residual, expected, fewer).differences == compare(residual, expected, fewer).integers > 0


def test_a_trace_must_hold_the_outputs_and_known_edges(residual: Graph, frames: np.ndarray):
    expected = golden.run(residual, frames, trace=True)
    output = residual.outputs[0]
    with pytest.raises(ValueError, match=rf"lacks \['{output}'\]"):
        compare(residual, expected, {"n0": expected["n0"]})
    with pytest.raises(ValueError, match=r"unknown edges \['n99'\]"):
        compare(residual, expected, {output: expected[output], "n99": expected[output]})


def test_comparing_nothing_proves_nothing(residual: Graph):
    result = verify(residual, Faulty(residual, {}), np.zeros((0, 8, 8, 3), dtype=np.int64))
    assert result.differences == 0
    assert not result


def test_bad_frames_are_refused_before_anything_runs(residual: Graph):
    with pytest.raises(UserError, match="outside uint8"):
        verify(residual, Faulty(residual, {}), np.full((1, 8, 8, 3), 300))


@pytest.mark.parametrize("kind", [IntType(1, False), IntType(8, False), IntType(5, True), IntType(62, True)])
def test_random_frames_reach_the_extremes(kind: IntType):
    builder = GraphBuilder()
    x = builder.input((6, 4, 3), kind)
    graph = builder.build(x)
    found = random_frames(graph, 50, seed=1)
    assert found.shape == (50, 6, 4, 3)
    assert (found[0] == kind.min).all()
    assert (found[1] == kind.max).all()
    assert set(np.unique(found[2])) == {kind.min, kind.max}
    assert found[2, 0, 0, 0] != found[2, 0, 1, 0] != found[2, 1, 1, 0]
    assert kind.holds(found)
    assert (random_frames(graph, 50, seed=1) == found).all()
    assert (random_frames(graph, 50, seed=2) != found).any()
    assert [len(random_frames(graph, count, seed=0)) for count in (0, 1, 2)] == [0, 1, 2]


def test_data_set_frames_are_drawn_without_replacement():
    data = np.arange(40, dtype=np.uint8)[:, None]
    found = dataset_frames(data, 40, seed=0)
    assert found.dtype == np.int64
    assert sorted(found[:, 0].tolist()) == list(range(40))
    assert found[:, 0].tolist() != list(range(40))
    assert (dataset_frames(data, 10, seed=0) == found[:10]).all()
    assert len(dataset_frames(data, 100, seed=0)) == 40


def test_top1_takes_the_lowest_index_or_the_arg_max_itself():
    assert top1(np.array([[1, 5, 5], [3, 2, 1]])).tolist() == [1, 0]
    assert top1(np.array([[7], [2]])).tolist() == [7, 2]
    assert top1(np.array([[[[1, 9]]]])).tolist() == [1]


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_accuracy_counts_every_frame_once(batch: int):
    builder = GraphBuilder()
    x = builder.input((3,), IntType(8, signed=False))
    graph = builder.build(builder.add(Dense(np.eye(3, dtype=np.int64)), x))
    frames = np.random.default_rng(0).integers(0, 256, size=(10, 3))
    labels = frames.argmax(axis=1)
    labels[:3] = (labels[:3] + 1) % 3
    done: list[int] = []
    result = evaluate(lambda piece: golden.run(graph, piece), frames, labels, batch=batch, advance=done.append)
    assert result.accuracy == 70.0
    assert result.images == sum(done) == 10
    assert result.images_per_second > 0


def test_nothing_has_no_accuracy():
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(lambda piece: piece, np.zeros((0, 3), dtype=int), np.zeros(0, dtype=int))
