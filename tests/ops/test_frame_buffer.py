"""The frame buffer in hardware against golden: alone, and before an operator whose index needs the whole frame."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType, golden
from codesign.ir.ops import Conv2d, Dense, Flatten, FrameBuffer, SelectDyadic, SelectThreshold, SumPool, Threshold


class TestFrameBuffer(OperatorCases):
    def variants(self, x, bits, rng):
        return {"once": FrameBuffer(), "again": FrameBuffer()}


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_every_shape_of_a_frame(io_type, verify):
    for shape, flat in (((3, 2, 5), True), ((7,), False), ((1, 1, 1), False), ((1,), False)):
        builder = GraphBuilder()
        edge = builder.input(shape, IntType(7, signed=True))
        if flat:
            edge = builder.add(Flatten(), edge)
        graph = builder.build(builder.add(FrameBuffer(), builder.add(FrameBuffer(), edge)))
        assert verify(graph, io_type=io_type).differences == 0


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_an_activation_whose_step_follows_the_frame(io_type, verify):
    """An adaptive activation and what reads its index: codes, the next accumulator, a residual operand."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((6, 5, 3), IntType(8, signed=False))
    total = builder.add(Flatten(), builder.add(SumPool((6, 5)), x))
    hidden = builder.add(Dense(rng.integers(-4, 5, (3, 2))), total)
    hidden = builder.add(Threshold(np.sort(rng.integers(-2000, 2000, (2, 15)), axis=1)), hidden)
    index = builder.add(Dense(rng.integers(-9, 10, (2, 1))), hidden)
    index = builder.add(Threshold(np.linspace(-120, 120, 15).astype(np.int64)[None]), index)
    held = builder.add(FrameBuffer(), x)
    codes = builder.add(SelectThreshold(np.sort(rng.integers(0, 256, (16, 1, 7)), axis=2)), held, index)
    conv = builder.add(Conv2d(rng.integers(-4, 4, (3, 3, 3, 4)), padding=1), codes)
    wide = builder.add(
        SelectDyadic(
            rng.integers(1, 90, (16, 4)), rng.integers(-99, 99, (16, 4)), rng.integers(3, 9, (16, 4)), IntType(8, True)
        ),
        conv,
        index,
    )
    last = builder.add(Conv2d(rng.integers(-4, 4, (3, 3, 4, 2))), wide)
    low = builder.add(SelectThreshold(np.sort(rng.integers(-900, 900, (16, 2, 3)), axis=2), -1), last, index)
    graph = builder.build(low)
    # Bright and dark channels, so that the index takes many values.
    bright = rng.integers(1, 256, (32, 1, 1, 3))
    frames = rng.integers(0, 1 << 30, (32, 6, 5, 3)) % bright
    frames[0], frames[1] = 0, 255
    assert len(np.unique(golden.run(graph, frames, trace=True)[index])) > 5
    for factor in (1, 4):
        assert verify(graph, x=frames, io_type=io_type, reuse_factor=factor).differences == 0
