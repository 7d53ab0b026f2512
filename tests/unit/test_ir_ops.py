"""Every operator against loops over Python integers, which neither round nor wrap around."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codesign.ir import GraphBuilder, IntType, Operator, OperatorError, Tensor
from codesign.ir.exact import FLOAT32_EXACT, FLOAT64_EXACT, exact_dtype
from codesign.ir.ops import Add, ArgMax, Conv2d, Dense, Dyadic, Flatten, MaxPool, SumPool, Threshold, by_name


def integers(rng: np.random.Generator, kind: IntType, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(kind.min, kind.max + 1, size=shape)


def a_type(rng: np.random.Generator, most: int = 8) -> IntType:
    return IntType(int(rng.integers(1, most + 1)), bool(rng.integers(2)))


def loop_conv2d(op: Conv2d, x: np.ndarray) -> list:
    values = op.values().tolist()
    height, width, group_in, outputs = op.weight.shape
    top, bottom, left, right = op.padding
    _, rows, columns, _ = x.shape
    step_down, step_right = op.stride
    found = []
    for frame in x.tolist():
        picture = []
        for i in range((rows + top + bottom - height) // step_down + 1):
            line = []
            for j in range((columns + left + right - width) // step_right + 1):
                pixel = []
                for o in range(outputs):
                    first = o // (outputs // op.groups) * group_in
                    total = 0 if op.bias is None else int(op.bias[o])
                    for u, v, c in itertools.product(range(height), range(width), range(group_in)):
                        a, b = i * step_down + u - top, j * step_right + v - left
                        if 0 <= a < rows and 0 <= b < columns:
                            total += frame[a][b][first + c] * values[u][v][c][o]
                    pixel.append(total)
                line.append(pixel)
            picture.append(line)
        found.append(picture)
    return found


def random_conv2d(rng: np.random.Generator) -> tuple[Conv2d, Tensor]:
    kind = rng.integers(3)
    if kind == 0:
        channels, groups, outputs = int(rng.integers(1, 5)), 1, int(rng.integers(1, 5))
    elif kind == 1:
        groups = int(rng.integers(2, 4))
        channels, outputs = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
    else:  # depthwise with a multiplier
        channels = groups = int(rng.integers(1, 5))
        outputs = channels * int(rng.integers(1, 4))
    kernel = tuple(int(k) for k in rng.integers(1, 4, size=2))
    padding = tuple(int(p) for p in rng.integers(0, 3, size=4))
    frame = tuple(int(rng.integers(max(1, k - p), 7)) for k, p in zip(kernel, (padding[0], padding[2]), strict=True))
    shape = (*kernel, channels // groups, outputs)
    bits = rng.integers(1, 9, size=outputs)
    codebook = None
    if rng.random() < 0.3:
        codebook = rng.permutation(np.unique(rng.integers(-64, 65, size=5)))
        weight, widths = rng.integers(0, len(codebook), size=shape), None
    else:
        weight = np.stack([integers(rng, IntType(int(b), signed=True), shape[:3]) for b in bits], axis=-1)
        widths = tuple(bits.tolist())
    bias = rng.integers(-500, 500, size=outputs) if rng.random() < 0.5 else None
    stride = tuple(int(s) for s in rng.integers(1, 4, size=2))
    return Conv2d(weight, widths, stride, padding, groups, bias, codebook), Tensor((*frame, channels), a_type(rng))


@pytest.mark.parametrize("seed", range(60))
def test_conv2d_equals_loops(seed: int):
    rng = np.random.default_rng(seed)
    op, edge = random_conv2d(rng)
    x = integers(rng, edge.type, (2, *edge.shape))
    found, inferred = op.execute(x), op.infer(edge)
    assert found.dtype == np.int64
    assert found.tolist() == loop_conv2d(op, x), f"seed {seed}: {op}"
    assert found.shape[1:] == inferred.shape
    assert inferred.type.holds(found)


def reaching(op: Conv2d | Dense, edge: Tensor, channel: int, high: bool) -> int:
    """The extreme accumulator of a channel, summed over the inputs that give it."""
    weights = op.values()[..., channel].ravel().tolist()
    low_x, high_x = edge.type.min, edge.type.max
    total = 0 if op.bias is None else int(op.bias[channel])
    return total + sum(w * (high_x if (w > 0) == high else low_x) for w in weights)


@pytest.mark.parametrize("seed", range(40))
def test_accumulator_types_are_sound_and_tight(seed: int):
    rng = np.random.default_rng(1000 + seed)
    if seed % 2:
        op, edge = random_conv2d(rng)
        outputs = op.weight.shape[3]
    else:
        outputs = int(rng.integers(1, 6))
        op = Dense(rng.integers(-9, 9, size=(5, outputs)), bias=rng.integers(-99, 99, size=outputs))
        edge = Tensor((5,), a_type(rng))
    lows = [reaching(op, edge, c, high=False) for c in range(outputs)]
    highs = [reaching(op, edge, c, high=True) for c in range(outputs)]
    smallest, largest = op.accumulator_range(edge)
    assert (smallest.tolist(), largest.tolist()) == (lows, highs), f"seed {seed}"
    assert op.infer(edge).type == IntType.for_range(min(0, *lows), max(0, *highs)), f"seed {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_dense_equals_loops(seed: int):
    rng = np.random.default_rng(seed)
    entering, leaving = (int(n) for n in rng.integers(1, 12, size=2))
    codebook = np.array([-4, -2, -1, 0, 1, 2, 4]) if seed % 3 == 0 else None
    limits = (0, 7) if codebook is not None else (-128, 128)
    op = Dense(
        rng.integers(*limits, size=(entering, leaving)),
        bias=rng.integers(-99, 99, size=leaving) if seed % 2 else None,
        codebook=codebook,
    )
    edge = Tensor((entering,), a_type(rng))
    x = integers(rng, edge.type, (3, entering))
    values = op.values().tolist()
    expected = [
        [
            sum(frame[i] * values[i][o] for i in range(entering)) + (0 if op.bias is None else int(op.bias[o]))
            for o in range(leaving)
        ]
        for frame in x.tolist()
    ]
    assert op.execute(x).tolist() == expected, f"seed {seed}"
    assert op.infer(edge).type.holds(op.execute(x))


def test_floats_are_left_before_they_round():
    assert [exact_dtype(bound) for bound in (FLOAT32_EXACT - 1, FLOAT32_EXACT)] == [np.float32, np.float64]
    assert [exact_dtype(bound) for bound in (FLOAT64_EXACT - 1, FLOAT64_EXACT)] == [np.float64, np.int64]


@pytest.mark.parametrize("significand", [24, 53])
@pytest.mark.parametrize("quarter", [1, 2, 3, 4, 5])
def test_sums_at_the_edge_of_a_float_type_are_exact(significand: int, quarter: int):
    # 2^p + 1 is the first integer a p-bit significand cannot hold; odd sums around it would come out even.
    # The bound, 2^23 + 5 times the largest input, goes from a half to five halves of that limit.
    big, ones = quarter << (significand - 24), 7
    weight = np.array([[(1 << 22) - 1]] * 2 + [[1]] * ones)
    x = np.array([[big, big, *[1] * ones], [big, -big, *[-1] * ones], [big, big, *[0] * (ones - 1), 1]])
    expected = [[sum(int(a) * int(w) for a, w in zip(row, weight[:, 0], strict=True))] for row in x]
    assert Dense(weight).execute(x).tolist() == expected
    frames = x.reshape(3, 3, 3, 1)
    assert Conv2d(weight.reshape(3, 3, 1, 1)).execute(frames).reshape(3, 1).tolist() == expected
    two = Conv2d(np.repeat(weight.reshape(3, 3, 1, 1), 2, axis=3), groups=2)
    assert two.execute(np.repeat(frames, 2, axis=3)).reshape(3, 2).tolist() == [[row[0]] * 2 for row in expected]


def test_one_wide_channel_moves_all_channels_to_a_wider_type():
    weight = np.array([[1, (1 << 23) - 1], [0, (1 << 23) - 1], [0, 1]])
    x = np.array([[(1 << 31) - 1, (1 << 31) - 1, 1]])
    expected = [[(1 << 31) - 1, 2 * ((1 << 31) - 1) * ((1 << 23) - 1) + 1]]
    assert Dense(weight).execute(x).tolist() == expected


def test_zero_weights_silence_any_input():
    x = np.array([[(1 << 61) - 1, -(1 << 61)]])
    assert Dense(np.zeros((2, 3), dtype=np.int64)).execute(x).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("seed", range(40))
def test_pooling_equals_loops(seed: int):
    rng = np.random.default_rng(seed)
    kernel = tuple(int(k) for k in rng.integers(1, 4, size=2))
    stride = tuple(int(s) for s in rng.integers(1, 4, size=2)) if seed % 4 else None
    edge = Tensor((*(int(rng.integers(k, k + 5)) for k in kernel), int(rng.integers(1, 4))), a_type(rng, 20))
    x = integers(rng, edge.type, (2, *edge.shape))
    down, right = stride or kernel
    for operator, reduce in ((MaxPool, max), (SumPool, sum)):
        op = operator(kernel, stride)
        rows = (edge.shape[0] - kernel[0]) // down + 1
        columns = (edge.shape[1] - kernel[1]) // right + 1
        expected = [
            [
                [
                    [
                        reduce(
                            frame[i * down + u][j * right + v][c]
                            for u, v in itertools.product(range(kernel[0]), range(kernel[1]))
                        )
                        for c in range(edge.channels)
                    ]
                    for j in range(columns)
                ]
                for i in range(rows)
            ]
            for frame in x.tolist()
        ]
        assert op.execute(x).tolist() == expected, f"seed {seed}: {op}"
        inferred = op.infer(edge)
        assert inferred.shape == (rows, columns, edge.channels)
        ends = [np.full((1, *edge.shape), end) for end in (edge.type.min, edge.type.max)]
        reached = np.concatenate([op.execute(end) for end in ends])
        assert inferred.type == IntType.for_range(min(0, reached.min()), max(0, reached.max())), f"seed {seed}: {op}"


def test_pooling_does_not_touch_its_input():
    x = np.arange(16).reshape(1, 4, 4, 1)
    before = x.copy()
    MaxPool(2).execute(x)
    SumPool(2).execute(x)
    assert (x == before).all()


@pytest.mark.parametrize("seed", range(40))
def test_threshold_counts_what_is_reached(seed: int):
    rng = np.random.default_rng(seed)
    channels, levels = int(rng.integers(1, 5)), int(rng.choice([2, 3, 16, 17, 18, 40]))
    wide = 40 if seed % 3 == 0 else 6
    rows = channels if seed % 2 else 1
    thresholds = np.sort(rng.integers(-(1 << wide), 1 << wide, size=(rows, levels - 1)), axis=1)
    if seed % 5 == 0:
        thresholds[:, 1:] = thresholds[:, :1]  # equal neighbours skip levels
    offset = int(rng.integers(-9, 9))
    op = Threshold(thresholds, offset)
    x = integers(rng, IntType(wide + 2, signed=True), (4, 3, channels))
    x[0] = np.resize(thresholds, x[0].shape)  # sit on the thresholds
    x[1] = x[0] - 1
    expected = [
        [[offset + sum(v >= t for t in thresholds[c % rows].tolist()) for c, v in enumerate(p)] for p in row]
        for row in x.tolist()
    ]
    assert op.execute(x).tolist() == expected, f"seed {seed}"
    inferred = op.infer(Tensor((3, channels), IntType(wide + 2, signed=True)))
    assert inferred.type == IntType.for_range(offset, offset + levels - 1)


def test_two_equal_thresholds_are_the_bipolar_sign():
    op = Threshold(np.array([[5, 5], [-2, -2]]), -1)
    assert op.execute(np.array([[4, -3], [5, -2], [6, 9]])).tolist() == [[-1, -1], [1, 1], [1, 1]]


def test_thresholds_may_span_all_of_int64():
    low, high = -(1 << 63), (1 << 63) - 1
    assert Threshold(np.array([[low, high]])).execute(np.array([[0, 1 << 61]])).tolist() == [[1, 1]]
    with pytest.raises(OperatorError, match="ascend"):
        Threshold(np.array([[high, low]]))


@pytest.mark.parametrize("seed", range(60))
def test_dyadic_equals_exact_arithmetic(seed: int):
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 5))
    count = channels if seed % 2 else 1
    wide = int(rng.choice([4, 12, 30, 40]))
    multiplier = rng.integers(-(1 << 17), 1 << 17, size=count)
    shift = rng.integers(0, 40, size=count)
    shift[0] = 0 if seed % 3 == 0 else shift[0]
    bias = rng.integers(-(1 << 40), 1 << 40, size=count)
    op = Dyadic(multiplier, bias, shift, a_type(rng, 30))
    edge = Tensor((channels,), IntType(wide, bool(seed % 5)))
    x = integers(rng, edge.type, (6, channels))
    x[0], x[1] = edge.type.min, edge.type.max
    expected = []
    for row in x.tolist():
        line = []
        for c, v in enumerate(row):
            m, b, n = (int(a[c % count]) for a in (multiplier, bias, shift))
            half = 2 ** (n - 1) if n else 0
            line.append(min(max((v * m + b + half) // 2**n, op.type.min), op.type.max))
        expected.append(line)
    found = op.execute(x)
    assert found.tolist() == expected, f"seed {seed}: {op}"
    assert op.infer(edge).type.holds(found)
    products = [
        v * int(m) + extra
        for m, b, h in zip(multiplier, bias, op.half, strict=True)
        for v in (edge.type.min, edge.type.max)
        for extra in (0, int(b) + int(h))
    ]
    assert op.intermediate_type(edge) == IntType.for_range(min(0, *products), max(0, *products))


def test_dyadic_ties_go_up_on_both_sides_of_zero():
    op = Dyadic(np.array([1]), np.array([0]), np.array([1]), IntType(8, signed=True))
    assert op.execute(np.array([[-3], [-2], [-1], [0], [1], [2], [3]])).ravel().tolist() == [-1, -1, 0, 0, 1, 1, 2]


def test_dyadic_at_the_largest_product():
    op = Dyadic(np.array([-1, 1]), np.array([0, -1]), np.array([0, 61]), IntType(62, signed=True))
    edge = Tensor((2,), IntType(60, signed=True))
    op.infer(edge)
    x = np.array([[edge.type.min, edge.type.max]])
    assert op.execute(x).tolist() == [[1 << 59, ((1 << 59) - 2 + (1 << 60)) >> 61]]


@pytest.mark.parametrize(
    ("multiplier", "bias", "shift", "bits"),
    [(1 << 31, 0, 0, 32), (1, 1 << 61, 0, 8), (1, -(1 << 63), 0, 8), (1, 0, 62, 8), (-(1 << 63), 0, 0, 1)],
)
def test_dyadic_refuses_products_that_could_wrap(multiplier: int, bias: int, shift: int, bits: int):
    op = Dyadic(np.array([multiplier]), np.array([bias]), np.array([shift]), IntType(8, signed=True))
    with pytest.raises(OperatorError, match="62 bits"):
        op.infer(Tensor((1,), IntType(bits, signed=True)))


def test_arg_max_takes_the_lowest_index_on_ties():
    op = ArgMax()
    x = np.array([[1, 3, 3], [2, 2, 2], [-5, -9, -5], [0, 0, 7]])
    assert op.execute(x).tolist() == [[1], [0], [0], [2]]
    assert op.infer(Tensor((3,), IntType(9, signed=True))) == Tensor((1,), IntType(2, signed=False))
    assert op.infer(Tensor((1,), IntType(9, signed=True))) == Tensor((1,), IntType(1, signed=False))


def test_add_and_flatten():
    rng = np.random.default_rng(0)
    a, b = Tensor((2, 3, 4), IntType(5, signed=True)), Tensor((2, 3, 4), IntType(7, signed=False))
    x, y = integers(rng, a.type, (2, 2, 3, 4)), integers(rng, b.type, (2, 2, 3, 4))
    assert (Add().execute(x, y) == np.array(x.tolist()) + np.array(y.tolist())).all()
    assert Add().infer(a, b).type == IntType.for_range(-16, 15 + 127)
    flat = Flatten().execute(x)
    assert flat.tolist() == [[x[n, i, j, c] for i in range(2) for j in range(3) for c in range(4)] for n in range(2)]


def test_every_operator_is_found_by_the_name_of_its_file():
    found = by_name()
    assert set(found) == {
        "add", "arg_max", "conv2d", "dense", "dyadic", "flatten", "frame_buffer", "max_pool", "select_dyadic",
        "select_threshold", "sum_pool", "threshold",
    }  # fmt: skip
    assert all(operator.name == name and issubclass(operator, Operator) for name, operator in found.items())


WEIGHT = np.ones((3, 3, 2, 4), dtype=np.int64)
ONE = np.array([1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(WEIGHT[0]), "weight needs 4 axes"),
        (lambda: Conv2d(WEIGHT * 1.0), "must be integers"),
        (lambda: Conv2d(WEIGHT[:0]), "empty"),
        (lambda: Conv2d(WEIGHT, groups=3), "groups"),
        (lambda: Conv2d(WEIGHT, groups=0), "groups"),
        (lambda: Conv2d(WEIGHT, groups=1.0), "groups must be an integer"),
        (lambda: Conv2d(WEIGHT, padding=(1, 1)), "padding"),
        (lambda: Conv2d(WEIGHT, padding=(1, 1, 1, -1)), "padding"),
        (lambda: Conv2d(WEIGHT, padding=(1, 1, 1, 0.5)), "padding must be an integer"),
        (lambda: Conv2d(WEIGHT, stride=0), "stride"),
        (lambda: Conv2d(WEIGHT, stride=(1, 2, 3)), "stride"),
        (lambda: Conv2d(WEIGHT, bias=np.arange(3)), "3 biases for 4"),
        (lambda: Conv2d(WEIGHT, weight_bits=(1, 2, 2, 2)), "channel 0 declares 1-bit weights but needs 2"),
        (lambda: Conv2d(WEIGHT, weight_bits=(2, 2)), "2 weight widths for 4"),
        (lambda: Conv2d(WEIGHT, weight_bits=(2, 2, 2, 2.5)), "width must be an integer"),
        (lambda: Conv2d(WEIGHT, codebook=np.array([3])), "outside the codebook"),
        (lambda: Conv2d(WEIGHT, codebook=np.array([3, 3])), "twice"),
        (lambda: Conv2d(WEIGHT << 24), "exceed 24 bits"),
        (lambda: Dense(np.ones((2, 3), dtype=bool)), "must be integers"),
        (lambda: Dense(np.array([[1 << 63]], dtype=np.uint64)), "63 bits"),
        (lambda: Dense(np.array([[10**30]], dtype=object)), "must be integers"),
        (lambda: Threshold(np.array([[2, 1]])), "ascend"),
        (lambda: Threshold(np.array([1, 2])), "2 axes"),
        (lambda: Threshold(np.zeros((3, 0), dtype=np.int64)), "empty"),
        (lambda: Threshold(np.array([[1]]), 0.5), "offset must be an integer"),
        (lambda: Dyadic(ONE, ONE, np.array([63]), IntType(8, signed=True)), "0 to 62"),
        (lambda: Dyadic(ONE, ONE, np.array([-1]), IntType(8, signed=True)), "0 to 62"),
        (lambda: Dyadic(ONE, np.array([1, 2]), ONE, IntType(8, signed=True)), "same length"),
        (lambda: Dyadic(ONE, ONE, ONE, "int8"), "output type"),
        (lambda: MaxPool(0), "kernel"),
        (lambda: SumPool((2, 2), (0, 1)), "stride"),
    ],
)
def test_senseless_attributes_are_refused(make, message: str):
    with pytest.raises(OperatorError, match=message):
        make()


FRAME = Tensor((5, 5, 2), IntType(8, signed=True))


@pytest.mark.parametrize(
    ("op", "edge", "message"),
    [
        (Conv2d(WEIGHT), Tensor((5, 5, 3), FRAME.type), "expects 2 input channels, found 3"),
        (Conv2d(WEIGHT), Tensor((50,), FRAME.type), "height, width, channels"),
        (Conv2d(WEIGHT), Tensor((2, 5, 2), FRAME.type), "exceeds the padded frame"),
        (Dense(np.ones((4, 2), dtype=np.int64)), FRAME, "put a flatten"),
        (Dense(np.ones((4, 2), dtype=np.int64)), Tensor((5,), FRAME.type), "expects 4 input features, found 5"),
        (MaxPool(6), FRAME, "window"),
        (SumPool(2), Tensor((5,), FRAME.type), "height, width"),
        (ArgMax(), FRAME, "put a flatten"),
        (Threshold(np.zeros((3, 1), dtype=np.int64)), FRAME, "3 rows for 2 channels"),
        (Dyadic(*(np.ones(3, dtype=np.int64),) * 3, FRAME.type), FRAME, "3 constants for 2 channels"),
        # What would leave 62 bits, each by another way.
        (SumPool(5), Tensor((5, 5, 2), IntType(60, signed=True)), "62 bits"),
        (Conv2d(WEIGHT), Tensor((5, 5, 2), IntType(62, signed=False)), "62 bits"),
        (Dense(np.ones((2, 1), dtype=np.int64), bias=np.array([(1 << 63) - 1])), Tensor((2,), FRAME.type), "62 bits"),
        (Dense(np.ones((2, 1), dtype=np.int64), bias=np.array([-(1 << 63)])), Tensor((2,), FRAME.type), "62 bits"),
        (Threshold(np.array([[0]]), (1 << 63) - 1), FRAME, "62 bits"),
    ],
)
def test_refusals_of_a_builder_name_the_node(op: Operator, edge: Tensor, message: str):
    builder = GraphBuilder()
    x = builder.input(edge.shape, edge.type)
    with pytest.raises(OperatorError, match=rf"n0 \({op.name}, layer 7\).*{message}"):
        builder.add(op, x, label="layer 7")


def test_an_addition_of_wide_edges_names_the_node():
    builder = GraphBuilder()
    x = builder.input((3,), IntType(62, signed=True))
    with pytest.raises(OperatorError, match=r"n0 \(add\).*62 bits, not 63"):
        builder.add(Add(), x, x)
    y = builder.input((4,), IntType(2, signed=True))
    with pytest.raises(OperatorError, match="equal shapes"):
        builder.add(Add(), x, y)


def test_operators_are_frozen():
    weight = np.ones((2, 2), dtype=np.int64)
    op = Dense(weight)
    weight[0, 0] = 9
    assert op.weight[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        op.weight[0, 0] = 5


def test_equal_attributes_make_equal_operators():
    assert Dense(np.ones((2, 2), dtype=np.int32)).same_as(Dense(np.ones((2, 2), dtype=np.int64)))
    assert not Dense(np.ones((2, 2), dtype=np.int64)).same_as(
        Dense(np.ones((2, 2), dtype=np.int64), bias=np.zeros(2, int))
    )
    assert not Dense(np.ones((2, 1), dtype=np.int64)).same_as(Dense(np.ones((1, 2), dtype=np.int64)))
    assert not MaxPool(2).same_as(SumPool(2))
