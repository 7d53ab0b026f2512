"""Weights from a fixed table of levels, the same for a whole layer, times a learned scale.

A level is an integer: a weight is α / top · sign · level, top the greatest level. Training computes with
these integers, so hardware that holds the table computes the same.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from brevitas.inject import ExtendedInjector, value
from brevitas.inject.enum import QuantType
from torch import Tensor, nn

from codesign.quant.quantizer import Quantizer, WeightProxy, channel_shape
from codesign.quant.steps import SMALLEST_STEP


class CodebookFunction(torch.autograd.Function):
    """α times the level nearest to clip(w / α, -1, 1)."""

    @staticmethod
    def forward(
        ctx: Any, w: Tensor, alpha: Tensor, levels: Tensor, middles: Tensor, gradient_scale: float, clipped: bool
    ) -> Tensor:
        """Quantise.

        Parameters
        ----------
        w : Tensor
            Any shape, float32 or float64; the result has the same.
        alpha : Tensor
            Positive, of a shape that broadcasts to that of `w`.
        levels : Tensor, shape (L,)
            Integers 0 … top as floats, ascending.
        middles : Tensor, shape (L - 1,)
            Half-way between neighbours of `levels`.
        gradient_scale : float
            Factor of the gradient of `alpha`.
        clipped : bool
            Whether weights beyond ±alpha get no gradient.
        """
        u = w / alpha
        integers = _integers(u, levels, middles)
        ctx.save_for_backward(u, integers, alpha)
        ctx.settings = float(levels[-1]), gradient_scale, clipped
        return integers * (alpha / levels[-1].to(alpha.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        """Return gradients of `w` and `alpha`.

        For w: passed where |u| ≤ 1, u = w / alpha, else 0; or passed everywhere. For alpha: q - u
        inside, q the chosen level over top, ±1 outside; times the gradient scale, summed over what
        shares the scale.
        """
        (gradient,) = gradients
        u, integers, alpha = ctx.saved_tensors
        top, gradient_scale, clipped = ctx.settings
        inside = (u.abs() <= 1).to(u.dtype)
        slope = integers / top - u * inside
        total = (slope * gradient).sum_to_size(alpha.shape) * gradient_scale
        return gradient * inside if clipped else gradient, total, None, None, None, None


def _integers(u: Tensor, levels: Tensor, middles: Tensor) -> Tensor:
    """Return the signed level nearest to u · top; half-way the smaller one. NaN stays."""
    magnitude = (u.abs() * levels[-1].to(u.dtype)).contiguous()
    index = torch.bucketize(magnitude, middles.to(u.dtype))
    # The memory order is that of u, such as channels last.
    integers = torch.empty_like(u).copy_(levels.to(u.dtype)[index]).copysign_(u)
    return torch.where(u.isnan(), u, integers)


class CodebookQuant(Quantizer):
    """Brevitas `tensor_quant` of weights with a table of levels.

    The quantised tensor is integers times a scale, α / top, so its bit width is that of the integers;
    a weight is stored in fewer bits, as its position in `codebook`.

    The parameter `alpha` may take any value; the scale factor is its magnitude and so always positive.

    Parameters
    ----------
    levels : tuple of int
        Magnitudes, ascending from 0.
    scaling_shape : tuple of int
        () for one scale, (channels, 1, …) for one per output channel, or per input channel of a transposed
        convolution.
    start : float
        α starts at this quantile of |w|.
    tracked_parameter_list : list of Parameter
        Given by Brevitas: the weights that set α, at construction and when weights are loaded without
        a quantizer's state.
    """

    def __init__(
        self,
        levels: tuple[int, ...],
        scaling_shape: tuple[int, ...],
        start: float,
        tracked_parameter_list: list[nn.Parameter],
    ) -> None:
        super().__init__(levels[-1].bit_length() + 1)
        self.levels: Tensor
        self.middles: Tensor
        self.codebook = codebook_of(levels)
        table = torch.tensor(levels, dtype=torch.float32)
        # Constants of the method, no state.
        self.register_buffer("levels", table, persistent=False)
        self.register_buffer("middles", (table[1:] + table[:-1]) / 2, persistent=False)
        self.alpha = nn.Parameter(self.first(tracked_parameter_list[0].detach(), scaling_shape, start))

    def first(self, w: Tensor, shape: tuple[int, ...], start: float) -> Tensor:
        """Return the first α: a quantile of |w|, or the greatest one where that quantile is 0."""
        magnitude = w.abs().reshape(shape[0] if shape else 1, -1)
        alpha = torch.quantile(magnitude, start, dim=1)
        alpha = torch.where(alpha > 0, alpha, magnitude.amax(1))
        return alpha.clamp_min(SMALLEST_STEP).view(shape)

    def clip(self) -> Tensor:
        """Return α, positive."""
        return self.alpha.abs().clamp_min(SMALLEST_STEP)

    def scaled(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is quantised for the weights `w`, and the magnitude of the greatest level."""
        return w, self.clip()

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weights of any shape quantised, their scale (that of α), zero point and width."""
        w, alpha = self.scaled(w)
        gradient_scale = 1 / math.sqrt(max(w.numel() // alpha.numel(), 1))
        y = CodebookFunction.apply(w, alpha, self.levels, self.middles, gradient_scale, True)
        return self.described(y, alpha / self.levels[-1])

    @torch.no_grad()
    def codes(self, w: Tensor) -> Tensor:
        """Return the position of each weight in `codebook`, int64, shape as `w`."""
        w, alpha = self.scaled(w)
        integers = _integers(w / alpha, self.levels, self.middles)
        return torch.searchsorted(torch.tensor(self.codebook, dtype=integers.dtype), integers.contiguous())


def codebook_of(levels: tuple[int, ...]) -> tuple[int, ...]:
    """Return the signed integers of a table of magnitudes, ascending."""
    return tuple(-level for level in reversed(levels[1:])) + levels


class CodebookWeight(ExtendedInjector):
    """Base of Brevitas weight quantizers with one α per layer; `levels` and `start` are to be added."""

    tensor_quant = CodebookQuant
    proxy_class = WeightProxy
    quant_type = QuantType.INT
    signed = True
    narrow_range = True
    scaling_shape = ()
    bit_width = 4


class PerChannel(ExtendedInjector):
    """Mixed in, makes one scale per output channel; per input channel of a transposed convolution."""

    @value
    def scaling_shape(module: Any) -> tuple[int, ...]:  # noqa: N805
        """Shape of one scale per output channel."""
        return channel_shape(module)


def first_quantile(bits: int, quantile: float | None, standard: dict[int, float]) -> float:
    """Return the quantile of |w| where α starts: the one asked for, or the method's own for that width.

    Raises
    ------
    ValueError
        When the method has no table for `bits` or `quantile` is not in (0, 1].
    """
    require_width(bits)
    chosen = standard[bits] if quantile is None else quantile
    if not 0 < chosen <= 1:
        raise ValueError(f"the quantile of |w| where the scale starts must be above 0 and at most 1, not {quantile}")
    return chosen


def require_width(bits: int) -> None:
    """Raise ValueError unless `bits` is 2 to 5, the widths that have tables."""
    if not 2 <= bits <= 5:
        raise ValueError(f"it has tables for 2 to 5 bits, not for {bits}")
