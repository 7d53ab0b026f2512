"""Thresholds in hardware against golden."""

from __future__ import annotations

import numpy as np
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Flatten, Threshold


class TestThreshold(OperatorCases):
    def variants(self, x, bits, rng):
        low, high = x.type.min, x.type.max

        def rows(channels, levels, margin=2):
            return np.sort(rng.integers(low - margin, high + margin + 1, size=(channels, levels - 1)), axis=1)

        far = np.array([[-(1 << 61), low, high, high + 1, (1 << 61)]])
        return {
            "levels of the width": Threshold(rows(4, 1 << bits)),
            "shared": Threshold(rows(1, 5)),
            "offset": Threshold(rows(4, 4), offset=-2),
            "bipolar": Threshold(np.repeat(rows(4, 2), 2, axis=1), offset=-1),
            "searched": Threshold(rows(4, 38), offset=-19),
            "searched, shared": Threshold(rows(1, 17)),
            "beyond the input": Threshold(far),
        }


def test_a_row_per_feature_of_a_flattened_frame(verify):
    rng = np.random.default_rng(0)
    for io_type in ("io_stream", "io_parallel"):
        builder = GraphBuilder()
        x = builder.input((3, 2, 4), IntType(5, signed=True))
        rows = np.sort(rng.integers(-16, 16, size=(24, 3)), axis=1)
        y = builder.add(Threshold(rows), builder.add(Flatten(), x))
        assert verify(builder.build(y), io_type=io_type, reuse_factor=2).differences == 0


def test_the_widest_edge(verify):
    builder = GraphBuilder()
    x = builder.input((4,), IntType(62, signed=False))
    top = (1 << 62) - 1
    y = builder.add(Threshold(np.array([[0, 1, 1 << 53, top, (1 << 63) - 1]])), x)
    frames = np.array([[0, 1, (1 << 53) - 1, 1 << 53], [top - 1, top, 2, 3]])
    assert verify(builder.build(y), x=frames).differences == 0
