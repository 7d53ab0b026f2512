"""Rounding between two clips of which the gradient sees only the clips; see `codesign.quant.clipped`."""

from __future__ import annotations

from typing import Any

from codesign.quant.keras._base import tf


def clipped(v: Any, step: Any, low: int, high: int) -> Any:
    """Clip `v` to [low · step, high · step] and round it to a multiple of `step`, ties to even.

    The gradient of `v` is passed where low · step < v < high · step; that of `step`, of shape (), is high where
    v reaches the upper clip and low where it reaches the lower one.
    """

    @tf.custom_gradient
    def quantised(v: Any, step: Any) -> Any:
        bottom, top = low * step, high * step

        def gradient(upstream: Any) -> tuple[Any, Any]:
            inside = tf.cast((v > bottom) & (v < top), v.dtype)
            total = high * tf.reduce_sum(tf.where(v >= top, upstream, 0.0))
            if low:
                total += low * tf.reduce_sum(tf.where(v <= bottom, upstream, 0.0))
            return upstream * inside, total

        return tf.round(tf.clip_by_value(v / step, low, high)) * step, gradient

    return quantised(v, step)
