"""LSQ weights whose widths differ from output channel to output channel, from 0 bits to 8.

A channel of b >= 2 bits is quantised as in `codesign.quant.lsq`, to s * round(clip(v / s, low, high)) with the narrow
signed range of b bits and the gradients of LSQ. One of 0 bits is pruned: all its weights are 0, and neither they nor
their step get a gradient, as the formulas of LSQ give for the range from 0 to 0. One of 1 bit is binary, s * sign(v)
with sign(0) = +1: the step gets its true derivative, sign(v), and v the clipped identity, 1 inside (-1, 1), as in
`codesign.quant.sign`.

References
----------
Esser et al., Learned step size quantization, ICLR 2020, arXiv 1902.08153.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from brevitas.inject import ExtendedInjector, value
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import WeightQuantProxyFromInjector
from torch import Tensor, nn

from codesign.quant.lsq import LsqFunction, LsqScaling, code_range
from codesign.quant.quantizer import Quantizer, channel_shape
from codesign.quant.steps import SMALLEST_STEP

PRUNED, BINARY = 0, 1


class BinaryStepFunction(torch.autograd.Function):
    """step * sign(v), sign(0) = +1; the derivative by v is 1 inside (-1, 1), that by the step sign(v)."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, step: Tensor, gradient_scale: float) -> Tensor:
        """Binarise `v`; `step` broadcasts to it."""
        ctx.save_for_backward(v, step)
        ctx.gradient_scale = gradient_scale
        return torch.where(v >= 0, step, -step).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of `v` and `step`."""
        (gradient,) = gradients
        v, step = ctx.saved_tensors
        totals = torch.where(v >= 0, gradient, -gradient).sum_to_size(step.shape) * ctx.gradient_scale
        return torch.ops.aten.hardtanh_backward(gradient, v, -1.0, 1.0), totals, None


class Codes:
    """The integers that channels of given widths may be.

    Parameters
    ----------
    widths : sequence of int
        Bits of each output channel, 0 to 8.
    ndim : int
        Dimensions of the weights; limits have the shape (channels, 1, ...).
    """

    def __init__(self, widths: Sequence[int], ndim: int) -> None:
        shape = (len(widths),) + (1,) * (ndim - 1)
        ranges = [code_range(bits, signed=True, narrow=True) if bits > BINARY else (0, bits) for bits in widths]
        self.low = torch.tensor([float(low) for low, _ in ranges]).view(shape)
        self.high = torch.tensor([float(high) for _, high in ranges]).view(shape)
        # What LSQ divides by; of a pruned channel nothing depends on it.
        self.reach = self.high.clamp_min(1.0)
        self.binary = torch.tensor([bits == BINARY for bits in widths]).view(shape)
        self.has_binary = bool(self.binary.any())
        self.same = set(widths) if len(set(widths)) == 1 else None

    def quantise(self, v: Tensor, step: Tensor) -> Tensor:
        """Quantise weights, output channels first.

        Parameters
        ----------
        v : Tensor
            Of the number of channels of the widths.
        step : Tensor, shape (channels, 1, ...)
            Positive.

        Returns
        -------
        Tensor
            Of the shape and type of `v`. The gradient of a step is scaled by 1 / sqrt(N * high), N the weights of
            a channel.
        """
        count = max(v.numel() // max(step.numel(), 1), 1)
        if self.same is not None and not self.has_binary:
            # The very numbers that LSQ takes, so that equal widths are LSQ to the last bit.
            scale = 1.0 / math.sqrt(count * float(self.reach.flatten()[0]))
            return LsqFunction.apply(v, step, float(self.low.flatten()[0]), float(self.high.flatten()[0]), scale)
        if self.same is not None:
            return BinaryStepFunction.apply(v, step, 1.0 / math.sqrt(count))
        y: Tensor = LsqFunction.apply(v, step, self.low, self.high, 1.0 / (count * self.reach).sqrt())
        if not self.has_binary:
            return y
        return torch.where(self.binary, BinaryStepFunction.apply(v, step, 1.0 / math.sqrt(count)), y)

    def first_steps(self, v: Tensor) -> Tensor:
        """Return the steps that training starts from, (channels, 1, ...): 2 * mean|v| / sqrt(high), binary mean|v|."""
        mean = v.detach().abs().flatten(1).mean(1).view(self.high.shape)
        steps = torch.where(self.binary, mean, 2 * mean / self.reach.to(mean.dtype).sqrt())
        return steps.clamp_min(SMALLEST_STEP)


class LsqChannelsQuant(Quantizer):
    """Brevitas `tensor_quant` of weights with a width for each output channel.

    Parameters
    ----------
    widths : tuple of int
        Bits of each output channel, 0 to 8.
    scaling_shape : tuple of int
        (channels, 1, ...).
    tracked_parameter_list : list of Parameter
        Given by Brevitas: the weights, which set the steps.

    Attributes
    ----------
    channel_bits : tuple of int
        Two's complement width of each channel's integers: 1 for a pruned one, 2 for a binary one, whose -1 and +1
        take as much.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        scaling_shape: tuple[int, ...],
        tracked_parameter_list: list[nn.Parameter],
    ) -> None:
        self.channel_bits = tuple(bits + (bits <= BINARY) for bits in widths)
        # One bit stands for binary weights, which a layer of nothing but zeros has not.
        super().__init__(1 if set(widths) == {BINARY} else max(2, *self.channel_bits))
        (channels,) = set(scaling_shape[:1])
        if channels != len(widths):
            raise ValueError(f"the layer has {channels} output channels, but {len(widths)} widths are given")
        self.codes_of = Codes(widths, len(scaling_shape))
        self.scaling_impl = LsqScaling(scaling_shape)
        with torch.no_grad():
            self.scaling_impl.value.copy_(self.codes_of.first_steps(tracked_parameter_list[0]))

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise weights."""
        step = self.scaling_impl()
        return self.described(self.codes_of.quantise(w, step), step)


class LsqWeightChannels(ExtendedInjector):
    """Signed weights with a step and a width for each output channel.

    Use as `QuantConv2d(..., weight_quant=LsqWeightChannels.let(widths=(3, 3, 2, 0)))`.
    """

    proxy_class = WeightQuantProxyFromInjector
    tensor_quant = LsqChannelsQuant
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = True
    narrow_range = True

    @value
    def bit_width(widths: tuple[int, ...]) -> int:  # noqa: N805
        """Bits of the widest channel."""
        return max(widths)

    @value
    def scaling_shape(module: Any) -> tuple[int, ...]:  # noqa: N805
        """Shape with the output channels first and ones for the rest."""
        return channel_shape(module)
