"""Hardware by a user's options: a limit of lookup tables is one of the estimate, and blocks are taken as they must."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from codesign import boards
from codesign.backends.rtl import hardware
from codesign.backends.rtl.estimation import Estimate, of_layout
from codesign.backends.rtl.hardware import Hardware
from codesign.backends.rtl.options import Options

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


def test_without_measured_synthesis_the_sizes_that_choose_folds_are_what_counts() -> None:
    board = boards.load("ulx3s-12f")
    found, _ = hardware.chosen(network(0), board, Options(fastest=True, lut=2500))
    free, _ = hardware.chosen(network(0), board, Options(fastest=True))
    assert found.estimate is None
    assert found.tables <= 2500 < free.tables
    assert found.layout.cycles_per_frame > free.layout.cycles_per_frame


@pytest.mark.parametrize(("ratio", "most"), [(1.3, 900), (0.8, 700), (1.0, 999), (2.0, 1100)])
def test_the_loosest_limit_is_found_whatever_the_ratio_of_the_estimates_is(ratio: float, most: int) -> None:
    asked: list[float] = []

    def attempt(tables: float) -> Hardware:
        asked.append(tables)
        rough = max(500.0, min(1000.0, tables))
        return Hardware(None, 1, rough, SimpleNamespace(amount=SimpleNamespace(lut=rough * ratio)))  # type: ignore[arg-type]

    found = hardware._loosest(most, 5000.0, attempt)
    assert 0.98 * most <= found.tables <= most
    asked.clear()
    assert hardware._loosest(int(400 * ratio), 5000.0, attempt).rough == 500
    assert len(asked) <= 3
