"""Several products in a multiplier block: fields that hold their sums, digits, and folds that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.backends.rtl import cost, extremes, packed, powers
from codesign.backends.rtl.folds import fixed
from codesign.backends.rtl.ops import dense
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Dense


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
