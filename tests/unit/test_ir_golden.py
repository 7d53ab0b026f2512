"""The golden executor: traces, chunks, memory, and what it says about bad input."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, OperatorError, Tensor, golden
from codesign.ir.ops import Add, Dense, Flatten, MaxPool, SumPool


def frames(graph: Graph, count: int, seed: int = 0) -> np.ndarray:
    kind = graph.input.type
    return np.random.default_rng(seed).integers(kind.min, kind.max + 1, size=(count, *graph.input.shape))


def test_a_trace_holds_every_edge_as_its_operator_computes_it(residual: Graph):
    x = frames(residual, 5)
    traced = golden.run(residual, x, trace=True)
    assert list(traced) == [*residual.inputs, *(node.name for node in residual.nodes)]
    for node in residual.nodes:
        assert (traced[node.name] == node.op.execute(*(traced[edge] for edge in node.inputs))).all(), node
        assert traced[node.name].shape == (5, *residual.edges[node.name].shape)
        assert traced[node.name].dtype == np.int64
    assert (golden.run(residual, x) == traced[residual.outputs[0]]).all()


@pytest.mark.parametrize("count", [0, 1, golden.CHUNK - 1, golden.CHUNK, golden.CHUNK + 1, 2 * golden.CHUNK])
def test_chunks_join_without_a_seam(residual: Graph, count: int):
    x = frames(residual, count)
    found = golden.run(residual, x)
    assert found.shape == (count, *residual.output.shape)
    alone = [golden.run(residual, frame[None])[0] for frame in x]
    assert found.tolist() == [row.tolist() for row in alone]
    assert len(golden.run(residual, x, trace=True)["n3"]) == count


def test_an_edge_that_is_read_twice_lives_as_long_as_it_must():
    builder = GraphBuilder()
    x = builder.input((4,), IntType(4, signed=True))
    twice = builder.add(Add(), x, x)
    a = builder.add(Dense(np.eye(4, dtype=np.int64)), twice)
    b = builder.add(Dense(-np.eye(4, dtype=np.int64)), a)
    y = builder.add(Add(), twice, b)
    z = builder.add(Add(), y, x)
    graph = builder.build(z)
    values = frames(graph, 3)
    assert (golden.run(graph, values) == values).all()


def test_an_output_that_others_read_is_kept():
    builder = GraphBuilder()
    x = builder.input((4,), IntType(4, signed=True))
    y = builder.add(Add(), x, x)
    builder.add(Add(), y, y)
    graph = builder.build(y)
    assert golden.run(graph, np.array([[1, 2, 3, -4]])).tolist() == [[2, 4, 6, -8]]


def test_memory_is_freed_along_the_way():
    builder = GraphBuilder()
    edge = builder.input((64, 64, 8), IntType(2, signed=False))
    for _ in range(40):
        edge = builder.add(MaxPool(1), edge)
    graph = builder.build(builder.add(Flatten(), builder.add(SumPool(64), edge)))
    x = frames(graph, golden.CHUNK)
    edge_bytes = x[: golden.CHUNK].astype(np.int64).nbytes
    tracemalloc.start()
    golden.run(graph, x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * edge_bytes


def test_a_value_outside_its_type_is_an_operators_bug():
    class Liar(Flatten):
        def infer(self, *inputs: Tensor) -> Tensor:
            return Tensor(super().infer(*inputs).shape, IntType(1, signed=False))

    builder = GraphBuilder()
    graph = builder.build(builder.add(Liar(), builder.input((2, 2, 1), IntType(4, signed=False))))
    with pytest.raises(OperatorError, match=r"n0 \(flatten\) left its type uint1"):
        golden.run(graph, np.full((1, 2, 2, 1), 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint64, np.int64])
def test_any_integer_array_will_do(residual: Graph, dtype: type):
    x = frames(residual, 2)
    assert (golden.run(residual, x.astype(dtype)) == golden.run(residual, x)).all()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((1, 8, 8)), "shape (1, 8, 8); the network expects (frames, 8, 8, 3)"),
        (np.zeros((8, 8, 3), dtype=int), "shape (8, 8, 3)"),
        (np.zeros((1, 3, 8, 8), dtype=int), "expects (frames, 8, 8, 3)"),
        (np.zeros((1, 8, 8, 3)), "holds float64; give the raw integers (uint8)"),
        (np.zeros((1, 8, 8, 3), dtype=bool), "holds bool"),
        (np.zeros((1, 8, 8, 3), dtype=object), "holds object"),
        (np.full((1, 8, 8, 3), 256), "spans 256 to 256, outside uint8, which is 0 to 255"),
        (np.full((1, 8, 8, 3), -1), "spans -1 to -1"),
        (np.full((1, 8, 8, 3), 2**64 - 1, dtype=np.uint64), "outside uint8"),
        (5, "shape ()"),
    ],
)
def test_bad_input_is_one_sentence(residual: Graph, x: object, message: str):
    with pytest.raises(UserError, match=re.escape(message)):
        golden.run(residual, x)  # type: ignore[call-overload]


def test_the_graph_must_have_one_input_and_one_output():
    builder = GraphBuilder()
    x, y = (builder.input((2,), IntType(4, signed=False)) for _ in range(2))
    graph = builder.build(builder.add(Add(), x, y))
    with pytest.raises(OperatorError, match="2 inputs"):
        golden.run(graph, np.zeros((1, 2), dtype=int))
    builder = GraphBuilder()
    x = builder.input((2,), IntType(4, signed=False))
    with pytest.raises(OperatorError, match="2 outputs"):
        golden.run(builder.build(x, builder.add(Add(), x, x)), np.zeros((1, 2), dtype=int))


def test_a_builder_refuses_what_does_not_hang_together():
    builder = GraphBuilder()
    with pytest.raises(OperatorError, match="no input"):
        builder.build("n0")
    x = builder.input((2,), IntType(4, signed=False))
    with pytest.raises(OperatorError, match="no output"):
        builder.build()
    with pytest.raises(OperatorError, match="no edge 'n0'"):
        builder.build("n0")
    with pytest.raises(OperatorError, match=r"n0 \(add\): add reads 2 edges, not 1"):
        builder.add(Add(), x)
    with pytest.raises(OperatorError, match="no edge 'n7' before it"):
        builder.add(Add(), x, "n7")
