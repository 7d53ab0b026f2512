"""The QKeras layers that topologies are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from codesign.errors import UserError
from codesign.quant.qkeras_runtime import runtime
from codesign.quant.widths import FLOAT_BITS, Widths

WEIGHTS = {
    "quantized_bits": lambda bits: f"quantized_bits({bits}, 0, alpha='auto_po2')",
    "quantized_po2": lambda bits: f"quantized_po2({bits}, max_value=1)",
    "ternary": lambda bits: "ternary(alpha='auto_po2')",
    "binary": lambda bits: "binary(alpha='auto_po2')",
}
"""Weight methods of QKeras models: the quantizer of hidden layers, scaled per output channel if it can be."""


class KerasLayers:
    """Makes the layers of one network, every initial weight from one seed.

    Parameters
    ----------
    widths : Widths
        Bit widths; the network must not be float.
    weights, activations : str
        Methods: a key of `WEIGHTS`, and "quantized_relu".
    seed : int
        Of the initial weights.

    Raises
    ------
    UserError
        When a method is unknown or a width is that of a float.
    """

    def __init__(self, widths: Widths, weights: str, activations: str, seed: int) -> None:
        if weights not in WEIGHTS:
            raise UserError(f"a QKeras model has no weight method '{weights}'; known: {', '.join(sorted(WEIGHTS))}.")
        if activations != "quantized_relu":
            raise UserError(f"a QKeras model has no activation method '{activations}'; use 'quantized_relu'.")
        if FLOAT_BITS in (widths.weight_bits, widths.activation_bits):
            raise UserError("a QKeras model needs weight_bits and activation_bits below 32.")
        self.widths, self.weights, self.seed = widths, weights, seed
        self.made = 0
        _, keras, self.qkeras = runtime()
        self.keras = keras.layers
        self.initializers = keras.initializers

    def _initializer(self) -> Any:
        self.made += 1
        return self.initializers.HeNormal(seed=1000 * self.seed + self.made)

    def _weights(self, first: bool) -> str:
        if first:
            return WEIGHTS["quantized_bits"](self.widths.first_weight_bits)
        return str(WEIGHTS[self.weights](self.widths.weight_bits))

    def conv(
        self,
        outputs: int,
        kernel: int,
        name: str,
        *,
        stride: int = 1,
        padding: int | None = None,
        bias: bool = False,
        first: bool = False,
    ) -> Callable[[Any], Any]:
        """Return a convolution, 'same' unless `padding` pixels are to lie on all sides.

        Keras' 'same' puts an odd pixel after the image only, so it differs from torch at a stride of 2.
        """
        same = padding is None or (stride == 1 and kernel == 2 * padding + 1)
        layer = self.qkeras.QConv2D(
            outputs,
            kernel,
            strides=stride,
            padding="same" if same else "valid",
            use_bias=bias,
            kernel_initializer=self._initializer(),
            kernel_quantizer=self._weights(first),
            name=name,
        )
        if same or not padding:
            return cast(Callable[[Any], Any], layer)
        zeros = self.keras.ZeroPadding2D(padding, name=f"{name}_pad")
        return lambda x: layer(zeros(x))

    def depthwise(self, kernel: int, name: str, *, stride: int = 1) -> Any:
        """Return a 'same' depthwise convolution without bias."""
        return self.qkeras.QDepthwiseConv2D(
            kernel,
            strides=stride,
            padding="same",
            use_bias=False,
            depthwise_initializer=self._initializer(),
            depthwise_quantizer=self._weights(False),
            name=name,
        )

    def dense(self, outputs: int, name: str) -> Any:
        """Return the last layer, with bias; one weight scale, so that integer logits compare."""
        bits = self.widths.last_weight_bits
        return self.qkeras.QDense(
            outputs,
            kernel_initializer=self._initializer(),
            kernel_quantizer=f"quantized_bits({bits}, 0, 1, alpha=1)",
            bias_quantizer=f"quantized_bits({bits}, 0, 1, alpha=1)",
            name=name,
        )

    def batch_norm(self, name: str, *, momentum: float = 0.95, epsilon: float = 1e-3) -> Any:
        """Return a float batch norm, which the import folds into thresholds."""
        return self.keras.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)

    def relu(self, name: str, *, last: bool = False) -> Any:
        """Return a ReLU quantized to [0, 2); `last` marks the input of the last layer."""
        bits = self.widths.last_activation_bits if last else self.widths.activation_bits
        return self.qkeras.QActivation(f"quantized_relu({bits}, 1)", name=name)

    def residual(self, name: str) -> Any:
        """Return the signed quantizer of an operand of a residual addition, to [-4, 4)."""
        return self.qkeras.QActivation(f"quantized_bits({self.widths.residual_bits}, 2, alpha=1)", name=name)
