"""Operators whose constants an index chooses, and the buffer before them, against loops over Python integers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codesign.ir import GraphBuilder, IntType, Operator, OperatorError, Tensor, golden
from codesign.ir.ops import Dense, Dyadic, FrameBuffer, SelectDyadic, SelectThreshold, Threshold

INDEX = Tensor((1,), IntType(2, signed=False))


def batch(rng: np.random.Generator, x: Tensor, index: Tensor, frames: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Random frames, the extremes first, with an index for each that takes every value."""
    values = rng.integers(x.type.min, x.type.max + 1, size=(frames, *x.shape))
    values[0], values[1] = x.type.min, x.type.max
    chosen = rng.permutation(np.resize(np.arange(index.type.max + 1), frames))[:, None]
    return values, chosen


@pytest.mark.parametrize("seed", range(40))
def test_select_threshold_counts_what_is_reached(seed: int):
    rng = np.random.default_rng(seed)
    index = Tensor((1,), IntType(int(rng.integers(1, 4)), signed=False))
    entries = index.type.max + 1 + int(rng.integers(0, 3))
    channels, count = int(rng.integers(1, 5)), int(rng.choice([1, 2, 7, 16, 17, 39]))
    rows = channels if seed % 2 else 1
    wide = 40 if seed % 3 == 0 else 6
    thresholds = np.sort(rng.integers(-(1 << wide), 1 << wide, size=(entries, rows, count)), axis=2)
    if seed % 5 == 0:
        thresholds[..., 1:] = thresholds[..., :1]  # equal neighbours skip levels
    offset = int(rng.integers(-9, 9))
    op = SelectThreshold(thresholds, offset)
    edge = Tensor((3, 2, channels) if seed % 2 else (channels,), IntType(wide + 2, signed=True))
    x, chosen = batch(rng, edge, index)
    for frame in range(2, len(x)):  # sit on the thresholds of the entry, or just below
        x[frame].flat[:] = np.resize(thresholds[chosen[frame, 0]].T, x[frame].size) - frame % 2
    expected = np.empty_like(x)
    for place in itertools.product(*map(range, x.shape)):
        row = thresholds[int(chosen[place[0], 0])][place[-1] % rows].tolist()
        expected[place] = offset + sum(int(x[place]) >= t for t in row)
    found = op.execute(x, chosen)
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist(), f"seed {seed}"
    assert op.infer(edge, index) == Tensor(edge.shape, IntType.for_range(offset, offset + count))


@pytest.mark.parametrize("seed", range(40))
def test_select_dyadic_equals_exact_arithmetic(seed: int):
    rng = np.random.default_rng(seed)
    index = Tensor((1,), IntType(int(rng.integers(1, 4)), signed=False))
    entries, channels = index.type.max + 1 + int(rng.integers(0, 3)), int(rng.integers(1, 5))
    rows = channels if seed % 2 else 1
    multiplier = rng.integers(-(1 << 17), 1 << 17, size=(entries, rows))
    shift = rng.integers(0, 40, size=(entries, rows))
    shift[0] = 0
    bias = rng.integers(-(1 << 40), 1 << 40, size=(entries, rows))
    op = SelectDyadic(multiplier, bias, shift, IntType(int(rng.integers(1, 31)), bool(seed % 3)))
    wide = int(rng.choice([4, 12, 30, 40]))
    edge = Tensor((2, 3, channels) if seed % 2 else (channels,), IntType(wide, bool(seed % 5)))
    x, chosen = batch(rng, edge, index)
    expected = np.empty_like(x)
    for place in itertools.product(*map(range, x.shape)):
        j, c = int(chosen[place[0], 0]), place[-1] % rows
        m, b, n = (int(table[j, c]) for table in (multiplier, bias, shift))
        shifted = (int(x[place]) * m + b + (2 ** (n - 1) if n else 0)) // 2**n
        expected[place] = min(max(shifted, op.type.min), op.type.max)
    found = op.execute(x, chosen)
    assert found.tolist() == expected.tolist(), f"seed {seed}"
    assert op.infer(edge, index) == Tensor(edge.shape, op.type)
    products = [
        v * int(m) + extra
        for m, b, h in zip(multiplier.flat, bias.flat, op.half.flat, strict=True)
        for v in (edge.type.min, edge.type.max)
        for extra in (0, int(b) + int(h))
    ]
    assert op.intermediate_type(edge) == IntType.for_range(min(0, *products), max(0, *products))


def test_each_entry_is_the_plain_operator():
    thresholds = np.array([[[1, 4]], [[-3, 9]]])
    op = SelectThreshold(thresholds, -1)
    assert [choice.same_as(Threshold(rows, -1)) for choice, rows in zip(op.choices, thresholds, strict=True)] == [1, 1]
    constants = np.array([[3, 5], [-7, 0]]), np.array([[1, 2], [3, 4]]), np.array([[0, 1], [2, 62]])
    dyadic = SelectDyadic(*constants, IntType(4, signed=True))
    assert dyadic.half.tolist() == [[0, 1], [2, 1 << 61]]
    assert dyadic.choices[1].same_as(Dyadic(*(table[1] for table in constants), IntType(4, signed=True)))


def test_ties_go_up_in_every_entry():
    ones = np.ones((2, 1), dtype=np.int64)
    op = SelectDyadic(ones, 0 * ones, np.array([[1], [2]]), IntType(8, signed=True))
    x = np.array([[-3, -2, -1, 0, 1, 2, 3]] * 2)
    assert op.execute(x, np.array([[0], [1]])).tolist() == [[-1, -1, 0, 0, 1, 1, 2], [-1, 0, 0, 0, 0, 1, 1]]


def test_no_frames_give_no_frames():
    op = SelectThreshold(np.zeros((2, 1, 1), dtype=np.int64))
    assert op.execute(np.zeros((0, 3, 2), dtype=np.int64), np.zeros((0, 1), dtype=np.int64)).shape == (0, 3, 2)


def test_a_frame_buffer_changes_nothing():
    edge = Tensor((2, 3, 4), IntType(5, signed=True))
    x = np.arange(-12, 12).reshape(1, 2, 3, 4)
    assert (FrameBuffer().execute(x) == x).all()
    assert FrameBuffer().infer(edge) == edge


def test_golden_chooses_frame_by_frame():
    builder = GraphBuilder()
    x = builder.input((2,), IntType(4, signed=True))
    index = builder.add(Threshold(np.array([[0]])), builder.add(total(2), x))
    held = builder.add(FrameBuffer(), x)
    graph = builder.build(builder.add(SelectThreshold(np.array([[[0]], [[5]]])), held, index))
    frames = np.array([[-8, 7], [7, 1], [5, 4], [0, -1]])
    # Entry 0 (sum below 0) asks for 0, entry 1 for 5.
    assert golden.run(graph, frames).tolist() == [[0, 1], [1, 0], [1, 0], [1, 0]]


def total(features: int) -> Operator:
    return Dense(np.ones((features, 1), dtype=np.int64))


TWO = np.array([[1], [1]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelectThreshold(np.array([[1, 2]])), "3 axes"),
        (lambda: SelectThreshold(np.array([[[1, 2]], [[2, 1]]])), "ascend"),
        (lambda: SelectThreshold(np.array([[[(1 << 63) - 1, -(1 << 63)]]])), "ascend"),
        (lambda: SelectThreshold(np.zeros((2, 1, 0), dtype=np.int64)), "empty"),
        (lambda: SelectThreshold(np.array([[[0.5]]])), "must be integers"),
        (lambda: SelectThreshold(np.array([[[1]]]), True), "offset must be an integer"),
        (lambda: SelectDyadic(TWO[0], TWO, TWO, INDEX.type), "multiplier needs 2 axes"),
        (lambda: SelectDyadic(TWO, TWO[:1], TWO, INDEX.type), "same shape"),
        (lambda: SelectDyadic(TWO, TWO, TWO * 63, INDEX.type), "0 to 62"),
        (lambda: SelectDyadic(TWO, TWO, -TWO, INDEX.type), "0 to 62"),
        (lambda: SelectDyadic(TWO, TWO, TWO, "int8"), "output type"),
    ],
)
def test_senseless_attributes_are_refused(make, message: str):
    with pytest.raises(OperatorError, match=message):
        make()


FOUR = np.zeros((4, 1), dtype=np.int64)
THRESHOLDS = SelectThreshold(FOUR[..., None])
DYADIC = SelectDyadic(FOUR, FOUR, FOUR, IntType(8, signed=True))
BYTE = IntType(8, signed=True)


@pytest.mark.parametrize("op", [THRESHOLDS, DYADIC], ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("index", "message"),
    [
        (Tensor((2,), INDEX.type), r"shape \(1,\), not \(2,\)"),
        (Tensor((1, 1, 1), INDEX.type), r"shape \(1,\), not \(1, 1, 1\)"),
        (Tensor((1,), IntType(2, signed=True)), "unsigned, not int2"),
        (Tensor((1,), IntType(3, signed=False)), "uint3 and reaches 7, beyond 4 entries; repeat the last entry"),
    ],
)
def test_an_index_that_may_miss_is_refused(op: Operator, index: Tensor, message: str):
    builder = GraphBuilder()
    x, j = builder.input((3, 3, 2), BYTE), builder.input(index.shape, index.type)
    with pytest.raises(OperatorError, match=rf"n0 \({op.name}\).*{message}"):
        builder.add(op, x, j)


@pytest.mark.parametrize(
    ("op", "x", "message"),
    [
        (SelectThreshold(np.zeros((4, 3, 1), dtype=np.int64)), Tensor((2, 2), BYTE), "3 rows for 2 channels"),
        (SelectDyadic(*[np.ones((4, 3), dtype=np.int64)] * 3, BYTE), Tensor((2,), BYTE), "3 constants for 2 channels"),
        (SelectThreshold(FOUR[..., None], (1 << 63) - 1), Tensor((2,), BYTE), "62 bits"),
        # Only the last entry is too wide.
        (SelectDyadic(np.array([[1], [1], [1], [1 << 31]]), FOUR, FOUR, BYTE), Tensor((2,), IntType(32, True)), "62"),
    ],
)
def test_refusals_of_a_builder_name_the_node(op: Operator, x: Tensor, message: str):
    builder = GraphBuilder()
    edges = builder.input(x.shape, x.type), builder.input(INDEX.shape, INDEX.type)
    with pytest.raises(OperatorError, match=rf"n0 \({op.name}\).*{message}"):
        builder.add(op, *edges)
    with pytest.raises(OperatorError, match="reads 2 edges, not 1"):
        builder.add(op, edges[0])
