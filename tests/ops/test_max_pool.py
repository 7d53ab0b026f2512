"""Maximum pooling in hardware against golden."""

from __future__ import annotations

import pytest
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import MaxPool, SumPool

WINDOWS = {
    "even": (2, 2),
    "rest": ((4, 3), (4, 3)),
    "overlap": (3, 2),
    "overlap by more": ((4, 3), (1, 1)),
    "gaps": ((1, 2), (3, 3)),
    "whole frame": ((6, 5), None),
    "row": ((1, 5), (1, 1)),
    "column": ((5, 1), (2, 2)),
    "single": (1, 1),
}


class TestMaxPool(OperatorCases):
    def variants(self, x, bits, rng):
        return {label: MaxPool(*window) for label, window in WINDOWS.items()}


@pytest.mark.parametrize("op", [MaxPool, SumPool])
def test_wide_frame_keeps_results_in_memories(op, verify):
    for window in ((3, 2), (2, 2), ((3, 4), (1, 2))):
        builder = GraphBuilder()
        x = builder.input((7, 11, 3), IntType(5, signed=True))
        assert verify(builder.build(builder.add(op(*window), x))).differences == 0
