"""Dyadic re-quantisation in hardware against golden."""

from __future__ import annotations

import numpy as np
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Dyadic, Flatten


class TestDyadic(OperatorCases):
    def variants(self, x, bits, rng):
        def dyadic(channels, type, shift, multipliers=(-300, 300)):
            return Dyadic(
                rng.integers(*multipliers, size=channels),
                rng.integers(-2000, 2000, size=channels),
                np.full(channels, shift) if shift is not None else rng.integers(0, 20, size=channels),
                type,
            )

        return {
            "signed": dyadic(4, IntType(bits, signed=True), 7),
            "unsigned": dyadic(4, IntType(bits, signed=False), 7),
            "shared": dyadic(1, IntType(8, signed=True), 5),
            "a shift per channel": dyadic(4, IntType(bits, signed=True), None),
            "no shift": dyadic(4, IntType(16, signed=True), 0),
            "ties": Dyadic(np.full(4, 1), np.array([0, 1, -1, 2]), np.array([1, 1, 2, 2]), IntType(9, signed=True)),
            "zero": Dyadic(np.zeros(4, dtype=np.int64), np.arange(-2, 2), np.full(4, 1), IntType(4, signed=True)),
            "positive": dyadic(4, IntType(12, signed=False), 3, multipliers=(1, 90)),
            "wider out than in": dyadic(4, IntType(40, signed=True), 2),
        }


def test_a_constant_per_feature_of_a_flattened_frame(verify):
    rng = np.random.default_rng(0)
    for io_type in ("io_stream", "io_parallel"):
        builder = GraphBuilder()
        x = builder.input((3, 2, 4), IntType(8, signed=True))
        op = Dyadic(rng.integers(-90, 90, 24), rng.integers(-90, 90, 24), rng.integers(0, 9, 24), IntType(7, True))
        y = builder.add(op, builder.add(Flatten(), x))
        assert verify(builder.build(y), io_type=io_type, reuse_factor=4).differences == 0


def test_the_widest_product_and_shift(verify):
    builder = GraphBuilder()
    x = builder.input((3,), IntType(30, signed=True))
    op = Dyadic(np.array([1 << 30, -(1 << 29), 3]), np.array([5, -5, 0]), np.array([31, 60, 1]), IntType(62, True))
    y = builder.add(op, x)
    frames = np.array([[-(1 << 29)] * 3, [(1 << 29) - 1] * 3, [1, -1, 0]])
    assert verify(builder.build(y), x=frames).differences == 0
