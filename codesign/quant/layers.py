"""The layers that topologies are made of: plain torch for float networks, Brevitas for quantised ones."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from codesign.errors import UserError
from codesign.quant.choice import Method
from codesign.quant.widths import Widths


class Layers(Protocol):
    """What a topology may ask for."""

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
        """Return a 2-d convolution with weights per output channel."""

    def dense(
        self, inputs: int, outputs: int, *, bias: bool = True, first: bool = False, last: bool = False
    ) -> nn.Module:
        """Return a dense layer; the last one has one weight scale, so that integer logits compare."""

    def relu(self, channels: int, *, last: bool = False) -> nn.Module:
        """Return a ReLU with an unsigned quantised output; `last` marks the input of the last layer."""

    def residual(self, *, rectified: bool = False) -> nn.Module:
        """Return the quantizer that the operands of a residual addition share; `rectified` ones are unsigned."""


class FloatLayers:
    """Plain torch layers."""

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
        """Return `nn.Conv2d`."""
        return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)

    def dense(
        self, inputs: int, outputs: int, *, bias: bool = True, first: bool = False, last: bool = False
    ) -> nn.Module:
        """Return `nn.Linear`."""
        return nn.Linear(inputs, outputs, bias=bias)

    def relu(self, channels: int, *, last: bool = False) -> nn.Module:
        """Return `nn.ReLU`."""
        return nn.ReLU()

    def residual(self, *, rectified: bool = False) -> nn.Module:
        """Return `nn.Identity`, or `nn.ReLU`."""
        return nn.ReLU() if rectified else nn.Identity()


def make(widths: Widths, method: Method) -> Layers:
    """Return the layers for `widths`: plain torch when all is float, else Brevitas.

    Raises
    ------
    UserError
        When a method is unknown, or given for a network that is float.
    """
    if widths.is_float:
        if method != Method():
            raise UserError(
                f"the network is float, but its [method] asks for {method.summary}; remove [method], or give "
                "widths.weight_bits and widths.activation_bits."
            )
        return FloatLayers()
    from codesign.quant.brevitas_layers import BrevitasLayers

    return BrevitasLayers(widths, method)
