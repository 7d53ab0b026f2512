"""PACT activations for QKeras; see `codesign.quant.pact` for formulas and references."""

from __future__ import annotations

import math
from typing import Any

from codesign.quant.keras._base import Quantizer, positive, public, tf
from codesign.quant.keras._clipped import clipped
from codesign.quant.lsq import code_range
from codesign.quant.pact import DECAY


def decaying(value: Any, decay: float) -> Any:
    """Return `value`, with decay · value added to its gradient."""

    @tf.custom_gradient
    def identity(value: Any) -> Any:
        return tf.identity(value), lambda upstream: upstream + decay * value

    return identity(value)


@public
class PactActivation(Quantizer):
    """Activations with a learned clip α, set by the first batch.

    Parameters
    ----------
    bits : int
    signed : bool
        Clip to ±α; otherwise to [0, α], as behind a ReLU.
    decay : float
        Factor of the L2 term on α.

    Raises
    ------
    ValueError
        When no positive code is left, or `decay` is negative.
    """

    def __init__(self, bits: int = 8, signed: bool = False, decay: float = DECAY, **kwargs: Any) -> None:
        low, high = code_range(bits, signed, narrow=True)
        if not 0 <= decay < math.inf:
            raise ValueError(f"the decay of the clip must be 0 or positive, not {decay}")
        super().__init__(**kwargs)
        self.low, self.high = low, high
        self.bits, self.signed, self.decay = bits, signed, decay

    def build(self, shape: Any) -> None:
        """Make the clip."""
        self.clip = self.parameter("act_quant_clip", ())
        super().build(shape)

    def _first(self, x: Any) -> Any:
        magnitude = tf.abs(x) if self.signed else tf.nn.relu(x)
        return 2 * tf.reduce_mean(magnitude) * math.sqrt(self.high)

    def grid_scale(self) -> float:
        """Return the difference of two values; 0 before the first batch."""
        return float(positive(self.clip) / self.high) if float(self.clip) else 0.0

    def call(self, x: Any) -> Any:
        """Quantise activations."""
        clip = self.settled(self.clip, x, self._first)
        return clipped(x, positive(decaying(clip, self.decay)) / self.high, self.low, self.high)


def activation(bits: int, signed: bool, *, decay: float = DECAY) -> Quantizer:
    """Return the quantizer of an activation."""
    return PactActivation(bits, signed, decay)
