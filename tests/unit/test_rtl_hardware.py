"""Hardware by a user's options: a limit of lookup tables is one of the estimate, and blocks are taken as they must."""

from __future__ import annotations

import math
from types import SimpleNamespace

import msgspec
import pytest

from codesign import boards
from codesign.backends.rtl import choice, hardware
from codesign.backends.rtl.estimation import Estimate, of_layout
from codesign.backends.rtl.hardware import Hardware
from codesign.backends.rtl.layout import place
from codesign.backends.rtl.options import MARGIN, Options
from codesign.backends.rtl.refolding import Refolding

from .test_rtl_refolding import network

BOARD = boards.load("pynq-z2")


def taken(lut: int | None) -> Estimate:
    found, _ = hardware.chosen(network(0), BOARD, Options(cycles=64, lut=lut))
    estimate = of_layout(found.layout, BOARD)
    assert found.estimate in (None, estimate)
    assert estimate.cycles_per_frame <= 64
    return estimate


def test_a_limit_is_kept_to_with_no_more_blocks_than_that_takes() -> None:
    whole = taken(None)
    limits = (5000, 1900, 1600, 1200)
    assert whole.amount.lut > limits[1]
    found = [taken(lut) for lut in limits]
    assert found[0] == whole
    assert all(one.amount.lut <= lut for one, lut in zip(found, limits, strict=True))
    blocks = [one.amount.dsp for one in found]
    assert blocks == sorted(blocks)
    assert len(set(blocks)) == len(blocks)


def test_what_no_folds_keep_to_is_the_least() -> None:
    least = taken(1)
    assert least.amount.lut < taken(1600).amount.lut
    assert taken(int(least.amount.lut) + 1).amount == least.amount


def test_the_fastest_is_that_within_the_limit() -> None:
    estimates = []
    for lut in (2000, 1000):
        found, _ = hardware.chosen(network(0), BOARD, Options(fastest=True, lut=lut))
        estimates.append(of_layout(found.layout, BOARD))
        assert 0.8 * lut <= estimates[-1].amount.lut <= lut
    assert estimates[0].cycles_per_frame < estimates[1].cycles_per_frame


@pytest.mark.parametrize(("name", "lut"), [("icebreaker", 5280), ("ulx3s-12f", 6000)])
def test_the_fastest_fits_the_board_by_the_estimate(name: str, lut: int) -> None:
    board = msgspec.structs.replace(boards.load(name), lut=lut)
    found, _ = hardware.chosen(network(0), board, Options(fastest=True))
    told = of_layout(found.layout, board)
    assert told.fits
    assert 0.75 * MARGIN * board.lut <= told.amount.lut <= MARGIN * board.lut
    # What is chosen by the rough sizes alone does not.
    asked = choice.problem(network(0), {}, board.lut_inputs, Options().limits(board))
    rough = choice.solve(asked, None)
    assert rough.cycles < found.cycles
    folds = {node: one.fold for node, one in rough.candidates.items()}
    assert of_layout(place(network(0), folds), board).amount.lut > MARGIN * board.lut


def test_the_fastest_that_fits_by_both_sizes_is_that_of_the_rough_ones() -> None:
    found, _ = hardware.chosen(network(0), BOARD, Options(fastest=True))
    rough = choice.solve(choice.problem(network(0), {}, BOARD.lut_inputs, Options().limits(BOARD)), None)
    assert found.layout.folds == {node: one.fold for node, one in rough.candidates.items()}


def test_without_measured_synthesis_the_sizes_that_choose_folds_are_what_counts() -> None:
    board = msgspec.structs.replace(boards.load("tang-nano-20k"), family="later")
    found, _ = hardware.chosen(network(0), board, Options(fastest=True, lut=2500))
    free, _ = hardware.chosen(network(0), board, Options(fastest=True))
    assert found.estimate is None
    assert found.tables <= 2500 < free.tables
    assert found.layout.cycles_per_frame > free.layout.cycles_per_frame


def test_clocks_that_cannot_be_reached_are_the_fewest_within_the_limit() -> None:
    found, _ = hardware.chosen(network(0), BOARD, Options(cycles=1, lut=1000))
    fastest, _ = hardware.chosen(network(0), BOARD, Options(fastest=True, lut=1000))
    assert found.layout.cycles_per_frame == fastest.layout.cycles_per_frame > 1
    assert found.tables <= 1000


def test_a_limit_that_is_none_changes_nothing() -> None:
    small = msgspec.structs.replace(BOARD, lut=2300)
    for options in (Options(cycles=64, lut=2300), Options(cycles=64, lut=9000)):
        found, whole = (hardware.chosen(network(0), small, one)[0] for one in (options, Options(cycles=64)))
        assert found.layout.folds == whole.layout.folds
    for lut in (2300, 9000):
        found, fastest = (hardware.chosen(network(0), small, Options(fastest=True, lut=one))[0] for one in (lut, None))
        assert found.layout.folds == fastest.layout.folds
        assert found.tables <= MARGIN * 2300
    # What is above the margin of a board, and is kept to, as well.
    free, margin = (hardware.chosen(network(0), small, Options(cycles=64, lut=lut))[0] for lut in (None, 2200))
    assert margin.layout.folds == free.layout.folds


def test_an_order_of_channels_that_blocks_want_is_looked_for_at_the_limit_that_is_found() -> None:
    graph = network(0, (2, 3, 5))
    quick = Refolding(BOARD, Options(cycles=64, lut=1555)).estimate(graph)
    found, orders = hardware.chosen(graph, BOARD, Options(cycles=64, lut=1555))
    emitted = of_layout(found.layout, BOARD)
    assert orders
    assert max(quick.amount.lut, emitted.amount.lut) <= 1555
    assert emitted.amount.dsp <= quick.amount.dsp


@pytest.mark.parametrize("step", [1, 7, 40, 130])
@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.6])
def test_the_loosest_limit_is_found_however_far_designs_are_apart(step: int, ratio: float) -> None:
    """Rough sizes are whole steps above 500; a limit serves all up to the next design."""
    asked: list[float] = []

    def solved(tables: float) -> Hardware:
        asked.append(tables)
        rough = 500 + max(0, min(500, tables - 500)) // step * step
        predicted = SimpleNamespace(amount=SimpleNamespace(lut=rough * ratio))
        return Hardware(None, 1, rough, rough, predicted, tables)  # type: ignore[arg-type]

    whole = solved(1e6)
    for most in (int(part * whole.tables) for part in (0.52, 0.7, 0.9, 0.999, 1.2)):
        asked.clear()
        found = hardware._loosest(most, whole, solved)
        every = [500 + place * step for place in range(500 // step + 1)]
        fitting = [rough for rough in every if math.ceil(rough * ratio) <= most]
        if fitting:
            assert found.rough >= max(fitting) - 0.03 * max(fitting)
            assert found.tables <= most
        else:
            assert found.rough == 500
        assert len(asked) <= 9
