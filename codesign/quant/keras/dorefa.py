"""DoReFa-Net weights and activations for QKeras; see `codesign.quant.dorefa` for formulas and references."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.quant.keras._base import Quantizer, public, tf
from codesign.quant.keras._clipped import clipped
from codesign.quant.lsq import code_range
from codesign.quant.steps import SMALLEST_STEP


def odd(u: Any, scale: Any, n: int) -> Any:
    """Return scale · (2k - n) for the code k = round(n · (u / 2 + 1/2)) of u in [-1, 1]; rounding passes gradients."""

    @tf.custom_gradient
    def quantised(u: Any) -> Any:
        codes = tf.round((u * 0.5 + 0.5) * n)
        return (2 * codes - n) * scale, lambda upstream: upstream * (n * scale)

    return quantised(u)


def tanh(w: Any) -> Any:
    """Return tanh w to the last bit of float32, which TensorFlow's own is not."""
    return tf.cast(tf.tanh(tf.cast(w, tf.float64)), w.dtype)


@public
class DorefaWeight(Quantizer):
    """Weights that are odd integers times one scale; ±mean|w| at 1 bit.

    Parameters
    ----------
    bits : int
    rescale : bool
        Multiply by the greatest |tanh w| of the layer, taken for a constant.

    Raises
    ------
    ValueError
        When `bits` is not positive.
    """

    def __init__(self, bits: int = 4, rescale: bool = True, **kwargs: Any) -> None:
        if bits < 1:
            raise ValueError(f"weights need at least 1 bit, not {bits}")
        super().__init__(**kwargs)
        self.bits, self.rescale = bits, rescale

    @property
    def integer_bits(self) -> int:
        """Width of the odd integers, in two's complement."""
        return int(self.bits) + (self.bits > 1)

    def integer_scale(self, w: Any) -> Any:
        """Return by what integers are multiplied, shape ()."""
        w = tf.stop_gradient(tf.convert_to_tensor(w))
        if self.bits == 1:
            return tf.maximum(tf.reduce_mean(tf.abs(w)), SMALLEST_STEP)
        greatest = tf.maximum(tf.reduce_max(tf.abs(tanh(w))), SMALLEST_STEP)
        return (greatest if self.rescale else tf.ones_like(greatest)) / (2**self.bits - 1)

    def call(self, w: Any) -> Any:
        """Quantise weights."""
        w = tf.convert_to_tensor(w)
        scale = self.integer_scale(w)
        if self.bits == 1:
            return passing(w, tf.where(w >= 0, scale, -scale))
        t = tanh(w)
        greatest = tf.maximum(tf.reduce_max(tf.abs(t)), SMALLEST_STEP)
        return odd(t / greatest, scale, 2**self.bits - 1)


def passing(w: Any, value: Any) -> Any:
    """Return `value` with the gradient passed on to `w`."""

    @tf.custom_gradient
    def replaced(_: Any) -> Any:
        return tf.stop_gradient(value), lambda upstream: upstream

    return replaced(w)


@public
class DorefaActivation(Quantizer):
    """Activations in [0, 1], or in [-1, 1] when signed.

    Raises
    ------
    ValueError
        When no positive code is left.
    """

    def __init__(self, bits: int = 8, signed: bool = False, **kwargs: Any) -> None:
        low, high = code_range(bits, signed, narrow=True)
        super().__init__(**kwargs)
        self.low, self.high = low, high
        self.bits, self.signed = bits, signed

    def grid_scale(self) -> float:
        """Return the difference of two values."""
        return float(np.float32(1 / self.high))

    def call(self, x: Any) -> Any:
        """Quantise activations."""
        return clipped(x, tf.constant(self.grid_scale(), x.dtype), self.low, self.high)


def weight(bits: int, per_channel: bool, depthwise: bool, *, rescale: bool = True) -> Quantizer:
    """Return the quantizer of a kernel: one scale per layer in any case."""
    return DorefaWeight(bits, rescale)


def activation(bits: int, signed: bool) -> Quantizer:
    """Return the quantizer of an activation."""
    return DorefaActivation(bits, signed)
