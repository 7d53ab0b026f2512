"""QKeras networks that the import tests build: small, randomly initialised, with settled statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codesign.ir import IntType
from codesign.quant.qkeras_runtime import runtime

UINT4 = IntType(4, signed=False)


def randomise(model: Any, rng: np.random.Generator) -> Any:
    """Give every layer random weights, of the spread that its quantizer covers."""
    keras = runtime().keras
    for layer in model.layers:
        old = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            n = old[0].shape
            layer.set_weights(
                [rng.normal(1, 0.6, n), rng.normal(0, 0.4, n), rng.normal(0, 0.5, n), rng.uniform(0.2, 2, n)]
            )
        elif old:
            layer.set_weights(
                [rng.normal(0, 0.5, w.shape) if w.ndim > 1 else rng.uniform(-0.9, 0.9, w.shape) for w in old]
            )
    return model


def settle(model: Any) -> Any:
    """Replace float weights by their quantized values, so that QKeras' float32 arithmetic is exact.

    QKeras returns x + (q - x) for a weight x quantized to q, which may miss q by an ulp unless x is q.
    """
    tf = runtime().tf
    for layer in model.layers:
        if not hasattr(layer, "get_quantizers"):
            continue
        values = layer.get_weights()
        for i, quantizer in enumerate(layer.get_quantizers()[: len(values)]):
            if quantizer is not None:
                once = np.asarray(quantizer(tf.constant(values[i])))
                values[i] = np.asarray(quantizer(tf.constant(once)))
        layer.set_weights(values)
    return model


def mlp() -> Any:
    """Flat input, dense layers only."""
    keras, q = runtime().keras, runtime().qkeras
    x = i = keras.layers.Input((20,))
    x = q.QDense(16, kernel_quantizer="quantized_bits(6, 1, 1, alpha=1)", use_bias=False, name="d0")(x)
    x = q.QActivation("quantized_relu(3, 4)", name="a0")(x)
    x = q.QDense(
        12,
        kernel_quantizer="quantized_bits(3, 0, alpha=1)",
        bias_quantizer="quantized_bits(6, 0, alpha=1)",
        activation=q.quantized_bits(4, 2, symmetric=1, alpha=1.0),
        name="d1",
    )(x)
    x = q.QDense(5, kernel_quantizer="quantized_bits(4, 0)", bias_quantizer="quantized_bits(4, 4)", name="d2")(x)
    return keras.Model(i, x)


def non_uniform() -> Any:
    """Binary, ternary and power-of-two weights, binary and ternary activations; a Sequential model."""
    keras, q = runtime().keras, runtime().qkeras
    layers = [
        keras.layers.Input((7, 7, 2)),
        q.QConv2D(6, 3, kernel_quantizer="binary(alpha=1)", use_bias=False, name="c0"),
        q.QActivation("quantized_relu(2, 3)", name="a0"),
        q.QConv2D(6, 3, padding="same", kernel_quantizer="ternary()", use_bias=False, name="c1"),
        q.QActivation("ternary(alpha=1, threshold=0.75)", name="a1"),
        q.QConv2D(6, 3, padding="same", kernel_quantizer="quantized_po2(4)", use_bias=False, name="c2"),
        q.QActivation("binary(alpha=1)", name="a2"),
        q.QConv2D(6, 2, kernel_quantizer="binary()", use_bias=False, name="c3"),
        q.QActivation(q.binary(use_01=True, alpha=0.5), name="a3"),
        keras.layers.Flatten(name="flat"),
        q.QDense(4, kernel_quantizer="quantized_po2(3, max_value=1)", use_bias=False, name="d"),
    ]
    return keras.Sequential(layers)


def residual() -> Any:
    """Additions of operands whose scales are different powers of two, and one of three operands."""
    keras, q = runtime().keras, runtime().qkeras
    i = keras.layers.Input((6, 6, 3))
    x = q.QConv2D(8, 1, kernel_quantizer="quantized_bits(4, 0)", use_bias=False, name="c0")(i)
    x = a = q.QActivation("quantized_relu(4, 3)", name="a0")(x)
    x = q.QConv2D(8, 3, padding="same", kernel_quantizer="quantized_bits(3, 0)", use_bias=False, name="c1")(x)
    x = b = q.QActivation("quantized_bits(6, 5, alpha=1)", name="a1")(x)
    x = s = keras.layers.Add(name="s0")([a, b])
    x = q.QActivation("quantized_relu(5, 5)", name="a2")(x)
    x = q.QConv2D(8, 3, padding="same", kernel_quantizer="quantized_bits(3, 0)", use_bias=False, name="c2")(x)
    x = q.QActivation("quantized_bits(8, 6, alpha=1)", name="a3")(x)
    x = keras.layers.Add(name="s1")([x, s, a])
    x = q.QActivation("quantized_relu(4, 5)", name="a4")(x)
    x = keras.layers.MaxPooling2D(2, name="m")(x)
    x = keras.layers.AveragePooling2D((1, 2), strides=1, name="p")(x)
    x = keras.layers.GlobalMaxPooling2D(name="g")(x)
    x = q.QDense(6, kernel_quantizer="quantized_bits(4, 0, alpha=1)", use_bias=False, name="d")(x)
    return keras.Model(i, x)


def strided(height: int, kernel: int, stride: int, *, multiplier: int = 2) -> Any:
    """'same' convolutions with stride, depthwise with a multiplier, zero padding, a 1x1 dense layer."""
    keras, q = runtime().keras, runtime().qkeras
    x = i = keras.layers.Input((height, height + 1, 2))
    quantizer = "quantized_bits(4, 0, alpha=1)"
    x = q.QConv2D(4, kernel, strides=stride, padding="same", kernel_quantizer=quantizer, use_bias=False, name="c0")(x)
    x = q.QActivation("quantized_relu(3, 4)", name="a0")(x)
    x = keras.layers.ZeroPadding2D(((0, 1), (2, 1)), name="z")(x)
    x = q.QDepthwiseConv2D(
        2, padding="same", depth_multiplier=multiplier, depthwise_quantizer=quantizer, use_bias=False, name="w"
    )(x)
    x = q.QActivation("quantized_bits(5, 4, alpha=1)", name="a1")(x)
    x = q.QDense(5, kernel_quantizer=quantizer, use_bias=False, name="pixel")(x)
    x = q.QActivation("quantized_relu(4, 4)", name="a2")(x)
    x = keras.layers.Flatten(name="flat")(x)
    return keras.Model(i, q.QDense(3, kernel_quantizer=quantizer, use_bias=False, name="d")(x))


EXACT: dict[str, Callable[[], Any]] = {
    "mlp": mlp,
    "non_uniform": non_uniform,
    "residual": residual,
    "same_even_stride2": lambda: strided(8, 3, 2),
    "same_odd_stride2": lambda: strided(7, 2, 2),
    "same_stride3": lambda: strided(10, 5, 3, multiplier=1),
    "kernel_below_stride": lambda: strided(9, 1, 2),
}
"""Networks whose scales are all powers of two: float32 computes them without error."""


def random_network(seed: int) -> Any:
    """A random network with batch norm and any mix of quantizers."""
    keras, q = runtime().keras, runtime().qkeras
    rng = np.random.default_rng(seed)

    def weights() -> str:
        bits, alpha = int(rng.integers(2, 9)), rng.choice(["'auto'", "'auto_po2'", "1", "0.7"])
        plain = rng.choice(["alpha=1", "", "alpha='auto'"])
        choices = (
            f"quantized_bits({bits}, {rng.integers(0, 2)}, alpha={alpha})",
            f"quantized_bits({bits}, 0, 1, alpha={alpha})",
            f"binary({plain})",
            f"ternary({plain})",
            f"quantized_po2({rng.integers(3, 5)})",
        )
        return str(rng.choice(choices))

    def activation() -> str:
        bits, integer = int(rng.integers(1, 9)), int(rng.integers(0, 4))
        alpha = rng.choice(["1", "0.3", "2"])
        choices = (
            f"quantized_relu({bits}, {integer})",
            f"quantized_relu({bits}, {integer})",
            f"quantized_bits({max(bits, 2)}, {integer}, {rng.integers(0, 2)}, alpha={alpha})",
            f"binary(alpha={alpha})",
            "ternary(alpha=1, threshold=0.4)",
        )
        return str(rng.choice(choices))

    channels = int(rng.integers(1, 4))
    x = i = keras.layers.Input((int(rng.integers(5, 10)), int(rng.integers(5, 10)), channels))
    for n in range(int(rng.integers(1, 4))):
        padding = str(rng.choice(["same", "valid"])) if min(x.shape[1:3]) > 3 else "same"
        common = {"strides": int(rng.integers(1, 3)), "padding": padding, "use_bias": bool(rng.integers(2))}
        if rng.integers(3) == 0:
            x = q.QDepthwiseConv2D(3, depthwise_quantizer=weights(), name=f"w{n}", **common)(x)
        else:
            x = q.QConv2D(int(rng.integers(2, 7)), 3, kernel_quantizer=weights(), name=f"c{n}", **common)(x)
        if rng.integers(4) != 0:
            x = keras.layers.BatchNormalization(name=f"n{n}")(x)
        if rng.integers(4) == 0:
            x = keras.layers.ReLU(name=f"r{n}", max_value=rng.choice([None, 2.3]))(x)
        x = q.QActivation(activation(), name=f"a{n}")(x)
        if rng.integers(3) == 0:
            branch = q.QConv2D(x.shape[-1], 3, padding="same", kernel_quantizer=weights(), name=f"b{n}")(x)
            branch = keras.layers.BatchNormalization(name=f"bn{n}")(branch)
            shared = q.QActivation(f"quantized_bits({rng.integers(3, 9)}, 2, alpha=1)", name=f"q{n}")
            x = keras.layers.Add(name=f"s{n}")([shared(branch), shared(x)])
            x = q.QActivation(activation(), name=f"sa{n}")(x)
        if min(x.shape[1:3]) >= 2 and rng.integers(3) == 0:
            pool = keras.layers.MaxPooling2D if rng.integers(2) else keras.layers.AveragePooling2D
            x = pool(2, strides=int(rng.integers(1, 3)), name=f"p{n}")(x)
    head = keras.layers.Flatten if rng.integers(2) else keras.layers.GlobalAveragePooling2D
    x = head(name="head")(x)
    x = q.QDense(int(rng.integers(2, 6)), kernel_quantizer=weights(), name="d")(x)
    return randomise(keras.Model(i, x), rng)
