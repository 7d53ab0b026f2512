"""Elementwise sum in hardware against golden."""

from __future__ import annotations

import numpy as np
from operator_cases import OperatorCases

from codesign import boards
from codesign.backends import hls4ml
from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Add, Dense, Flatten, MaxPool


class TestAdd(OperatorCases):
    def variants(self, x, bits, rng):
        return {"with itself": Add()}

    def graph(self, bits, signed, seed):
        """An edge with itself, with a branch of another type, and joins of joins."""
        builder = GraphBuilder()
        rng = np.random.default_rng(seed)
        x = builder.input((3, 2, 4), IntType(bits, signed))
        double = builder.add(Add(), x, x)
        flat = builder.add(Flatten(), double)
        features = builder.add(Dense(rng.integers(-3, 4, size=(24, 24))), flat)
        # Tokens of 4 on one side and of 24 on the other.
        mixed = builder.add(Add(), flat, features)
        mixed = builder.add(Add(), features, mixed)
        return builder.build(builder.add(Add(), mixed, builder.add(Flatten(), x)))


def test_residual_with_different_delays(verify):
    builder = GraphBuilder()
    x = builder.input((6, 6, 2), IntType(4, signed=True))
    left = builder.add(MaxPool(3, 1), x)
    right = builder.add(MaxPool((1, 3), 1), builder.add(MaxPool((3, 1), 1), x))
    graph = builder.build(builder.add(Add(), left, right))
    for io_type in ("io_stream", "io_parallel"):
        assert verify(graph, io_type=io_type).differences == 0


def test_what_leads_nowhere_is_left_out(tmp_path):
    """A stream that nobody reads would stop the network."""
    builder = GraphBuilder()
    x = builder.input((4,), IntType(4, signed=True))
    y = builder.add(Add(), x, x)
    builder.add(Add(), y, x)
    graph = builder.build(y)
    project = hls4ml.emit(graph, boards.load("pynq-z2"), tmp_path / "project")
    assert project.traced() == ["n0"]
    frames = np.array([[-8, 7, 0, 1]])
    assert project.run(frames, optimise=False).tolist() == [[-16, 14, 0, 2]]
