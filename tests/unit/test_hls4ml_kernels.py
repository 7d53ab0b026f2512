"""What the hls4ml backend decides before any C++: digits, folds, orders, tokens and reuse factors."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from codesign import boards, resources
from codesign.backends.hls4ml import codebook, mac, ops, reuse
from codesign.backends.hls4ml.kernels import Place, bits_for
from codesign.backends.hls4ml.model import build, token_sizes
from codesign.backends.hls4ml.options import Options
from codesign.ir import GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dense, Flatten, Threshold, by_name


def test_signed_digits_are_canonical():
    for value in range(-1025, 1026):
        digits = codebook.signed_digits(value)
        assert sum(sign << power if sign > 0 else -(1 << power) for sign, power in digits) == value
        powers = [power for _, power in digits]
        assert all(high - low > 1 for low, high in itertools.pairwise(powers))


def test_codebook_products_have_no_multiplier():
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    x = builder.input((4, 4, 3), IntType(4, signed=True))
    book = np.array([-7, -2, 0, 1, 3, 11])
    conv = builder.add(Conv2d(rng.integers(0, 6, (3, 3, 3, 4)), codebook=book), x)
    graph = builder.build(conv)
    kernel = ops.by_name()["conv2d"].kernel(Place(graph.node(conv), graph, "io_stream", 1, token_sizes(graph)))
    code = re.sub(r"//.*", "", kernel.code)
    assert "product" not in kernel.config
    assert "*" not in code
    # 11 = 16 - 4 - 1 needs three digits; -7 = -8 + 1 two.
    assert [line.count("<<") for line in code.splitlines() if "case" in line] == [2, 1, 0, 1, 2, 3]


POST = np.array([0, 128, -128, 181, -181, 256, -256, 362, -362, 512, -512, 724, -724, 1024, -1024])


@pytest.mark.parametrize(
    ("book", "factor"),
    [(POST, 181), ([1, 3], 3), ([-12, 0, 6], 3), ([7, 14, 1 << 20], 7), ([-4, 45, 90, 1], 45)],
)
def test_a_split_codebook_adds_up(book, factor):
    split = codebook.split(np.array(book))
    assert split is not None
    assert split.factor == factor
    for value, (even, e), (odd, o) in zip(book, split.even, split.odd, strict=True):
        assert value == even * (1 << e + split.even_shift) + factor * odd * (1 << o + split.odd_shift)
        assert not (even and odd)
    # The shift that a sum has in common is taken off whole.
    for terms in (split.even, split.odd):
        used = [power for sign, power in terms if sign]
        assert not used or min(used) == 0


@pytest.mark.parametrize("book", [[0], [0, 1, -1], [1, 2, 4, -1024], [3, 5], [1, 3, -5], [0, -7, 11, 1]])
def test_other_codebooks_do_not_split(book):
    assert codebook.split(np.array(book)) is None


def test_two_sums_have_no_multiplier_and_are_as_wide_as_they_must_be():
    builder = GraphBuilder()
    x = builder.input((2,), IntType(4, signed=False))
    dense = builder.add(Dense(np.array([[1, 13], [3, 11]]), codebook=POST, bias=np.array([-1, 9])), x)
    graph = builder.build(dense)
    kernel = ops.by_name()["dense"].kernel(Place(graph.node(dense), graph, "io_stream", 1, token_sizes(graph)))
    code = re.sub(r"//.*", "", kernel.code)
    assert "*" not in code
    # One shift for each weight, and the canonical signed digits of 181 = 256 - 64 - 16 + 4 + 1 once.
    assert [line.count("<<") for line in code.splitlines() if "case" in line] == [1] * 14
    assert [line.count("<<") for line in code.splitlines() if "return" in line and "case" not in line][-1] == 5
    # Inputs up to 15: 128 and 1024 are 1 and 8 after the common shift, 181 and 724 are 1 and 4 times 181.
    members = {key: kernel.config[key] for key in ("accumulators", "even_shift", "odd_shift", "even_t", "odd_t")}
    assert members == {
        "accumulators": 2, "even_shift": 7, "odd_shift": 0, "even_t": "ap_uint<7>", "odd_t": "ap_uint<6>"
    }  # fmt: skip


def test_powers_of_two_are_single_shifts_into_one_sum():
    builder = GraphBuilder()
    x = builder.input((2,), IntType(4, signed=False))
    dense = builder.add(Dense(np.array([[0, 1], [2, 3]]), codebook=np.array([0, 1, -4, 32])), x)
    graph = builder.build(dense)
    kernel = ops.by_name()["dense"].kernel(Place(graph.node(dense), graph, "io_stream", 1, token_sizes(graph)))
    assert kernel.config["accumulators"] == 1
    assert [line.count("<<") for line in kernel.code.splitlines() if "case" in line] == [0, 1, 1, 1]


def test_binary_weights_on_bits_are_an_exclusive_nor():
    builder = GraphBuilder()
    x = builder.input((6,), IntType(1, signed=False))
    weight = np.array([[0, 1]] * 6)
    dense = builder.add(Dense(weight, codebook=np.array([-1, 1]), bias=np.array([5, 5])), x)
    graph = builder.build(dense)
    kernel = ops.by_name()["dense"].kernel(Place(graph.node(dense), graph, "io_stream", 1, token_sizes(graph)))
    assert kernel.config["product"] == "codesign::exclusive_nor"
    # Six weights of -1 are taken off the first bias, none off the second.
    assert kernel.tables[1].values.tolist() == [-1, 5]


@pytest.mark.parametrize(("n_in", "n_out", "groups"), [(12, 6, 1), (9, 8, 4), (4, 6, 2), (1, 1, 1), (18, 4, 4)])
def test_folds_tile_the_product(n_in, n_out, groups):
    weight = np.arange(n_in * n_out).reshape(n_in, n_out)
    per_group = n_out // groups
    for steps, fold in mac.legal_folds(n_in, n_out, groups).items():
        assert fold.steps == steps == (n_in // fold.simd) * (n_out // fold.pe)
        assert per_group % fold.pe == 0 or fold.pe % per_group == 0
        ordered = mac.order(weight, fold)
        assert ordered.shape == (steps, fold.pe * fold.simd)
        for step in range(steps):
            output_fold, input_fold = divmod(step, n_in // fold.simd)
            for p in range(fold.pe):
                for s in range(fold.simd):
                    expected = weight[input_fold * fold.simd + s, output_fold * fold.pe + p]
                    assert ordered[step, p * fold.simd + s] == expected


def test_widths_of_constants():
    assert bits_for(0, 0) == (1, False)
    assert bits_for(0, 255) == (8, False)
    assert bits_for(-128, 127) == (8, True)
    assert bits_for(-1, 1 << 62) == (64, True)


def test_every_operator_has_its_row_of_files():
    names = set(by_name())
    hw = resources.folder("hw") / "hls"
    assert set(ops.by_name()) == names
    assert {name for name in names if not (hw / f"{name}.h").is_file()} == set()
    for name, module in ops.by_name().items():
        for function in ("kernel", "reuse_factors", "needed"):
            assert callable(getattr(module, function)), (name, function)


def test_tokens_keep_their_size_through_flatten():
    builder = GraphBuilder()
    x = builder.input((2, 3, 4), IntType(3, signed=False))
    flat = builder.add(Flatten(), x)
    low = builder.add(Threshold(np.array([[1, 2]])), flat)
    dense = builder.add(Dense(np.ones((24, 24), dtype=np.int64)), low)
    joined = builder.add(Add(), flat, dense)
    sizes = token_sizes(builder.build(joined))
    assert sizes == {x: 4, flat: 4, low: 4, dense: 24, joined: 24}


def test_more_logic_gives_more_speed(residual):
    def slowest(board: str) -> int:
        chosen = reuse.choose(residual, boards.load(board), Options(), token_sizes(residual))
        model = build(residual, boards.load(board), Options())
        assert {name: kernel.reuse_factor for name, kernel in model.kernels.items()} == chosen
        return max(
            residual.edges[node.name].size // residual.edges[node.name].channels * chosen[node.name]
            for node in residual
            if node.op.name == "conv2d"
        )

    assert slowest("zcu104") <= slowest("pynq-z2")


def test_wishes_override_the_choice(residual):
    packs = token_sizes(residual)
    board = boards.load("pynq-z2")
    free = reuse.choose(residual, board, Options(), packs)
    wished = reuse.choose(residual, board, Options(reuse_factor={"n2": 36}), packs)
    assert wished == {**free, "n2": 36}
    assert set(reuse.choose(residual, board, Options(strategy="Latency"), packs).values()) == {1}
