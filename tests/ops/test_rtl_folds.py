"""Every way to lay out a matrix-vector unit gives the same integers in the cycles promised."""

from __future__ import annotations

import numpy as np
import pytest
from test_mutations import adaptive_graph

from codesign import boards
from codesign.backends.rtl import layout
from codesign.backends.rtl.ops import conv2d
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Conv2d, Dense


def convolution(bits: int, signed: bool, **options: object) -> Graph:
    rng = np.random.default_rng(bits)
    builder = GraphBuilder()
    x = builder.input((5, 4, 4), IntType(bits, signed))
    weight = rng.integers(-9, 10, (3, 2, 4 // options.get("groups", 1), 6))
    weight[..., 1] = 0
    op = Conv2d(weight, padding=1, stride=2, bias=rng.integers(-500, 500, 6), **options)
    return builder.build(builder.add(op, x))


def folds(graph: Graph) -> list[dict[str, int | bool]]:
    found = [fold for fold in conv2d.folds(graph.node("n0"), graph) if not fold.shared]
    return [{"pe": f.pe, "simd": f.simd, "window": f.window, "planes": f.planes, "chain": f.chain} for f in found]


CASES = [
    pytest.param(
        bits,
        signed,
        groups,
        fold,
        id=f"{bits}-{signed}-{groups}-" + "-".join(f"{int(value)}" for value in fold.values()),
        # One in 29 by default, with all sorts among them.
        marks=[] if number % 29 == 3 else [pytest.mark.slow],
    )
    for number, (bits, signed, groups, fold) in enumerate(
        (bits, signed, groups, fold)
        for bits, signed, groups in ((1, False, 1), (4, False, 1), (4, True, 1), (6, True, 2))
        for fold in folds(convolution(bits, signed, groups=groups))
    )
]


@pytest.mark.parametrize(("bits", "signed", "groups", "fold"), CASES)
def test_every_fold(bits, signed, groups, fold, verify_rtl):
    verify_rtl(convolution(bits, signed, groups=groups), 1, folds={"n0": fold})


def shared_folds(graph: Graph, board: str) -> list[dict[str, int | bool]]:
    blocks = boards.load(board).dsp
    found = [f for f in conv2d.folds(graph.node("n0"), graph) if f.shared]
    # Two outputs have room in a block, at the least.
    fitting = [f for f in found if -(-f.pe // 2) * f.simd * (6 if f.window else 1) <= blocks]
    return [{"pe": f.pe, "simd": f.simd, "window": f.window, "shared": True} for f in fitting]


SHARED = [
    pytest.param(
        *case,
        id="-".join(map(str, (*case[:4], *case[4].values()))),
        # One in 24 by default.
        marks=[] if number % 24 == 5 else [pytest.mark.slow],
    )
    for number, case in enumerate(
        (bits, signed, groups, board, fold)
        for bits, signed, groups, board in (
            (1, False, 1, "icebreaker"),
            (3, False, 1, "icebreaker"),
            (3, False, 1, "ulx3s-85f"),
            (4, True, 1, "tang-nano-20k"),
            (6, True, 2, "ulx3s-85f"),
        )
        for fold in shared_folds(convolution(bits, signed, groups=groups), board)
    )
]


@pytest.mark.parametrize(("bits", "signed", "groups", "board", "fold"), SHARED)
def test_outputs_that_share_multipliers(bits, signed, groups, board, fold, verify_rtl):
    graph = convolution(bits, signed, groups=groups)
    verify_rtl(graph, 1, board=board, dsp=boards.load(board).dsp, folds={"n0": fold})


def test_unsigned_outputs_side_by_side_in_a_block(verify_rtl):
    """Weights of one sign: the highest bit of an output is no sign."""
    builder = GraphBuilder()
    x = builder.input((8,), IntType(1, False))
    graph = builder.build(builder.add(Dense(np.ones((8, 4), dtype=np.int64)), x))
    verify_rtl(graph, 1, folds={"n0": {"pe": 4, "simd": 1, "chain": 1}})


@pytest.mark.parametrize("board", ["ulx3s-85f", "pynq-z2"])
def test_tables_of_another_family(board, verify_rtl):
    """LUTs of four or six inputs, many words, weights from a codebook."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder()
    x = builder.input((24,), IntType(3, False))
    book = np.array([0, 128, 181, 256, 362, -128, -181, -256, -362])
    first = builder.add(Dense(rng.integers(0, 9, (24, 12)), codebook=book), x)
    graph = builder.build(first)
    verify_rtl(graph, 1, board=board, folds={"n0": {"pe": 3, "simd": 4, "planes": 1}})


@pytest.mark.parametrize("cycles", [100, pytest.param(60, marks=pytest.mark.slow)])
def test_a_window_behind_an_adapter_keeps_its_pace(cycles, verify_rtl):
    """Words come every other clock there, and in bursts: the window holds one row more."""
    verify_rtl(adaptive_graph(), cycles)


def test_a_fold_that_cannot_be_is_refused():
    graph = convolution(4, False)
    for fields in ({"pe": 4}, {"planes": 3}, {"pes": 1}, {"lookup": 4}):
        with pytest.raises(UserError, match=r"n0 \(conv2d\) has no fold with"):
            layout.lay_out(graph, 1, {"n0": fields})
    with pytest.raises(UserError, match="n7, which the graph does not have"):
        layout.lay_out(graph, 1, {"n7": {"pe": 1}})
