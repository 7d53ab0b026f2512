"""Rounding to a uniform grid between two clips, of which the gradient sees only the clips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from codesign.quant.fused import flat, fused, unflat, wide
from codesign.quant.lsq import LsqFunction


class ClippedFunction(LsqFunction):
    """s * round(clip(v / s, low, high)), rounding taken for the identity by the gradient."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None, None]:
        """Return gradients of `v` and of the step.

        With high · s the upper clip: for v, passed where low · s < v < high · s, else 0. For s, high
        where v ≥ high · s, low where v ≤ low · s < 0, else 0: that of clip(v, low · s, high · s).
        """
        (gradient,) = gradients
        v, step = ctx.saved_tensors
        low, high, _ = ctx.limits
        bottom, top = low * step, high * step
        passed, above, below = _gradients(flat(v), flat(gradient, v), bottom, top)
        return unflat(passed, v), high * above + low * below, None, None, None


@fused
def _gradients(v: Tensor, gradient: Tensor, bottom: Tensor, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # In bfloat16 the limits would be rounded too.
    values, arriving = wide(v), wide(gradient)
    above, below = values >= top, values <= bottom
    passed = torch.where(above | below, 0.0, arriving)
    return passed.to(v.dtype), torch.where(above, arriving, 0.0).sum(), torch.where(below, arriving, 0.0).sum()


def clipped(v: Tensor, step: Tensor, low: int, high: int) -> Tensor:
    """Clip `v` to [low · step, high · step] and round it to a multiple of `step`, ties to even.

    Parameters
    ----------
    v : Tensor
        Any shape; float64, float32 or bfloat16.
    step : Tensor, shape ()
        Positive; its gradient is that of the clips.
    low, high : int
        Least and greatest code, low ≤ 0 < high.

    Returns
    -------
    Tensor
        Of the shape and type of `v`.
    """
    return ClippedFunction.apply(v, step, float(low), float(high), 1.0)
