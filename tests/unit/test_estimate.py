"""Estimates of hardware: what blocks are made of, memories, the fit and its intervals."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards, estimate, resources
from codesign.backends.rtl import cost, estimation
from codesign.backends.rtl.calibration import apart, designs, records, run
from codesign.backends.rtl.described import described, fifo, in_a_row
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block
from codesign.errors import UserError
from codesign.estimate import Census, blocks, fitting, memory, model, multiply
from codesign.estimate.fitting import Measured
from codesign.estimate.logic import table, tree
from codesign.estimate.spread import spread
from codesign.estimate.technology import XC7

SEEDS = (3, 5, 7, 8)
"""Designs that have most modules of the library."""


@pytest.fixture(scope="module")
def known() -> estimate.Model:
    return estimate.load("zynq-7000")


def test_there_is_a_file_for_every_module_that_a_node_can_have() -> None:
    library = {path.stem for path in (resources.folder("hw") / "rtl").glob("*.sv")}
    # The serial shell of boards is around a network.
    assert blocks.names() - library == {"uart_shell"}
    # What is only inside of others, or for simulation.
    inner = {"mvau_control", "sum_tree", "carry_tree", "rom", "frame_index", "stream_monitor"}
    assert library - blocks.names() - inner == set()


@pytest.mark.parametrize("seed", SEEDS)
def test_all_that_a_census_counts_has_a_coefficient(seed: int, known: estimate.Model) -> None:
    layout = designs.draw(seed).layout()
    for _, block in apart.distinct(layout):
        census = blocks.module(block.module).census(described(block, True))
        group = model.owner(block.module)
        assert census.lut.keys() <= known.fit.lut[group].keys(), block.module
        assert census.ff.keys() <= known.fit.ff[group].keys(), block.module
        assert min([*census.lut.values(), *census.ff.values()]) >= 0
        assert known.block(described(block, True)).lut >= 0


def test_a_design_is_the_same_for_the_same_seed() -> None:
    first, second = designs.draw(11), designs.draw(11)
    assert first.folds == second.folds
    assert first.folds != designs.draw(12).folds


@pytest.mark.parametrize(
    ("words", "width", "bram36"),
    [(1024, 18, 0.5), (512, 36, 0.5), (512, 72, 1), (36, 192, 3), (36, 180, 2.5), (16384, 1, 0.5), (2048, 36, 2)],
)
def test_block_memories_of_constants(words: int, width: int, bram36: float) -> None:
    assert memory.XC7.block(words, width, writes=False).bram36 == bram36


def test_small_fifos_are_lookup_tables_and_large_ones_block_memories() -> None:
    small, large = memory.XC7.either(146, 8), memory.XC7.either(2047, 8)
    assert (small.luts, small.bram36) == (36, 0)
    assert (large.luts, large.bram36) == (0, 0.5)


def test_lookup_tables_hold_six_bits_of_32_words() -> None:
    assert memory.XC7.distributed(32, 6).luts == 4
    assert memory.XC7.distributed(32, 7).luts == 8
    assert memory.XC7.distributed(64, 3).luts == 4


def test_equal_and_constant_columns_of_a_table_are_made_once_and_never() -> None:
    bits = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]], dtype=np.uint8)
    found = table("logic", 4, bits, XC7)
    assert (found.registers, found.varying, found.logic["table"]) == (2, 3, 2)


def test_a_block_memory_has_no_place_for_constant_columns() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (1024, 36)).astype(np.uint8)
    assert table("block", 1024, bits, XC7).bram36 == 1
    bits[:, 18:] = 1
    assert table("block", 1024, bits, XC7).bram36 == 0.5


def test_a_tree_adds_all_terms_once() -> None:
    # Eight terms of four bits: four adders of 5 bits, two of 6, one of 7.
    found = tree(8, 4, 2)
    assert (found.adders, found.registers, found.passed) == (4 * 5 + 2 * 6 + 7, 2 * 6, 0)
    # Six: the third sum of two goes on alone into a register.
    assert tree(6, 4, 2).passed == 6


@pytest.mark.parametrize(
    ("x", "signed", "w", "taken"), [(5, False, 4, True), (4, False, 4, False), (8, True, 1, False)]
)
def test_what_takes_a_multiplier_block(x: int, signed: bool, w: int, taken: bool) -> None:
    block = estimate.Block("mvau", {}, lambda file, width: np.zeros((1, width)))
    assert multiply.takes_block(block, x, signed, w) is taken


@pytest.mark.parametrize(
    ("family", "drawn"),
    [
        ("xc7", (1002, 1004, 1008)),
        ("ecp5", (1000, 1004, 1010)),
        ("ice40", (1002, 1004, 1008, 1010)),
        ("gowin", (1000, 1004, 1010)),
    ],
)
def test_the_fit_explains_what_was_measured(family: str, drawn: tuple[int, ...]) -> None:
    known = model.read(run.fit_file(family))
    lines = [line for line in records.read(run.data_file(family)) if line.design in drawn]
    rows = list(records.measured(lines, family))
    errors: dict[str, list[float]] = {"lut": [], "ff": []}
    for line, row in zip(lines, rows, strict=True):
        parts = [known.amount(census, module) for module, census in row.parts]
        found = estimate.total([*parts, *[known.joints(len(parts) - 1)] * row.node])
        assert (found.bram36, found.dsp) == (pytest.approx(line.bram36), line.dsp48), line.name
        errors["lut"].append(abs(found.lut - line.lut) / max(1, line.lut))
        errors["ff"].append(abs(found.ff - line.ff) / max(1, line.ff))
    assert len(lines) > 40
    assert np.median(errors["lut"]) < 0.06
    assert np.median(errors["ff"]) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("board", ["pynq-z2", "ulx3s-85f", "icebreaker", "tang-nano-20k"])
def test_the_fit_is_that_of_the_measurements_beside_it(board: str) -> None:
    known = estimate.load(boards.load(board).family)
    made = run.fit(known.fit.family, run.data_file(known.fit.family))
    for name in ("lut", "ff"):
        for module, coefficients in getattr(made, name).items():
            assert coefficients == pytest.approx(getattr(known.fit, name)[module], abs=2e-3)
    assert made.tool == known.fit.tool


def synthetic(count: int, seed: int, noise: float = 0.0) -> list[Measured]:
    """Measurements of adders and FIFOs whose cells follow other coefficients than the priors."""
    rng = np.random.default_rng(seed)
    rows = []
    for design in range(count):
        bits = int(rng.integers(5, 200))
        adder, fifo = Census(), Census()
        adder.add(control=1, adder=bits)
        adder.register(register=bits + 1)
        fifo.add(pair=1, word=bits)
        fifo.register(register=2 * bits + 2)
        error = 1 + noise * rng.standard_normal()
        rows.append(Measured(design, [("add", adder)], False, 9 + 1.4 * bits, bits + 1))
        lut = (9 + 1.4 * bits + 6 + 1.0 * bits) * error
        rows.append(Measured(design, [("add", adder), ("stream_fifo", fifo)], True, lut, 3 * bits + 3))
    return rows


def test_measurements_move_coefficients_and_priors_hold_the_others() -> None:
    found = fitting.fit(synthetic(60, 0), "xc7", "none")
    assert found.lut["add"]["adder"] == pytest.approx(1.4, rel=0.03)
    assert found.lut["stream_fifo"]["word"] == pytest.approx(1.0, rel=0.03)
    assert found.lut["mvau"] == pytest.approx(blocks.module("mvau").LUT)


def test_intervals_hold_the_share_that_they_promise() -> None:
    found = model.Model(fitting.fit(synthetic(300, 1, noise=0.1), "xc7", "none"))
    fresh = [row for row in synthetic(1000, 2, noise=0.1) if row.node]
    inside = []
    for row in fresh:
        parts = [found.amount(census, module) for module, census in row.parts]
        low, high = found.interval(estimate.total([*parts, found.joints(1)]).lut, "lut")
        inside.append(low <= row.lut <= high)
    assert np.mean(inside) == pytest.approx(found.fit.coverage, abs=0.05)


def networks(count: int, seed: int, common: float, heavy: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What operators of random networks take, what is predicted, and which network each is of.

    `common` is the share of the variance of an error that all operators of a network have in common.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(3, 20, count)
    place = np.repeat(np.arange(count), sizes)
    predicted = np.exp(rng.normal(5, 1, len(place)))
    own = rng.standard_t(3, len(place)) / math.sqrt(3) if heavy else rng.standard_normal(len(place))
    errors = 0.1 * (math.sqrt(common) * rng.standard_normal(count)[place] + math.sqrt(1 - common) * own)
    return predicted + errors * (predicted + 12), predicted, place


@pytest.mark.parametrize(("common", "heavy"), [(0.0, False), (0.3, False), (0.0, True), (0.9, True)])
def test_intervals_of_networks_hold_the_share_that_they_promise(common: float, heavy: bool) -> None:
    found = spread(*networks(150, 1, common, heavy), 0.9, 12.0)
    assert found.common == pytest.approx(common, abs=0.15)
    known = made_of(found)
    fresh, predicted, place = networks(1500, 2, common, heavy)
    inside = []
    for number in range(1500):
        low, high = known.interval_of_sum(predicted[place == number], "lut")
        inside.append(low <= fresh[place == number].sum() <= high)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.05)


def made_of(found: model.Spread) -> model.Model:
    return model.Model(model.Fit("xc7", "none", 1, 1, 1, 0.9, {}, {}, found, found))


def test_intervals_of_networks_are_as_narrow_as_their_errors_average_out() -> None:
    values = [200.0] * 25
    alone, together = (made_of(spread(*networks(150, 1, common), 0.9, 12.0)) for common in (0.0, 0.9))
    ends = alone.interval_of_sum(values, "lut"), together.interval_of_sum(values, "lut")
    assert ends[0][1] - ends[0][0] < 0.5 * (ends[1][1] - ends[1][0])


def test_of_few_networks_intervals_reach_as_far_as_any_error_did() -> None:
    measured, predicted, place = networks(4, 3, 0.0)
    found = spread(measured, predicted, place, 0.9, 12.0)
    known = made_of(found)
    for number in range(4):
        low, high = known.interval_of_sum(predicted[place == number], "lut")
        # Ends are rounded.
        assert low - 1 <= measured[place == number].sum() <= high + 1
    assert found.reach >= model.quantile(0.9)


def test_without_measurements_intervals_are_wide() -> None:
    found = spread(np.zeros(0), np.zeros(0), np.zeros(0, dtype=int), 0.9, 12.0)
    low, high = made_of(found).interval_of_sum([100.0, 100.0], "ff")
    assert low == 0
    assert high >= 400


def test_a_few_blunders_do_not_move_the_coefficients() -> None:
    rows = synthetic(60, 0)
    odd = [dataclasses.replace(row, lut=5 * row.lut) if number % 17 == 0 else row for number, row in enumerate(rows)]
    found = fitting.fit(odd, "xc7", "none")
    assert found.lut["add"]["adder"] == pytest.approx(1.4, rel=0.05)


def test_large_designs_have_larger_nodes_and_are_others_than_small_ones() -> None:
    largest = {}
    for large in (False, True):
        drawn = [designs.draw(seed, large=large) for seed in range(3000, 3008)]
        luts = [cost.unit(unit, each.dsp).get("lut", 0.0) for each in drawn for unit in each.layout().units.values()]
        largest[large] = max(luts)
    assert largest[False] <= 2 * designs.SMALL.luts
    assert designs.SMALL.luts * 2 < largest[True] <= 2 * designs.LARGE.luts


def test_errors_of_operators_average_out_in_a_sum(known: estimate.Model) -> None:
    values = [200.0] * 20
    low, high = known.interval_of_sum(values, "lut")
    one = known.interval(200.0, "lut")
    assert low < sum(values) < high
    assert (high - low) / sum(values) < (one[1] - one[0]) / 200


def test_the_quantile_is_that_of_a_normal_distribution() -> None:
    assert model.quantile(0.9) == pytest.approx(1.6449, abs=1e-4)
    assert math.isclose(model.quantile(0.6827), 1.0, abs_tol=1e-3)


def test_a_design_that_comes_out_otherwise_is_refused() -> None:
    line = records.read(run.data_file("xc7"))[0]
    other = msgspec.structs.replace(line, blocks=[["stream_fifo", {"WIDTH": 1, "DEPTH": 2}]])
    with pytest.raises(UserError, match="another one now than when it was measured"):
        list(records.measured([other]))


def test_a_family_without_measurements_is_refused() -> None:
    with pytest.raises(UserError, match="no synthesis was measured for versal"):
        estimate.load("versal")


def test_a_module_that_was_never_measured_is_refused(known: estimate.Model) -> None:
    with pytest.raises(UserError, match="never measured"):
        known.block(estimate.Block("unknown", {}, lambda file, width: np.zeros((1, width))))


def test_a_file_that_is_no_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_text("{}")
    with pytest.raises(UserError, match="codesign calibrate"):
        model.read(path)


def test_a_narrow_adapter_before_a_fifo_takes_more(known: estimate.Model) -> None:
    adapter = Block("lane_adapter", {"BITS": 8, "IN": 8, "OUT": 2}, 16, Every(1, 1))
    alone, before = in_a_row([adapter], True)[0], in_a_row([adapter, fifo(16, 2)], True)[0]
    assert known.block(before).lut > known.block(alone).lut
    # A FIFO in memory is asked in another way.
    assert known.block(in_a_row([adapter, fifo(16, 100)], True)[0]) == known.block(alone)
    # Nor where a block behind it decides whether there is room; another adapter only passes words on.
    widen, last = Block("lane_adapter", {"BITS": 8, "IN": 2, "OUT": 4}, 32, Every(2, 1)), fifo(16, 2)
    assert known.block(in_a_row([adapter, last], True, last=False)[0]) == known.block(alone)
    assert known.block(in_a_row([adapter, last, fifo(16, 2)], True)[0]) == known.block(alone)
    assert known.block(in_a_row([adapter, last, widen], True)[0]) == known.block(before)


@pytest.mark.parametrize(
    ("design", "large", "node"),
    [
        # A pool of one value.
        (1_800_002, False, "n0"),
        # Weights that are all multiples of 128, by lookup of sums.
        (1_800_002, False, "n3"),
        # Products of fewer bits than multiplier blocks are for.
        (1_800_009, False, "n8"),
        # Powers of two that are constants.
        (3_011, True, "n7"),
    ],
)
def test_what_vanishes_in_synthesis_is_not_counted(design: int, large: bool, node: str, known: estimate.Model) -> None:
    lines = records.read(run.data_file("xc7"))
    (line,) = [each for each in lines if (each.design, each.large, each.name) == (design, large, node)]
    drawn = designs.draw(design, large=large)
    found = estimation.node_amount(drawn.layout(), node, drawn.dsp, known)
    assert found.lut == pytest.approx(line.lut, rel=0.25, abs=12)
    assert (found.dsp, found.bram36) == (line.dsp48, line.bram36)
