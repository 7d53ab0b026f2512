"""QKeras models to integer graphs: quantizers, networks, refusals."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.frontends import qkeras_reference
from codesign.frontends.qkeras import Imported, from_qkeras, import_qkeras
from codesign.frontends.qkeras_activations import levels, probes, read_activation
from codesign.frontends.qkeras_weights import read_weights
from codesign.frontends.requantize import Grid, reaches
from codesign.ir import IntType, golden
from codesign.quant.qkeras_runtime import runtime

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qkeras") is None, reason="needs QKeras: pip install '.[qkeras]'"
)

FRAMES = 1000


@pytest.fixture(scope="module")
def env() -> SimpleNamespace:
    """TensorFlow, Keras and QKeras, imported once when a test needs them."""
    tf, keras, qkeras = runtime()
    return SimpleNamespace(tf=tf, keras=keras, q=qkeras, layers=keras.layers)


def frames(graph: Any, count: int, seed: int) -> np.ndarray:
    kind = graph.input.type
    return np.random.default_rng(seed).integers(kind.min, kind.max + 1, (count, *graph.input.shape))


def evaluate(model: Any, x: np.ndarray) -> Any:
    """The Keras model's own float32 outputs."""
    found = model(x.astype(np.float32), training=False)
    return [np.asarray(v) for v in found] if isinstance(found, list) else np.asarray(found)


def assert_witness(imported: Imported, x: np.ndarray) -> int:
    """Compare every quantizer with the float64 reference; return the number of integers compared."""
    compared = 0
    for edge, differing, size in qkeras_reference.differences(imported, x):
        assert differing == 0, f"{differing} of {size} integers of {edge} differ"
        compared += size
    return compared


# Activation quantizers --------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu4": lambda q: q.quantized_relu(4),
    "relu1": lambda q: q.quantized_relu(1, 1),
    "relu8_3": lambda q: q.quantized_relu(8, 3),
    "relu_bound": lambda q: q.quantized_relu(4, 2, relu_upper_bound=1.5, is_quantized_clip=False),
    "relu_unclipped": lambda q: q.quantized_relu(3, 1, is_quantized_clip=False),
    "relu_no_ste": lambda q: q.quantized_relu(3, 1, use_ste=False),
    "bits4": lambda q: q.quantized_bits(4, 0),
    "bits4_symmetric": lambda q: q.quantized_bits(4, 1, symmetric=1),
    "bits8_alpha": lambda q: q.quantized_bits(8, 2, alpha=0.3),
    "bits5_unsigned": lambda q: q.quantized_bits(5, 1, keep_negative=False),
    "bits1": lambda q: q.quantized_bits(1, 0, alpha=0.5),
    "binary": lambda q: q.binary(),
    "binary_alpha": lambda q: q.binary(alpha=0.3),
    "binary_01": lambda q: q.binary(use_01=True, alpha=2.0),
    "ternary": lambda q: q.ternary(),
    "ternary_threshold": lambda q: q.ternary(alpha=0.7, threshold=0.5),
}


def exact_levels(grid: Grid, x: np.ndarray) -> np.ndarray:
    """The integers that the exact thresholds of a grid give for float32 values, without any rounding."""
    found = np.full(x.shape, grid.low)
    for level in range(grid.low + 1, grid.high + 1):
        t, strict = reaches(grid, level)
        bound = t * grid.scale
        assert Fraction(float(bound)) == bound
        found += (x > float(bound)) if strict else (x >= float(bound))
    return found


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_grid_equals_quantizer_on_ties_ends_and_random_values(env: SimpleNamespace, name: str) -> None:
    quantizer = ACTIVATIONS[name](env.q)
    activation = read_activation(quantizer, "a")
    grid = activation.grid
    rng = np.random.default_rng(1)
    span = float(grid.scale) * max(grid.high, -grid.low)
    ties = (np.arange(grid.low - 3, grid.high + 4) + 0.5) * float(grid.scale)
    x = np.concatenate(
        [
            probes(grid),
            ties,
            np.nextafter(ties.astype(np.float32), np.float32(np.inf)),
            np.nextafter(ties.astype(np.float32), np.float32(-np.inf)),
            rng.integers(4 * grid.low - 8, 4 * grid.high + 8, 20_000) * float(grid.scale) / 4,
            rng.uniform(-2 * span, 2 * span, 60_000),
            rng.normal(0, span, 20_000),
            rng.normal(0, 1e-6, 1000),
            rng.normal(0, 1e6, 1000),
            [0.0, -0.0],
        ]
    ).astype(np.float32)
    assert len(x) >= 100_000
    found = np.asarray(quantizer(env.tf.constant(x)), dtype=np.float64)
    integers = exact_levels(grid, x)
    assert np.array_equal(levels(grid, x.astype(np.float64)), integers)
    step = float(grid.scale * activation.factor)
    # The straight-through sum x + (q - x) is exact where x is not far beyond the range.
    near = np.abs(x) <= 2 * span
    error = np.abs(found - integers * step)
    assert (error[near] <= 2.0**-22 * (np.abs(x[near]) + abs(step))).all()
    assert np.array_equal(np.rint(found[near] / step), integers[near])
    assert (error <= 2.0**-22 * (np.abs(x) + np.abs(integers * step))).all()


def test_relu_grid_is_exact_to_the_last_bit(env: SimpleNamespace) -> None:
    x = np.random.default_rng(2).normal(0, 2, 100_000).astype(np.float32)
    found = np.asarray(env.q.quantized_relu(4, 1)(env.tf.constant(x)), dtype=np.float64)
    assert np.array_equal(found, exact_levels(Grid(Fraction(1, 8), 0, 15), x) / 8)


# Weight quantizers ------------------------------------------------------------------------------------------

WEIGHTS: dict[str, tuple[Callable[[Any], Any], int | None, list[int] | None]] = {
    "bits4_po2": (lambda q: q.quantized_bits(4, 0, alpha="auto_po2"), 4, None),
    "bits4_auto": (lambda q: q.quantized_bits(4, 1, alpha="auto"), 4, None),
    "bits4_alpha": (lambda q: q.quantized_bits(4, 0, alpha=0.3), 4, None),
    "bits8_symmetric": (lambda q: q.quantized_bits(8, 1, symmetric=1, alpha=1), 8, None),
    "bits3_unsigned": (lambda q: q.quantized_bits(3, 0, keep_negative=False, alpha=1), 4, None),
    "bits4_no_ste": (lambda q: q.quantized_bits(4, 0, alpha="auto", use_ste=False), 4, None),
    "bits1": (lambda q: q.quantized_bits(1, 0, alpha=1), None, [-1, 1]),
    "binary_po2": (lambda q: q.binary(alpha="auto_po2"), None, [-1, 1]),
    "binary_auto": (lambda q: q.binary(alpha="auto"), None, [-1, 1]),
    "binary_negative": (lambda q: q.binary(alpha=-0.5), None, [-1, 1]),
    "binary_01": (lambda q: q.binary(use_01=True, alpha=1), None, [0, 1]),
    "ternary_auto": (lambda q: q.ternary(alpha="auto"), 2, None),
    "ternary_threshold": (lambda q: q.ternary(alpha=1, threshold=0.2), 2, None),
    "po2_4": (lambda q: q.quantized_po2(4), None, None),
    "po2_3_max": (lambda q: q.quantized_po2(3, max_value=0.5), None, None),
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("shape", [(3, 3, 4, 5), (20, 6)])
def test_weights_are_integers_times_scale(env: SimpleNamespace, name: str, shape: tuple[int, ...]) -> None:
    make, bits, codebook = WEIGHTS[name]
    kernel = np.random.default_rng(3).normal(0, 0.4, shape).astype(np.float32)
    kernel[..., -1] = 0.0  # a dead channel
    kernel.flat[:3] = 0.0, 3.0, -3.0
    quantizer = make(env.q)
    found = read_weights(quantizer, kernel, "w")
    actual = np.asarray(quantizer(env.tf.constant(kernel)), dtype=np.float64)
    assert found.bits == bits
    assert found.values.dtype == np.int64
    if codebook is not None:
        assert found.codebook is not None
        assert found.codebook.tolist() == codebook
    if name.startswith("po2"):
        assert found.codebook is not None
        assert (np.log2(np.abs(found.codebook)) % 1 == 0).all()
    # Up to the rounding of the straight-through sum, at the size of the float weight.
    assert (np.abs(found.real() - actual) <= 2.0**-23 * (np.abs(kernel) + np.abs(actual))).all()


def test_depthwise_weights_come_channel_by_channel(env: SimpleNamespace) -> None:
    kernel = np.random.default_rng(4).normal(0, 0.4, (3, 3, 4, 2)).astype(np.float32)
    quantizer = env.q.quantized_bits(4, 0, alpha="auto_po2", scale_axis=2)
    found = read_weights(quantizer, kernel, "w", depthwise=True)
    assert found.values.shape == (3, 3, 1, 8)
    actual = np.asarray(quantizer(env.tf.constant(kernel)))
    assert np.array_equal(found.real().reshape(3, 3, 4, 2), actual)


def test_weights_refuse_what_is_not_integers_times_scale(env: SimpleNamespace) -> None:
    kernel = np.random.default_rng(5).normal(0, 0.4, (3, 3, 4, 5)).astype(np.float32)
    with pytest.raises(UserError, match=r"'conv7'.*vary within an output channel"):
        read_weights(env.q.quantized_bits(4, 0, alpha="auto", scale_axis=2), kernel, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*float weights.*kernel_quantizer"):
        read_weights(None, kernel, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*quantized_tanh"):
        read_weights(env.q.quantized_tanh(4), kernel, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*random"):
        read_weights(env.q.quantized_bits(4, 0, alpha=1, use_stochastic_rounding=True), kernel, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*qnoise_factor"):
        read_weights(env.q.quantized_bits(4, 0, alpha=1, qnoise_factor=0.5), kernel, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*span"):
        read_weights(env.q.quantized_po2(8), kernel**31, "conv7")
    with pytest.raises(UserError, match=r"'conv7'.*not finite"):
        read_weights(env.q.quantized_bits(4, 0, alpha=1), kernel * np.inf, "conv7")

    class Leaky(env.q.quantized_bits):  # type: ignore[misc, name-defined]
        def __call__(self, x: Any) -> Any:
            return super().__call__(x) + 0.01

    with pytest.raises(UserError, match=r"'conv7'.*Leaky"):
        read_weights(Leaky(4, 0, alpha=1), kernel, "conv7")
    # Posing as QKeras' own does not help: the parts do not make the weights again.
    Leaky.__module__, Leaky.__name__ = "qkeras.quantizers", "quantized_bits"
    with pytest.raises(UserError, match=r"'conv7'.*not integers times a scale"):
        read_weights(Leaky(4, 0, alpha=1), kernel, "conv7")


# Networks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mlp", "non_uniform", "residual", "same_even_stride2", "same_odd_stride2",
                                  "same_stride3", "kernel_below_stride"])  # fmt: skip
def test_power_of_two_network_equals_keras_in_every_integer(env: SimpleNamespace, name: str) -> None:
    from tests.unit import qkeras_networks as networks

    model = networks.settle(networks.randomise(networks.EXACT[name](), np.random.default_rng(7)))
    imported = import_qkeras(model, input_type=networks.UINT4, name=name)
    x = frames(imported.graph, FRAMES, 8)
    assert assert_witness(imported, x) > FRAMES
    # Every activation of Keras against the edge that stands for it.
    quantized = [layer for layer in model.layers if type(layer).__name__ == "QActivation"]
    probe = env.keras.Model(model.input, [*(layer.output for layer in quantized), model.output])
    *activations, logits = evaluate(probe, x)
    traced = golden.run(imported.lowering.unsimplified(), x, trace=True)
    records = imported.lowering.requantizations
    steps = {step.label: step for step in imported.network.steps}
    seen = 0
    for layer, real in zip(quantized, activations, strict=True):
        step: Any = steps[layer.name]
        record = records.get(str(step.output))
        if record is None:  # the quantizer had nothing to do
            continue
        seen += 1
        unit = float(step.activation.grid.scale * step.activation.factor)
        assert np.array_equal(real, traced[record.edge_out] * unit), layer.name
    assert seen == len(records) - (name == "mlp")  # one sits inside a dense layer there
    y = golden.run(imported.graph, x)
    assert np.array_equal(y * imported.graph.scales[imported.graph.outputs[0]].factor, logits)
    assert len(np.unique(y)) > 10


@pytest.mark.parametrize("seed", range(12))
def test_random_network(env: SimpleNamespace, seed: int) -> None:
    from tests.unit import qkeras_networks as networks

    print(f"seed {seed}")
    model = networks.random_network(seed)
    scale = 1 / 16
    imported = import_qkeras(model, input_scale=scale)
    x = frames(imported.graph, FRAMES, seed)
    assert_witness(imported, x)
    y = golden.run(imported.graph, x)
    witness, _ = qkeras_reference.run(imported, x)
    factor = imported.graph.scales[imported.graph.outputs[0]].factor
    # The bias of the logits is rounded to the accumulator's grid, unrelated scales to a common one.
    assert np.abs(witness / factor - y).max() <= 1.01
    real = evaluate(model, x * np.float32(scale))
    # Float32 may fall on the other side of a step now and then, never as a rule.
    assert (y.argmax(1) == real.argmax(1)).mean() > 0.98


def test_quantized_batch_norm_and_average_pooling(env: SimpleNamespace) -> None:
    from tests.unit import qkeras_networks as networks

    layers, q = env.layers, env.q
    x = i = layers.Input((6, 6, 2))
    x = layers.Rescaling(1 / 32, offset=0.0, name="r")(x)
    x = q.QConv2D(4, 3, kernel_quantizer="quantized_bits(4, 0)", name="c")(x)
    x = q.QBatchNormalization(name="n")(x)
    x = q.QActivation("quantized_relu(4, 1)", name="a")(x)
    x = q.QAveragePooling2D(2, average_quantizer="quantized_bits(6, 0, alpha=1)", name="p")(x)
    x = q.QActivation("quantized_relu(4, 1)", name="b")(x)
    x = q.QGlobalAveragePooling2D(average_quantizer="quantized_bits(6, 0, alpha=1)", name="g")(x)
    x = layers.Reshape((-1,), name="v")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    model = env.keras.Model(i, q.QDense(3, kernel_quantizer="quantized_bits(8, 0)", name="d")(x))
    rng = np.random.default_rng(9)
    networks.randomise(model, rng)
    imported = import_qkeras(model)
    x = frames(imported.graph, FRAMES, 10)
    assert assert_witness(imported, x) > 0
    real = evaluate(model, x)
    y = golden.run(imported.graph, x)
    assert (y.argmax(1) == real.argmax(1)).mean() > 0.98


def test_inner_models_and_shared_layers_are_read(env: SimpleNamespace) -> None:
    from tests.unit import qkeras_networks as networks

    layers, q = env.layers, env.q
    i = layers.Input((4, 4, 2))
    block = env.keras.Sequential(
        [
            layers.Input((4, 4, 2)),
            q.QConv2D(2, 3, padding="same", kernel_quantizer="quantized_bits(4, 0)", use_bias=False, name="c"),
            q.QActivation("quantized_bits(4, 3, alpha=1)", name="a"),
        ],
        name="block",
    )
    networks.settle(networks.randomise(block, np.random.default_rng(11)))
    model = env.keras.Model(i, layers.Flatten()(block(block(i))))
    graph = from_qkeras(model, input_type=networks.UINT4)
    x = frames(graph, 200, 12)
    real = evaluate(model, x)
    assert np.array_equal(golden.run(graph, x) * graph.scales[graph.outputs[0]].factor, real)
    assert sum(node.op.name == "conv2d" for node in graph) == 2


def test_input_offset_is_folded_in(env: SimpleNamespace) -> None:
    layers, q = env.layers, env.q
    model = env.keras.Sequential(
        [
            layers.Input((5, 5, 1)),
            q.QConv2D(3, 3, kernel_quantizer="quantized_bits(4, 0)", use_bias=False, name="c"),
            q.QActivation("quantized_relu(4, 1)", name="a"),
            layers.GlobalAveragePooling2D(name="g"),
        ]
    )
    imported = import_qkeras(model, input_type=IntType(8, False), input_scale=1 / 128, input_offset=-1.0)
    x = frames(imported.graph, FRAMES, 13)
    assert assert_witness(imported, x) == FRAMES * 27
    real = evaluate(model, x / 128 - 1)
    factor = imported.graph.scales[imported.graph.outputs[0]].factor
    assert np.allclose(golden.run(imported.graph, x) * factor, real, atol=1e-6)


# Refusals ---------------------------------------------------------------------------------------------------

CONV = {"kernel_quantizer": "quantized_bits(4, 0, alpha=1)", "use_bias": False}


def _after_input(*parts: Callable[[SimpleNamespace], Any]) -> Callable[[SimpleNamespace], Any]:
    def build(env: SimpleNamespace) -> Any:
        x = i = env.layers.Input((6, 6, 2))
        for part in parts:
            x = part(env)(x)
        return env.keras.Model(i, x)

    return build


def _custom(env: SimpleNamespace) -> Any:
    class Relay(env.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    return Relay(name="odd")


def _posing(env: SimpleNamespace) -> Any:
    class Flatten(env.layers.Flatten):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return -super().call(x)

    return Flatten(name="odd")


def _subclassed(env: SimpleNamespace) -> Any:
    class Net(env.keras.Model):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    return Net(name="odd")


def _concatenated(env: SimpleNamespace) -> Any:
    i = env.layers.Input((6, 6, 2))
    return env.keras.Model(i, env.layers.Concatenate(name="odd")([i, i]))


def _unrelated_sum(env: SimpleNamespace) -> Any:
    i = env.layers.Input((6, 6, 2))
    a = env.q.QActivation("quantized_bits(4, 2, alpha=0.3)")(i)
    b = env.q.QActivation("quantized_bits(4, 2, alpha=0.7)")(i)
    return env.keras.Model(i, env.layers.Add(name="odd")([a, b]))


REFUSED: dict[str, tuple[Callable[[SimpleNamespace], Any], str]] = {
    "lambda": (_after_input(lambda e: e.layers.Lambda(lambda x: x, name="odd")), "'odd'.*Lambda.*never run"),
    "custom": (_after_input(_custom), "'odd'.*Relay.*not supported"),
    "posing": (_after_input(_posing), "'odd'.*Flatten.*not supported"),
    "subclassed": (_subclassed, "'odd'.*functional"),
    "concatenate": (_concatenated, "'odd'.*Concatenate"),
    "unrelated": (_unrelated_sum, "'odd'.*scales"),
    "operator": (_after_input(lambda e: lambda x: x * 2), "TFOpLambda|not supported"),
    "float_conv": (_after_input(lambda e: e.layers.Conv2D(2, 3, name="odd")), "'odd'.*float.*QConv2D"),
    "no_quantizer": (_after_input(lambda e: e.q.QConv2D(2, 3, name="odd")), "'odd'.*float weights"),
    "dilated": (_after_input(lambda e: e.q.QConv2D(2, 2, dilation_rate=2, name="odd", **CONV)), "'odd'.*dilat"),
    "relu_unquantized": (
        _after_input(
            lambda e: e.q.QConv2D(2, 2, name="c", **CONV),
            lambda e: e.layers.ReLU(name="r"),
            lambda e: e.q.QConv2D(2, 2, name="odd", **CONV),
        ),
        "'odd'.*quantize it before",
    ),
    "softmax": (_after_input(lambda e: e.layers.Activation("softmax", name="odd")), "'odd'.*softmax.*logits"),
    "sigmoid": (_after_input(lambda e: e.layers.Activation("sigmoid", name="odd")), "'odd'.*sigmoid"),
    "tanh": (_after_input(lambda e: e.q.QActivation("quantized_tanh(4)", name="odd")), "'odd'.*quantized_tanh"),
    "hard_tanh": (_after_input(lambda e: e.q.QActivation("hard_tanh", name="odd")), "'odd'.*hard_tanh"),
    "po2_activation": (
        _after_input(lambda e: e.q.QActivation("quantized_relu_po2(4)", name="odd")),
        "'odd'.*quantized_relu_po2",
    ),
    "auto_activation": (
        _after_input(lambda e: e.q.QActivation("quantized_bits(4, 0, alpha='auto')", name="odd")),
        "'odd'.*every batch.*alpha",
    ),
    "leaky": (
        _after_input(lambda e: e.q.QActivation("quantized_relu(4, 0, negative_slope=0.25)", name="odd")),
        "'odd'.*slope",
    ),
    "off_grid_bound": (
        _after_input(
            lambda e: e.q.QActivation(
                e.q.quantized_relu(3, 1, relu_upper_bound=1.1, is_quantized_clip=False), name="odd"
            )
        ),
        "'odd'.*between two levels",
    ),
    "padded_pool": (
        _after_input(lambda e: e.layers.MaxPooling2D(4, padding="same", name="odd")),
        "'odd'.*pads",
    ),
    "padding_then_pool": (
        _after_input(lambda e: e.layers.ZeroPadding2D(1), lambda e: e.layers.MaxPooling2D(2, name="odd")),
        "'odd'.*ZeroPadding2D",
    ),
    "upsampling": (_after_input(lambda e: e.layers.UpSampling2D(name="odd")), "'odd'.*UpSampling2D"),
    "transposed": (
        _after_input(lambda e: e.layers.Permute((3, 1, 2), name="odd")),
        "'odd'.*Permute",
    ),
    "other_axis": (_after_input(lambda e: e.layers.BatchNormalization(axis=1, name="odd")), "'odd'.*axis"),
    "folded": (
        _after_input(
            lambda e: __import__("qkeras").QConv2DBatchnorm(2, 3, kernel_quantizer="quantized_bits(4)", name="odd")
        ),
        "'odd'.*QConv2D and BatchNormalization",
    ),
    "any_size": (
        lambda e: e.keras.Sequential([e.layers.Input((None, None, 2)), e.layers.GlobalMaxPooling2D()]),
        "no fixed size",
    ),
    "unbuilt": (lambda e: e.keras.Sequential([e.layers.Flatten()], name="odd"), "'odd'.*Input"),
    "two_outputs": (
        lambda e: (lambda i: e.keras.Model(i, [e.layers.Flatten()(i), i]))(e.layers.Input((4, 4, 1))),
        "2 outputs",
    ),
    "not_a_model": (lambda e: "model.h5", "not a model of Keras 2"),
    "half": (_after_input(lambda e: e.layers.Flatten(dtype="float16", name="odd")), "'odd'.*float16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusal_names_the_layer_and_a_way_out(env: SimpleNamespace, name: str) -> None:
    build, message = REFUSED[name]
    with pytest.raises(UserError, match=message) as caught:
        from_qkeras(build(env))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_channels_first_is_refused(env: SimpleNamespace) -> None:
    layer = env.q.QConv2D(2, 2, data_format="channels_first", name="odd", **CONV)
    i = env.layers.Input((2, 6, 6))
    with pytest.raises(UserError, match=r"'odd'.*channels"):
        from_qkeras(env.keras.Model(i, layer(i)))


def test_padding_with_an_offset_is_refused(env: SimpleNamespace) -> None:
    build = _after_input(lambda e: e.q.QConv2D(2, 3, padding="same", name="odd", **CONV))
    with pytest.raises(UserError, match=r"'odd'.*pads"):
        from_qkeras(build(env), input_offset=-0.5)


def test_missing_qkeras_says_what_to_install(env: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "qkeras", None)
    with pytest.raises(UserError, match=r"pip install '\.\[qkeras\]'"):
        runtime()


def test_keras_3_says_what_to_set(env: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    keras_3 = SimpleNamespace(Model=type("Model", (), {"__module__": "keras.src.models.model"}))
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(keras=keras_3))
    # Something else may have set it after TensorFlow was imported.
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    with pytest.raises(UserError, match="TF_USE_LEGACY_KERAS=1"):
        runtime()
