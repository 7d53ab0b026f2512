"""Quantised layers for topologies: Brevitas modules with the quantizers of a method."""

from __future__ import annotations

import brevitas.nn as qnn
from torch import nn

from codesign import quant
from codesign.quant.widths import FLOAT_BITS, Widths


class BrevitasLayers:
    """Brevitas layers.

    Parameters
    ----------
    widths : Widths
        Bit widths; 32 leaves weights or activations float.
    weights, activations : str
        Quantisation methods.
    """

    def __init__(self, widths: Widths, weights: str, activations: str) -> None:
        self.widths = widths
        self.weights, self.activations = quant.method(weights), quant.method(activations)

    def conv(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = False,
        first: bool = False,
    ) -> nn.Module:
        """Return `QuantConv2d` with one weight scale per output channel."""
        bits = self.widths.first_weight_bits if first else self.widths.weight_bits
        return qnn.QuantConv2d(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            groups=groups,
            bias=bias,
            weight_quant=None if bits == FLOAT_BITS else self.weights.weight(bits, True),
        )

    def dense(
        self, inputs: int, outputs: int, *, bias: bool = True, first: bool = False, last: bool = False
    ) -> nn.Module:
        """Return `QuantLinear`, with one weight scale in all when it is the last layer."""
        bits = self.widths.weight_bits
        if first:
            bits = self.widths.first_weight_bits
        if last:
            bits = self.widths.last_weight_bits
        weight_quant = None if bits == FLOAT_BITS else self.weights.weight(bits, not last)
        return qnn.QuantLinear(inputs, outputs, bias=bias, weight_quant=weight_quant)

    def relu(self, *, last: bool = False) -> nn.Module:
        """Return `QuantReLU` with an unsigned output."""
        bits = self.widths.last_activation_bits if last else self.widths.activation_bits
        return qnn.QuantReLU(act_quant=None if bits == FLOAT_BITS else self.activations.activation(bits, False))

    def residual(self) -> nn.Module:
        """Return a signed `QuantIdentity`, to be called on both operands."""
        bits = self.widths.residual_bits
        return qnn.QuantIdentity(act_quant=None if bits == FLOAT_BITS else self.activations.activation(bits, True))
