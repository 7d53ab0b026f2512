"""Thresholds by index in hardware against golden."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import SelectionCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Dense, Flatten, SelectThreshold


class TestSelectThreshold(SelectionCases):
    def variants(self, x, bits, rng):
        low, high = x.type.min, x.type.max

        def sets(rows, levels, entries=4):
            return np.sort(rng.integers(low - 2, high + 3, size=(entries, rows, levels - 1)), axis=2)

        far = np.array([-(1 << 61), low, high, high + 1, (1 << 61)])
        return {
            "levels of the width": SelectThreshold(sets(4, 1 << bits)),
            "shared": SelectThreshold(sets(1, 5)),
            "offset": SelectThreshold(sets(4, 4), offset=-2),
            "bipolar": SelectThreshold(np.repeat(sets(4, 2), 2, axis=2), offset=-1),
            "searched": SelectThreshold(sets(4, 38), offset=-19),
            "more entries than the index reaches": SelectThreshold(sets(1, 3, entries=7)),
            "beyond the input": SelectThreshold(np.stack([far, far + 1, far, far - 1])[:, None]),
        }


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_64_entries_of_a_row_per_feature(io_type, verify):
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((3, 2, 4), IntType(6, signed=False))
    flat = builder.add(Flatten(), x)
    index = builder.add(Dense((np.arange(24) == 5)[:, None].astype(np.int64)), flat)
    rows = np.sort(rng.integers(0, 65, size=(64, 24, 3)), axis=2)
    graph = builder.build(builder.add(SelectThreshold(rows), flat, index))
    for factor in (1, 2):
        assert verify(graph, frames=64, io_type=io_type, reuse_factor=factor).differences == 0


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_the_widest_edge_chosen_by_itself(io_type, verify):
    """One feature is its own index: every threshold of its entry is met, or none."""
    builder = GraphBuilder()
    x = builder.input((1,), IntType(1, signed=False))
    wide = builder.add(Dense(np.array([[(1 << 23) - 1]]), bias=np.array([1 << 60])), x)
    sets = np.array([[[0, 1 << 60, (1 << 60) + 1]], [[1 << 53, (1 << 60) + (1 << 23) - 1, (1 << 60) + (1 << 23)]]])
    graph = builder.build(builder.add(SelectThreshold(sets), wide, x))
    assert verify(graph, x=np.array([[0], [1], [0]]), io_type=io_type).differences == 0
