"""Dyadic re-quantisation by index in hardware against golden."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import SelectionCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Dense, Flatten, SelectDyadic, Threshold


class TestSelectDyadic(SelectionCases):
    def variants(self, x, bits, rng):
        def dyadic(rows, type, shift, multipliers=(-300, 300), entries=4):
            shape = (entries, rows)
            return SelectDyadic(
                rng.integers(*multipliers, size=shape),
                rng.integers(-2000, 2000, size=shape),
                np.full(shape, shift) if shift is not None else rng.integers(0, 20, size=shape),
                type,
            )

        ones = np.ones((4, 1), dtype=np.int64)
        return {
            "signed": dyadic(4, IntType(bits, signed=True), 7),
            "unsigned": dyadic(4, IntType(bits, signed=False), 7),
            "shared": dyadic(1, IntType(8, signed=True), 5),
            "a shift per index and channel": dyadic(4, IntType(bits, signed=True), None),
            "no shift": dyadic(4, IntType(16, signed=True), 0),
            "ties": SelectDyadic(ones, np.arange(4)[:, None], np.array([[1], [1], [2], [2]]), IntType(9, signed=True)),
            "zero": SelectDyadic(0 * ones, np.arange(-2, 2)[:, None], ones, IntType(4, signed=True)),
            "more entries than the index reaches": dyadic(4, IntType(12, signed=False), 3, (1, 90), entries=6),
            "wider out than in": dyadic(4, IntType(40, signed=True), 2),
        }


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_64_entries_of_a_constant_per_feature(io_type, verify):
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((3, 2, 4), IntType(6, signed=False))
    flat = builder.add(Flatten(), x)
    index = builder.add(Dense((np.arange(24) == 5)[:, None].astype(np.int64)), flat)
    tables = (rng.integers(-90, 90, (64, 24)), rng.integers(-90, 90, (64, 24)), rng.integers(0, 9, (64, 24)))
    graph = builder.build(builder.add(SelectDyadic(*tables, IntType(7, signed=True)), flat, index))
    for factor in (1, 4):
        assert verify(graph, frames=64, io_type=io_type, reuse_factor=factor).differences == 0


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_the_widest_product_and_shift(io_type, verify):
    builder = GraphBuilder()
    x = builder.input((3,), IntType(30, signed=True))
    first = builder.add(Dense(np.array([[1], [0], [0]])), x)
    index = builder.add(Threshold(np.array([[0]])), first)
    op = SelectDyadic(
        np.array([[1 << 30, -(1 << 29), 3], [-(1 << 30), 1 << 30, 1]]),
        np.array([[5, -5, 0], [1 << 58, 0, -(1 << 40)]]),
        np.array([[31, 60, 1], [0, 61, 29]]),
        IntType(62, signed=True),
    )
    graph = builder.build(builder.add(op, x, index))
    frames = np.array([[-(1 << 29)] * 3, [(1 << 29) - 1] * 3, [1, -1, 0], [-1, 1, 0], [0, 0, 0]])
    assert verify(graph, x=frames, io_type=io_type).differences == 0
