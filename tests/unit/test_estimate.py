"""Estimates of hardware: what blocks are made of, memories, the fit and its intervals."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards, estimate, resources
from codesign.backends.rtl.calibration import apart, designs, records, run
from codesign.backends.rtl.described import described, fifo, in_a_row
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block
from codesign.errors import UserError
from codesign.estimate import Census, blocks, fitting, memory, model, multiply
from codesign.estimate.fitting import Measured
from codesign.estimate.logic import table, tree

SEEDS = (3, 5, 7, 8)
"""Designs that have most modules of the library."""


@pytest.fixture(scope="module")
def known() -> estimate.Model:
    return estimate.load("zynq-7000")


def test_there_is_a_file_for_every_module_that_a_node_can_have() -> None:
    library = {path.stem for path in (resources.folder("hw") / "rtl").glob("*.sv")}
    assert blocks.names() <= library
    # What is only inside of others, or for simulation.
    inner = {"mvau_control", "sum_tree", "rom", "frame_index", "stream_monitor"}
    # For families without a fit.
    others = {"mvau_shared", "carry_tree"}
    assert library - blocks.names() - inner - others == set()


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
    assert memory.block(words, width, writes=False).bram36 == bram36


def test_small_fifos_are_lookup_tables_and_large_ones_block_memories() -> None:
    small, large = memory.either(146, 8), memory.either(2047, 8)
    assert (small.luts, small.bram36) == (36, 0)
    assert (large.luts, large.bram36) == (0, 0.5)


def test_lookup_tables_hold_six_bits_of_32_words() -> None:
    assert memory.distributed(32, 6).luts == 4
    assert memory.distributed(32, 7).luts == 8
    assert memory.distributed(64, 3).luts == 4


def test_equal_and_constant_columns_of_a_table_are_made_once_and_never() -> None:
    bits = np.array([[0, 1, 1, 0], [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]], dtype=np.uint8)
    found = table("logic", 4, bits)
    assert (found.registers, found.varying, found.logic["table"]) == (2, 3, 2)


def test_a_block_memory_has_no_place_for_constant_columns() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (1024, 36)).astype(np.uint8)
    assert table("block", 1024, bits).bram36 == 1
    bits[:, 18:] = 1
    assert table("block", 1024, bits).bram36 == 0.5


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
    assert multiply.takes_block(x, signed, w) is taken


def test_the_fit_explains_what_was_measured(known: estimate.Model) -> None:
    lines = [line for line in records.read(run.data_file("xc7")) if line.design in (1002, 1004, 1008)]
    rows = list(records.measured(lines))
    errors: dict[str, list[float]] = {"lut": [], "ff": []}
    for line, row in zip(lines, rows, strict=True):
        parts = [known.amount(census, module) for module, census in row.parts]
        found = estimate.total([*parts, *[known.joints(len(parts) - 1)] * row.node])
        assert (found.bram36, found.dsp) == (line.bram36, line.dsp48), line.name
        errors["lut"].append(abs(found.lut - line.lut) / max(1, line.lut))
        errors["ff"].append(abs(found.ff - line.ff) / max(1, line.ff))
    assert len(lines) > 40
    assert np.median(errors["lut"]) < 0.06
    assert np.median(errors["ff"]) < 0.01


@pytest.mark.slow
def test_the_fit_is_that_of_the_measurements_beside_it(known: estimate.Model) -> None:
    made = run.fit("xc7", run.data_file("xc7"))
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


def test_errors_of_operators_average_out_in_a_sum(known: estimate.Model) -> None:
    values = [200.0] * 20
    low, high = known.interval_of_sum(values, "lut")
    one = known.interval(200.0, "lut")
    assert low < sum(values) < high
    assert (high - low) / sum(values) < (one[1] - one[0]) / 200


def test_the_quantile_is_that_of_a_normal_distribution() -> None:
    assert model.quantile(0.9) == pytest.approx(1.6449, abs=1e-4)
    assert math.isclose(model.quantile(0.6827), 1.0, abs_tol=1e-3)


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    lines = records.read(run.data_file("xc7"))[:3]
    records.append(path, lines)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert records.read(path) == lines


def test_a_design_that_comes_out_otherwise_is_refused() -> None:
    line = records.read(run.data_file("xc7"))[0]
    other = msgspec.structs.replace(line, blocks=[["stream_fifo", {"WIDTH": 1, "DEPTH": 2}]])
    with pytest.raises(UserError, match="another one now than when it was measured"):
        list(records.measured([other]))


def test_a_family_without_measurements_is_refused() -> None:
    with pytest.raises(UserError, match="no synthesis was measured for ice40"):
        estimate.load(boards.load("icebreaker").family)


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
