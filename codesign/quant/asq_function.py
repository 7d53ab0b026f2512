"""The torch functions of ASQ: one step per sample, and the gradients of all that decides it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from codesign.quant.fused import fused, wide

FLOOR = 2.0**-3
"""Least factor of a step."""


@dataclass(frozen=True)
class Layout:
    """How the samples of a tensor (N, C, ...) lie in memory.

    Attributes
    ----------
    shape : torch.Size
        Of the tensor.
    last : bool
        Whether channels vary fastest; otherwise they vary slowest.
    """

    shape: torch.Size
    last: bool

    @classmethod
    def of(cls, x: Tensor) -> Layout:
        """Return the layout of `x`, channels first when it is neither."""
        return cls(x.shape, x.movedim(1, -1).is_contiguous())

    @property
    def places(self) -> int:
        """Values of one sample and channel."""
        return math.prod(self.shape[2:])

    def rows(self, x: Tensor) -> Tensor:
        """Return `x`, of this shape, as (N, places, C) or (N, C, places); a copy when it lies in another order."""
        n, c = self.shape[:2]
        return x.movedim(1, -1).reshape(n, self.places, c) if self.last else x.reshape(n, c, self.places)

    def tensor(self, rows: Tensor) -> Tensor:
        """Return what `rows` gave as a tensor of this shape."""
        if not self.last:
            return rows.view(self.shape)
        return rows.view(self.shape[0], *self.shape[2:], self.shape[1]).movedim(-1, 1)

    @property
    def place_axis(self) -> int:
        """The axis of `rows` along which the places lie."""
        return 1 if self.last else 2


def _codes(rows: Tensor, input_step: Tensor, input_high: Tensor) -> Tensor:
    return (wide(rows) / input_step).clamp(torch.zeros_like(input_high), input_high).round()


def average(x: Tensor, input_step: Tensor | None, input_high: int) -> Tensor:
    """Return the averages (N, C) of `x` (N, C, ...) over all places; no gradient.

    Parameters
    ----------
    x : Tensor
        Not below 0.
    input_step : Tensor or None
        With a step, the integer codes round(x / step), at most `input_high`, are summed: the average is
        their sum times step / places.
    input_high : int
        Greatest code.
    """
    layout = Layout.of(x)
    sums = _sums(layout.rows(x), input_step, float(input_high), layout.place_axis)
    return sums / layout.places if input_step is None else sums * (input_step.detach() / layout.places)


@fused
def _sums(rows: Tensor, input_step: Tensor | None, input_high: Tensor, axis: int) -> Tensor:
    return (wide(rows) if input_step is None else _codes(rows, input_step, input_high)).sum(axis)


def factor(t: Tensor, codebook: Tensor | None, thresholds: Tensor | None) -> Tensor:
    """Return the factors of the step that the adapter's outputs `t` (N,) stand for.

    With a codebook its nearest entry, upwards in the middle; without one max(t, `FLOOR`).
    """
    if codebook is None or thresholds is None:
        return t.clamp_min(FLOOR)
    return codebook[torch.bucketize(t, thresholds, right=True)]


class AsqFunction(torch.autograd.Function):
    """s_k * round(clip(x / s_k, 0, high)) with s_k = s * beta_k for sample k."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        t: Tensor,
        slope: Tensor | None,
        step: Tensor,
        input_step: Tensor | None,
        high: int,
        input_high: int,
        codebook: Tensor | None,
        thresholds: Tensor | None,
    ) -> Tensor:
        """Quantise.

        Parameters
        ----------
        x : Tensor, shape (N, C, ...)
            Any float type; the result has the same.
        t : Tensor, shape (N,)
            Outputs of the adapter.
        slope : Tensor, shape (N, C), or None
            dt / dg, how each sample's t depends on the averages of that sample; None when no gradient
            is wanted.
        step : Tensor, shape ()
            s, positive.
        input_step : Tensor, shape (), or None
            Quantises x before anything else.
        high, input_high : int
            Greatest codes of result and input.
        codebook, thresholds : Tensor, shapes (entries,) and (entries - 1,), or None
            Factors that are to be had.
        """
        ctx.save_for_backward(x, t, slope, step, input_step, codebook, thresholds)
        ctx.limits = high, input_high
        layout = Layout.of(x)
        steps = (step * factor(t, codebook, thresholds)).view(-1, 1, 1)
        return layout.tensor(_quantised(layout.rows(x), steps, input_step, float(high), float(input_high)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of `x`, `t`, `step` and `input_step`.

        With v = x / s_k and h = round(v) - v inside (0, high), 0 below and high above, and G_k the sum
        of gradient * h over sample k: d_beta_k = s * G_k and d_s = sum G_k * beta_k / sqrt(high * values).
        d_t is d_beta through the codebook as if it were the identity; beyond its ends, and below the
        floor, only what would move t back. d_x is the gradient inside plus d_t * slope spread over the
        places. The input's quantizer then does to d_x what LSQ does.
        """
        x, t, slope, step, input_step, codebook, thresholds = ctx.saved_tensors
        high, input_high = ctx.limits
        layout = Layout.of(x)
        rows, gradient = layout.rows(x), layout.rows(gradients[0])
        factors = factor(t, codebook, thresholds)
        lowest = FLOOR if codebook is None else codebook[0]
        highest = math.inf if codebook is None else codebook[-1]
        steps = (step * factors).view(-1, 1, 1)
        values = rows, gradient, steps, input_step, float(high), float(input_high)
        totals = _totals(*values)
        beta_gradient = totals * step
        back = ((t >= lowest) | (beta_gradient < 0)) & ((t <= highest) | (beta_gradient > 0))
        t_gradient = beta_gradient * back
        spread = None
        if slope is not None:
            spread = (t_gradient.unsqueeze(1) * slope / layout.places).unsqueeze(layout.place_axis)
        passed, input_total = _passed(*values, spread)
        shared = math.prod(layout.shape[1:])
        step_gradient = (totals * factors).sum() / math.sqrt(high * shared)
        input_gradient = None if input_total is None else input_total / math.sqrt(input_high * shared)
        none = (None,) * 4
        return layout.tensor(passed), t_gradient, None, step_gradient, input_gradient, *none


def _scaled(rows: Tensor, steps: Tensor, input_step: Tensor | None, input_high: Tensor) -> Tensor:
    """Return the values by steps, (N, 1, 1), of their samples, after the input's own quantizer."""
    return (wide(rows) if input_step is None else _codes(rows, input_step, input_high) * input_step) / steps


@fused
def _quantised(rows: Tensor, steps: Tensor, input_step: Tensor | None, high: Tensor, input_high: Tensor) -> Tensor:
    scaled = _scaled(rows, steps, input_step, input_high)
    return (scaled.clamp(torch.zeros_like(high), high).round() * steps).to(rows.dtype)


@fused
def _totals(
    rows: Tensor, gradient: Tensor, steps: Tensor, input_step: Tensor | None, high: Tensor, input_high: Tensor
) -> Tensor:
    """Return G_k, shape (N,)."""
    scaled = _scaled(rows, steps, input_step, input_high)
    inside = (scaled > 0) & (scaled < high)
    errors = scaled.clamp(torch.zeros_like(high), high).round() - torch.where(inside, scaled, 0.0)
    return (errors * wide(gradient)).sum((1, 2))


@fused
def _passed(
    rows: Tensor,
    gradient: Tensor,
    steps: Tensor,
    input_step: Tensor | None,
    high: Tensor,
    input_high: Tensor,
    spread: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Return the gradient of the rows, and that of the input's step before its scale."""
    scaled = _scaled(rows, steps, input_step, input_high)
    passed = torch.where((scaled > 0) & (scaled < high), wide(gradient), 0.0)
    if spread is not None:
        passed = passed + spread
    if input_step is None:
        return passed.to(rows.dtype), None
    position = wide(rows) / input_step
    inside = (position > 0) & (position < input_high)
    errors = _codes(rows, input_step, input_high) - torch.where(inside, position, 0.0)
    return torch.where(inside, passed, 0.0).to(rows.dtype), (errors * passed).sum()
