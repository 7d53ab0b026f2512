"""Folds of a whole network: the cheapest together, adapters counted, within limits, and what a user may ask for."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import choice, cost, estimation
from codesign.backends.rtl.layout import lay_out
from codesign.backends.rtl.options import MARGIN, Options
from codesign.cli import options
from codesign.errors import UserError
from codesign.estimate.blocks import pool_rows
from codesign.estimate.census import Block
from codesign.estimate.technology import ICE40
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Conv2d, Dense, Dyadic, Flatten, Threshold

BOARD = boards.load("pynq-z2")


def network(channels: int = 6, bits: int = 3) -> Graph:
    rng = np.random.default_rng(channels)
    builder = GraphBuilder()
    edge = builder.input((4, 4, 2), IntType(bits, signed=False))
    edge = builder.add(Conv2d(rng.integers(-2, 3, (3, 3, 2, channels)), padding=1), edge)
    edge = builder.add(Threshold(np.sort(rng.integers(-9, 9, (channels, 3)), axis=1)), edge)
    edge = builder.add(Flatten(), edge)
    return builder.build(builder.add(Dense(rng.integers(-2, 2, (16 * channels, 5))), edge))


@pytest.mark.parametrize("cycles", [50, 100, 300])
def test_the_choice_is_that_of_brute_force(cycles: int) -> None:
    asked = choice.problem(network(2), {}, 6, {})
    found = choice.solve(asked, cycles)
    nodes = list(asked.candidates)
    every = (
        asked.evaluate(dict(zip(nodes, picked, strict=True)))
        for picked in itertools.product(*asked.candidates.values())
    )
    fewest = min((asked.weighed(one.cost) for one in every if one.cycles <= cycles), default=None)
    assert fewest is not None
    assert found.cycles <= cycles
    assert asked.weighed(found.cost) == pytest.approx(fewest)


@pytest.mark.parametrize("cycles", [96, 120, 160])
def test_adapters_between_lanes_are_no_surprise(cycles: int) -> None:
    """Node by node, the folds of 10 channels would be joined by words of one element, which take 160 clocks."""
    laid = lay_out(network(10), cycles)
    assert laid.cycles_per_frame <= cycles


def test_more_clocks_take_less() -> None:
    asked = choice.problem(network(), {}, 6, {})
    found = [choice.solve(asked, cycles) for cycles in (20, 100, 1000)]
    weights = [asked.weighed(one.cost) for one in found]
    assert weights[0] > weights[1] > weights[2]
    assert found[0].cycles < found[1].cycles < found[2].cycles


def test_what_cannot_be_that_fast_is_as_fast_as_it_can() -> None:
    asked = choice.problem(network(), {}, 6, {})
    found = choice.solve(asked, 1)
    assert found.cycles == min(choice.solve(asked, cycles).cycles for cycles in (1, 2, 16, 17, 20, 48, 96))


def test_what_cannot_be_that_fast_is_as_fast_as_the_limits_allow() -> None:
    asked = choice.problem(network(), {}, 6, {"lut": 600.0, "dsp": 220.0})
    assert choice.solve(asked, 1) == choice.solve(asked, None)


def test_limits_are_left_aside_one_after_the_other() -> None:
    """Where lookup tables are too few for the clocks, block memories are not taken beyond what there are."""
    weight = np.random.default_rng(0).integers(-8, 8, (128, 256))
    builder = GraphBuilder()
    graph = builder.build(builder.add(Dense(weight), builder.input((128,), IntType(8, signed=True))))
    free = choice.solve(choice.problem(graph, {}, 6, {"lut": 1.0}), 40_000)
    kept = choice.solve(choice.problem(graph, {}, 6, {"lut": 1.0, "bram36": 0.0}), 40_000)
    assert free.cost["bram36"] > 0 == kept.cost.get("bram36", 0.0)
    assert kept.cost["lut"] > free.cost["lut"]


def test_many_small_memories_find_room_where_blocks_are_of_four_kib() -> None:
    """Counted by halves of 36 Kib, so many blocks would not be there."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder()
    edge = builder.input((64,), IntType(2, signed=False))
    for _ in range(8):
        edge = builder.add(Dense(rng.integers(-2, 2, (64, 64))), edge)
        edge = builder.add(Threshold(np.sort(rng.integers(-60, 30, (64, 3)), axis=1)), edge)
    graph = builder.build(edge)
    board = boards.load("icebreaker")
    limits = Options().limits(board)
    laid = lay_out(graph, 10_000, {}, 4, limits)
    found = choice.choose(graph, 10_000, {}, 4, limits)
    assert found.fits(limits)
    halves = choice.choose(graph, 10_000, {}, 4, {"lut": limits["lut"], "dsp": limits["dsp"], "bram36": 30 / 9})
    assert halves.cost.get("bram36", 0.0) <= 30 / 9
    assert found.cost["lut"] < 0.9 * halves.cost["lut"]
    assert estimation.of_layout(laid, board).amount.bram36 <= 30 / 9


def test_the_fastest_fits_and_nothing_faster_does() -> None:
    limits = {"lut": 600.0}
    asked = choice.problem(network(), {}, 6, limits)
    found = choice.solve(asked, None)
    assert found.cost["lut"] <= 600
    faster = choice.solve(choice.problem(network(), {}, 6, {}), found.cycles - 1)
    assert faster.cost["lut"] > 600 or faster.cycles >= found.cycles
    # Where nothing fits, the smallest is taken; synthesis tells that it does not fit.
    tiny = choice.solve(choice.problem(network(), {}, 6, {"lut": 1.0}), None)
    assert tiny.cost["lut"] < found.cost["lut"]


def test_without_multiplier_blocks_multiplications_take_luts(tmp_path: Path) -> None:
    builder = GraphBuilder()
    edge = builder.input((8,), IntType(9, signed=True))
    edge = builder.add(Dyadic(np.full(8, 1001), np.arange(8), np.full(8, 9), IntType(8, signed=True)), edge)
    graph = builder.build(edge)
    with_blocks, without = (
        rtl.emit(graph, BOARD, tmp_path / name, cycles=4, dsp=dsp) for name, dsp in (("a", None), ("b", 0))
    )
    assert with_blocks.about["nodes"]["n0"]["dsp"]
    assert not without.about["nodes"]["n0"]["dsp"]
    assert (with_blocks.about["multiplier_blocks"], without.about["multiplier_blocks"]) == (BOARD.dsp, 0)
    asked = choice.problem(graph, {}, 6, {"dsp": 0.0})
    assert choice.solve(asked, 4).cost.get("dsp", 0.0) == 0
    free = choice.problem(graph, {}, 6, {})
    assert choice.solve(free, 4).cost["dsp"] > 0
    assert choice.solve(free, 4).cost["lut"] < choice.solve(asked, 4).cost["lut"]
    # Folds that are given leave that open, unless they say it.
    given = {"n0": {"pe": 1}}
    assert choice.choose(graph, 8, given, 6, {"dsp": 0.0}).cost.get("dsp", 0.0) == 0
    with pytest.raises(UserError, match="take more multiplier blocks than there may be"):
        choice.choose(graph, 8, {"n0": {"pe": 1, "dsp": True}}, 6, {"dsp": 0.0})
    # Some of each, where there are few blocks.
    assert choice.solve(choice.problem(graph, {}, 6, {"dsp": 1.0}), 4).cost.get("dsp", 0.0) <= 1


def test_estimates_are_near_what_yosys_counts() -> None:
    """Yosys 0.70 counted 2,174 LUTs, 5 DSP48E1 and one block memory of 18 Kib, thresholds compared all at once."""
    from codesign import zoo

    graph = zoo.load("digits_cnn_w3").graph()
    given = {node.name: {"search": False} for node in graph if isinstance(node.op, Threshold)}
    folds = {
        "n1": {"pe": 2},
        "n4": {"pe": 1},
        "n5": {"pe": 4, "simd": 16, "planes": 1},
        "n9": {"pe": 1, "simd": 4, "dsp": True},
    }
    given = {name: given.get(name, {}) | folds.get(name, {}) for name in {*given, *folds}}
    found = choice.choose(graph, 600, given, 6, {})
    assert found.cost["lut"] == pytest.approx(2174, rel=0.2)
    assert (found.cost["dsp"], found.cost["bram36"]) == (5, 0.5)


@pytest.mark.parametrize(
    ("words", "bits", "blocks"),
    [(512, 36, 0.5), (513, 36, 1), (512, 72, 1), (1024, 18, 0.5), (16384, 1, 0.5), (40000, 1, 1.5), (100, 1000, 14)],
)
def test_block_memories_are_counted_by_their_shapes(words: int, bits: int, blocks: float) -> None:
    assert cost.block_memories(words, bits) == blocks


@pytest.mark.parametrize(
    ("words", "bits", "luts", "blocks"),
    [
        (8, 8, 120, 0),
        (9, 8, 0, 1),
        (256, 16, 0, 1),
        (257, 16, 0, 2),
        (513, 8, 0, 2),
        (513, 36, 0, 7),
        (512, 72, 0, 9),
        (2, 1024, 3072, 0),
        (6, 17, 187, 0),
        (64, 512, 0, 32),
    ],
)
def test_memories_of_ice40_are_flip_flops_or_blocks_of_four_kib(words: int, bits: int, luts: int, blocks: int) -> None:
    assert cost.settled(cost.memory(words, bits), True) == {"lut": luts, "bram4": blocks}
    # Each bit is a cell, and each bit of all words but one another that chooses.
    alone = {"lut": (2 * words - 1) * bits, "bram4": 0}
    assert cost.settled(cost.memory(words, bits, clocked=False), True) == alone


@pytest.mark.parametrize(("columns", "fold"), [(8, 16), (2, 16), (2, 12), (2, 64)])
def test_rows_of_pooling_are_held_as_the_estimator_knows_it(columns: int, fold: int) -> None:
    shape = {"KERNEL_H": 2, "KERNEL_W": 2, "ROWS_IN": 8, "COLUMNS_IN": columns}
    parameters = {**shape, "FOLD": fold, "LANES": 2, "X": 8, "Y": 8, "MAX": True}
    held = pool_rows.census(Block("pool_rows", parameters, lambda *_: np.zeros(0), technology=ICE40))
    found = cost.settled(cost.pool_rows(parameters), True)
    assert found["bram4"] == pytest.approx(9 * held.bram36)
    assert (held.bram36 > 0) == (columns == 2 and fold in (16, 64))
    assert found["lut"] >= held.lut["multiplexer"] + held.ff["memory"]


def test_memories_of_others_are_lookup_tables_or_large_blocks() -> None:
    assert ["bram36" in cost.settled(cost.memory(words, 8), False) for words in (8, 128, 256)] == [False, False, True]
    assert cost.settled(cost.memory(128, 8), False) == {"lut": 24}


def test_every_module_that_is_emitted_has_a_cost() -> None:
    from codesign.backends.rtl import ops
    from codesign.verify.random_graphs import random_graph

    modules = set()
    for seed in range(40):
        graph = random_graph(seed)
        for node in graph:
            module = ops.module(node.op.name)
            for fold in itertools.islice(module.folds(node, graph), 12):
                modules |= {block.module for block in module.unit(node, graph, fold).blocks}
    assert modules - cost.MODULES.keys() <= {"mvau_planes", "arg_max"}


def test_pruned_outputs_take_no_multipliers() -> None:
    weight = np.random.default_rng(0).integers(-4, 4, (16, 8))
    weight[0] = -4
    weight[:, ::2] = 0
    builder = GraphBuilder()
    graph = builder.build(builder.add(Dense(weight), builder.input((16,), IntType(16, signed=True))))
    asked = choice.problem(graph, {}, 6, {})
    for one in asked.candidates["n0"]:
        assert min(one.cost.values()) >= 0
        if one.fold.pe == 8 and not one.fold.planes and one.fold.dsp:
            assert one.cost["dsp"] == 4 * one.fold.simd


def test_options_are_checked() -> None:
    assert Options(fastest=True).wanted is None
    assert Options(cycles=7).wanted == 7
    assert Options().wanted == 10_000
    assert Options().limits(BOARD) == {"dsp": BOARD.dsp, "bram36": BOARD.bram36, "lut": MARGIN * BOARD.lut}
    assert Options(dsp=3, fastest=True).limits(BOARD) == {"dsp": 3, "bram36": BOARD.bram36, "lut": MARGIN * BOARD.lut}
    assert Options(dsp=10**6).limits(BOARD)["dsp"] == BOARD.dsp
    assert Options().limits(boards.load("icebreaker")) == {"dsp": 8, "bram4": MARGIN * 30, "lut": MARGIN * 5280}
    assert math.isclose(Options().limits(boards.load("ulx3s-12f"))["bram36"], 32 / 2)
    for wrong in ({"dsp": -1}, {"dsp": True}, {"dsp": 1.5}):
        with pytest.raises(UserError, match="multiplier blocks are a whole number from 0 on"):
            Options(**wrong)
    assert Options(lut=500).limits(BOARD) == {**Options().limits(BOARD), "lut": 500}
    assert Options(lut=BOARD.lut).limits(BOARD) == Options().limits(BOARD)
    for wrong in ({"lut": 0}, {"lut": True}, {"lut": 1.5}):
        with pytest.raises(UserError, match="lookup tables are a whole number from 1 on"):
            Options(**wrong)
    with pytest.raises(UserError, match="fastest is True or False, not 1"):
        Options(fastest=1)
    with pytest.raises(UserError, match="cycles and fastest each say how fast a design is to be; give one of them"):
        Options(cycles=10_000, fastest=True)


def test_a_frame_rate_is_one_of_three_ways_to_say_how_fast() -> None:
    assert options.given("rtl", {"frames_per_second": 20_000.0}, "pynq-z2") == {"cycles": 5000}
    assert options.given("rtl", {"frames_per_second": 300.0, "dsp": 0}, "icebreaker") == {"cycles": 40_000, "dsp": 0}
    assert options.given("rtl", {"fastest": True, "cycles": None}, "pynq-z2") == {"fastest": True}
    with pytest.raises(UserError, match="--cycles and --fastest each say how fast a design is to be"):
        options.given("rtl", {"cycles": 5, "fastest": True}, "pynq-z2")
    with pytest.raises(UserError, match="more than a frame for each clock of pynq-z2, 100 MHz"):
        options.given("rtl", {"frames_per_second": 1e9}, "pynq-z2")
    for rate in (float("nan"), float("inf"), 1e-320):
        with pytest.raises(UserError, match="is no number of frames per second"):
            options.given("rtl", {"frames_per_second": rate}, "pynq-z2")
    with pytest.raises(UserError, match="--fps is for the rtl or finn backend"):
        options.given("hls4ml", {"frames_per_second": 1.0}, "pynq-z2")
