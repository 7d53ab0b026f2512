"""Estimates for iCE40 and Gowin: their memories, what nextpnr packs cells into, and the fit to what was measured."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from codesign import boards, estimate
from codesign.backends.rtl import estimation
from codesign.backends.rtl.calibration import apart, designs, measure, run
from codesign.backends.rtl.described import described
from codesign.backends.rtl.families import FAMILIES, logic_cells
from codesign.errors import UserError
from codesign.estimate import Census, blocks, memory, model
from codesign.estimate.technology import ECP5, GOWIN, ICE40, KNOWN
from codesign.toolchain import yosys


def cell(kind: str, inputs: dict[str, int | str], outputs: dict[str, int | str]) -> dict[str, Any]:
    """A cell as Yosys' JSON has it."""
    ports = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
    wires = {port: [wire] for port, wire in {**inputs, **outputs}.items()}
    return {"type": kind, "port_directions": ports, "connections": wires}


def table(out: int, *inputs: int | str) -> dict[str, Any]:
    """A lookup table of iCE40; what it does not read is 0, its last inputs come first."""
    wires: list[int | str] = ["0"] * (4 - len(inputs)) + list(inputs)
    return cell("SB_LUT4", dict(zip(("I0", "I1", "I2", "I3"), wires, strict=True)), {"O": out})


def register(out: int, value: int, kind: str = "SB_DFFESR") -> dict[str, Any]:
    """A flip-flop of iCE40 with a set or a reset."""
    return cell(kind, {"C": 901, "E": 900, kind[-1]: 902, "D": value}, {"Q": out})


def carry(out: int, start: int | str, *operands: int) -> dict[str, Any]:
    """A carry of iCE40."""
    return cell("SB_CARRY", {"I0": operands[0], "I1": operands[1], "CI": start}, {"CO": out})


def adder(bits: int, start: int | str = "0") -> list[dict[str, Any]]:
    """An adder whose sums go into flip-flops; bit b has the operands 101 + 4 b and 102 + 4 b and the carry 104 + 4 b.

    The carry of the last bit is not made, as Yosys removes what is not read.
    """
    found, before = [], start
    for bit in range(bits):
        a, b, total, after = (100 + 4 * bit + place for place in range(1, 5))
        found += [table(total, a, b, before), carry(after, before, a, b), register(total + 500, total)]
        before = after
    del found[-2]
    return found


def enabled_apart(cells: list[dict[str, Any]], *bits: int) -> list[dict[str, Any]]:
    """Give the flip-flops of some bits of an adder another enable."""
    for each in cells:
        if each["type"].startswith("SB_DFF") and (each["connections"]["D"][0] - 103) // 4 in bits:
            each["connections"]["E"] = [950]
    return cells


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # A table and the flip-flop behind it; two where something else reads the table as well.
        ([table(1, 2, 3), register(4, 1)], 1),
        ([table(1, 2, 3), register(4, 1), table(5, 1, 2)], 3),
        ([table(1, 2, 3), register(4, 1), register(5, 1)], 3),
        # A flip-flop alone.
        ([register(4, 1)], 1),
        # An adder: a cell for each bit, with its carry. One that begins with 1 is no other.
        (adder(4), 4),
        (adder(4, start="1"), 4),
        (adder(20), 20),
        # A first carry that is a signal comes in through a feed-in cell.
        (adder(4, start=99), 5),
        # The carry in the middle is read by a table as well: a feed-out cell.
        ([*adder(4), table(300, 108, 301, "0", "0")], 6),
        # A carry that only the last table of the chain adds needs none, and one that another table reads does.
        ([carry(1, "0", 2, 3), table(300, 1)], 2),
        ([carry(1, "0", 2, 3), table(300, 1, 301, "0", "0")], 3),
        # A carry without a sum is a cell of its own, which takes in a table that makes an operand of it.
        ([carry(1, "0", 2, 3), table(2, 5, 6), table(300, 1)], 2),
        ([carry(1, "0", 2, 3), table(2, 4, 5, 6), table(300, 1)], 3),
        # The table that was taken in may add the carry before.
        ([carry(10, "0", 1, 2), table(50, 3, 10), carry(20, 10, 50, 4), table(60, 20)], 3),
        # Two carries begin with the same one, which is fed out; the second one is fed in and out again.
        ([carry(10, "0", 1, 2), carry(20, 10, 3, 4), carry(30, 10, 5, 6), table(60, 20), table(61, 30)], 5 + 3),
        # The first table of a chain reads its last carry: no table is followed twice.
        ([table(50, 1, 2, 30), carry(10, "0", 1, 2), carry(20, 10, 3, 4), carry(30, 20, 5, 6)], 4),
        # Set and reset of one wire share a tile; another enable parts a chain, but not where a tile ends.
        ([*adder(3)[:-1], register(611, 111, kind="SB_DFFESS")], 3),
        (enabled_apart(adder(4), 2, 3), 4 + 2),
        (enabled_apart(adder(4), 3), 4 + 1),
        (enabled_apart(adder(9), 8), 9),
    ],
)
def test_logic_cells_are_packed_as_nextpnr_packs_them(cells: list[dict[str, Any]], expected: int) -> None:
    assert logic_cells.count(cells) == expected


def test_cells_of_ice40_are_counted() -> None:
    places = FAMILIES["ice40"].places
    assert places is not None
    cells = [*adder(4), cell("SB_RAM40_4K", {}, {}), cell("SB_MAC16", {}, {})]
    found = places(Counter(each["type"] for each in cells), cells)
    assert (found.lut, found.ff, found.bram36, found.dsp, found.carry) == (4, 4, pytest.approx(1 / 9), 1, 3)
    with pytest.raises(UserError, match="cells that nobody counts: SB_SPRAM256KA"):
        places({"SB_SPRAM256KA": 1, "SB_DFF": 2}, [])


def alu(out: int, start: int | str, total: int) -> dict[str, Any]:
    """A carry of Gowin."""
    return cell("ALU", {"I0": 1, "I1": 2, "CIN": start}, {"SUM": total, "COUT": out})


@pytest.mark.parametrize(
    ("cells", "luts", "registers"),
    [
        # Beside its table, or with one that hands the value on.
        ([cell("LUT2", {"I0": 1, "I1": 2}, {"F": 3}), cell("DFFE", {"D": 3}, {"Q": 4})], 1, 1),
        ([cell("DFFE", {"D": 3}, {"Q": 4})], 1, 1),
        # A table has one flip-flop beside it.
        ([cell("LUT1", {"I0": 1}, {"F": 3}), cell("DFF", {"D": 3}, {"Q": 4}), cell("DFF", {"D": 3}, {"Q": 5})], 2, 2),
        # A multiplexer of two tables has none.
        ([cell("MUX2_LUT5", {"I0": 1, "I1": 2, "S0": 3}, {"O": 4}), cell("DFF", {"D": 4}, {"Q": 5})], 1, 1),
        ([cell("RAM16SDP4", {}, {})], 4, 0),
        # Three carries with one in front are four; two make four as well.
        ([alu(10, "0", 11), alu(12, 10, 13), alu(14, 12, 15)], 4, 0),
        ([alu(10, "0", 11), alu(12, 10, 13)], 4, 0),
        # The last carry is read: two, one in front, one behind.
        ([alu(10, "0", 11), alu(12, 10, 13), cell("LUT1", {"I0": 12}, {"F": 3})], 4 + 1, 0),
        # Read in the middle, it ends the chain, and another one begins: one carry with two more, made even, and again.
        ([alu(10, "0", 11), alu(12, 10, 13), cell("LUT1", {"I0": 10}, {"F": 3})], 4 + 2 + 1, 0),
        # So it is where two carries follow.
        ([alu(10, "0", 11), alu(12, 10, 13), alu(14, 10, 15)], 4 + 2 + 2, 0),
        # A sum goes into the flip-flop beside it.
        ([alu(10, "0", 11), cell("DFF", {"D": 11}, {"Q": 5})], 2, 1),
    ],
)
def test_cells_of_gowin_are_counted_as_nextpnr_places_them(
    cells: list[dict[str, Any]], luts: int, registers: int
) -> None:
    places = FAMILIES["gowin"].places
    assert places is not None
    found = places(Counter(each["type"] for each in cells), cells)
    assert (found.lut, found.ff) == (luts, registers)


def test_blocks_of_gowin_are_counted() -> None:
    places = FAMILIES["gowin"].places
    assert places is not None
    found = places({"SPX9": 2, "SDPB": 1, "MULT18X18": 3, "MULT9X9": 1}, [])
    assert (found.bram36, found.dsp) == (1.5, 4)
    with pytest.raises(UserError, match="cells that nobody counts: PADD18"):
        places({"PADD18": 1}, [])


def test_small_memories_of_ice40_are_flip_flops() -> None:
    small, even, large = (memory.ICE40.either(words, width) for words, width in ((7, 8), (8, 8), (9, 8)))
    assert (small.registers, small.bram36, small.banks) == (56, 0, 7)
    # Of two that cost the same, Yosys takes flip-flops.
    assert (even.registers, even.bram36) == (64, 0)
    assert (large.registers, large.bram36) == (0, pytest.approx(4 / 36))
    assert memory.ICE40.distributed(9, 8) == large
    # What is read without a clock cannot be a block memory.
    assert memory.ICE40.unclocked(100, 30).registers == 3000


@pytest.mark.parametrize(
    ("words", "width", "cells"), [(256, 16, 1), (257, 16, 2), (512, 8, 1), (2048, 2, 1), (256, 17, 2)]
)
def test_block_memories_of_ice40_hold_four_kib(words: int, width: int, cells: int) -> None:
    assert memory.ICE40.block(words, width, writes=True).bram36 == pytest.approx(cells * 4 / 36)


def test_a_distributed_memory_of_gowin_costs_what_is_used_of_it() -> None:
    assert [memory.GOWIN.distributed(16, width).luts for width in (1, 4, 5)] == [4, 4, 8]
    assert [memory.GOWIN.distributed(16, width).cost for width in (1, 4, 5)] == [1, 4, 5]
    # As ECP5 chooses, but where a cell of its tables would hold a part of a word.
    assert memory.GOWIN.either(36, 32).bram36 == memory.ECP5.either(36, 32).bram36 == 0.5
    assert (memory.GOWIN.either(33, 31).bram36, memory.ECP5.either(33, 31).bram36) == (0, 0.5)


def test_all_block_memories_of_a_board_may_be_taken() -> None:
    board = boards.load("icebreaker")
    one = estimate.Amount(bram36=memory.ICE40.block(256, 16, writes=False).bram36)
    for number, exceeds in ((30, []), (31, ["bram36"])):
        taken = estimate.total([one] * number)
        found = estimation.Estimate(taken, (0, 0), (0, 0), 0.9, 1, 1, limits=board.limits)
        assert found.exceeds == exceeds


def test_flip_flops_take_tables_where_these_stand_before_them() -> None:
    found, other = Census(technology=GOWIN), Census(technology=ECP5)
    for census in (found, other):
        census.register(input=8)
    assert found.lut == {"through_input": 8}
    assert other.lut == {}
    priors = {name: model.priors("lut", KNOWN[name]) for name in ("gowin", "ecp5")}
    assert priors["gowin"]["add"].keys() - priors["ecp5"]["add"].keys() == {"through_register"}
    # A share of the flip-flops that an amount stands for.
    assert priors["gowin"]["uart_shell"]["through_control"] == 130 * priors["gowin"]["add"]["through_register"]


def test_blocks_of_ice40_take_registers_in_where_they_are_free() -> None:
    drawn = next(
        each
        for each in (designs.draw(seed, technology=ICE40) for seed in range(1000, 1020))
        if each.free and any(block.module == "dyadic" for _, block in apart.distinct(each.layout()))
    )
    block = next(block for _, block in apart.distinct(drawn.layout()) if block.module == "dyadic")
    free, plain = (
        blocks.module("dyadic").census(dataclasses.replace(described(block, True, free), technology=ICE40))
        for free in (True, False)
    )
    assert free.ff["block"] == plain.ff["product"]
    assert "product" not in free.ff


def test_a_block_rom_keeps_the_register_that_it_is_read_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it moved into a multiplier block, Yosys would find no block ROM without it and give up."""
    tool = yosys.locate()
    if tool is None:
        pytest.skip("needs Yosys, of the extra rtl")
    drawn = designs.draw(1000, technology=ICE40)
    layout = drawn.layout()
    name, block = next((name, each) for name, each in apart.distinct(layout) if each.module == "select_dyadic")
    assert (block.parameters["STYLE"], drawn.free) == ("block", True)
    monkeypatch.setattr(apart, "distinct", lambda _: [(name, block)])
    found = measure.blocks(tool, run.mapper("ice40"), drawn, layout, tmp_path)[name]
    assert (found.bram36, found.dsp) == (pytest.approx(6 / 9), 4)
