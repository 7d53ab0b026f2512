"""APoT weights for QKeras; see `codesign.quant.apot` for levels, normalisation and references."""

from __future__ import annotations

import math
from typing import Any

from codesign.quant.apot import START, levels_of
from codesign.quant.codebook import require_width
from codesign.quant.keras._base import Quantizer, positive, public, tf
from codesign.quant.keras._codebook import CodebookWeight, nearest_level
from codesign.quant.steps import SMALLEST_STEP


@public
class ApotWeight(CodebookWeight):
    """APoT weights of 2 to 5 bits, one scale per layer.

    Parameters
    ----------
    bits : int
    clip_start : float, optional
        Where α starts, in standard deviations; else the method's own start for the width.
    """

    starts = dict.fromkeys(START, 1.0)

    def __init__(self, bits: int = 4, clip_start: float | None = None, **kwargs: Any) -> None:
        require_width(bits)
        start = START[bits] if clip_start is None else clip_start
        if not 0 < start < math.inf:
            raise ValueError(f"the scale must start at a positive number of standard deviations, not {clip_start}")
        super().__init__(bits, per_channel=False, **kwargs)
        self.clip_start = start

    @staticmethod
    def levels_of(bits: int) -> tuple[int, ...]:
        """Return the magnitudes."""
        return levels_of(bits)

    def _first(self, w: Any) -> Any:
        return tf.constant(self.clip_start, tf.float32)

    def scaled(self, w: Any) -> tuple[Any, Any]:
        """Return the weights less their mean, and α times their standard deviation."""
        w = tf.convert_to_tensor(w)
        # In double precision the order of a sum does not matter to the result in single precision.
        wide = tf.cast(tf.stop_gradient(w), tf.float64)
        mean = tf.reduce_mean(wide)
        count = max(math.prod(w.shape), 1)
        variance = tf.reduce_sum(tf.square(wide - mean)) / max(count - 1, 1)
        deviation = tf.maximum(tf.cast(tf.sqrt(variance), w.dtype), SMALLEST_STEP)
        clip = positive(self.settled(self.clip, w, self._first))
        return w - tf.cast(mean, w.dtype), clip * deviation

    def call(self, w: Any) -> Any:
        """Quantise weights."""
        centred, clip = self.scaled(w)
        return nearest_level(centred, clip, self.levels, 1.0, clipped=False)


def weight(bits: int, per_channel: bool, depthwise: bool, *, alpha: float | None = None) -> Quantizer:
    """Return the quantizer of a kernel: one scale per layer in any case; `alpha` is where α starts."""
    return ApotWeight(bits, alpha)
