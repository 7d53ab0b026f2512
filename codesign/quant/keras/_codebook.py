"""Weights from a fixed table of levels times a learned scale; see `codesign.quant.codebook`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from codesign.quant.codebook import codebook_of, first_quantile
from codesign.quant.keras._base import Quantizer, channel_axes, positive, scale_shape, sum_to, tf
from codesign.quant.steps import SMALLEST_STEP


def nearest_level(w: Any, scale: Any, levels: tuple[int, ...], gradient_scale: float, clipped: bool) -> Any:
    """Return scale / top times the signed level nearest to top · w / scale, the smaller one half-way.

    Parameters
    ----------
    w : Tensor
        float32.
    scale : Tensor
        Positive, of the greatest level; shape (), or with 1 along the axes that share it.
    levels : tuple of int
        Magnitudes, ascending from 0 to top.
    gradient_scale : float
        Factor of the gradient of `scale`.
    clipped : bool
        Whether weights beyond ±scale get no gradient.
    """
    top = levels[-1]

    @tf.custom_gradient
    def quantised(w: Any, scale: Any) -> Any:
        u = w / scale
        codes = integers(u, levels)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            inside = tf.cast(tf.abs(u) <= 1, w.dtype)
            slope = codes / top - u * inside
            total = sum_to(slope * upstream, tuple(scale.shape)) * gradient_scale
            return upstream * inside if clipped else upstream, total

        return codes * (scale / top), gradient

    return quantised(w, scale)


def integers(u: Any, levels: tuple[int, ...]) -> Any:
    """Return the signed level nearest to top · u as a float."""
    table = tf.constant(levels, u.dtype)
    magnitude = tf.abs(u) * levels[-1]
    # How many middles between two levels are below: half-way counts as not reached.
    index = tf.searchsorted((table[1:] + table[:-1]) / 2, tf.reshape(magnitude, [-1]), side="left")
    return tf.reshape(tf.gather(table, index), tf.shape(u)) * tf.sign(u)


class CodebookWeight(Quantizer):
    """Base of weights whose products are shifts and sums.

    Parameters
    ----------
    bits : int
        2 to 5.
    per_channel : bool
        One α per output channel, else one in all.
    depthwise : bool
        The kernel is that of a depthwise convolution: its last two axes are output channels.
    quantile : float, optional
        α starts at this quantile of |w|, else at the method's own for the width.

    Attributes
    ----------
    starts : dict
        Quantile of |w| where α starts, by width.
    codebook : tuple of int
        The signed levels, ascending. A weight is one of them times `scale`.
    """

    starts: ClassVar[dict[int, float]] = {}

    def __init__(
        self,
        bits: int = 4,
        per_channel: bool = True,
        depthwise: bool = False,
        quantile: float | None = None,
        **kwargs: Any,
    ) -> None:
        levels = self.levels_of(bits)
        start = first_quantile(bits, quantile, self.starts)
        super().__init__(**kwargs)
        self.bits, self.per_channel, self.depthwise, self.quantile = bits, per_channel, depthwise, start
        self.levels, self.codebook = levels, codebook_of(levels)

    @staticmethod
    def levels_of(bits: int) -> tuple[int, ...]:
        """Return the magnitudes of the method; ValueError for a width that it has not."""
        raise NotImplementedError

    def build(self, shape: Any) -> None:
        """Make α."""
        self.dims = scale_shape(tuple(shape), self.per_channel, self.depthwise)
        self.clip = self.parameter("weight_quant_clip", self.dims)
        super().build(shape)

    def initialise(self, w: Any) -> None:
        """Set α from weights."""
        self.clip.assign(self._first(tf.convert_to_tensor(w)))

    def _first(self, w: Any) -> Any:
        """Return a quantile of |w|, or the greatest one where that quantile is 0."""
        shared = len(channel_axes(len(w.shape), self.depthwise)) if self.dims else len(w.shape)
        magnitude = tf.reshape(tf.abs(w), [math.prod(w.shape[:shared]), math.prod(w.shape[shared:])])
        ascending = tf.sort(magnitude, axis=0)
        place = self.quantile * (len(ascending) - 1)
        below, above = ascending[math.floor(place)], ascending[math.ceil(place)]
        found = below + (above - below) * (place - math.floor(place))
        found = tf.where(found > 0, found, ascending[-1])
        return tf.reshape(tf.maximum(found, SMALLEST_STEP), self.dims)

    def scaled(self, w: Any) -> tuple[Any, Any]:
        """Return what is quantised for the weights `w`, and the magnitude of the greatest level."""
        return tf.convert_to_tensor(w), positive(self.settled(self.clip, w, self._first))

    def integer_scale(self, w: Any) -> Any:
        """Return by what integers are multiplied."""
        return self.scaled(w)[1] / self.levels[-1]

    def call(self, w: Any) -> Any:
        """Quantise weights; the first ones set α."""
        centred, clip = self.scaled(w)
        shared = math.prod(centred.shape) // max(math.prod(self.dims), 1)
        return nearest_level(centred, clip, self.levels, 1 / math.sqrt(max(shared, 1)), clipped=True)
