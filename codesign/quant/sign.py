"""Binary weights and activations with the plain sign and the clipped identity as its derivative.

Weights become alpha_o * sign(w), alpha_o the mean of |w| over the weights of output channel o, taken anew
from the latent weights at each step, sign(0) = +1. Activations become the step u = [x >= 0], 0 or 1 with
scale 1, so that zero padding is the integer 0. Seen from the batch norm (or bias) behind the convolution
this is the same network as one with activations -1 and +1 that pads with -1: u = (v + 1) / 2 changes the
convolution by a factor and a constant per channel.

The derivative of the sign is taken as 1 inside (-1, 1) and 0 outside, for weights and for the v above; that of
u is half of it. Latent weights of a trained float
network are far smaller than 1, so that the limit only holds those that ran away; alpha is a constant for
the gradient, as in ReActNet: the identity passes the gradient of the magnitude already.

References
----------
Courbariaux, Hubara, Soudry, El-Yaniv and Bengio, Binarized neural networks, arXiv 1602.02830.
Rastegari, Ordonez, Redmon and Farhadi, XNOR-Net, ECCV 2016, arXiv 1603.05279: alpha.
Zhou et al., DoReFa-Net, arXiv 1606.06160: the same weights at one bit.
"""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import ActQuantProxyFromInjector, WeightQuantProxyFromInjector
from torch import Tensor, nn

from codesign.errors import UserError
from codesign.quant.fused import flat, fused, unflat, wide
from codesign.quant.quantizer import Quantizer

SMALLEST_SCALE = 2.0**-24


def magnitude(w: Tensor, per_channel: bool = True) -> Tensor:
    """Return the scale of binary weights, mean|w|.

    Parameters
    ----------
    w : Tensor
        Latent weights, output channels first; input channels first in a transposed convolution.
    per_channel : bool
        One value for each output channel (input channel of a transposed convolution), else one in all.

    Returns
    -------
    Tensor
        Positive, of shape (outputs, 1, ...) or (); no gradient passes.
    """
    size = w.detach().abs()
    mean = size.mean(tuple(range(1, w.ndim)), keepdim=True) if per_channel else size.mean()
    return mean.clamp_min(SMALLEST_SCALE)


class BinaryWeightFunction(torch.autograd.Function):
    """scale * sign(w), sign(0) = +1; the derivative by w is 1 inside (-1, 1), else 0."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor) -> Tensor:
        """Binarise `w`; `scale` broadcasts to it."""
        ctx.save_for_backward(w)
        return torch.where(w >= 0, scale, -scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of `w`."""
        (w,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradients[0], w, -1.0, 1.0), None


def binarize(w: Tensor, scale: Tensor) -> Tensor:
    """Return scale * sign(w), of the shape of `w`; `scale` > 0 broadcasts to it."""
    return BinaryWeightFunction.apply(w, scale)


class StepFunction(torch.autograd.Function):
    """[x >= 0], 0 or 1; the derivative is 1/2 inside (-1, 1), or 1 - |x| there when smooth, and 0 outside.

    That is half the published derivatives of the sign, which rises by 2 where this rises by 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, smooth: bool) -> Tensor:
        """Return zeros and ones of the type of `x`."""
        ctx.save_for_backward(x)
        ctx.smooth = smooth
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of `x`."""
        (gradient,), (x,) = gradients, ctx.saved_tensors
        if not ctx.smooth:
            return torch.ops.aten.hardtanh_backward(gradient, x, -1.0, 1.0).mul_(0.5), None
        return unflat(_triangle(flat(x), flat(gradient, x)), x), None


@fused
def _triangle(x: Tensor, gradient: Tensor) -> Tensor:
    return ((1 - wide(x).abs()).clamp_min(0) * wide(gradient)).to(x.dtype)


def step(x: Tensor, smooth: bool = False) -> Tensor:
    """Return [x >= 0] as zeros and ones of the type of `x`.

    Parameters
    ----------
    x : Tensor
        Any shape; float64, float32 or bfloat16.
    smooth : bool
        Take 1 - |x| as derivative inside (-1, 1), else 1/2: half of 2 - 2|x| (ReActNet, Bi-Real Net) and of 1.
    """
    return StepFunction.apply(x, smooth)


class BinaryWeightQuant(Quantizer):
    """Brevitas `tensor_quant` of binary weights: (value, scale, zero point, bit width); it has no state.

    Parameters
    ----------
    per_channel : bool
        One scale for each output channel, else one in all. Of a transposed convolution, whose weights have the input
        channels first, one for each input channel.
    """

    def __init__(self, per_channel: bool) -> None:
        super().__init__(1)
        self.per_channel = per_channel

    def binary(self, w: Tensor, scale: Tensor) -> Tensor:
        """Return the weights that the layer uses."""
        return binarize(w, scale)

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Binarise the latent weights `w`, output channels first."""
        scale = magnitude(w, self.per_channel)
        return self.described(self.binary(w, scale), scale)


class StepQuant(Quantizer):
    """Brevitas `tensor_quant` of binary activations 0 and 1: (value, scale 1, zero point 0, 1 bit).

    Parameters
    ----------
    smooth : bool
        Which derivative; see `step`.

    Attributes
    ----------
    rounding : str
        The rule of `codesign.frontends.requantize.Grid` that it follows: the upper level from 0 on.
    """

    rounding = "sign"

    def __init__(self, smooth: bool) -> None:
        super().__init__(1)
        self.smooth = smooth
        self.register_buffer("one", torch.ones(()), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the step of `x`."""
        return self.described(step(x, self.smooth), self.get_buffer("one"))


class SignWeightPerChannel(ExtendedInjector):
    """Binary weights with one scale per output channel: `QuantConv2d(..., weight_quant=SignWeightPerChannel)`.

    Per input channel in a transposed convolution. A `weight_bit_width` given to the layer is ignored: they are binary.
    """

    proxy_class = WeightQuantProxyFromInjector
    tensor_quant = BinaryWeightQuant
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = True
    narrow_range = True
    bit_width = 1
    per_channel = True


class SignWeightPerTensor(SignWeightPerChannel):
    """Binary weights with one scale; a `weight_bit_width` given to the layer is ignored."""

    per_channel = False


class StepProxy(ActQuantProxyFromInjector):
    """Brevitas proxy of the step: refuses to be exported, since Brevitas exports 1-bit activations as -1 and +1."""

    @property
    def export_mode(self) -> bool:
        """Whether Brevitas exports the activation: never."""
        return False

    @export_mode.setter
    def export_mode(self, value: bool) -> None:
        if value:
            raise UserError(
                "Brevitas exports 1-bit activations as -1 and +1, and these are 0 and 1; "
                "convert the network by codesign.api.from_brevitas instead."
            )


class SignAct(ExtendedInjector):
    """Binary activations 0 and 1 with the clipped identity as derivative: `QuantIdentity(act_quant=SignAct)`."""

    proxy_class = StepProxy
    tensor_quant = StepQuant
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = False
    narrow_range = False
    bit_width = 1
    smooth = False


def require_one_bit(bits: int, name: str) -> None:
    """Raise `ValueError`, in words for the user, when a binary method is asked for more bits."""
    if bits != 1:
        raise ValueError(f"{name} is binary, 1 bit, not {bits}; set the width to 1 or choose another method")


def weight(bits: int, per_channel: bool) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "sign")
    return SignWeightPerChannel if per_channel else SignWeightPerTensor


def relu(channels: int, bits: int) -> nn.Module:
    """Return the binary activation, which stands in the place of ReLU and quantizer.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "sign")
    return qnn.QuantIdentity(act_quant=SignAct)
