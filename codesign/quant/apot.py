"""APoT, additive powers of two: weights whose product is a sum of two shifts.

Levels of b bits, as in the authors' code: magnitudes are sums of one entry of each row below, divided by the
greatest, with a sign; 2^b - 1 levels.

    3 bits   {0, 1/2, 1/4, 1/8}
    4 bits   {0, 1/2, 1/4, 1/16} + {0, 1/8}
    5 bits   {0, 1/2, 1/8, 1/32} + {0, 1/4, 1/16, 1/64}

At 2 bits weights are ternary, at 3 bits powers of two. A layer's weights are normalised by their mean and
standard deviation, both taken for constants by the gradient; α, one per layer, starts at 3 standard deviations, at
2 bits, where that would leave nearly all weights at zero, at 1.22, the best one for normal weights. The gradient of
a weight is passed on wherever it lies, that of α is q - u inside ±α and ±1 outside.

One thing is added: the quantised weights are multiplied by the standard deviation again. A batch norm behind the
layer cannot see that, neither forwards nor in the gradients of w and α, and a layer without one keeps its size.

References
----------
Li, Dong and Wang, Additive powers-of-two quantization: an efficient non-uniform discretization for neural
networks, ICLR 2020, arXiv 1909.13144, and its released code for CIFAR-10.
"""

from __future__ import annotations

import math

import torch
from brevitas.inject import ExtendedInjector, value
from torch import Tensor

from codesign.quant.codebook import CodebookFunction, CodebookQuant, CodebookWeight, require_width
from codesign.quant.steps import SMALLEST_STEP

ALPHA = 3.0
"""Where α starts in the authors' code, in standard deviations."""

START = {2: 1.22, 3: ALPHA, 4: ALPHA, 5: ALPHA}
"""Where α starts, in standard deviations, by width."""

TERMS: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = {
    2: ((0, 1), (0,)),
    3: ((0, 1, 2, 4), (0,)),
    4: ((0, 1, 4, 8), (0, 2)),
    5: ((0, 2, 8, 32), (0, 1, 4, 16)),
}
"""The rows of each width, over their common denominator."""


def levels_of(bits: int) -> tuple[int, ...]:
    """Return the magnitudes of b-bit weights as integers, ascending from 0.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5.
    """
    require_width(bits)
    first, second = TERMS[bits]
    return tuple(sorted(a + b for a in first for b in second))


class ApotQuant(CodebookQuant):
    """Brevitas `tensor_quant` of APoT weights; see `CodebookQuant`."""

    def first(self, w: Tensor, shape: tuple[int, ...], start: float) -> Tensor:
        """Return the first α, in standard deviations."""
        return torch.full(shape, start)

    def scaled(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights less their mean, and α times their standard deviation."""
        constant = w.detach()
        deviation = constant.std(correction=1 if w.numel() > 1 else 0).clamp_min(SMALLEST_STEP)
        return w - constant.mean(), self.clip() * deviation

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weights of any shape quantised, their scale (), zero point and width."""
        centred, alpha = self.scaled(w)
        y = CodebookFunction.apply(centred, alpha, self.levels, self.middles, 1.0, False)
        return self.described(y, alpha / self.levels[-1])


class ApotWeight(CodebookWeight):
    """APoT weights with one scale per layer, 4 bits unless `.let(bit_width=…)` says otherwise."""

    tensor_quant = ApotQuant

    @value
    def start(bit_width: int) -> float:  # noqa: N805
        """Standard deviations where α starts."""
        return START[int(bit_width)]

    @value
    def levels(bit_width: int) -> tuple[int, ...]:  # noqa: N805
        """Magnitudes of the width."""
        return levels_of(int(bit_width))


def weight(bits: int, per_channel: bool, *, alpha: float | None = None) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method: one scale per layer in any case.

    α starts at `alpha` standard deviations, by default those of `START`.

    Raises
    ------
    ValueError
        When `bits` is not 2 to 5 or `alpha` is not positive.
    """
    require_width(bits)
    start = START[bits] if alpha is None else alpha
    if not 0 < start < math.inf:
        raise ValueError(f"the scale must start at a positive number of standard deviations, not {alpha}")
    return ApotWeight.let(bit_width=bits, start=start)
