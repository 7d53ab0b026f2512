"""Rounding to a uniform grid between two clips, of which the gradient sees only the clips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

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
        # One pass: hardtanh_backward(a, b, low, high) is a where low < b < high, else 0.
        out = torch.ops.aten.hardtanh_backward(gradient, v, float(bottom), float(top))
        if not ctx.needs_input_grad[1]:
            return out, None, None, None, None
        total = high * (gradient * (v >= top)).sum(dtype=step.dtype)
        if low:
            total = total + low * (gradient * (v <= bottom)).sum(dtype=step.dtype)
        return out, total, None, None, None


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
