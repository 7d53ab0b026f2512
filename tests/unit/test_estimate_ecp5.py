"""Estimates for ECP5: its memories, multiplier blocks and carry chains, and the fit to what was measured."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from codesign import boards, estimate
from codesign.backends.rtl import estimation, mapping
from codesign.backends.rtl.calibration import apart, designs, mappers, records, run
from codesign.backends.rtl.described import described, forks, shell
from codesign.backends.rtl.families import FAMILIES
from codesign.errors import UserError
from codesign.estimate import Block, Census, blocks, memory, model, multiply
from codesign.estimate.technology import ECP5, XC7

BOARD = boards.load("ulx3s-85f")


@pytest.fixture(scope="module")
def known() -> estimate.Model:
    return estimate.load("ecp5")


def block(free: bool = False) -> Block:
    return Block("mvau", {}, lambda file, width: np.zeros((1, width)), free=free, technology=ECP5)


def test_a_distributed_memory_holds_sixteen_words_of_four_bits() -> None:
    assert [memory.ECP5.distributed(16, width).luts for width in (1, 4, 5)] == [6, 6, 12]
    assert (memory.ECP5.distributed(17, 4).luts, memory.ECP5.distributed(17, 4).banks) == (12, 2)


def test_a_wide_memory_of_a_few_words_is_a_block() -> None:
    small, large = memory.ECP5.either(19, 4), memory.ECP5.either(36, 32)
    assert (small.luts, small.bram36) == (12, 0)
    assert (large.luts, large.bram36) == (0, 0.5)


@pytest.mark.parametrize(
    ("x", "signed", "w", "taken", "free"),
    [
        (5, True, 5, True, True),
        # Unsigned: a bit more.
        (4, False, 5, True, True),
        (8, True, 4, False, True),
        (2, False, 3, False, True),
        (2, True, 3, False, False),
        (8, True, 1, False, False),
    ],
)
def test_what_takes_a_multiplier_block(x: int, signed: bool, w: int, taken: bool, free: bool) -> None:
    assert multiply.takes_block(block(), x, signed, w) is taken
    assert multiply.takes_block(block(free=True), x, signed, w) is free
    assert not multiply.takes_block(replace(block(free=True), dsp=False), x, signed, w)


def test_wide_products_take_several_blocks_but_none_for_a_single_bit() -> None:
    assert [multiply.blocks(ECP5, a, 9) for a in (18, 19, 20, 24, 36)] == [1, 1, 2, 2, 2]
    assert multiply.blocks(ECP5, 20, 20) == 4
    # Yosys 0.70, synth_xilinx.
    assert [multiply.blocks(XC7, a, b) for a, b in ((25, 18), (26, 10), (25, 19), (43, 10))] == [1, 2, 2, 3]


def test_chains_are_counted_from_five_bits_on_and_not_for_7_series() -> None:
    found, other = Census(technology=ECP5), Census(technology=XC7)
    for census in (found, other):
        census.carry("adder", 4, 5, 8, count=3)
    assert found.lut == {"adder": 51, "chain": 6}
    assert other.lut == {"adder": 51}


def test_each_family_has_the_unit_that_its_blocks_are_for(known: estimate.Model) -> None:
    other = estimate.load("zynq-7000")
    assert "mvau_shared" in known.fit.lut
    assert "mvau_packed" not in known.fit.lut
    assert "mvau_packed" in other.fit.lut
    assert "mvau_shared" not in other.fit.lut
    assert "chain" not in other.fit.lut["add"]


@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_all_that_a_census_counts_has_a_coefficient(family: str) -> None:
    known = estimate.load(family)
    seen = set()
    for seed in (17, 28, 38, 76):
        drawn = designs.draw(seed, technology=known.technology)
        layout = drawn.layout()
        parts = [described(part, drawn.dsp, drawn.free) for _, part in apart.distinct(layout)]
        for part in [*parts, *forks(layout), shell(layout, 217, led_low=False)]:
            census, group = known.census(part), model.owner(part.module)
            assert census.lut.keys() <= known.fit.lut[group].keys(), part.module
            assert census.ff.keys() <= known.fit.ff[group].keys(), part.module
            assert min([*census.lut.values(), *census.ff.values()]) >= 0
            seen.add(part.module)
    assert seen == blocks.names() - {"mvau_packed"}


def test_designs_for_multiplications_alone_share_blocks_where_these_are_free() -> None:
    drawn = [designs.draw(seed, technology=ECP5) for seed in range(12)]
    shared = [any(fold.shared for fold in each.folds.values()) for each in drawn]
    assert any(shared)
    assert all(each.free or not one for each, one in zip(drawn, shared, strict=True))
    assert not any(fold.chain for each in drawn for fold in each.folds.values())
    assert not designs.draw(5).free


def test_products_take_blocks_while_there_are_any_whatever_the_folds_say(known: estimate.Model) -> None:
    drawn = next(
        each
        for each in (designs.draw(seed, technology=ECP5) for seed in range(1000, 1020))
        if each.dsp and estimation.of_layout(each.layout(), BOARD, known).amount.dsp > 1
    )
    layout = drawn.layout()
    whole = estimation.of_layout(layout, BOARD, known)
    soft = replace(layout, folds={node: replace(fold, dsp=False) for node, fold in layout.folds.items()})
    assert estimation.of_layout(soft, BOARD, known).amount == whole.amount
    # With fewer blocks there are more tables, block by block.
    sizes = [estimation.of_layout(layout, BOARD, known, count).amount for count in range(whole.amount.dsp + 1)]
    assert [each.dsp for each in sizes] == list(range(whole.amount.dsp + 1))
    assert all(few.lut > more.lut for few, more in itertools.pairwise(sizes))
    assert sizes[-1] == whole.amount


def products(generator: np.random.Generator) -> dict[str, list[tuple[int, int, bool, int]]]:
    """Operands of multiplications by node, whether outputs share them, and how many; no two of one size."""
    found: dict[str, list[tuple[int, int, bool, int]]] = {f"n{node}": [] for node in range(4)}
    # Which of several of one size comes first is the mapping's own affair.
    sizes = {int(a * b): (int(a), int(b)) for a, b in generator.integers(5, 40, (8, 2))}
    for a, b in sizes.values():
        one = a, b, bool(generator.random() < 0.3), int(generator.integers(1, 4))
        found[f"n{generator.integers(4)}"].append(one)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_given_out_as_the_mapping_gives_them(seed: int) -> None:
    generator = np.random.default_rng(seed)
    drawn, wanted, dump = products(generator), {}, ""
    for node, own in drawn.items():
        census = Census(technology=ECP5)
        for place, (a, b, shared, count) in enumerate(own):
            multiply.into_blocks(census, count, a, b, shared)
            mark = f"    attribute \\{mapping.SHARED} 1\n" if shared else ""
            widths = f"    parameter \\A_WIDTH {a}\n    parameter \\B_WIDTH {b}\n"
            for number in range(count):
                name = f"${node}_{place}_{number}"
                dump += f"\n{mark}  cell $mul {name}\n{widths}    connect \\A \\a\n    connect \\B \\b\n  end\n"
        wanted[node] = census.products
    for blocks_left in range(40):
        chosen = mapping.choose(dump, FAMILIES["ecp5"].dsp_bits, blocks_left)
        expected = dict.fromkeys(drawn, 0)
        for name in chosen:
            node, place, _ = name[1:].split("_")
            a, b, _, _ = drawn[node][int(place)]
            expected[node] += multiply.blocks(ECP5, a, b)
        assert estimation.given_out(wanted, blocks_left) == expected


@pytest.mark.parametrize("free", [False, True])
def test_the_estimate_and_the_mapping_agree_on_what_takes_a_block(free: bool) -> None:
    for x, signed, w in itertools.product(range(1, 20), (False, True), range(1, 20)):
        widths = f"    parameter \\A_WIDTH {x + (not signed)}\n    parameter \\B_WIDTH {w}\n"
        dump = f"  cell $mul $1\n{widths}    connect \\A \\a\n    connect \\B \\b\n  end\n"
        chosen = mapping.choose(dump, FAMILIES["ecp5"].dsp_bits, 9, free)
        assert multiply.takes_block(block(free=free), x, signed, w) is bool(chosen), (x, signed, w)


def test_a_file_of_another_family_is_refused_before_anything_is_measured(tmp_path, monkeypatch) -> None:
    path = tmp_path / "mine.jsonl"
    records.append(path, [line for line in records.read(run.data_file("xc7")) if line.design == 1000])
    before = path.read_bytes()
    monkeypatch.setattr(run, "measure_design", None)
    with pytest.raises(UserError, match="measured for xc7, not for ecp5"):
        run.measure_all(None, "ecp5", [1], path, print)
    assert path.read_bytes() == before


def test_a_module_that_the_family_has_not_is_refused(known: estimate.Model) -> None:
    with pytest.raises(UserError, match=r"never measured for ecp5.*is lut_inputs"):
        known.block(Block("mvau_packed", {}, lambda file, width: np.zeros((1, width))))


def test_measurements_of_another_family_are_refused() -> None:
    lines = records.read(run.data_file("xc7"))[:1]
    with pytest.raises(UserError, match="measured for xc7, not for ecp5"):
        list(records.measured(lines, "ecp5"))


def test_a_shell_that_cannot_be_built_is_left_to_synthesis(known: estimate.Model) -> None:
    layout = designs.draw(1001, technology=ECP5).layout()
    slow = msgspec.structs.replace(BOARD, clock_mhz=0.2)
    found = estimation.of_layout(layout, slow, known)
    assert "uart_shell" not in {each.node for each in found.operators}
    assert "baud" in found.without_shell


def test_multiplications_are_chosen_module_by_module() -> None:
    def product(name: str, a: int, b: int) -> str:
        widths = f"    parameter \\A_WIDTH {a}\n    parameter \\B_WIDTH {b}\n"
        return f"  cell $mul {name}\n{widths}    connect \\A \\a\n    connect \\B \\b\n  end\n"

    first, second = product("$1", 9, 9) + product("$2", 3, 9), product("$1", 8, 8)
    dump = f"\nmodule \\first\n{first}end\n\nmodule \\second\n{second}end\n"
    mapper = mappers.of_board_family("ecp5")
    assert isinstance(mapper, mappers.AsAWhole)
    assert mapper._chosen(dump, free=False) == ["first/$1", "second/$1"]
    assert mapper._chosen(dump, free=True) == ["first/$1", "first/$2", "second/$1"]


def test_the_serial_shell_is_around_networks_on_boards_that_have_one(known: estimate.Model) -> None:
    layout = designs.draw(1001, technology=ECP5).layout()
    whole = estimation.of_layout(layout, BOARD, known)
    bare = estimation.of_layout(layout, msgspec.structs.replace(BOARD, shell=None), known)
    assert whole.operators[-1].node == "uart_shell"
    assert "uart_shell" not in {each.node for each in bare.operators}
    assert whole.without_shell == bare.without_shell == ""
    # `hw/shell/README.md`: about 300 lookup tables.
    assert 150 < whole.amount.lut - bare.amount.lut < 600
    assert 100 < whole.amount.ff - bare.amount.ff < 400


@pytest.mark.parametrize(("width", "words", "many"), [(3, 2, 16), (8, 64, 400)])
def test_a_larger_frame_takes_a_larger_shell(width: int, words: int, many: int, known: estimate.Model) -> None:
    def around(count: int) -> estimate.Amount:
        lengths = {"IN": width, "OUT": 8, "IN_WORDS": count, "OUT_WORDS": 1, "CLOCKS": 217}
        return known.block(Block("uart_shell", lengths, lambda file, bits: np.zeros((1, bits))))

    small, large = around(words), around(many)
    assert large.lut + 1000 * large.bram36 > small.lut + 1000 * small.bram36
    assert around(4000).bram36 >= 0.5
