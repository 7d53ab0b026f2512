"""Estimates of whole networks: sums, limits of the board, the fast way; and against Yosys, where there is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from codesign import boards
from codesign.backends.rtl import estimation
from codesign.backends.rtl.calibration import designs, run
from codesign.backends.rtl.candidates import Candidates
from codesign.backends.rtl.folds import available
from codesign.backends.rtl.layout import place
from codesign.estimate.technology import KNOWN
from codesign.toolchain import yosys

BOARD = boards.load("pynq-z2")


def test_a_network_is_the_sum_of_its_operators() -> None:
    drawn = designs.draw(1003)
    found = estimation.network(drawn.graph, BOARD, drawn.folds)
    assert found.amount.lut == pytest.approx(sum(each.amount.lut for each in found.operators))
    assert found.amount.dsp == sum(each.amount.dsp for each in found.operators)
    assert [each.node for each in found.operators if each.operator] == [node.name for node in drawn.graph]
    for each in found.operators:
        assert each.lut[0] <= each.amount.lut <= each.lut[1] or each.amount.lut < 12
    layout = place(drawn.graph, drawn.folds)
    assert (found.cycles_per_frame, found.latency_cycles) == (layout.cycles_per_frame, layout.latency)


def test_what_a_board_has_too_little_of_is_told() -> None:
    import msgspec

    drawn = designs.draw(1003)
    found = estimation.network(drawn.graph, BOARD, drawn.folds)
    assert found.fits
    assert not found.exceeds
    assert found.limited_by == max(found.shares, key=lambda name: found.shares[name])
    small = msgspec.structs.replace(BOARD, ff=int(found.amount.ff) - 1)
    tight = estimation.network(drawn.graph, small, drawn.folds)
    assert (tight.fits, tight.exceeds, tight.limited_by) == (False, ["ff"], "ff")


def test_without_multiplier_blocks_more_lookup_tables_are_needed() -> None:
    drawn = next(each for each in map(designs.draw, range(1000, 1020)) if each.dsp)
    soft = {node: replace(fold, dsp=False) for node, fold in drawn.folds.items()}
    hard = estimation.network(drawn.graph, BOARD, drawn.folds).amount
    bare = estimation.network(drawn.graph, BOARD, soft).amount
    assert hard.dsp > 0
    assert bare.dsp == 0
    assert bare.lut > hard.lut


@pytest.mark.parametrize("seed", [1002, 1005, 1008])
def test_the_fast_way_says_the_same_of_the_layout_that_it_was_given(seed: int) -> None:
    drawn = designs.draw(seed)
    layout = drawn.layout()
    quick = Candidates(drawn.graph, BOARD, layout).estimate(drawn.folds)
    full = estimation.of_layout(layout, BOARD)
    assert (quick.lut, quick.ff) == pytest.approx((full.amount.lut, full.amount.ff), rel=0.05)
    assert (quick.dsp, quick.cycles) == (full.amount.dsp, full.cycles_per_frame)


def test_the_fast_way_counts_clocks_of_other_folds_exactly() -> None:
    drawn = designs.draw(1001)
    candidates = Candidates(drawn.graph, BOARD, drawn.layout())
    rng = np.random.default_rng(1)
    for _ in range(8):
        folds = {}
        for node in drawn.graph:
            known = list(available(node, drawn.graph, lookup=6, port=0))
            folds[node.name] = known[int(rng.integers(len(known)))]
        assert candidates.estimate(folds).cycles == place(drawn.graph, folds).cycles_per_frame


@pytest.mark.slow
@pytest.mark.skipif(yosys.locate() is None, reason="needs Yosys, of the extra rtl")
@pytest.mark.parametrize(
    ("family", "board"),
    [("xc7", "pynq-z2"), ("ecp5", "ulx3s-85f"), ("ice40", "icebreaker"), ("gowin", "tang-nano-20k")],
)
def test_a_design_that_was_not_fitted_to_comes_near_to_synthesis(family: str, board: str) -> None:
    tool = yosys.locate()
    assert tool is not None
    seed = 77_003
    lines = run.measure_design(tool, family, seed, node=True)
    drawn = designs.draw(seed, technology=KNOWN[family])
    found = estimation.of_layout(drawn.layout(), boards.load(board))
    predicted = {each.node: each.amount for each in found.operators}
    assert sum(line.bram36 for line in lines) == pytest.approx(found.amount.bram36)
    assert sum(predicted[line.name].ff for line in lines) == pytest.approx(sum(line.ff for line in lines), rel=0.1)
    assert sum(predicted[line.name].lut for line in lines) == pytest.approx(sum(line.lut for line in lines), rel=0.2)
