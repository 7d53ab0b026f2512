"""The torch functions of ASQ: one step per sample, and the gradients of all that decides it.

A sample is handled as a row of memory: its values in the order they lie in, channels first or last.
Rows are worked through a few at a time, so that what lies between two passes stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Values handled at a time.
BLOCK = 1 << 17

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
        """Return `x`, a tensor of this shape, as (N, values); a copy when it lies in another order."""
        return (x.movedim(1, -1) if self.last else x).reshape(len(x), -1)

    def tensor(self, rows: Tensor) -> Tensor:
        """Return rows (N, values) as a tensor of this shape."""
        if not self.last:
            return rows.view(self.shape)
        return rows.view(self.shape[0], *self.shape[2:], self.shape[1]).movedim(-1, 1)

    def sums(self, rows: Tensor) -> Tensor:
        """Return the sums (n, C) of rows (n, values) over all places."""
        if self.last:
            return rows.view(len(rows), self.places, -1).sum(1)
        return rows.view(len(rows), self.shape[1], -1).sum(2)

    def spread(self, rows: Tensor, values: Tensor) -> None:
        """Add values (n, C) to every place of rows (n, values)."""
        if self.last:
            rows.view(len(rows), self.places, -1).add_(values.unsqueeze(1))
        else:
            rows.view(len(rows), self.shape[1], -1).add_(values.unsqueeze(2))

    def parts(self, *tensors: Tensor) -> Iterable[tuple[Tensor, ...]]:
        """Cut tensors of N rows into blocks."""
        size = max(1, BLOCK // max(1, math.prod(self.shape[1:])))
        return zip(*(t.split(size) for t in tensors), strict=True)


def _wide(x: Tensor) -> Tensor:
    """Return `x` in float32 or wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


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
    sums = []
    with torch.no_grad():
        for (part,) in layout.parts(layout.rows(x)):
            values = _wide(part)
            if input_step is not None:
                values = (values / input_step).clamp_(0, input_high).round_()
            sums.append(layout.sums(values))
        total = torch.cat(sums)
        return total / layout.places if input_step is None else total * (input_step / layout.places)


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
        rows = layout.rows(x)
        steps = (step * factor(t, codebook, thresholds)).unsqueeze(1)
        out = torch.empty_like(rows)
        for x_part, steps_part, out_part in layout.parts(rows, steps, out):
            values = _wide(x_part)
            if input_step is not None:
                values = (values / input_step).clamp_(0, input_high).round_().mul_(input_step)
            out_part.copy_((values / steps_part).clamp_(0, high).round_().mul_(steps_part))
        return layout.tensor(out)

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
        # hardtanh_backward(a, b, low, high) is a where low < b < high, else 0.
        inside = torch.ops.aten.hardtanh_backward
        layout = Layout.of(x)
        rows, gradient = layout.rows(x), layout.rows(gradients[0])
        factors = factor(t, codebook, thresholds)
        lowest = FLOOR if codebook is None else codebook[0]
        highest = math.inf if codebook is None else codebook[-1]
        steps = (step * factors).unsqueeze(1)
        out = torch.empty_like(rows)
        slopes = torch.zeros_like(t).unsqueeze(1) if slope is None else slope / layout.places
        sums, t_gradients = [], []
        input_total = torch.zeros_like(step)
        for g_part, x_part, steps_part, t_part, slope_part, out_part in layout.parts(
            gradient, rows, steps, t, slopes, out
        ):
            wide, position = _wide(g_part), _wide(x_part)
            codes = None
            if input_step is not None:
                position = position / input_step
                codes = position.clamp(0, input_high).round_()
            scaled = (position if codes is None or input_step is None else codes * input_step) / steps_part
            passed = inside(wide, scaled, 0, high)
            total = scaled.clamp(0, high).round_().sub_(inside(scaled, scaled, 0, high)).mul_(wide).sum(1)
            sums.append(total)
            beta_gradient = total * step
            back = ((t_part >= lowest) | (beta_gradient < 0)) & ((t_part <= highest) | (beta_gradient > 0))
            t_gradients.append(beta_gradient * back)
            if slope is not None:
                layout.spread(passed, t_gradients[-1].unsqueeze(1) * slope_part)
            if codes is not None:
                codes.sub_(inside(position, position, 0, input_high))
                input_total += codes.mul_(passed).sum()
                passed = inside(passed, position, 0, input_high)
            out_part.copy_(passed)
        values = math.prod(layout.shape[1:])
        step_gradient = (torch.cat(sums) * factors).sum() / math.sqrt(high * values)
        input_gradient = None if input_step is None else input_total / math.sqrt(input_high * values)
        none = (None,) * 4
        return layout.tensor(out), torch.cat(t_gradients), None, step_gradient, input_gradient, *none
