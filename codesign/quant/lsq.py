"""LSQ, learned step size quantisation, as torch function and as Brevitas quantizers.

A value v becomes s * round(clip(v / s, low, high)), where the step s > 0 is learned with the weights.
Weights use the narrow signed range of b bits, [-(2^(b-1) - 1), 2^(b-1) - 1]; activations after a ReLU
[0, 2^b - 1]. Ties round to even, as in Brevitas.

References
----------
Esser, McKinstry, Bablani, Appuswamy and Modha, Learned step size quantization, ICLR 2020,
arXiv 1902.08153.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from brevitas.inject import ExtendedInjector, value
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from codesign.quant.fused import flat, fused, unflat, wide
from codesign.quant.quantizer import Quantizer, channel_shape
from codesign.quant.steps import SMALLEST_STEP


class LsqFunction(torch.autograd.Function):
    """s * round(clip(v / s, low, high)) with the gradients of LSQ."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, step: Tensor, low: float, high: float, gradient_scale: float) -> Tensor:
        """Quantise.

        Parameters
        ----------
        v : Tensor
            Any shape and float type; the result has the same.
        step : Tensor
            Positive, of a shape that broadcasts to that of `v`.
        low, high : float
            Least and greatest integer code.
        gradient_scale : float
            Factor of the gradient of `step`.
        """
        ctx.save_for_backward(v, step)
        ctx.limits = low, high, gradient_scale
        if step.ndim:
            return _quantised(v, step, low, high)
        return unflat(_quantised(flat(v), step, low, high), v)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        """Return gradients of `v` and `step`.

        For v: passed where low < v / s < high, else 0. For s: round(v / s) - v / s inside, the
        limit outside, times the gradient scale, summed over what shares the step.
        """
        (gradient,) = gradients
        v, step = ctx.saved_tensors
        low, high, gradient_scale = ctx.limits
        if step.ndim:
            passed, totals = _gradients(v, gradient, step, low, high)
        else:
            passed, totals = _gradients(flat(v), flat(gradient, v), step, low, high)
            passed = unflat(passed, v)
        return passed, totals * gradient_scale, None, None, None


@fused
def _quantised(v: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return ((wide(v) / step).clamp(low, high).round() * step).to(v.dtype)


@fused
def _gradients(v: Tensor, gradient: Tensor, step: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    scaled, arriving = wide(v) / step, wide(gradient)
    inside = (scaled > low) & (scaled < high)
    errors = scaled.clamp(low, high).round() - torch.where(inside, scaled, 0.0)
    return torch.where(inside, arriving, 0.0).to(v.dtype), (errors * arriving).sum_to_size(step.shape)


def lsq(v: Tensor, step: Tensor, low: int, high: int, gradient_scale: float = 1.0) -> Tensor:
    """Quantise `v` to multiples of `step` with integer codes in [low, high].

    Parameters
    ----------
    v : Tensor
        Any shape; float64, float32 or bfloat16.
    step : Tensor
        Positive, of a shape that broadcasts to that of `v`.
    low, high : int
        Least and greatest code.
    gradient_scale : float
        1 / sqrt(N * high) in the paper, N the number of values that share the step.

    Returns
    -------
    Tensor
        Of the shape and type of `v`.
    """
    return LsqFunction.apply(v, step, float(low), float(high), gradient_scale)


def code_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    """Return the least and the greatest code of an integer type.

    Raises
    ------
    ValueError
        When no positive code is left: signed values need two bits, unsigned ones one.
    """
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    if high < 1:
        kind, least = ("signed", "2 bits") if signed else ("unsigned", "1 bit")
        raise ValueError(f"{kind} values need at least {least} here, not {bits}")
    low = (-high if narrow else -high - 1) if signed else 0
    return low, high


class LsqScaling(nn.Module):
    """The learned step.

    The parameter may take any value but 0; the step is its magnitude and so always positive. A
    parameter of 0 stands for a step not set yet, before the first batch of an activation.

    Parameters
    ----------
    shape : tuple of int
        () for one step, (channels, 1, ...) for one per output channel, or per input channel of a transposed
        convolution.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(shape))

    @property
    def is_set(self) -> bool:
        """Whether the step has been initialised or loaded."""
        return bool((self.value != 0).all())

    @torch.no_grad()
    def initialise(self, v: Tensor, high: int) -> None:
        """Set the step to 2 * mean|v| / sqrt(high), the mean over what shares it.

        A channel that is all zero gets the smallest step; a tensor that is all zero leaves the
        single step unset.
        """
        magnitude = v.detach().abs().to(self.value.dtype)
        if self.value.ndim:
            mean = magnitude.flatten(1).mean(1).view(self.value.shape)
            self.value.copy_((2 * mean / math.sqrt(high)).clamp_min(SMALLEST_STEP))
        else:
            self.value.copy_(2 * magnitude.mean() / math.sqrt(high))

    def forward(self) -> Tensor:
        """Return the step, positive, of the shape given."""
        return self.value.abs().clamp_min(SMALLEST_STEP)


class LsqQuant(Quantizer):
    """Brevitas `tensor_quant` that returns (value, scale, zero point, bit width).

    Parameters
    ----------
    bit_width : int
        Bits of a code.
    signed, narrow_range : bool
        Kind of integer; narrow means a symmetric signed range.
    scaling_shape : tuple of int
        Shape of the step.
    tracked_parameter_list : list of Parameter, optional
        Given by Brevitas for weights, which set the step at construction. Activations set it with
        their first batch.
    """

    def __init__(
        self,
        bit_width: int,
        signed: bool,
        narrow_range: bool,
        scaling_shape: tuple[int, ...],
        tracked_parameter_list: list[nn.Parameter] | None = None,
    ) -> None:
        super().__init__(int(bit_width))
        self.low, self.high = code_range(int(bit_width), signed, narrow_range)
        self.weight = tracked_parameter_list is not None
        self.scaling_impl = LsqScaling(scaling_shape)
        # Spares a look at the tensor in each forward pass.
        self.waiting = True
        if tracked_parameter_list is not None:
            self.scaling_impl.initialise(tracked_parameter_list[0], self.high)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise `x`; an activation's first batch sets the step."""
        if self.waiting:
            if not self.scaling_impl.is_set:
                self.scaling_impl.initialise(x if self.low < 0 else x.clamp_min(0), self.high)
            self.waiting = not self.scaling_impl.is_set
        scale = self.scaling_impl()
        shared = x.numel() // max(scale.numel(), 1) if self.weight else x[0].numel() if x.ndim else 1
        gradient_scale = 1.0 / math.sqrt(max(shared, 1) * self.high)
        return self.described(lsq(x, scale, self.low, self.high, gradient_scale), scale)


class _Lsq(ExtendedInjector):
    tensor_quant = LsqQuant
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    scaling_shape = ()


class LsqWeightPerTensor(_Lsq):
    """Signed weights with one step, 8 bits unless `.let(bit_width=...)` says otherwise."""

    proxy_class = WeightQuantProxyFromInjector
    signed = True
    narrow_range = True
    bit_width = 8


class LsqWeightPerChannel(LsqWeightPerTensor):
    """Signed weights with one step per output channel, 8 bits unless changed.

    Transposed convolutions have input channels first in their weights, so that they get one step per input channel.

    Use as `QuantConv2d(..., weight_quant=LsqWeightPerChannel, weight_bit_width=3)`.
    """

    @value
    def scaling_shape(module: Any) -> tuple[int, ...]:  # noqa: N805
        """Shape with the channels that come first in the weights, and ones for the rest."""
        return channel_shape(module)


class LsqActUnsigned(_Lsq):
    """Unsigned activations with one step, for `QuantReLU`; 8 bits unless changed."""

    proxy_class = ActQuantProxyFromInjector
    signed = False
    narrow_range = False
    bit_width = 8


class LsqActSigned(LsqActUnsigned):
    """Signed activations with one step and the full range, for `QuantIdentity`; 8 bits unless changed."""

    signed = True


def weight(bits: int, per_channel: bool) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Raises
    ------
    ValueError
        When there is no such width.
    """
    code_range(bits, signed=True, narrow=True)
    return (LsqWeightPerChannel if per_channel else LsqWeightPerTensor).let(bit_width=bits)


def activation(bits: int, signed: bool) -> type[ExtendedInjector]:
    """Return the Brevitas activation quantizer of this method.

    Raises
    ------
    ValueError
        When there is no such width.
    """
    code_range(bits, signed, narrow=False)
    return (LsqActSigned if signed else LsqActUnsigned).let(bit_width=bits)
