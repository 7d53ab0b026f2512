"""Each operator of QONNX alone: golden equals the qonnx executor in every integer."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed (extra qonnx)")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra qonnx-check)")
pytest.importorskip("qonnx", reason="qonnx is not installed (extra qonnx-check)")

from codesign.errors import UserError
from codesign.frontends import qonnx_file
from codesign.frontends.qonnx import convert
from codesign.frontends.qonnx_reference import compared, executable, execute
from codesign.ir import IntType, golden

from .qonnx_agreement import INT6, UINT4, agree, every, row, single
from .qonnx_networks import GENERAL, Maker

# Linear -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"pads": [1, 2, 0, 1]},
        {"strides": [2, 1], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 1], "auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
    ],
)
def test_conv(groups: int, options: dict):
    m = Maker((2, 4, 7, 6), seed=groups)
    x = m.node("Conv", "x", m.weights((8, 4 // groups, 3, 2)), m.const(m.rng.normal(size=8)), group=groups, **options)
    agree(m.build(m.quant(x, 4, 1.0)), UINT4, scale=0.25)


def test_binary_weights_become_codes():
    m = Maker((4, 6))
    weights = m.node("BipolarQuant", m.const(m.rng.normal(size=(6, 3))), m.const(0.5), domain=GENERAL)
    found = agree(m.build(m.node("MatMul", "x", weights)))
    assert found.graph.nodes[0].op.codebook.tolist() == [-1, 1]


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_with_a_bias_off_the_grid(transposed: int):
    m = Maker((4, 6))
    weights = m.weights((3, 6)) if transposed else m.weights((6, 3), 1)
    x = m.node("Gemm", "x", weights, m.const(m.rng.normal(size=3)), transB=transposed)
    agree(m.build(m.quant(x, 4, 0.25)), scale=0.125, opens=True)


def test_matmul_of_channels_last_is_a_convolution():
    m = Maker((2, 4, 5, 3))
    x = m.node("MatMul", "x", m.weights((3, 4), 1))
    x = m.node("Transpose", m.quant(x, 3, 0.5), perm=[0, 3, 1, 2])
    found = agree(m.build(m.node("Conv", x, m.weights((2, 4, 1, 1)))))
    assert found.layout == "NHWC"


def test_integer_weights_scaled_behind():
    m = Maker((4, 6))
    x = m.node("MatMul", "x", m.const(m.rng.integers(-3, 4, size=(6, 3))))
    x = m.node("Mul", x, m.const([0.3, -0.7, 0.01]))
    x = m.node("Add", x, m.const([0.1, 0.2, -0.05]))
    agree(m.build(m.quant(x, 4, 0.5)))


def test_weights_transposed_reshaped_and_scaled():
    m = Maker((4, 6))
    weights = m.node("Transpose", m.weights((3, 6)), perm=[1, 0])
    weights = m.node("Mul", weights, m.const(2.0))
    weights = m.node("Reshape", weights, m.const([6, 3], np.int64))
    agree(m.build(m.node("MatMul", "x", weights)))


# Elementwise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
def test_arithmetic_with_constants(op: str, order: int):
    m = Maker((2, 3, 4, 4))
    operands = ["x", m.const(np.array([0.5, -1.25, 3.0]).reshape(3, 1, 1))]
    x = m.node(op, *(operands[::-1] if order else operands))
    agree(m.build(m.quant(x, 4, 1.0)), scale=0.25)


def test_division_by_a_constant():
    m = single(INT6)
    agree(m.build(m.quant(m.node("Div", row(m), m.const(3.0)), 4, 1.0)), x=every(INT6))


def test_batch_norm_of_negative_and_zero_gain():
    m = Maker((4, 5, 3, 3))
    parts = [
        [-1.5, 0.0, 2.0, 0.3, -0.01],
        [0.1, 1.0, 0.0, -3.0, 0.2],
        [1.0, 2.0, -1.0, 0.5, 0.0],
        [1.0, 2.0, 0.5, 3.0, 4.0],
    ]
    x = m.node("Conv", "x", m.weights((5, 5, 1, 1)))
    x = m.node("BatchNormalization", x, *(m.const(part) for part in parts), epsilon=1e-3)
    agree(m.build(m.quant(x, 4, 0.25)))


def test_negative_and_clip():
    m = single(INT6)
    x = m.node("Clip", m.node("Neg", row(m)), m.const(-10.0), m.const(7.0))
    agree(m.build(m.quant(x, 6, 1.0)), x=every(INT6))


def test_relu_of_what_is_quantised_already():
    m = Maker((4, 6))
    x = m.node("Relu", m.quant("x", 6, 1.0))
    found = agree(m.build(m.node("MatMul", x, m.weights((6, 3), 1))))
    assert found.graph.edges["n0"].type == IntType(5, signed=False)


def test_sum_and_difference_of_activations():
    for op in ("Add", "Sub"):
        m = Maker((4, 6))
        a = m.quant(m.node("MatMul", "x", m.weights((6, 3), 1)), 4, 0.5)
        b = m.quant(m.node("MatMul", "x", m.weights((6, 3), 1)), 5, 0.125)
        agree(m.build(m.quant(m.node(op, a, b), 4, 1.0)), scale=0.0625)


# Pooling and shapes -----------------------------------------------------------------------------------------


def test_padded_max_pool():
    m = Maker((2, 3, 7, 7))
    x = m.node("MaxPool", m.node("Relu", "x"), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    agree(m.build(x), UINT4)


@pytest.mark.parametrize("offset", [-17.0, 3.5])
def test_padding_never_wins_a_maximum_of_moved_numbers(offset: float):
    m = Maker((2, 2, 6, 6))
    x = m.node("MaxPool", m.node("Add", "x", m.const(offset)), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    agree(m.build(x), UINT4)


@pytest.mark.parametrize("low", [0.0, 1.0])
def test_padded_max_pool_behind_a_clamp(low: float):
    m = Maker((2, 2, 6, 6))
    x = m.node("Clip", "x", m.const(low), m.const(9.0))
    agree(m.build(m.node("MaxPool", x, kernel_shape=[2, 2], pads=[1, 1, 0, 1])))


def test_zeros_around_a_clamp():
    m = Maker((2, 2, 6, 6))
    x = m.node("Pad", m.node("Relu", "x"), m.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    found = agree(m.build(m.node("MaxPool", x, kernel_shape=[3, 3])))
    assert found.output_error == 0


def test_a_clamp_at_the_output_has_no_error():
    m = Maker((2, 6))
    x = m.node("MatMul", "x", m.const(m.rng.integers(-2, 3, size=(6, 3))))
    x = m.node("Clip", x, m.const(-3.0), m.const(4.0))
    found = agree(m.build(x))
    assert found.settled
    assert found.output_error == 0


def test_max_pool_of_falling_meaning():
    m = Maker((2, 2, 6, 6))
    x = m.node("Mul", "x", m.const(np.array([-0.5, 0.25]).reshape(1, 2, 1, 1)))
    agree(m.build(m.quant(m.node("MaxPool", x, kernel_shape=[2, 3], strides=[1, 2]), 4, 1.0)))


@pytest.mark.parametrize("op", ["AveragePool", "GlobalAveragePool", "ReduceMean", "ReduceSum"])
def test_averages_divide_in_float32(op: str):
    m = Maker((4, 3, 7, 7))
    if op == "AveragePool":
        x = m.node(op, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
    elif op == "GlobalAveragePool":
        x = m.node(op, "x")
    else:
        x = m.node(op, "x", m.const([2, 3], np.int64), keepdims=0)
    # Steps that real numbers meet: what float32 makes of the division decides.
    step = 1 / 3 if op == "AveragePool" else 1 / 7
    agree(m.build(m.quant(x, 8, step, False, rounding="FLOOR")), UINT4)


@pytest.mark.parametrize("op", ["Flatten", "Reshape", "Shape"])
@pytest.mark.parametrize("last", [False, True])
def test_flattening_keeps_the_order_of_the_file(op: str, last: bool):
    m = Maker((2, 3, 4, 5))
    x = m.quant(m.node("Conv", "x", m.weights((3, 3, 1, 1))), 3, 1.0)
    if last:
        x = m.node("Transpose", x, perm=[0, 2, 3, 1])
    if op == "Flatten":
        x = m.node("Flatten", x)
    elif op == "Reshape":
        x = m.node("Reshape", x, m.const([0, -1], np.int64))
    else:
        frames = m.node("Gather", m.node("Shape", x), m.const(0, np.int64), axis=0)
        frames = m.node("Unsqueeze", frames, m.const([0], np.int64))
        x = m.node("Reshape", x, m.node("Concat", frames, m.const([-1], np.int64), axis=0))
    x = m.node("Mul", x, m.const(m.scale(-2, 2, (60,))))
    agree(m.build(m.node("MatMul", m.quant(x, 6, 0.25), m.weights((60, 4), 1))), UINT4)


def test_concatenation_of_frames_and_features():
    m = Maker((2, 2, 4, 4))
    a = m.quant(m.node("Conv", "x", m.weights((3, 2, 1, 1))), 3, 1.0)
    b = m.quant(m.node("Conv", "x", m.weights((2, 2, 1, 1))), 5, 0.5)
    x = m.quant(m.node("Concat", a, b, a, axis=1), 6, 0.5)
    c, d = m.node("Flatten", x), m.node("Flatten", b)
    x = m.node("Concat", c, m.quant(d, 4, 0.5), axis=-1)
    agree(m.build(m.node("MatMul", x, m.weights((160, 3), 1))), UINT4)


def test_a_pad_before_a_convolution_and_before_a_pool():
    m = Maker((2, 2, 5, 5))
    x = m.node("Pad", "x", m.const([0, 0, 1, 2, 0, 0, 0, 1], np.int64))
    x = m.node("Relu", m.node("Conv", x, m.weights((3, 2, 3, 3)), pads=[1, 0, 0, 0]))
    x = m.node("Pad", m.quant(x, 3, 1.0, False), m.const([1, 1], np.int64), "", m.const([3], np.int64))
    agree(m.build(m.node("MaxPool", x, kernel_shape=[2, 2])), UINT4)


def test_channels_last_operators():
    m = Maker((2, 6, 6, 3))
    last = "qonnx.custom_op.channels_last"
    weights = m.node("Transpose", m.weights((4, 3, 3, 3)), perm=[0, 2, 3, 1])
    x = m.node("Conv", "x", weights, domain=last, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], group=1,
               dilations=[1, 1])  # fmt: skip
    x = m.node("Transpose", x, perm=[0, 3, 1, 2])
    x = m.quant(m.batch_norm(x, 4), 3, 0.5, False)
    x = m.node("Transpose", x, perm=[0, 2, 3, 1])
    x = m.node("MaxPool", x, domain=last, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    found = convert(qonnx_file.loads(m.build(x)), input_type=UINT4, input_scale=0.25)
    assert found.layout == "NHWC"
    assert [node.op.name for node in found.graph] == ["conv2d", "threshold", "max_pool"]
    # The executor does not infer shapes of these; the same network channels first.
    other = Maker((2, 6, 6, 3))
    y = other.node("Transpose", "x", perm=[0, 3, 1, 2])
    y = other.node("Conv", y, other.weights((4, 3, 3, 3)), pads=[1, 1, 1, 1])
    y = other.quant(other.batch_norm(y, 4), 3, 0.5, False)
    y = other.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    again = agree(other.build(other.node("Transpose", y, perm=[0, 2, 3, 1])), UINT4, scale=0.25)
    assert again.graph.same_as(found.graph)


@pytest.mark.parametrize("behind", ["Pad", "Concat"])
def test_axes_that_an_operator_finds_say_the_layout_of_the_input(behind: str):
    m = Maker((2, 6, 5, 3))
    x = m.node("Transpose", "x", perm=[0, 3, 1, 2])
    if behind == "Pad":
        x = m.node("Pad", x, m.const([0, 0, 1, 1, 0, 0, 1, 1], np.int64))
    else:
        x = m.node("Concat", x, x, axis=1)
    x = m.node("Conv", x, m.weights((4, 3 if behind == "Pad" else 6, 3, 3)))
    assert agree(m.build(m.quant(x, 4, 0.5)), UINT4).layout == "NHWC"


def test_a_reshape_that_moves_axes_of_extent_1_is_a_transpose():
    """As tf2onnx writes a network of Keras: from one channel, and back before a vector."""
    m = Maker((4, 8, 8, 1))
    x = m.node("Reshape", "x", m.const([4, 1, 8, 8], np.int64))
    x = m.quant(m.node("Relu", m.node("Conv", x, m.weights((5, 1, 3, 3)))), 3, 0.5, False)
    x = m.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = m.node("Relu", m.node("Conv", x, m.weights((6, 5, 3, 3))))
    x = m.quant(m.node("Reshape", x, m.const([4, 1, 1, 6], np.int64)), 3, 0.5, False)
    x = m.node("Reshape", x, m.const([-1, 6], np.int64))
    found = agree(m.build(m.node("MatMul", x, m.weights((6, 3), 1))), UINT4, scale=0.25)
    assert found.layout == "NHWC"


def test_quantisers_with_parameters_of_float64():
    """As exports of QKeras have them; the executor computes with them."""

    def made(scale: float, zero: int = 0) -> bytes:
        m = Maker((8, 6))
        x = m.node("MatMul", "x", m.weights((6, 5), 1))
        numbers = [
            m.const(scale, np.float64),
            m.const(zero, np.float64 if zero % 1 else np.int64),
            m.const(3, np.int64),
        ]
        x = m.node("Quant", x, *numbers, domain=GENERAL, signed=1, narrow=0, rounding_mode="HALF_EVEN")
        return m.build(x)

    assert agree(made(0.25), scale=0.25).settled
    for data in (made(0.1), made(0.25, 1)):
        with pytest.raises(UserError, match=r"(float64|int64) and shape .*; use float32"):
            convert(qonnx_file.loads(data), input_type=INT6, input_scale=0.25)


@pytest.mark.parametrize("op", ["ArgMax", "TopK"])
def test_the_largest_logit(op: str):
    m = Maker((16, 6))
    x = m.node("MatMul", "x", m.weights((6, 5), 1))
    x = m.node("Add", x, m.const([0.5, 0.0, -0.25, 1.0, 0.0]))
    if op == "ArgMax":
        x = m.node(op, x, axis=1, keepdims=1)
    else:
        x = m.node(op, x, m.const([1], np.int64), axis=-1, largest=1, sorted=1, outputs=2)
    data = m.build(x, integers=True)
    found = convert(qonnx_file.loads(data), input_type=INT6, input_scale=0.25)
    frames = np.random.default_rng(1).integers(-32, 32, size=(64, 6))
    expected = execute(executable(data), found, frames)
    assert (golden.run(found.graph, frames) == expected).all()
    assert len(np.unique(expected)) > 2


# Inputs -----------------------------------------------------------------------------------------------------


def test_a_leading_quantiser_gives_the_input():
    m = Maker((4, 6))
    found = convert(qonnx_file.loads(m.build(m.node("MatMul", m.quant("x", 5, 0.3), m.weights((6, 3), 1)))))
    assert found.graph.input.type == IntType(5, signed=True)
    assert found.input_scale == float(np.float32(0.3))


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 4, "narrow": True},
        {"bits": 4, "zero": 3.0},
        {"bits": 1},
        {"bits": 8, "signed": False, "scale": 0.1, "rounding": "CEIL"},
        {"bits": 8, "scale": 0.3, "rounding": "FLOOR"},
    ],
)
def test_a_leading_quantiser_that_moves_integers_stays(options: dict):
    m = Maker((4, 6))
    data = m.build(m.node("MatMul", m.quant("x", **{"scale": 0.5, **options}), m.weights((6, 3), 1)))
    found = convert(qonnx_file.loads(data))
    type = found.graph.input.type
    x = np.arange(type.min, type.max + 1, dtype=np.int64).repeat(24).reshape(-1, 6)
    expected, integers = compared(found, data, x)
    assert (expected == integers).all()


def test_a_leading_quantiser_reads_the_integers_that_the_sensor_gives():
    m = Maker((4, 6))
    data = m.build(m.node("MatMul", m.quant("x", 4, 0.5), m.weights((6, 3), 1)))
    found = agree(data, INT6, scale=None)
    assert found.graph.input.type == INT6


def test_an_annotation_gives_the_input():
    from onnx import StringStringEntryProto, TensorAnnotation

    m = Maker((4, 6))
    pair = StringStringEntryProto(key="finn_datatype", value="UINT5")
    m.annotations.append(TensorAnnotation(tensor_name="x", quant_parameter_tensor_names=[pair]))
    found = convert(qonnx_file.loads(m.build(m.node("MatMul", "x", m.weights((6, 3), 1)))))
    assert found.graph.input.type == IntType(5, signed=False)


def test_a_batch_that_is_not_fixed():
    import onnx

    m = Maker((1, 2, 6, 6))
    x = m.node("Gemm", m.node("Flatten", m.quant(m.node("Relu", "x"), 3, 2.0)), m.weights((72, 3), 1))
    model = onnx.load_model_from_string(m.build(x))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info(x, 1, ["N", 3]))
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("t0", 1, ["N", 2, 6, 6]))
    agree(model.SerializeToString())


def test_identities_and_dead_nodes_leave_no_trace():
    m = Maker((4, 6))
    x = m.node("Identity", m.node("Dropout", "x"))
    m.node("Exp", x)
    agree(m.build(m.node("Cast", m.node("MatMul", x, m.weights((6, 3), 1)), to=1)))
