"""The QKeras layers that topologies are made of."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, cast

from codesign.errors import UserError
from codesign.quant import keras as methods
from codesign.quant.choice import Method
from codesign.quant.qkeras_runtime import runtime
from codesign.quant.widths import FLOAT_BITS, Widths

WEIGHTS = {
    "quantized_bits": lambda bits: f"quantized_bits({bits}, 0, alpha='auto_po2')",
    "quantized_po2": lambda bits: f"quantized_po2({bits}, max_value=1)",
    "ternary": lambda bits: "ternary(alpha='auto_po2')",
    "binary": lambda bits: "binary(alpha='auto_po2')",
}
"""Weight methods of QKeras itself: the quantizer of hidden layers, scaled per output channel if it can be."""

ACTIVATIONS = {"quantized_relu": lambda bits: f"quantized_relu({bits}, 1)"}
"""Activation methods of QKeras itself: to [0, 2)."""


class KerasLayers:
    """Makes the layers of one network, every initial weight from one seed.

    Parameters
    ----------
    widths : Widths
        Bit widths; the network must not be float.
    method : Method
        A key of `WEIGHTS` or a file in `codesign/quant/keras` for the weights, a key of `ACTIVATIONS` or such a
        file for the activations. Where both are QKeras' own, so are the edges.
    seed : int
        Of the initial weights.

    Raises
    ------
    UserError
        When a method or an option is unknown, or a width is that of a float or none of the method.
    """

    def __init__(self, widths: Widths, method: Method, seed: int) -> None:
        _require(method.weights, "weight", WEIGHTS)
        _require(method.activations, "activation", ACTIVATIONS)
        for name, options in ((method.weights, method.weight_options), (method.activations, method.activation_options)):
            if options and name in (*WEIGHTS, *ACTIVATIONS):
                raise UserError(f"the quantizer '{name}' of QKeras takes no options here; remove {', '.join(options)}.")
        bits = (getattr(widths, field) for field in widths.__struct_fields__)
        if FLOAT_BITS in bits:
            raise UserError("a QKeras model needs all widths below 32, weight_bits and activation_bits among them.")
        self.widths, self.method, self.seed = widths, method, seed
        self.own_edges = method.weights in WEIGHTS and method.activations in ACTIVATIONS
        if not self.own_edges:
            _require(method.edges, "weight", {})
            _require(method.edges, "activation", {})
        elif method.edges != Method().edges:
            raise UserError(f"the edges of a network with QKeras' own quantizers are theirs; remove '{method.edges}'.")
        self.made, self.adaptive = 0, 0
        _, keras, self.qkeras = runtime()
        self.keras = keras.layers
        self.initializers = keras.initializers

    def _initializer(self) -> Any:
        self.made += 1
        return self.initializers.HeNormal(seed=1000 * self.seed + self.made)

    def _weights(self, first: bool, depthwise: bool = False) -> str:
        method, bits = self.method, self.widths.first_weight_bits if first else self.widths.weight_bits
        if first and self.own_edges:
            return WEIGHTS["quantized_bits"](bits)
        if first:
            return str(methods.make(method.edges, "weight", (bits, True, depthwise), {}))
        if method.weights in WEIGHTS:
            return WEIGHTS[method.weights](bits)
        return str(methods.make(method.weights, "weight", (bits, True, depthwise), method.weight_options))

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
            depthwise_quantizer=self._weights(False, depthwise=True),
            name=name,
        )

    def dense(self, outputs: int, name: str) -> Any:
        """Return the last layer, with bias; one weight scale, so that integer logits compare."""
        bits = self.widths.last_weight_bits
        fixed = f"quantized_bits({bits}, 0, 1, alpha=1)"
        learned = "" if self.own_edges else str(methods.make(self.method.edges, "weight", (bits, False, False), {}))
        return self.qkeras.QDense(
            outputs,
            kernel_initializer=self._initializer(),
            kernel_quantizer=learned or fixed,
            bias_quantizer=fixed if self.own_edges else None,
            name=name,
        )

    def batch_norm(self, name: str, *, momentum: float = 0.95, epsilon: float = 1e-3) -> Any:
        """Return a float batch norm, which the import folds into thresholds."""
        return self.keras.BatchNormalization(momentum=momentum, epsilon=epsilon, name=name)

    def relu(self, name: str, *, last: bool = False) -> Any:
        """Return a quantized ReLU, or what the method has in its place; `last` marks the input of the last layer."""
        method, bits = self.method, self.widths.last_activation_bits if last else self.widths.activation_bits
        if method.activations in ACTIVATIONS and not (last and not self.own_edges):
            quantizer = ACTIVATIONS[method.activations](bits)
        elif last:
            quantizer = str(methods.make(method.edges, "activation", (bits, False), {}))
        else:
            made = methods.make(method.activations, "activation", (bits, False), method.activation_options)
            if hasattr(made, "seed"):
                # A count of its own: with any activation, kernels start from the same numbers.
                self.adaptive += 1
                made.seed = 1000 * self.seed + self.adaptive
            quantizer = str(made)
        return self.qkeras.QActivation(quantizer, name=name)

    def residual(self, name: str) -> Any:
        """Return the signed quantizer that both operands of a residual addition share, QKeras' own to [-4, 4)."""
        bits = self.widths.residual_bits
        if self.own_edges:
            return self.qkeras.QActivation(f"quantized_bits({bits}, 2, alpha=1)", name=name)
        return self.qkeras.QActivation(str(methods.make(self.method.edges, "activation", (bits, True), {})), name=name)


def _require(name: str, part: str, own: Mapping[str, Any]) -> None:
    """Raise `UserError` for a method that a QKeras model has not."""
    if name in own:
        return
    known = [*own, *methods.offering(part)]
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise UserError(f"a QKeras model has no {part} method '{name}'; {hint}: {', '.join(sorted(known))}.")
