"""LSQ for QKeras; see `codesign.quant.lsq` for formulas and references."""

from __future__ import annotations

import math
from typing import Any

from codesign.quant.keras._base import Quantizer, channel_axes, positive, public, scale_shape, sum_to, tf
from codesign.quant.lsq import code_range
from codesign.quant.steps import SMALLEST_STEP


def lsq(v: Any, step: Any, low: int, high: int, gradient_scale: Any) -> Any:
    """Return step · round(clip(v / step, low, high)) with the gradients of LSQ.

    Parameters
    ----------
    v : Tensor
        float32.
    step : Tensor
        Positive; shape (), or with 1 along the axes that share a step.
    low, high : int
        Least and greatest code.
    gradient_scale : float or Tensor
        Factor of the gradient of `step`.
    """

    @tf.custom_gradient
    def quantised(v: Any, step: Any) -> Any:
        scaled = v / step
        codes = tf.round(tf.clip_by_value(scaled, low, high))

        def gradient(upstream: Any) -> tuple[Any, Any]:
            inside = tf.cast((scaled > low) & (scaled < high), v.dtype)
            slope = (codes - scaled * inside) * upstream
            return upstream * inside, sum_to(slope, tuple(step.shape)) * gradient_scale

        return codes * step, gradient

    return quantised(v, step)


def first_step(v: Any, shape: tuple[int, ...], axes: list[int], high: int) -> Any:
    """Return 2 · mean|v| / √high, the mean over what shares the step; 0 for a whole tensor of zeros."""
    if not shape:
        return 2 * tf.reduce_mean(tf.abs(v)) / math.sqrt(high)
    mean = tf.reduce_mean(tf.abs(v), axes, keepdims=True)
    return tf.maximum(2 * mean / math.sqrt(high), SMALLEST_STEP)


def activation_gradient_scale(x: Any, high: int) -> float:
    """Return 1 / √(N · high), N the values of one sample."""
    return 1 / math.sqrt(max(math.prod(x.shape[1:]), 1) * high)


@public
class LsqWeight(Quantizer):
    """Weights in the narrow signed range, with learned steps.

    Parameters
    ----------
    bits : int
    per_channel : bool
        One step per output channel, else one in all.
    depthwise : bool
        The kernel is that of a depthwise convolution: its last two axes are output channels.

    Raises
    ------
    ValueError
        When there is no such width.
    """

    def __init__(self, bits: int = 8, per_channel: bool = True, depthwise: bool = False, **kwargs: Any) -> None:
        low, high = code_range(bits, signed=True, narrow=True)
        super().__init__(**kwargs)
        self.low, self.high = low, high
        self.bits, self.per_channel, self.depthwise = bits, per_channel, depthwise

    def build(self, shape: Any) -> None:
        """Make the step."""
        self.dims = scale_shape(tuple(shape), self.per_channel, self.depthwise)
        self.step = self.parameter("weight_quant_step", self.dims)
        super().build(shape)

    def initialise(self, w: Any) -> None:
        """Set the steps from weights."""
        self.step.assign(self._first(tf.convert_to_tensor(w)))

    def _first(self, w: Any) -> Any:
        return first_step(w, self.dims, channel_axes(len(w.shape), self.depthwise), self.high)

    def integer_scale(self, w: Any) -> Any:
        """Return by what integers are multiplied."""
        return positive(self.settled(self.step, w, self._first))

    def call(self, w: Any) -> Any:
        """Quantise weights; the first ones set the steps."""
        step = self.integer_scale(w)
        shared = math.prod(w.shape) // max(math.prod(self.dims), 1)
        return lsq(tf.convert_to_tensor(w), step, self.low, self.high, 1 / math.sqrt(max(shared, 1) * self.high))


@public
class LsqActivation(Quantizer):
    """Activations with one learned step, set by the first batch.

    Parameters
    ----------
    bits : int
    signed : bool
        Full signed range; otherwise values below 0 become 0, as behind a ReLU.

    Raises
    ------
    ValueError
        When there is no such width.
    """

    def __init__(self, bits: int = 8, signed: bool = False, **kwargs: Any) -> None:
        low, high = code_range(bits, signed, narrow=False)
        super().__init__(**kwargs)
        self.low, self.high = low, high
        self.bits, self.signed = bits, signed

    def build(self, shape: Any) -> None:
        """Make the step."""
        self.step = self.parameter("act_quant_step", ())
        super().build(shape)

    def grid_scale(self) -> float:
        """Return the step; 0 before the first batch."""
        return float(positive(self.step)) if float(self.step) else 0.0

    def call(self, x: Any) -> Any:
        """Quantise activations."""
        step = positive(self.settled(self.step, x, self._first))
        return lsq(x, step, self.low, self.high, activation_gradient_scale(x, self.high))

    def _first(self, x: Any) -> Any:
        return first_step(x if self.signed else tf.nn.relu(x), (), [], self.high)


def weight(bits: int, per_channel: bool, depthwise: bool) -> Quantizer:
    """Return the quantizer of a kernel."""
    return LsqWeight(bits, per_channel, depthwise)


def activation(bits: int, signed: bool) -> Quantizer:
    """Return the quantizer of an activation."""
    return LsqActivation(bits, signed)
