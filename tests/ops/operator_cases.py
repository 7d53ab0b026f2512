"""The base class of the operator tests: every variant of an operator, at every width, in C simulation and in RTL."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import ClassVar

import numpy as np
import pytest
from _pytest.mark import ParameterSet

from codesign.ir import Graph, GraphBuilder, IntType, Operator, Tensor
from codesign.ir.ops import Add, Dense, Flatten, FrameBuffer, Threshold


def cross(widths: Collection[int]) -> list[ParameterSet]:
    """Return width, sign and I/O style of the C simulation; a quarter of those with `widths` run every time: each width
    once, sign and style taking turns.
    """
    return [
        pytest.param(
            bits,
            signed,
            io_type,
            id=f"{bits}-{'signed' if signed else 'unsigned'}-{io_type}",
            marks=[]
            if bits in widths and (signed, io_type == "io_stream") == (bits % 2 == 0, bits % 4 < 2)
            else [pytest.mark.slow],
        )
        for bits in range(1, 9)
        for signed in (False, True)
        for io_type in ("io_stream", "io_parallel")
    ]


# As fast as can be, folded, and folded more.
RTL_CROSS = [
    pytest.param(
        bits,
        signed,
        (1, 40, 300)[(bits + signed) % 3],
        id=f"{bits}-{'signed' if signed else 'unsigned'}",
        marks=[] if (bits, signed) in ((2, False), (3, True)) else [pytest.mark.slow],
    )
    for bits in range(1, 9)
    for signed in (False, True)
]


class OperatorCases:
    """Compares one operator with golden.

    A subclass gives the variants; all of them read the same input in one graph, whose every edge is compared.
    """

    shape: ClassVar[tuple[int, ...]] = (6, 5, 4)

    def variants(self, x: Tensor, bits: int, rng: np.random.Generator) -> dict[str, Operator]:
        """Return operators that read `x`, by a word for the label."""
        raise NotImplementedError

    def graph(self, bits: int, signed: bool, seed: int) -> Graph:
        """Return a graph with all variants side by side."""
        rng = np.random.default_rng(seed)
        builder = GraphBuilder(type(self).__name__)
        x = builder.input(self.shape, IntType(bits, signed))
        ends = []
        for label, op in self.variants(builder.edge(x), bits, rng).items():
            ends.append(builder.add(op, *[x] * op.arity, label=label))
        return builder.build(joined(builder, ends, rng))

    @pytest.mark.parametrize(("bits", "signed", "io_type"), cross(range(1, 9)))
    def test_equals_golden(self, bits, signed, io_type, verify):
        graph = self.graph(bits, signed, seed=bits)
        # Odd widths are folded, each in another way; even ones compute everything in one step.
        result = verify(graph, io_type=io_type, reuse_factor=1 if bits % 2 == 0 else bits + 1)
        assert result.differences == 0, str(result.first_difference)

    @pytest.mark.parametrize(("bits", "signed", "cycles"), RTL_CROSS)
    def test_rtl_equals_golden(self, bits, signed, cycles, verify_rtl):
        verify_rtl(self.graph(bits, signed, seed=bits), cycles)


class SelectionCases(OperatorCases):
    """Compares an operator with an index with golden: all variants of it read one index of two bits.

    These graphs take a compiler the longest, so fewer widths run every time.
    """

    @pytest.mark.parametrize(("bits", "signed", "io_type"), cross({1, 4, 7}))
    def test_equals_golden(self, bits, signed, io_type, verify):
        super().test_equals_golden(bits, signed, io_type, verify)

    def graph(self, bits: int, signed: bool, seed: int) -> Graph:
        """Return a graph with all variants side by side, behind a frame buffer, the index from the frame's sum."""
        rng = np.random.default_rng(seed)
        builder = GraphBuilder(type(self).__name__)
        x = builder.input(self.shape, IntType(bits, signed))
        total = builder.add(Dense(np.ones((math.prod(self.shape), 1), dtype=np.int64)), builder.add(Flatten(), x))
        middle = math.prod(self.shape) * (builder.edge(x).type.min + builder.edge(x).type.max) // 2
        spread = 1 + 3 * 2 ** (bits - 1)
        index = builder.add(Threshold(np.array([[middle - spread, middle, middle + spread]])), total)
        held = builder.add(FrameBuffer(), x)
        variants = self.variants(builder.edge(x), bits, rng)
        ends = [builder.add(op, held, index, label=label) for label, op in variants.items()]
        return builder.build(joined(builder, ends, rng))


def joined(builder: GraphBuilder, edges: list[str], rng: np.random.Generator) -> str:
    """Make one output out of many edges, so that none of them is dropped."""
    total = None
    for edge in edges:
        if len(builder.edge(edge).shape) > 1:
            edge = builder.add(Flatten(), edge)
        size = builder.edge(edge).size
        edge = builder.add(Dense(rng.integers(-1, 2, size=(size, 1))), edge)
        total = edge if total is None else builder.add(Add(), total, edge)
    assert total is not None
    return total
