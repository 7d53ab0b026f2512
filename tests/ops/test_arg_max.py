"""Arg max in hardware against golden."""

from __future__ import annotations

import numpy as np
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import ArgMax, Flatten


class TestArgMax(OperatorCases):
    shape = (7,)

    def variants(self, x, bits, rng):
        # One-bit inputs are nearly all ties.
        return {"lowest index": ArgMax()}


def test_over_the_tokens_of_a_flattened_frame(verify):
    for io_type in ("io_stream", "io_parallel"):
        builder = GraphBuilder()
        x = builder.input((3, 2, 5), IntType(3, signed=True))
        graph = builder.build(builder.add(ArgMax(), builder.add(Flatten(), x)))
        assert verify(graph, io_type=io_type).differences == 0


def test_a_single_feature(verify):
    builder = GraphBuilder()
    x = builder.input((1,), IntType(3, signed=True))
    graph = builder.build(builder.add(ArgMax(), x))
    assert verify(graph, x=np.array([[-4], [3]])).differences == 0
