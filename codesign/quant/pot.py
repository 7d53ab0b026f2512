"""POT, powers of two: weights whose product is a shift.

A weight of b bits is α times one of the 2^b - 1 levels 0 and ±2^-i, i = 0 … 2^(b-1) - 2. At 2 bits the weights
are ternary. Ties go to the level nearer to zero. α, one per output channel, starts at a quantile of |w| and is
learned with the gradient of LSQ, as in POST. From POST it differs in its levels, and at 3 bits in that quantile, which
fits them. At 2 bits the two are the same.

References
----------
Zhou, Yao, Guo, Xu and Chen, Incremental network quantization: towards lossless CNNs with low-precision weights,
ICLR 2017, arXiv 1702.03044, has such levels; the training here is that of POST, arXiv 2504.17263.
"""

from __future__ import annotations

from brevitas.inject import ExtendedInjector, value

from codesign.quant.codebook import CodebookWeight, PerChannel, first_quantile, require_width

START = {2: 0.78, 3: 0.96, 4: 0.99, 5: 0.99}
"""Quantile of |w| where α starts, by width."""


def levels_of(bits: int) -> tuple[int, ...]:
    """Return the magnitudes of b-bit weights as integers, ascending from 0.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5.
    """
    require_width(bits)
    return (0, *(1 << i for i in range(2 ** (bits - 1) - 1)))


class PotWeightPerTensor(CodebookWeight):
    """Powers of two with one scale, 4 bits unless `.let(bit_width=…)` says otherwise."""

    @value
    def start(bit_width: int) -> float:  # noqa: N805
        """Quantile of |w| where α starts."""
        return START[int(bit_width)]

    @value
    def levels(bit_width: int) -> tuple[int, ...]:  # noqa: N805
        """Magnitudes of the width."""
        return levels_of(int(bit_width))


class PotWeightPerChannel(PerChannel, PotWeightPerTensor):
    """Powers of two with one scale per output channel, 4 bits unless changed."""


def weight(bits: int, per_channel: bool, *, quantile: float | None = None) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    α starts at the `quantile` of |w|, by default that of `START`.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5 or `quantile` not in (0, 1].
    """
    start = first_quantile(bits, quantile, START)
    return (PotWeightPerChannel if per_channel else PotWeightPerTensor).let(bit_width=bits, start=start)
