"""DoReFa-Net weights and activations.

Weights: with t = tanh w, m = max|t| over the layer and n = 2^b - 1, k = round(n · (t / 2m + 1/2)) is the code and
(2k - n) / n the weight: an odd integer from -n to n, over n. There are 2^b levels and none is 0, so as two's
complement a weight has b + 1 bits. At 1 bit a weight is mean|w| · sign(w), sign(0) = +1. Rounding and the sign
are taken for the identity by the gradient, which passes through m as in the authors' code.

One thing is added: weights of 2 bits and more are multiplied by m again, taken for a constant. A batch norm behind
the layer cannot see that, neither forwards nor in the gradient of w, and a layer without one keeps its size.
`rescale = false` leaves it out.

Activations: round(n · clip(x, 0, 1)) / n; signed ones, which the paper has not, are clipped to [-1, 1] with the
codes ±(2^(b-1) - 1).

References
----------
Zhou, Wu, Ni, Zhou, Wen and Zou, DoReFa-Net: training low bitwidth convolutional neural networks with low
bitwidth gradients, arXiv 1606.06160. Gradients are not quantised here.
"""

from __future__ import annotations

from typing import Any

import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import ActQuantProxyFromInjector
from torch import Tensor

from codesign.quant.clipped import clipped
from codesign.quant.lsq import code_range
from codesign.quant.quantizer import Quantizer, WeightProxy
from codesign.quant.steps import SMALLEST_STEP


class OddFunction(torch.autograd.Function):
    """scale · (2k - n) for the code k = round(n · (u / 2 + 1/2)) of u in [-1, 1]."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, scale: Tensor, n: int) -> Tensor:
        """Quantise; `scale` has shape ()."""
        ctx.save_for_backward(scale)
        ctx.n = n
        codes = ((u * 0.5 + 0.5) * n).round_()
        return (2 * codes - n) * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of `u`, that of n · scale · u."""
        (gradient,) = gradients
        (scale,) = ctx.saved_tensors
        return gradient * (ctx.n * scale), None, None


class SignFunction(torch.autograd.Function):
    """scale · sign(w) with sign(0) = +1, whose gradient is passed on."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor) -> Tensor:
        """Binarise; NaN stays."""
        return torch.where(w.isnan(), w, torch.where(w >= 0, scale, -scale))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of `w`."""
        return gradients[0], None


class DorefaWeightQuant(Quantizer):
    """Brevitas `tensor_quant` of DoReFa weights: odd integers of `bit_width` + 1 bits, ±1 at 1 bit.

    Parameters
    ----------
    bit_width : int
        Bits of a code.
    rescale : bool
        Multiply by the greatest |tanh w| of the layer.
    """

    def __init__(self, bit_width: int, rescale: bool) -> None:
        bits = int(bit_width)
        super().__init__(bits if bits == 1 else bits + 1)
        self.bits, self.rescale = bits, rescale

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weights of any shape quantised, their scale (), zero point and width."""
        if self.bits == 1:
            scale = w.detach().abs().mean().clamp_min(SMALLEST_STEP)
            return self.described(SignFunction.apply(w, scale), scale)
        t = w.tanh()
        greatest = t.abs().amax().clamp_min(SMALLEST_STEP)
        n = 2**self.bits - 1
        scale = (greatest.detach() if self.rescale else torch.ones_like(greatest)) / n
        return self.described(OddFunction.apply(t / greatest, scale, n), scale)


class DorefaActQuant(Quantizer):
    """Brevitas `tensor_quant` of DoReFa activations.

    Parameters
    ----------
    bit_width : int
        Bits of a code.
    signed : bool
        Whether the range is [-1, 1] rather than [0, 1].
    """

    def __init__(self, bit_width: int, signed: bool) -> None:
        super().__init__(int(bit_width))
        self.low, self.high = code_range(int(bit_width), signed, narrow=True)
        self.step: Tensor
        self.register_buffer("step", torch.tensor(1 / self.high), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return `x` of any shape quantised, its scale (), zero point and width."""
        return self.described(clipped(x, self.step, self.low, self.high), self.step)


class DorefaWeight(ExtendedInjector):
    """DoReFa weights with one scale per layer, 4 bits unless `.let(bit_width=…)` says otherwise."""

    tensor_quant = DorefaWeightQuant
    proxy_class = WeightProxy
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = True
    narrow_range = True
    scaling_shape = ()
    bit_width = 4
    rescale = True


class DorefaActUnsigned(ExtendedInjector):
    """Unsigned DoReFa activations, for `QuantReLU`; 8 bits unless changed."""

    tensor_quant = DorefaActQuant
    proxy_class = ActQuantProxyFromInjector
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = False
    narrow_range = False
    bit_width = 8


class DorefaActSigned(DorefaActUnsigned):
    """Symmetric signed DoReFa activations, for `QuantIdentity`; 8 bits unless changed."""

    signed = True
    narrow_range = True


def weight(bits: int, per_channel: bool, *, rescale: bool = True) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Parameters
    ----------
    bits : int
        1 or more.
    per_channel : bool
        Does not count: there is one scale per layer.
    rescale : bool
        Multiply the weights, which lie in [-1, 1], by the greatest |tanh(w)|, so that they keep their size.
    """
    return DorefaWeight.let(bit_width=bits, rescale=rescale)


def activation(bits: int, signed: bool) -> type[ExtendedInjector]:
    """Return the Brevitas activation quantizer of this method.

    Raises
    ------
    ValueError
        When no positive code is left.
    """
    code_range(bits, signed, narrow=True)
    return (DorefaActSigned if signed else DorefaActUnsigned).let(bit_width=bits)
