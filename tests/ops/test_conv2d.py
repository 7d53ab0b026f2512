"""Convolution in hardware against golden."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import OperatorCases

from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Conv2d

POST = np.array([0, 128, 181, 256, 362, 512, 724, 1024, -128, -181, -256, -362, -512, -724, -1024])


def widths_and_weights(rng, shape, bits):
    """Weights of 1 to `bits` bits, another width for each output channel."""
    widths = rng.integers(1, bits + 1, size=shape[-1])
    return rng.integers(-(1 << (widths - 1)), 1 << (widths - 1), size=shape), tuple(int(w) for w in widths)


class TestConv2d(OperatorCases):
    def variants(self, x, bits, rng):
        def conv(kernel, outputs, group_channels=4, codebook=None, bias=False, **options):
            shape = (*kernel, group_channels, outputs)
            if codebook is None:
                weight, widths = widths_and_weights(rng, shape, bits)
            else:
                weight, widths = rng.integers(0, len(codebook), size=shape), None
            biases = rng.integers(-100, 100, size=outputs) if bias else None
            return Conv2d(weight, widths, bias=biases, codebook=codebook, **options)

        span = np.arange(-(1 << (bits - 1)), 1 << (bits - 1))
        book = rng.choice(span, size=min(len(span), 6), replace=False)
        return {
            "plain": conv((3, 3), 3, padding=1),
            "bias": conv((3, 3), 2, bias=True),
            "1x1 stride": conv((1, 1), 4, stride=2),
            "row kernel": conv((1, 3), 2, stride=(3, 1), padding=(0, 0, 1, 1)),
            "column kernel": conv((3, 1), 2, stride=(1, 2), padding=(2, 0, 0, 0)),
            "uneven": conv((2, 3), 3, stride=(2, 3), padding=(0, 1, 2, 0), bias=True),
            "padding beyond the kernel": conv((2, 2), 1, stride=2, padding=(3, 2, 3, 4)),
            "whole frame": conv((6, 5), 2),
            "sparse stride": conv((1, 1), 2, stride=(4, 3)),
            "groups": conv((2, 2), 6, group_channels=2, groups=2, padding=(1, 0, 1, 0), bias=True),
            "depthwise": conv((3, 3), 4, group_channels=1, groups=4, padding=1),
            "depthwise twice": conv((2, 2), 8, group_channels=1, groups=4, stride=(1, 2)),
            "codebook": conv((3, 2), 3, codebook=book, bias=True, padding=(1, 1, 0, 1)),
            "powers of root two": conv((3, 2), 3, codebook=POST, bias=True, padding=(1, 0, 0, 1)),
            "powers of root two, depthwise": conv((2, 2), 8, group_channels=1, groups=4, codebook=POST),
            "powers of two": conv((2, 2), 3, codebook=np.array([0, 1, -2, 4, -8, 64])),
            "one factor only": conv((2, 2), 3, codebook=np.array([-12, 3, 6]), bias=True),
            "binary": conv((3, 3), 3, codebook=np.array([-1, 1]), padding=1, bias=True),
            "binary reversed": conv((2, 2), 4, group_channels=1, groups=4, codebook=np.array([1, -1])),
        }


@pytest.mark.parametrize(
    "padding",
    [(1, 2, 1, 2), *(pytest.param(one, marks=pytest.mark.slow) for one in ((0, 1, 0, 0), (0, 0, 2, 0)))],
)
def test_one_pixel_kernels_with_padding(padding, verify_rtl):
    """They make more pixels than come, so there is a window even where each weight is read once."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((3, 2, 6), IntType(4, signed=True))
    graph = builder.build(builder.add(Conv2d(rng.integers(-4, 4, (1, 1, 6, 2)), padding=padding), x))
    verify_rtl(graph, 1000, 1, folds={"n0": {"pe": 2, "simd": 3}})


def test_wide_frame_keeps_lines_in_memories(verify):
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((7, 12, 2), IntType(4, signed=False))
    y = builder.add(Conv2d(rng.integers(-8, 8, (4, 3, 2, 5)), stride=(2, 1), padding=(1, 2, 1, 1)), x)
    assert verify(builder.build(y), reuse_factor=10).differences == 0


def test_widest_accumulator_is_exact(verify):
    """Sums beyond 2^53, where a float64 is no longer exact."""
    builder = GraphBuilder()
    x = builder.input((3, 3, 2), IntType(34, signed=True))
    rng = np.random.default_rng(0)
    weight = rng.integers(-(1 << 23), 1 << 23, size=(3, 3, 2, 2))
    graph = builder.build(builder.add(Conv2d(weight), x))
    assert graph.output.type.bits > 54
    for io_type in ("io_stream", "io_parallel"):
        assert verify(graph, io_type=io_type).differences == 0


@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (1, -1), (-1, 1)])
def test_two_sums_at_their_extremes(io_type, signs, verify):
    """All even weights of one sign and all odd ones of another, on the largest inputs, folded over the inputs."""
    builder = GraphBuilder()
    x = builder.input((3, 3, 4), IntType(8, signed=signs[0] == signs[1]))
    codes = np.zeros((2, 2, 4, 2), dtype=np.int64)
    codes[:, :, 2:] = 1
    book = np.array([signs[0] * 1024, signs[1] * 724])
    graph = builder.build(builder.add(Conv2d(codes, codebook=book, bias=np.array([-(1 << 30), 7])), x))
    type = graph.input.type
    ends = np.array([type.min, type.max])
    frames = ends[np.random.default_rng(0).integers(0, 2, (20, 3, 3, 4))]
    frames[:4, :, :, :2], frames[:4, :, :, 2:] = (
        ends[[0, 0, 1, 1], None, None, None],
        ends[[0, 1] * 2, None, None, None],
    )
    for factor in (1, 8):
        assert verify(graph, x=frames, io_type=io_type, reuse_factor=factor).differences == 0
