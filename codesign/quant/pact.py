"""PACT, parameterised clipping activation: a learned clip α above a uniform grid.

A ReLU output x becomes α / n · round(clip(x, 0, α) · n / α), n = 2^b - 1. The gradient of α is 1 where x ≥ α,
else 0, and `decay` · α is added to it: the L2 term of the paper, which alone makes α smaller. It is added here
because optimizers leave quantizers without weight decay.

α starts at 2 · mean(x) · √n of the first batch, which is where LSQ would clip; the paper starts at a large
constant. Signed activations, which the paper has not, are clipped to ±α, with the codes ±(2^(b-1) - 1).

References
----------
Choi, Wang, Venkataramani, Chuang, Srinivasan and Gopalakrishnan, PACT: parameterized clipping activation for
quantized neural networks, arXiv 1805.06085. Its weights are those of DoReFa: `codesign.quant.dorefa`.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import FloatToIntImplType, QuantType
from brevitas.proxy import ActQuantProxyFromInjector
from torch import Tensor, nn

from codesign.quant.clipped import clipped
from codesign.quant.lsq import code_range
from codesign.quant.quantizer import Quantizer
from codesign.quant.steps import SMALLEST_STEP

DECAY = 2e-4
"""Of the paper's CIFAR-10 networks, the same for α as for their weights."""


class DecayFunction(torch.autograd.Function):
    """The identity, whose gradient has decay · value added: an L2 term of (decay / 2) · value²."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, decay: float) -> Tensor:
        """Return `value`."""
        ctx.save_for_backward(value)
        ctx.decay = decay
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient with that of the L2 term."""
        (gradient,) = gradients
        (value,) = ctx.saved_tensors
        return gradient + ctx.decay * value, None


class PactQuant(Quantizer):
    """Brevitas `tensor_quant` of PACT.

    Parameters
    ----------
    bit_width : int
        Bits of a code.
    signed : bool
        Whether there is a lower clip at -α.
    decay : float
        Factor of the L2 term on α.
    """

    def __init__(self, bit_width: int, signed: bool, decay: float) -> None:
        super().__init__(int(bit_width))
        self.low, self.high = code_range(int(bit_width), signed, narrow=True)
        self.decay = decay
        # May take any value but 0; α is its magnitude. 0 stands for not set yet, before the first batch.
        self.alpha = nn.Parameter(torch.zeros(()))
        # Spares a look at the tensor in each forward pass.
        self.waiting = True

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set α to 2 · mean|x| · √n; values that are all zero leave it unset."""
        magnitude = (x.abs() if self.low else x.clamp_min(0)).to(self.alpha.dtype)
        self.alpha.copy_(2 * magnitude.mean() * math.sqrt(self.high))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise `x`; the first batch sets α."""
        if self.waiting:
            if self.alpha == 0:
                self.initialise(x)
            self.waiting = bool(self.alpha == 0)
        alpha = DecayFunction.apply(self.alpha, self.decay) if self.decay else self.alpha
        step = alpha.abs().clamp_min(SMALLEST_STEP) / self.high
        return self.described(clipped(x, step, self.low, self.high), step)


class PactActUnsigned(ExtendedInjector):
    """Unsigned PACT activations, for `QuantReLU`; 8 bits unless `.let(bit_width=…)` says otherwise."""

    tensor_quant = PactQuant
    proxy_class = ActQuantProxyFromInjector
    quant_type = QuantType.INT
    float_to_int_impl_type = FloatToIntImplType.ROUND
    signed = False
    narrow_range = False
    bit_width = 8
    decay = DECAY


class PactActSigned(PactActUnsigned):
    """Symmetric signed PACT activations, for `QuantIdentity`; 8 bits unless changed."""

    signed = True
    narrow_range = True


def activation(bits: int, signed: bool, *, decay: float = DECAY) -> type[ExtendedInjector]:
    """Return the Brevitas activation quantizer of this method.

    Parameters
    ----------
    bits : int
    signed : bool
        Operand of a residual addition, or the input of one; else behind a ReLU.
    decay : float
        Weight decay of the clip α alone, 0 or more: its gradient grows by `decay` · α.

    Raises
    ------
    ValueError
        When no positive code is left, or `decay` is negative.
    """
    code_range(bits, signed, narrow=True)
    if not 0 <= decay < math.inf:
        raise ValueError(f"the decay of the clip must be 0 or positive, not {decay}")
    return (PactActSigned if signed else PactActUnsigned).let(bit_width=bits, decay=decay)
