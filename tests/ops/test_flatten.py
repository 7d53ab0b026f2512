"""Flatten in hardware against golden."""

from __future__ import annotations

from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Flatten


class TestFlatten(OperatorCases):
    def variants(self, x, bits, rng):
        return {"channels fastest": Flatten(), "once more": Flatten()}


def test_as_the_output(verify):
    for io_type in ("io_stream", "io_parallel"):
        builder = GraphBuilder()
        x = builder.input((3, 2, 5), IntType(7, signed=True))
        assert verify(builder.build(builder.add(Flatten(), x)), io_type=io_type).differences == 0
