"""POST, powers of the square root of two: weights whose product is a shift and a choice of accumulator.

A weight of b bits is α times one of the 2^b - 1 levels 0 and ±2^(-i/2), i = 0 … 2^(b-1) - 2, with 181/256 in
place of 2^(-1/2), in training as in hardware. At 4 bits α / 1024 is multiplied by 0, ±128, ±181, ±256, ±362,
±512, ±724 or ±1024. At 2 bits the weights are ternary. Ties go to the level nearer to zero.

α, one per output channel, starts at the 0.99 quantile of |w| and is learned with the gradient of LSQ. At 2 and 3
bits, where levels are few, that quantile has 2.7 and 1.8 times the squared error of the best one on normal weights; α
starts at the best there.

References
----------
ASQ with POST weights: arXiv 2504.17263. Its released code has levels without the square root, one more than
fit b bits, and lets α become negative; here the levels are those of the paper, fit b bits, and α is positive.
"""

from __future__ import annotations

from brevitas.inject import ExtendedInjector, value

from codesign.quant.codebook import CodebookWeight, PerChannel, first_quantile, require_width

ROOT = 181, 256
"""The fraction that stands for 2^(-1/2); off by 1.1e-4 of itself."""


START = {2: 0.78, 3: 0.92, 4: 0.99, 5: 0.99}
"""Quantile of |w| where α starts, by width."""


def levels_of(bits: int) -> tuple[int, ...]:
    """Return the magnitudes of b-bit weights as the smallest integers of the same ratios, ascending from 0.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5.
    """
    require_width(bits)
    count = 2 ** (bits - 1) - 1
    odd = count // 2
    # The smallest odd level is 181/256 · 2^-(odd - 1).
    top = ROOT[1] << (odd - 1) if odd else 1
    magnitudes = [(top * (ROOT[0] if i % 2 else 1) // (ROOT[1] if i % 2 else 1)) >> (i // 2) for i in range(count)]
    return (0, *reversed(magnitudes))


class PostWeightPerTensor(CodebookWeight):
    """POST weights with one scale, 4 bits unless `.let(bit_width=…)` says otherwise."""

    @value
    def start(bit_width: int) -> float:  # noqa: N805
        """Quantile of |w| where α starts."""
        return START[int(bit_width)]

    @value
    def levels(bit_width: int) -> tuple[int, ...]:  # noqa: N805
        """Magnitudes of the width."""
        return levels_of(int(bit_width))


class PostWeightPerChannel(PerChannel, PostWeightPerTensor):
    """POST weights with one scale per output channel, 4 bits unless changed.

    Use as `QuantConv2d(…, weight_quant=PostWeightPerChannel, weight_bit_width=3)`.
    """


class PostWeight2b(PostWeightPerChannel):
    """Ternary weights, one scale per output channel."""

    bit_width = 2


class PostWeight3b(PostWeightPerChannel):
    """POST weights of 3 bits, one scale per output channel."""

    bit_width = 3


class PostWeight4b(PostWeightPerChannel):
    """POST weights of 4 bits, one scale per output channel."""

    bit_width = 4


class PostWeight5b(PostWeightPerChannel):
    """POST weights of 5 bits, one scale per output channel."""

    bit_width = 5


def weight(bits: int, per_channel: bool, *, quantile: float | None = None) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    α starts at the `quantile` of |w|, by default that of `START`.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5 or `quantile` not in (0, 1].
    """
    start = first_quantile(bits, quantile, START)
    return (PostWeightPerChannel if per_channel else PostWeightPerTensor).let(bit_width=bits, start=start)
