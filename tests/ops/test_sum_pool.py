"""Sum pooling in hardware against golden."""

from __future__ import annotations

from operator_cases import OperatorCases

from codesign.ir.ops import SumPool


class TestSumPool(OperatorCases):
    def variants(self, x, bits, rng):
        return {
            "even": SumPool(2),
            "rest": SumPool((4, 3)),
            "overlap": SumPool(3, 2),
            "overlap by more": SumPool((4, 3), 1),
            "gaps": SumPool((1, 2), 3),
            "whole frame": SumPool((6, 5)),
            "row": SumPool((1, 5), 1),
            "column": SumPool((5, 1), 2),
            "single": SumPool(1),
        }
