"""Quantised layers for topologies: Brevitas modules with the quantizers of a method."""

from __future__ import annotations

import brevitas.nn as qnn
from brevitas.inject import ExtendedInjector
from torch import nn

from codesign import quant
from codesign.quant.choice import Method
from codesign.quant.widths import FLOAT_BITS, Widths


class BrevitasLayers:
    """Brevitas layers.

    Parameters
    ----------
    widths : Widths
        Bit widths; 32 leaves weights or activations float.
    method : Method
        Quantisation methods and their options.

    Raises
    ------
    UserError
        When a method is unknown.
    """

    def __init__(self, widths: Widths, method: Method) -> None:
        for name in (method.weights, method.activations, method.edges):
            quant.method(name)
        self.widths, self.method = widths, method

    def _weight(self, bits: int, *, edge: bool, per_channel: bool) -> type[ExtendedInjector] | None:
        """Return the weight quantizer, of the first or the last layer for `edge`."""
        if bits == FLOAT_BITS:
            return None
        name, options = (self.method.edges, {}) if edge else (self.method.weights, self.method.weight_options)
        return quant.make(name, "weight", (bits, per_channel), options)

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
            weight_quant=self._weight(bits, edge=first, per_channel=True),
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
        weight_quant = self._weight(bits, edge=first or last, per_channel=not last)
        return qnn.QuantLinear(inputs, outputs, bias=bias, weight_quant=weight_quant)

    def relu(self, channels: int, *, last: bool = False) -> nn.Module:
        """Return the rectified and quantised activation of the method, `QuantReLU` for most."""
        bits = self.widths.last_activation_bits if last else self.widths.activation_bits
        if bits == FLOAT_BITS:
            return qnn.QuantReLU(act_quant=None)
        if last:
            return qnn.QuantReLU(act_quant=quant.make(self.method.edges, "activation", (bits, False), {}))
        name, options = self.method.activations, self.method.activation_options
        if quant.offers(name, "relu"):
            return quant.make(name, "relu", (channels, bits), options)
        return qnn.QuantReLU(act_quant=quant.make(name, "activation", (bits, False), options))

    def residual(self, *, rectified: bool = False) -> nn.Module:
        """Return a signed `QuantIdentity`, or an unsigned `QuantReLU`, to be called on all operands."""
        bits, kind = self.widths.residual_bits, qnn.QuantReLU if rectified else qnn.QuantIdentity
        if bits == FLOAT_BITS:
            return kind(act_quant=None)
        return kind(act_quant=quant.make(self.method.edges, "activation", (bits, not rectified), {}))
