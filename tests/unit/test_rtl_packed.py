"""Several products in a multiplier block: fields that hold their sums, digits, and folds that are refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends.rtl import choice, cost, emit, extremes, packed, powers
from codesign.backends.rtl.folds import fixed
from codesign.backends.rtl.ops import dense
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Dense, Threshold


def layer(weight: np.ndarray, kind: IntType, bias: np.ndarray | None = None) -> Graph:
    builder = GraphBuilder()
    return builder.build(builder.add(Dense(weight, bias=bias), builder.input((len(weight),), kind)))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("kind", [IntType(1, False), IntType(3, False), IntType(3, True), IntType(8, True)], ids=str)
@pytest.mark.parametrize("low", [0, -4])
def test_fields_of_blocks_that_accumulate_hold_every_output(kind: IntType, low: int, signed: bool) -> None:
    """Weights of one sign make unsigned outputs, whose sums need one bit more in two's complement."""
    rng = np.random.default_rng(3)
    weight = rng.integers(low, 5, (16, 6)) * (1 if low or not signed else -1)
    graph = layer(weight, kind, bias=rng.integers(0, 900, 6) if signed else None)
    node, (x,), y = graph.node("n0"), graph.input_edges(graph.node("n0")), graph.edges["n0"]
    block = dense.unit(node, graph, fixed(node, graph, {"pe": 6, "simd": 1, "chain": 1})).blocks[-1]
    field = int(str(block.parameters["FIELD"]))
    bias = graph.node("n0").op.bias
    least, most = extremes.extremes(weight, x.type, 0)
    least, most = least + (0 if bias is None else bias), most + (0 if bias is None else bias)
    assert -(1 << (field - 1)) <= least.min() <= most.max() < 1 << (field - 1)
    assert y.type.min <= least.min() <= most.max() <= y.type.max


def test_digits_make_the_number_of_the_weights_side_by_side() -> None:
    table = np.random.default_rng(1).integers(-4, 4, (5, 7, 3))
    for groups in range(1, 8):
        digits = packed.digits(table, groups)
        for own in np.array_split(np.arange(7), groups):
            number = sum(table[:, p].astype(object) << (9 * k) for k, p in enumerate(own))
            fields = sum((digits[:, p] & 511).astype(object) << (9 * k) for k, p in enumerate(own))
            assert ((number - fields) % (1 << (9 * len(own))) == 0).all()


def test_a_chain_needs_multiplier_blocks_that_hold_several_products() -> None:
    graph = layer(np.ones((8, 4), dtype=np.int64), IntType(3, False))
    node = graph.node("n0")
    assert fixed(node, graph, {"pe": 4, "simd": 4, "chain": 4}).chain == 4
    for fields, lookup in (({"chain": 4, "dsp": False}, 6), ({"chain": 4}, 4), ({"chain": 2}, 6)):
        with pytest.raises(UserError, match="chain is the greatest of 4, 3 and 2 that divides"):
            fixed(node, graph, {"pe": 4, "simd": 4} | fields, lookup)


def test_products_too_small_for_a_block_are_counted_as_tables() -> None:
    """Yosys takes a block from products of nine bits on, an unsigned input counting one more."""
    for bits, weights, blocks in ((1, (-1, 2), 0), (5, (-4, 4), 4), (4, (-4, 4), 0)):
        rng = np.random.default_rng(2)
        graph = layer(rng.integers(*weights, (8, 1)), IntType(bits, False))
        node = graph.node("n0")
        unit = dense.unit(node, graph, fixed(node, graph, {"pe": 1, "simd": 4, "chain": 4}))
        assert cost.unit(unit).get("dsp", 0.0) == blocks


@pytest.mark.parametrize("port", [16, 18])
@pytest.mark.parametrize("kind", [IntType(1, False), IntType(3, False), IntType(4, True), IntType(8, False)], ids=str)
def test_fields_of_a_product_give_the_products_of_all_outputs(kind: IntType, port: int) -> None:
    """As hardware reads them: the highest bit of the field below is what a field lacks. At the ends of every range."""
    rng = np.random.default_rng(kind.bits)
    for low, high in ((-4, 4), (-3, 4), (-8, 1), (0, 4)):
        table = rng.integers(low, high, (9, 6, 2))
        table[0], table[1, ::2], table[1, 1::2] = low, low, high - 1
        graph = layer(np.ones((2, 6), dtype=np.int64), kind)
        (x,) = graph.input_edges(graph.node("n0"))
        packing = packed.pack(table, packed.product_bits(table, x), port)
        size, mask = packing.field, (1 << packing.field) - 1
        for group in np.array_split(np.arange(6), packing.groups):
            # The operands are two's complement, and have room.
            assert (len(group) - 1) * size + packing.bits <= port
            for value in (x.type.min, x.type.max, 0, 1):
                a = sum(table[:, p].astype(object) << (size * k) for k, p in enumerate(group))
                m = a * value
                for k, p in enumerate(group):
                    field = (m >> (size * k)) & mask
                    field = field - ((field >> (size - 1)) << size)
                    borrowed = (m >> (size * k - 1)) & 1 if k else 0
                    assert (field + borrowed == table[:, p] * value).all()


@pytest.mark.parametrize(
    ("weights", "bits", "port", "outputs"),
    # A digit below -2^(n-1) has a bit more, and ternary products by two bits have three.
    [((-2, 2), 2, 18, 4), ((-1, 2), 2, 18, 6), ((-4, 4), 3, 16, 3), ((-8, 8), 4, 18, 2), ((-4, 4), 8, 18, 2)],
)
def test_outputs_that_have_room_in_a_block(weights: tuple[int, int], bits: int, port: int, outputs: int) -> None:
    graph = layer(np.ones((1, 60), dtype=np.int64), IntType(bits, False))
    (x,) = graph.input_edges(graph.node("n0"))
    table = np.random.default_rng(0).integers(*weights, (20, 60, 1))
    assert 60 / packed.pack(table, packed.product_bits(table, x), port).groups == outputs


def test_sharing_needs_blocks_that_are_given_and_only_multiply(tmp_path: Path) -> None:
    graph = layer(np.random.default_rng(0).integers(-4, 4, (16, 12)), IntType(3, False))
    folds = {"n0": {"pe": 6, "simd": 4, "shared": True}}
    for board, options in (("ulx3s-12f", {}), ("ulx3s-12f", {"dsp": 0}), ("pynq-z2", {"dsp": 20})):
        with pytest.raises(UserError, match="shared goes with --dsp, several outputs and"):
            emit(graph, boards.load(board), tmp_path / "p", folds=folds, **options)
    with pytest.raises(UserError, match=r"more multiplier blocks than there may be; give others, or more --dsp"):
        emit(graph, boards.load("ulx3s-12f"), tmp_path / "p", folds=folds, dsp=7)
    with pytest.raises(UserError, match="shared goes with"):
        emit(graph, boards.load("ulx3s-12f"), tmp_path / "p", folds={"n0": {"pe": 1, "shared": True}}, dsp=7)
    project = emit(graph, boards.load("ulx3s-12f"), tmp_path / "p", folds=folds, dsp=8)
    assert project.about["nodes"]["n0"]["shared"]
    assert project.about["multiplier_blocks_free"]


def test_products_too_wide_for_two_in_a_block_are_told(tmp_path: Path) -> None:
    graph = layer(np.random.default_rng(0).integers(-100, 100, (4, 4)), IntType(3, False))
    folds = {"n0": {"pe": 4, "simd": 1, "shared": True}}
    with pytest.raises(UserError, match=r"\(dense\) has no room for two outputs .* of 16 by 16 bits; leave"):
        emit(graph, boards.load("icebreaker"), tmp_path / "p", folds=folds, dsp=8)
    # Nor does the search know of it.
    assert not any(one.fold.shared for one in choice.problem(graph, {}, 4, {}, port=16).candidates["n0"])
    narrower = layer(np.random.default_rng(0).integers(-4, 4, (4, 4)), IntType(3, False))
    assert any(one.fold.shared for one in choice.problem(narrower, {}, 4, {}, port=16).candidates["n0"])


def test_inputs_of_one_bit_with_a_sign_share_no_block() -> None:
    """Yosys makes tables of products by one bit."""
    weights = np.random.default_rng(0).integers(-4, 4, (4, 4))
    for kind, shares in ((IntType(1, True), False), (IntType(1, False), True)):
        candidates = choice.problem(layer(weights, kind), {}, 4, {}, port=18).candidates["n0"]
        assert any(one.fold.shared for one in candidates) == shares


def test_an_order_of_channels_without_room_is_not_taken(tmp_path: Path) -> None:
    """Whether a given fold fits may depend on the order of the channels; the one as they come does, so it stays."""
    folds, fitting = {"n0": {"pe": 2, "simd": 2, "shared": True}}, 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        widths = (2, 4, 4, 2)
        weights = np.stack([rng.integers(-(1 << (w - 1)), 1 << (w - 1), 8) for w in widths], axis=1)
        builder = GraphBuilder()
        sums = builder.add(Dense(weights, widths), builder.input((8,), IntType(8, False)))
        levels = builder.add(Threshold(np.sort(rng.integers(-99, 99, (4, 3)), axis=1)), sums)
        graph = builder.build(builder.add(Dense(rng.integers(-2, 2, (4, 3))), levels))
        asked = {"cycles": 200, "dsp": 8, "folds": folds}
        try:
            emit(graph, boards.load("icebreaker"), tmp_path / "p", permute=False, **asked)
        except UserError:
            continue
        emit(graph, boards.load("icebreaker"), tmp_path / "p", **asked)
        fitting += 1
    assert fitting > 2


@pytest.mark.parametrize("board", ["ulx3s-12f", "icebreaker", "tang-nano-20k"])
def test_free_blocks_are_shared_where_that_saves_tables(board: str, tmp_path: Path) -> None:
    """As many as are given and no more; a design without --dsp has none."""
    graph = layer(np.random.default_rng(0).integers(-4, 4, (32, 12)), IntType(3, False))
    for blocks in (None, 0, 4, 8):
        given = {} if blocks is None else {"dsp": blocks}
        project = emit(graph, boards.load(board), tmp_path / f"p{blocks}", cycles=32, **given)
        sources = {path.stem for path in project.folder.glob("*.sv")}
        assert {"mvau_shared", "carry_tree"} <= sources if blocks else "mvau_shared" not in sources
        assert project.about.get("multiplier_blocks_free", False) == bool(blocks)
        assert ("shared" in project.about["nodes"]["n0"]) == bool(blocks)
        if blocks:
            (unit,) = (text for text in (project.folder / "n0_unit.sv").read_text().split(";") if "mvau_shared" in text)
            groups, simd = (int(re.findall(rf"\.{name}\((\d+)\)", unit)[0]) for name in ("GROUPS", "SIMD"))
            assert 0 < groups * simd <= blocks


def test_shares_of_a_bias_make_it_up_again() -> None:
    """However large the numbers: factors with an inverse, and with none."""
    rng = np.random.default_rng(0)
    bias = rng.integers(-(1 << 51), 1 << 51, 1000)
    for factors in ((5003, 8191), (128, 181), (1, 3)):
        first, second = powers._shares(bias, factors) or (None, None)
        assert first is not None
        assert (first * factors[0] + second * factors[1] == bias).all()
    assert powers._shares(bias, (6, 9)) is None
    assert powers._shares(bias, (2,)) is None
