"""Broken hardware of the rtl backend is noticed: a constant or a line changes, and verification says where."""

from __future__ import annotations

import dataclasses
import filecmp
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import RtlProject
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Add, Conv2d, Dyadic, Threshold
from codesign.toolchain import verilator
from codesign.verify.compare import compare, verify
from codesign.verify.frames import random_frames

sys.path.insert(0, str(Path(__file__).parent))

from test_mutations import adaptive_graph, graph


def pointwise_graph() -> Graph:
    """A fork and its join at one word per clock: n2 adds x0 to what n0 and n1 make of it."""
    rng = np.random.default_rng(5)
    builder = GraphBuilder()
    x = builder.input((3, 4, 2), IntType(4, signed=True))
    conv = builder.add(Conv2d(rng.integers(-3, 4, (1, 1, 2, 2))), x)
    other = builder.add(Dyadic(np.array([3, 5]), np.array([1, 2]), np.array([3, 3]), IntType(5, True)), conv)
    return builder.build(builder.add(Add(), other, x))


def codes_graph() -> Graph:
    """Weights that need no multiplier: n0 POST, n2 one bit."""
    rng = np.random.default_rng(6)
    builder = GraphBuilder()
    x = builder.input((4, 4, 2), IntType(3, signed=False))
    post = np.array([0, 128, 181, 256, -128, -181, -256])
    conv = builder.add(Conv2d(rng.integers(0, 7, (3, 3, 2, 4)), padding=1, codebook=post), x)
    bits = builder.add(Threshold(rng.integers(-900, 900, (4, 1))), conv)
    signs = rng.integers(0, 2, (3, 3, 4, 2))
    return builder.build(builder.add(Conv2d(signs, padding=1, codebook=np.array([-1, 1])), bits))


# Every kind of unit: one tap at a time and all of them, folded outputs and inputs, lanes that must be adapted.
FOLDS: dict[str, dict[str, dict[str, int | bool]]] = {
    "multipliers": {
        "n0": {"pe": 3, "simd": 2, "window": False, "planes": 0},
        "n1": {"pe": 3},
        "n2": {"pe": 1, "simd": 3, "window": True, "planes": 0},
        "n3": {"pe": 3},
        "n4": {"pe": 3},
        "n5": {"pe": 1},
        "n6": {"pe": 4, "simd": 3, "window": False, "planes": 0},
        "n7": {"pe": 2},
        "n9": {"pe": 1, "simd": 2, "planes": 0},
    },
    "lookup": {
        "n0": {"pe": 3, "simd": 2, "window": True, "planes": 2},
        "n2": {"pe": 3, "simd": 3, "window": False, "planes": 1},
        "n6": {"pe": 1, "simd": 3, "window": True, "planes": 1},
        "n9": {"pe": 1, "simd": 2, "planes": 1},
    },
    "packed": {
        "n0": {"pe": 3, "simd": 2, "window": False, "chain": 2},
        "n2": {"pe": 3, "simd": 3, "window": False, "chain": 3},
        "n6": {"pe": 4, "simd": 1, "window": False, "chain": 1},
        "n9": {"pe": 3, "simd": 2, "chain": 2},
    },
    "shared": {
        "n0": {"pe": 3, "simd": 2, "window": False, "shared": True},
        "n2": {"pe": 3, "simd": 3, "window": False, "shared": True},
        "n6": {"pe": 4, "simd": 1, "window": False, "shared": True},
    },
    "adaptive": {
        "n0": {"pe": 1},
        "n2": {"pe": 1, "simd": 1, "planes": 0},
        "n4": {"pe": 1},
        "n5": {"pe": 1},
        "n6": {"pe": 2, "simd": 2, "window": False, "planes": 0},
        "n7": {"pe": 2},
    },
    "codes": {
        "n0": {"pe": 2, "simd": 2, "window": True, "planes": 0, "dsp": False},
        "n2": {"pe": 1, "simd": 4, "window": False, "planes": 0},
    },
    "full rate": {},
}
GRAPHS = {
    "multipliers": graph,
    "lookup": graph,
    "packed": graph,
    "shared": graph,
    "codes": codes_graph,
    "adaptive": adaptive_graph,
    "full rate": pointwise_graph,
}


def emitted(name: str, network: Graph, folder: Path) -> RtlProject:
    board, more = ("ulx3s-85f", {"dsp": 156}) if name == "shared" else ("pynq-z2", {})
    cycles = 1 if name == "full rate" else 200
    return rtl.emit(network, boards.load(board), folder, cycles=cycles, folds=FOLDS[name], **more)


@pytest.fixture(scope="module")
def intact(tmp_path_factory) -> Callable[[str], RtlProject]:
    """Return a function that gives the project of a name, compiled and found exact."""
    if verilator.locate() is None:
        pytest.skip("Verilator is missing; it comes with the extra rtl")
    known: dict[str, RtlProject] = {}

    def project(name: str) -> RtlProject:
        if name not in known:
            known[name] = emitted(name, GRAPHS[name](), tmp_path_factory.mktemp("rtl") / "intact")
            assert caught(known[name]) is None
        return known[name]

    return project


@pytest.fixture
def copied(intact, tmp_path) -> Callable[[str], RtlProject]:
    """Return a function that gives a copy of a project, with what was compiled of it."""

    def project(name: str) -> RtlProject:
        shutil.copytree(intact(name).folder, tmp_path / "project")
        return RtlProject(tmp_path / "project", intact(name).graph)

    return project


class Paused:
    """A project whose source and sink pause at random, compiled for the sake of a few runs."""

    def __init__(self, project: RtlProject, pauses: tuple[int, int]) -> None:
        self.project, self.pauses = project, pauses

    def run(self, x: np.ndarray, trace: bool = False) -> Any:
        return self.project.simulate(x, trace=trace, pauses=self.pauses, fast=False, limit=20_000).edges


# At random, and a sink so slow that every stream is held up.
PAUSES = [(60, 60), (0, 255)]


def caught(project: RtlProject) -> str | None:
    """Return how a fault is noticed: the node that verification names, "stuck" when the network stands still, "cycles"
    when frames take longer than promised; None when it is not.
    """
    x = random_frames(project.graph, 24, seed=1)
    try:
        results = [verify(project.graph, Paused(project, pauses), x) for pauses in PAUSES]
    except UserError as error:
        if "stopped after" not in str(error):
            raise
        return "stuck"
    for result in results:
        if result.first_difference is not None:
            return result.first_difference.node
    return None if project.count_cycles(x, fast=False) else "cycles"


def changed(network: Graph, name: str, field: str, element: tuple[int, ...], change: Callable[[int], int]) -> Graph:
    """Return the graph with one constant changed."""
    nodes = []
    for node in network:
        if node.name == name:
            table = np.array(getattr(node.op, field))
            table[element] = change(int(table[element]))
            node = dataclasses.replace(node, op=dataclasses.replace(node.op, **{field: table}))
        nodes.append(node)
    builder = GraphBuilder()
    for edge in network.inputs:
        builder.input(network.edges[edge].shape, network.edges[edge].type)
    for node in nodes:
        builder.add(node.op, *node.inputs)
    return builder.build(*network.outputs)


def seed_constant(project: RtlProject, name: str, other: Graph, folder: Path) -> list[str]:
    """Put the files in which a constant of another graph lies into a project, and return their names."""
    assert dict(other.edges) == dict(project.graph.edges), "the change must fit the types of the edges"
    source = emitted(name, other, folder)
    about = {"graph.cdg", "map.json", "files.sha256"}
    files = [path.name for path in source.folder.iterdir() if path.is_file() and path.name not in about]
    different = [f for f in files if not filecmp.cmp(source.folder / f, project.folder / f, shallow=False)]
    for file in different:
        shutil.copyfile(source.folder / file, project.folder / file)
    return different


CONSTANTS = [
    ("multipliers", "n0", "weight", (1, 2, 0, 1), lambda w: w ^ 1, "weight"),
    ("multipliers", "n0", "weight", (0, 0, 1, 2), lambda w: -w, "sign of a weight"),
    ("multipliers", "n0", "bias", (2,), lambda b: b + 1, "bias"),
    ("multipliers", "n1", "thresholds", (1, 1), lambda t: t + 3, "threshold"),
    ("multipliers", "n2", "weight", (2, 0, 1, 1), lambda code: (code + 1) % 3, "codebook code"),
    ("multipliers", "n2", "codebook", (1,), lambda value: value + 1, "codebook entry"),
    ("multipliers", "n3", "multiplier", (1,), lambda m: m + 1, "multiplier"),
    ("multipliers", "n3", "bias", (0,), lambda b: b - 3, "rounding constant"),
    ("multipliers", "n3", "shift", (2,), lambda s: s - 1, "shift"),
    ("multipliers", "n5", "thresholds", (0, 0), lambda t: t - 1, "threshold of all channels"),
    ("multipliers", "n6", "weight", (0, 1, 2, 3), lambda w: 1 - w, "binary weight"),
    ("multipliers", "n9", "weight", (3, 2), lambda w: w + 1, "dense weight"),
    ("multipliers", "n9", "bias", (1,), lambda b: b + 1, "dense bias"),
    ("adaptive", "n3", "thresholds", (0, 1), lambda t: t + 40, "threshold of the index"),
    ("adaptive", "n5", "thresholds", (1, 1, 0), lambda t: t + 3, "threshold of an entry"),
    ("adaptive", "n6", "weight", (1, 1, 1, 2), lambda code: (code + 1) % 9, "POST code"),
    ("adaptive", "n6", "codebook", (4,), lambda value: value - 1, "POST codebook entry"),
    ("adaptive", "n6", "bias", (1,), lambda b: b + 9, "POST bias"),
    ("adaptive", "n7", "multiplier", (1, 1), lambda m: m + 9, "multiplier of an entry"),
    ("adaptive", "n7", "bias", (2, 2), lambda b: b + 4000, "rounding constant of an entry"),
    ("adaptive", "n7", "shift", (0, 0), lambda s: s - 1, "shift of an entry"),
    ("lookup", "n0", "weight", (1, 2, 0, 1), lambda w: w ^ 1, "looked-up weight"),
    ("lookup", "n2", "codebook", (1,), lambda value: value + 1, "looked-up codebook entry"),
    ("lookup", "n6", "weight", (0, 1, 2, 3), lambda w: 1 - w, "looked-up binary weight"),
    ("lookup", "n9", "bias", (1,), lambda b: b + 1, "looked-up bias"),
]
# Weights that are looked up lie in the sources, which must be compiled anew.
QUICK_CONSTANTS = {"looked-up bias"}


@pytest.mark.parametrize(
    ("name", "node", "field", "element", "change"),
    [
        pytest.param(
            *fault, id=label, marks=[] if fault[0] != "lookup" or label in QUICK_CONSTANTS else [pytest.mark.slow]
        )
        for *fault, label in CONSTANTS
    ],
)
def test_a_changed_constant(copied, tmp_path, name, node, field, element, change):
    project = copied(name)
    other = changed(project.graph, node, field, element, change)
    files = seed_constant(project, name, other, tmp_path / "other")
    assert files
    assert all(file.startswith(f"{node}_") for file in files)
    assert caught(project) == node


# Project, file, the text in it and what takes its place, and how that is noticed.
SOURCES = [
    ("multipliers", "threshold.sv", "value >= $signed", "value > $signed", "n1", "comparison"),
    ("multipliers", "threshold.sv", "y = Y'(OFFSET);", "y = Y'(OFFSET + 1);", "n1", "offset"),
    ("multipliers", "threshold.sv", "T'($signed(x[i*X+:X]))", "T'(x[i*X+:X])", "n1", "sign of thresholds"),
    ("multipliers", "dyadic.sv", "product + WIDE'(kept_constant)", "product", "n3", "no rounding constant"),
    ("multipliers", "dyadic.sv", ": shifted > WIDE'(HIGH) ? Y'(HIGH)", "", "n3", "no upper clamp"),
    ("multipliers", "dyadic.sv", "wide >>> kept_shift", "wide >> kept_shift", "n3", "unsigned shift"),
    ("multipliers", "add.sv", "left + right", "left - right", "n4", "difference"),
    (
        "multipliers",
        "add.sv",
        "wire advance = !out_valid || out_ready;",
        "wire advance = 1'b1;",
        "stuck",
        "ready of add",
    ),
    (
        "multipliers",
        "add.sv",
        "assign b_ready = advance && a_valid;",
        "assign b_ready = advance;",
        "stuck",
        "valid of add",
    ),
    ("multipliers", "mvau_control.sv", "count == '0})", "count == COUNT'(1)})", "n0", "start of a sum"),
    ("multipliers", "mvau_control.sv", "COUNT'(FOLD_IN - 1)", "COUNT'(FOLD_IN - 2)", "stuck", "end of a sum"),
    (
        "multipliers",
        "mvau.sv",
        "PRODUCT'($signed(weights[(p*SIMD+s)*W+:W]))",
        "PRODUCT'(weights[(p*SIMD+s)*W+:W])",
        "n0",
        "sign of weights",
    ),
    ("multipliers", "mvau.sv", "weights[(p*SIMD+s)*W+:W]", "weights[(s*PE+p)*W+:W]", "n0", "swapped folds"),
    ("multipliers", "mvau_control.sv", "DEPTH'({valid, in_valid})", "DEPTH'({valid, 1'b1})", "n2", "valid of inputs"),
    ("multipliers", "mvau.sv", "open ? start : accumulator", "accumulator", "n0", "old sum"),
    ("multipliers", "sum_tree.sv", "sums[(2*i+1)*(BITS-1)+:BITS-1]", "sums[2*i*(BITS-1)+:BITS-1]", "n0", "operand"),
    ("multipliers", "rom.sv", "assign data = words[taken];", "assign data = words[address];", "n0", "late address"),
    ("multipliers", "window_serial.sv", "masked <= y < 0 ||", "masked <= y <= 0 ||", "n0", "row of padding"),
    ("multipliers", "window_serial.sv", "x >= x_t'(COLUMNS_IN)", "x > x_t'(COLUMNS_IN)", "n0", "column of padding"),
    (
        "multipliers",
        "window_serial.sv",
        "assign in_ready = filled != FILLED'(ROWS);",
        "assign in_ready = 1'b1;",
        "stuck",
        "ready of the buffer",
    ),
    (
        "multipliers",
        "window_serial.sv",
        "filled >= FILLED'(wanted)",
        "filled + 1'b1 >= FILLED'(wanted)",
        "n6",
        "row too early",
    ),
    ("multipliers", "window_parallel.sv", "LEFT'(STRIDE_W) :", "LEFT'(STRIDE_W + 1) :", "stuck", "stride"),
    (
        "multipliers",
        "window_parallel.sv",
        "columns[c*COLUMN+k*WIDTH+:WIDTH]",
        "columns[k*COLUMN+c*WIDTH+:WIDTH]",
        "n2",
        "transposed window",
    ),
    (
        "multipliers",
        "window_parallel.sv",
        "moved = read_valid && (!read_full || !out_valid || sent)",
        "moved = read_valid",
        "stuck",
        "window sent too seldom",
    ),
    ("multipliers", "pool_rows.sv", "Y'(earlier + value)", "Y'(value)", "n7", "no partial sum"),
    (
        "multipliers",
        "pool_rows.sv",
        "wire first = tap_y == 0 && tap_x == 0;",
        "wire first = tap_y == 0;",
        "n7",
        "first of a window",
    ),
    ("multipliers", "lane_adapter.sv", "parts >> (OUT * BITS)", "parts >> (OUT * BITS + 1)", "n5", "shift of lanes"),
    (
        "multipliers",
        "lane_adapter.sv",
        "left == COUNT'(1) && out_ready",
        "left == COUNT'(1)",
        "stuck",
        "ready of lanes",
    ),
    (
        "multipliers",
        "lane_adapter.sv",
        "assign in_ready = !last || taken;",
        "assign in_ready = 1'b1;",
        "stuck",
        "ready of wider lanes",
    ),
    ("multipliers", "stream_fifo.sv", "COUNT'(DEPTH);", "COUNT'(DEPTH + 1);", "n0", "overflow"),
    (
        "multipliers",
        "stream_fifo.sv",
        "else if (push && !pop) count",
        "else if (push) count",
        "stuck",
        "count of words",
    ),
    (
        "multipliers",
        "stream_fifo.sv",
        "pop) front <= count == COUNT'(1) ? in_data : back",
        "pop) front <= back",
        "n0",
        "word in front",
    ),
    ("multipliers", "stream_fork.sv", "{N{in_valid}} & ~done", "{N{in_valid}}", "n2", "word read twice"),
    ("multipliers", "stream_fork.sv", "in_ready = &(done | out_ready)", "in_ready = |out_ready", "stuck", "word lost"),
    ("multipliers", "network.sv", "{n4_i1_valid, n2_i0_valid}", "{n2_i0_valid, n4_i1_valid}", "n2", "swapped readers"),
    ("multipliers", "n4_unit.sv", ".a_data(i0_fifo_data)", ".a_data(i1_fifo_data)", "n4", "swapped operand"),
    (
        "multipliers",
        "n3_unit.sv",
        ".in_data(i0_fifo_data)",
        ".in_data({i0_fifo_data[8:2], i0_fifo_data[0], i0_fifo_data[1]})",
        "n3",
        "swapped wires",
    ),
    ("multipliers", "network.sv", ".out_ready(n1_ready)", ".out_ready(1'b1)", "stuck", "ready of a node"),
    ("multipliers", "n7_unit.sv", ".in_valid(i0_fifo_valid)", ".in_valid(1'b1)", "stuck", "valid of a node"),
    ("adaptive", "n5_unit.sv", ".DEPTH(53)) i0_queue", ".DEPTH(40)) i0_queue", "stuck", "less than a frame"),
    ("adaptive", "frame_index.sv", "COUNT'(WORDS - 1)", "COUNT'(WORDS)", "n5", "length of a frame"),
    (
        "adaptive",
        "frame_index.sv",
        "assign index_ready = !next_known;",
        "assign index_ready = 1'b1;",
        "stuck",
        "lost index",
    ),
    (
        "adaptive",
        "frame_index.sv",
        "out_valid = in_valid && known",
        "out_valid = in_valid",
        "stuck",
        "no wait for the index",
    ),
    ("adaptive", "select_threshold.sv", ".entry(CHOICE'(entry))", ".entry('0)", "n5", "always the first entry"),
    ("adaptive", "threshold.sv", "ADDRESS'(entry) * ADDRESS'(FOLD)", "ADDRESS'(entry)", "n5", "address of an entry"),
    ("adaptive", "dyadic.sv", "wide >>> kept_shift", "wide >>> shift", "n7", "shift of the next word"),
    ("lookup", "mvau_planes.sv", "accumulator << PLANES", "accumulator << 1", "n0", "weight of a plane"),
    ("lookup", "mvau_planes.sv", "(X_SIGNED ? X'(1 << (X - 1)) : '0)", "'0", "n0", "sign bit"),
    ("lookup", "mvau_planes.sv", "in_data[s*X+:X]", "in_data[(SIMD-1-s)*X+:X]", "n0", "swapped inputs"),
    ("lookup", "mvau_planes.sv", "opens[DEPTH-1] ? '0 :", "", "n0", "old looked-up sum"),
    ("packed", "mvau_packed.sv", "HALVES + TOTAL'(m)", "TOTAL'(m)", "n0", "borrowing fields"),
    ("packed", "mvau_packed.sv", "BITS'($signed(weights", "BITS'((weights", "n0", "sign of digits"),
    ("packed", "mvau_packed.sv", "INPUT'({1'b0, x[S*X+:X]})", "INPUT'($signed(x[S*X+:X]))", "n2", "packed inputs"),
    ("packed", "mvau_packed.sv", "(open ? start : total)", "total", "n6", "old sum of a block"),
    ("packed", "mvau_packed.sv", "+:ACC])) ^ HALF", "+:ACC]))", "n6", "start of a field"),
    ("shared", "mvau_shared.sv", "m[(k==0 ? 1 : k)*FIELD-1]", "1'b0", "n0", "borrowed bit of a field"),
    ("shared", "mvau_shared.sv", "INPUT'({1'b0, x[s*X+:X]})", "INPUT'($signed(x[s*X+:X]))", "n2", "shared inputs"),
    ("shared", "mvau_shared.sv", "{open ? start : accumulator, 1'b1}", "{accumulator, 1'b1}", "n0", "old shared sum"),
    ("shared", "carry_tree.sv", "{BITS'(b), level[l-1].left[2*i]}", "{BITS'(b), 1'b0}", "n0", "carry into a sum"),
    ("shared", "carry_tree.sv", "handed[i] = level[l-1].left[2*i+1]", "handed[i] = 1'b0", "n0", "carry behind a sum"),
    ("codes", "mvau_shift.sv", "value << shift", "value", "n0", "shift of a product"),
    ("codes", "mvau_shift.sv", "(shifted ^ {TERM{negative}})", "shifted", "n0", "sign of a product"),
    ("codes", "mvau_shift.sv", "second == (j == 1) &&", "", "n0", "sum of a product"),
    ("codes", "mvau_shift.sv", "take = !out_valid || out_ready", "take = 1'b1", "stuck", "output that waits"),
    ("codes", "mvau_binary.sv", "x[s*X+:X] ~^ {X{weight}}", "x[s*X+:X] ^ {X{weight}}", "n2", "sense of a bit"),
    ("codes", "mvau_binary.sv", "a ^ b ^ c}", "a ^ b}", "n2", "third of a count"),
    ("full rate", "n2_unit.sv", ".DEPTH(12)) i1_queue", ".DEPTH(11)) i1_queue", "cycles", "one too shallow"),
    ("full rate", "n1_unit.sv", ".DEPTH(2)) i0_queue", ".DEPTH(1)) i0_queue", "cycles", "one word at a time"),
]
QUICK_SOURCES = {"comparison", "word lost", "swapped wires", "one too shallow"}


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "how"),
    [
        pytest.param(*fault, id=label, marks=[] if label in QUICK_SOURCES else [pytest.mark.slow])
        for *fault, label in SOURCES
    ],
)
def test_a_changed_source(copied, name, file, old, new, how):
    project = copied(name)
    path = project.folder / file
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    assert caught(project) == how


# Bits of a word of each memory file, and a bit that cannot matter: with an even multiplier sums are as even as the
# constant less its lowest bit, and a shift drops that.
WIDTHS = {
    "n0_weights.mem": 18,
    "n0_biases.mem": 30,
    "n1_thresholds.mem": 99,
    "n2_weights.mem": 108,
    "n3_constants.mem": 39,
    "n5_thresholds.mem": 8,
    "n6_weights.mem": 12,
    "n6_biases.mem": 20,
    "n9_weights.mem": 10,
    "n9_biases.mem": 15,
}
EQUIVALENT = {("n3_constants.mem", 0, 18)}


@pytest.mark.slow
def test_every_bit_of_every_memory_file(copied):
    project = copied("multipliers")
    x = random_frames(project.graph, 24, seed=1)
    expected = golden.run(project.graph, x, trace=True)
    assert {path.name for path in project.folder.glob("*.mem")} == set(WIDTHS)
    unnoticed = set()
    for file, width in WIDTHS.items():
        path = project.folder / file
        text = path.read_text()
        words = text.split()
        for number, word in enumerate(words):
            for bit in range(width):
                other = [*words]
                other[number] = f"{int(word, 16) ^ 1 << bit:0{len(word)}x}"
                path.write_text("\n".join(other) + "\n")
                found = project.simulate(x, trace=True, fast=False)
                result = compare(project.graph, expected, found.edges)
                if result.first_difference is None:
                    unnoticed.add((file, number, bit))
                else:
                    assert result.first_difference.node == file.split("_")[0]
        path.write_text(text)
    assert unnoticed == EQUIVALENT
