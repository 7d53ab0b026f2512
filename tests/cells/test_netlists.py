"""Netlists of every family, cell by cell, against golden; faults in their text are noticed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import cells, mapping
from codesign.backends.rtl.netlist import Netlist
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dense, Dyadic, Flatten, MaxPool, Threshold
from codesign.toolchain import verilator, yosys
from codesign.verify.compare import verify
from codesign.verify.frames import random_frames
from codesign.verify.random_graphs import random_graph

FIRST = int(os.environ.get("CODESIGN_SEED", "0"))
BOARDS = {"zynq-7000": "pynq-z2", "ecp5": "ulx3s-12f", "ice40": "icebreaker", "gowin": "tang-nano-20k"}


def small() -> Graph:
    """A dense layer and its activation."""
    rng = np.random.default_rng(1)
    builder = GraphBuilder("small")
    edge = builder.input((6,), IntType(3, signed=False))
    edge = builder.add(Dense(rng.integers(-2, 3, (6, 3)), bias=np.array([1, -2, 0])), edge)
    return builder.build(builder.add(Threshold(np.sort(rng.integers(-9, 9, (3, 3)), axis=1)), edge))


def wide() -> Graph:
    """What takes block memories and multiplier blocks: many wide weights, and a rescaling by wide factors."""
    rng = np.random.default_rng(2)
    builder = GraphBuilder("wide")
    edge = builder.input((64,), IntType(8, signed=False))
    edge = builder.add(Dense(rng.integers(-120, 120, (64, 24))), edge)
    factors = rng.integers(1, 1 << 15, 24), rng.integers(-1000, 1000, 24), np.full(24, 24)
    return builder.build(builder.add(Dyadic(*factors, IntType(8, signed=True)), edge))


def mixed() -> Graph:
    """A convolution with POST codes, a binary one, both added, pooled and classified."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder("mixed")
    x = builder.input((5, 5, 2), IntType(3, signed=False))
    post = np.array([0, 128, 181, 256, -128, -181, -256])
    left = builder.add(Conv2d(rng.integers(0, 7, (3, 3, 2, 3)), padding=1, codebook=post), x)
    left = builder.add(Threshold(np.sort(rng.integers(-2000, 2000, (3, 3)), axis=1)), left)
    right = builder.add(Conv2d(rng.integers(0, 2, (1, 1, 2, 3)), codebook=np.array([-1, 1])), x)
    right = builder.add(Threshold(np.sort(rng.integers(-9, 9, (3, 3)), axis=1)), right)
    edge = builder.add(MaxPool((2, 2)), builder.add(Add(), left, right))
    return builder.build(builder.add(Dense(rng.integers(-3, 4, (12, 4))), builder.add(Flatten(), edge)))


def deep() -> Graph:
    """A sum whose one side waits for a window of rows of the other: a FIFO, and a window, with block memory."""
    rng = np.random.default_rng(6)
    builder = GraphBuilder("deep")
    x = builder.input((6, 20, 4), IntType(8, signed=True))
    left = builder.add(Conv2d(rng.integers(-3, 4, (3, 3, 4, 4)), padding=1), x)
    left = builder.add(
        Dyadic(np.full(4, 200), np.zeros(4, dtype=np.int64), np.full(4, 11), IntType(8, signed=True)), left
    )
    return builder.build(builder.add(Add(), left, x))


def dense() -> Graph:
    """Two dense layers, whose products have room side by side in multiplier blocks."""
    rng = np.random.default_rng(4)
    builder = GraphBuilder("dense")
    edge = builder.input((16,), IntType(3, signed=False))
    edge = builder.add(Dense(rng.integers(-4, 4, (16, 6)), bias=rng.integers(-30, 30, 6)), edge)
    edge = builder.add(Threshold(np.sort(rng.integers(-60, 60, (6, 7)), axis=1)), edge)
    return builder.build(builder.add(Dense(rng.integers(-4, 4, (6, 4)), bias=rng.integers(-9, 9, 4)), edge))


# Blocks that add up columns, and blocks that accumulate.
PACKED = {"n0": {"pe": 6, "simd": 8, "chain": 4}, "n2": {"pe": 4, "simd": 1, "chain": 1}}
# Blocks that only multiply, three outputs of 3 bits in one; two twice in the second layer.
SHARED = {"n0": {"pe": 6, "simd": 2, "shared": True}, "n2": {"pe": 4, "simd": 2, "shared": True}}
SERIAL = {"n0": {"pe": 1, "simd": 1, "planes": 0}}
GRAPHS: dict[str, tuple[Callable[[], Graph], int, dict[str, Any]]] = {
    "small": (small, 200, {}),
    "wide": (wide, 3200, {"folds": SERIAL}),
    "packed": (dense, 100, {"folds": PACKED}),
    "shared": (dense, 100, {"folds": SHARED, "dsp": 8}),
    "deep": (deep, 1000, {}),
    "mixed": (mixed, 200, {}),
    "mixed, in parallel": (mixed, 1, {}),
}
Emit = Callable[[str, str], Netlist]


def needs_tools() -> None:
    if verilator.locate() is None or yosys.locate() is None or shutil.which("g++") is None:
        pytest.skip("needs Verilator and Yosys, which come with the extra rtl, and g++")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Emit:
    """Return a function that gives the netlist of a graph for a family, made once."""
    needs_tools()
    known: dict[tuple[str, str], Netlist] = {}

    def netlist(name: str, family: str) -> Netlist:
        if (name, family) not in known:
            graph, cycles, options = GRAPHS[name]
            folder = tmp_path_factory.mktemp("netlist") / "p"
            project = rtl.emit(graph(), boards.load(BOARDS[family]), folder, cycles=cycles, **options)
            known[name, family] = Netlist.of(project)
        return known[name, family]

    return netlist


class Paused:
    """A netlist whose source and sink pause at random, compiled for the sake of a few runs."""

    def __init__(self, netlist: Netlist, seed: int) -> None:
        self.netlist, self.seed = netlist, seed

    def run(self, x: np.ndarray, trace: bool = False) -> Any:
        return self.netlist.simulate(x, pauses=(60, 60), seed=self.seed, fast=False, limit=20_000).edges


def differences(netlist: Netlist, frames: int = 12) -> int:
    """Return how many integers of the output differ, with two choices of pauses and of first values."""
    x = random_frames(netlist.graph, frames, seed=1)
    results = [verify(netlist.graph, Paused(netlist, seed), x) for seed in (1, 2)]
    assert all(result.tensors == 1 and result.integers for result in results)
    return sum(result.differences for result in results)


def check(netlist: Netlist) -> None:
    """Fail unless a netlist gives golden's integers, at the pace that is promised."""
    assert differences(netlist) == 0
    counted = netlist.count_cycles(random_frames(netlist.graph, 4, seed=3), fast=False)
    assert counted, counted.sentence


QUICK = {"ice40"}


@pytest.mark.parametrize("family", [pytest.param(f, marks=[] if f in QUICK else [pytest.mark.slow]) for f in BOARDS])
def test_a_dense_layer(intact, family):
    netlist = intact("small", family)
    check(netlist)
    assert sum(netlist.mapped.cells.values()) > 30


@pytest.mark.slow
def test_ultrascale_is_synthesised_and_simulated_in_cells_of_7_series(tmp_path):
    needs_tools()
    project = rtl.emit(small(), boards.load("kv260"), tmp_path / "p")
    result = project.synth()
    assert (result.status, result.report.stage) == ("done", "logic synthesis in 7-series cells")
    netlist = Netlist.of(project)
    assert {"CARRY4", "LUT6", "FDRE"} <= set(netlist.mapped.cells)
    assert netlist.simulation.of == "Verilator, 7-series cells for zynq-ultrascale+"
    check(netlist)


@pytest.mark.slow
@pytest.mark.parametrize("family", BOARDS)
def test_block_memories_and_multipliers(intact, family):
    netlist = intact("wide", family)
    check(netlist)
    found = netlist.mapped.cells
    memory = {"zynq-7000": "RAMB", "ecp5": "DP16KD", "ice40": "SB_RAM40_4K", "gowin": "SPX9"}[family]
    multiplier = {"zynq-7000": "DSP48E1", "ecp5": "MULT18X18D", "ice40": "SB_MAC16", "gowin": "MULT18X18"}[family]
    for kind in (memory, multiplier):
        assert any(cell.startswith(kind) for cell in found), f"{kind} is not in {found}"


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_memories_that_are_written_and_read_in_the_same_clock(intact, family):
    """A word that is read while it is written is the complement of what it was, in the models of ECP5 and Gowin."""
    netlist = intact("deep", family)
    texts = {path.name: path.read_text() for path in netlist.folder.glob("*.sv")}
    depths = [int(depth) for text in texts.values() for depth in re.findall(r"\.DEPTH\((\d+)\)", text)]
    assert max(depths) > 64
    memory = {"ecp5": ("DP16KD", "PDPW16KD"), "ice40": ("SB_RAM40_4K",), "gowin": ("DPB", "DPX9B", "SDPB", "SDPX9B")}[
        family
    ]
    assert sum(netlist.mapped.cells.get(kind, 0) for kind in memory)
    check(netlist)


@pytest.mark.slow
def test_products_packed_in_multipliers(intact):
    """Three outputs in a block, then two; none is left to tables."""
    netlist = intact("packed", "zynq-7000")
    check(netlist)
    assert netlist.mapped.cells["DSP48E1"] == 2 * 8 + 2


@pytest.mark.slow
@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_multipliers_that_outputs_share(intact, family):
    """Three outputs in a block, or two; none is left to tables, and they are of the widest kind."""
    netlist = intact("shared", family)
    check(netlist)
    cell = {"ecp5": "MULT18X18D", "ice40": "SB_MAC16", "gowin": "MULT18X18"}[family]
    assert netlist.mapped.cells[cell] == 2 * 2 + 2 * 2


@pytest.mark.slow
def test_no_more_blocks_than_are_given(tmp_path):
    """Yosys would make blocks of all eight products where it moves registers into blocks."""
    needs_tools()
    rng = np.random.default_rng(5)
    builder = GraphBuilder()
    edge = builder.input((16,), IntType(8, signed=False))
    graph = builder.build(builder.add(Dense(rng.integers(-8, 8, (16, 4))), edge))
    options = {"dsp": 2, "folds": {"n0": {"pe": 2, "simd": 4, "planes": 0, "dsp": False}}}
    netlist = Netlist.of(rtl.emit(graph, boards.load("icebreaker"), tmp_path / "p", cycles=100, **options))
    check(netlist)
    assert netlist.mapped.cells["SB_MAC16"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed", "mixed, in parallel"])
@pytest.mark.parametrize("family", BOARDS)
def test_convolutions_codebooks_and_a_sum(intact, family, name):
    check(intact(name, family))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 16))
def test_random_graphs(tmp_path, seed):
    needs_tools()
    graph = random_graph(seed)
    family = list(BOARDS)[seed % len(BOARDS)]
    cycles = int(np.random.default_rng(seed).choice([50, 200, 1000]))
    print(f"seed {seed}, {family}, {cycles} cycles\n{graph}")
    check(Netlist.of(rtl.emit(graph, boards.load(BOARDS[family]), tmp_path / "p", cycles=cycles)))


def flipped(text: str, pattern: str, which: int, bit: int = 0) -> str:
    """Return the netlist with a bit of a number inverted: group 1, in hexadecimal, of match `which` of a pattern."""
    found = list(re.finditer(pattern, text))[which]
    number = f"{int(found[1], 16) ^ 1 << bit:0{len(found[1])}x}"
    return text[: found.start(1)] + number + text[found.end(1) :]


def inverted(text: str, pattern: str, which: int) -> str:
    """Return the netlist with all bits of a number inverted: group 1, in hexadecimal, of match `which` of a pattern."""
    found = list(re.finditer(pattern, text))[which]
    number = f"{int(found[1], 16) ^ (1 << 4 * len(found[1])) - 1:0{len(found[1])}x}"
    return text[: found.start(1)] + number + text[found.end(1) :]


def replaced(text: str, old: str, new: str, which: int) -> str:
    """Return the netlist with match `which` of a pattern replaced."""
    found = list(re.finditer(old, text))[which]
    return text[: found.start()] + found.expand(new) + text[found.end() :]


def enabled(text: str) -> str:
    return replaced(text, r"\.CE\((?!1'h1)[^()]+\)", ".CE(1'h1)", 0)


def set_by_reset(text: str) -> str:
    """Let a register become 1 at a reset."""
    return replaced(text, r"SB_DFF(E?)SR (\S+ +\([^;]*?)\.R\(", r"SB_DFF\1SS \2.S(", 0)


def swapped(text: str) -> str:
    """Exchange two inputs of a table that tells them apart."""
    table = r"LUT3 #\(\n\s*\.INIT\(8'h(?:ca|ac|b8|d8)\)\n\s*\) \S+ \([^;]*?"
    pins = r"\.I0\(([^()]+)\),\n(\s*)\.I1\(([^()]+)\),\n(\s*)\.I2\(([^()]+)\)"
    return replaced(text, f"({table}){pins}", r"\1.I0(\6),\n\3.I1(\4),\n\5.I2(\2)", 0)


# A fault in every kind of cell: graph, family, what becomes of the text of the netlist. In memories an upper bit of a
# weight, as the lowest ones vanish where sums are rescaled; of a table of iCE40 all bits, as some are met by no input.
FAULTS: dict[str, tuple[str, str, Callable[[str], str]]] = {
    "table": ("small", "ice40", lambda t: inverted(t, r"\.LUT_INIT\(16'h([0-9a-f]+)\)", 0)),
    "register set by a reset": ("small", "ice40", set_by_reset),
    "table of another": ("small", "zynq-7000", lambda t: flipped(t, r"LUT[456] #\(\n\s*\.INIT\(\d+'h([0-9a-f]+)\)", 0)),
    "swapped wires": ("mixed", "zynq-7000", swapped),
    "register that is always enabled": ("small", "zynq-7000", enabled),
    "carry into a sum": ("small", "zynq-7000", lambda t: replaced(t, r"\.CYINIT\(1'h0\)", ".CYINIT(1'h1)", 0)),
    "bit of a block memory": ("wide", "zynq-7000", lambda t: flipped(t, r"\.INIT_00\(256'h([0-9a-f]+)\)", 0, 6)),
    "bit of a block memory, iCE40": ("wide", "ice40", lambda t: flipped(t, r"\.INIT_0\(256'h([0-9a-f]+)\)", 0, 14)),
    "bit of a block memory, ECP5": ("wide", "ecp5", lambda t: flipped(t, r"\.INITVAL_00\(320'h([0-9a-f]+)\)", 0, 6)),
    "bit of a block memory, Gowin": ("wide", "gowin", lambda t: flipped(t, r"\.INIT_RAM_00\(288'h([0-9a-f]+)\)", 0, 6)),
    # The lowest bit of the second of three weights.
    "wire of a shared operand": ("shared", "ecp5", lambda t: replaced(t, r"\.A6\((?!1'h0)[^()]+\)", ".A6(1'h0)", 0)),
    "operand with a sign": ("wide", "ecp5", lambda t: replaced(t, r"\.SIGNEDA\(1'h0\)", ".SIGNEDA(1'h1)", 0)),
}
QUICK_FAULTS = {"table", "register set by a reset"}


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in QUICK_FAULTS else [pytest.mark.slow]) for fault in FAULTS]
)
def test_a_fault_in_a_netlist_is_noticed(intact, tmp_path, fault):
    name, family, change = FAULTS[fault]
    made = intact(name, family)
    path = made.mapped.path.relative_to(made.folder)
    shutil.copytree(made.folder, tmp_path / "p")
    netlist = Netlist(tmp_path / "p", made.graph)
    text = (tmp_path / "p" / path).read_text()
    broken = change(text)
    assert broken != text
    (tmp_path / "p" / path).write_text(broken)
    assert netlist.mapped.path == tmp_path / "p" / path
    try:
        found = differences(netlist)
    except UserError as error:
        # The network stands still.
        if "stopped after" not in str(error):
            raise
        found = 1
    assert found


KEPT = """\
module top (input logic clk, input logic [3:0] b, input logic c, input logic [6:0] x, output logic [7:0] q);
    (* keep *) logic [6:0] low;
    (* keep *) logic [3:0] high;
    (* keep *) logic [6:0] sum;
    localparam logic [15:0] T [7] = '{16'h9669, 16'h8e18, 16'h81f8, 16'hdaa2, 16'hd0f0, 16'hdf00, 16'h2000};
    assign sum = high + low;
    always_ff @(posedge clk) begin
        for (int i = 0; i < 7; i++) low[i] <= T[i][b];
        high <= {c, 3'b0};
        q <= x + sum;
    end
endmodule
"""


def test_no_wire_has_two_drivers(tmp_path):
    found = yosys.locate()
    if found is None:
        pytest.skip("needs Yosys, of the extra rtl")
    (tmp_path / "top.sv").write_text(KEPT)
    read = "read_slang --threads 1 --top top top.sv\n"
    found.script(tmp_path, read + mapping.two_steps("synth_ecp5 -nodsp", "top"))
    # Were the kept wires not let go, Yosys would make a netlist that computes something else, which is told.
    with pytest.raises(UserError, match="two drivers"):
        found.script(tmp_path, read + "synth_ecp5 -nodsp -top top")


def test_a_cell_without_a_model_is_named():
    with pytest.raises(UserError, match=r"no model simulates these cells of the netlist: PLL, URAM; verify"):
        cells.own(cells.family("zynq-7000"), ["LUT2", "URAM", "PLL", "RAMB18E1"])
    assert cells.own(cells.family("ice40"), ["SB_LUT4"]) == {}
    parts = {"block_memory.sv", "first_content.svh"}
    assert set(cells.own(cells.family("ecp5"), ["DP16KD", "LUT4"])) == {"DP16KD.sv", *parts}
    assert set(cells.own(cells.family("artix-7"), ["RAMB18E1"])) == {"RAMB18E1.sv", "block_ram.sv", *parts}


def test_the_cells_of_a_family_are_named():
    assert cells.words("ecp5") == "cells of ecp5"
    assert cells.words("zynq-ultrascale+") == "7-series cells for zynq-ultrascale+"


def test_a_family_without_models_is_told(tmp_path):
    board = msgspec.structs.replace(boards.load("zcu104"), family="versal")
    netlist = Netlist.of(rtl.emit(small(), board, tmp_path / "p"))
    with pytest.raises(UserError, match="netlists of versal are not simulated; choose a board of zynq-7000"):
        netlist.compile()


@pytest.mark.parametrize(("missing", "sentence"), [(yosys, "needs Yosys"), (verilator, "needs Verilator")])
def test_a_missing_tool_is_told(tmp_path, monkeypatch, missing, sentence):
    if verilator.locate() is None:
        pytest.skip("needs Verilator, of the extra rtl")
    monkeypatch.setattr(missing, "locate", lambda: None)
    netlist = Netlist.of(rtl.emit(small(), boards.load("pynq-z2"), tmp_path / "p"))
    with pytest.raises(UserError, match=sentence):
        netlist.compile()
    assert not (tmp_path / "p" / "build").exists()


def test_models_that_yosys_lacks_are_told(tmp_path):
    with pytest.raises(UserError, match=r"Yosys lacks .*cells_sim\.v"):
        cells.library(yosys.Yosys("yosys", "Yosys 0", tmp_path), cells.family("ice40"))
