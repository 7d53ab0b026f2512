"""Binary weights and activations for QKeras; see `codesign.quant.sign` for formulas and references."""

from __future__ import annotations

from typing import Any

from codesign.quant.keras._base import Quantizer, channel_axes, public, tf
from codesign.quant.sign import require_one_bit
from codesign.quant.steps import SMALLEST_STEP


def binarize(w: Any, scale: Any) -> Any:
    """Return scale · sign(w), sign(0) = +1; the gradient is passed inside (-1, 1)."""

    @tf.custom_gradient
    def binary(w: Any) -> Any:
        inside = tf.cast((w > -1) & (w < 1), w.dtype)
        return tf.where(w >= 0, scale, -scale), lambda upstream: upstream * inside

    return binary(w)


def step(x: Any, smooth: bool = False) -> Any:
    """Return [x ≥ 0] as zeros and ones; the derivative inside (-1, 1) is 1/2, or 1 - |x| when smooth."""

    @tf.custom_gradient
    def stepped(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            if smooth:
                return upstream * -tf.minimum(tf.abs(x) - 1, 0)
            return 0.5 * upstream * tf.cast((x > -1) & (x < 1), x.dtype)

        return tf.cast(x >= 0, x.dtype), gradient

    return stepped(x)


@public
class SignWeight(Quantizer):
    """Binary weights, ± the mean of |w| over each output channel, or over the layer.

    Parameters
    ----------
    per_channel : bool
        One scale per output channel, else one in all.
    depthwise : bool
        The kernel is that of a depthwise convolution: its last two axes are output channels.
    """

    bits = 1

    def __init__(self, per_channel: bool = True, depthwise: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.per_channel, self.depthwise = per_channel, depthwise

    def integer_scale(self, w: Any) -> Any:
        """Return the magnitude of the weights."""
        size = tf.stop_gradient(tf.abs(tf.convert_to_tensor(w)))
        axes = channel_axes(len(size.shape), self.depthwise) if self.per_channel else None
        return tf.maximum(tf.reduce_mean(size, axes, keepdims=self.per_channel), SMALLEST_STEP)

    def call(self, w: Any) -> Any:
        """Binarise weights."""
        return binarize(tf.convert_to_tensor(w), self.integer_scale(w))


@public
class SignActivation(Quantizer):
    """Binary activations 0 and 1 with the clipped identity as derivative."""

    def call(self, x: Any) -> Any:
        """Return the step of `x`."""
        return step(x)


def weight(bits: int, per_channel: bool, depthwise: bool) -> Quantizer:
    """Return the quantizer of a kernel.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "sign")
    return SignWeight(per_channel, depthwise)


def activation(bits: int, signed: bool) -> Quantizer:
    """Return the quantizer of an activation, in the place of a ReLU.

    Raises
    ------
    ValueError
        When `bits` is not 1, or it is `signed`.
    """
    require_one_bit(bits, "sign")
    if signed:
        raise ValueError("its activations are 0 and 1, which operands of an addition cannot be")
    return SignActivation()
