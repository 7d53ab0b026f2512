"""Layers that remember what a topology asked for, so that a layer of a network can be found and made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from codesign.quant.layers import Layers


@dataclass(frozen=True)
class Asked:
    """What a topology asked `Layers` for.

    Parameters
    ----------
    kind : {"weights", "relu", "residual"}
        A convolution or dense layer; a ReLU; the quantizer of residual operands.
    first, last : bool
        As the topology said; of a ReLU, `last` marks the input of the last layer.
    channels : int
        Output channels; 0 for residual operands.
    """

    kind: Literal["weights", "relu", "residual"]
    first: bool = False
    last: bool = False
    channels: int = 0

    @property
    def hidden(self) -> bool:
        """Whether it has the width of hidden layers, which may be another for each."""
        return self.kind != "residual" and not self.first and not self.last

    @property
    def field(self) -> str:
        """Name of the field of `Widths` that has its width."""
        if self.kind == "residual":
            return "residual_bits"
        edge = "first_" if self.first else "last_" if self.last else ""
        return f"{edge}{'weight' if self.kind == 'weights' else 'activation'}_bits"


class RecordedLayers:
    """Passes on what another maker of layers makes.

    Parameters
    ----------
    layers : Layers
        Makes the layers.

    Attributes
    ----------
    asked : dict of Module to Asked
        What each layer is.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.asked: dict[nn.Module, Asked] = {}

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
        """Return a convolution."""
        made = self.layers.conv(
            inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=bias, first=first
        )
        self.asked[made] = Asked("weights", first=first, channels=outputs)
        return made

    def dense(
        self, inputs: int, outputs: int, *, bias: bool = True, first: bool = False, last: bool = False
    ) -> nn.Module:
        """Return a dense layer."""
        made = self.layers.dense(inputs, outputs, bias=bias, first=first, last=last)
        self.asked[made] = Asked("weights", first=first, last=last, channels=outputs)
        return made

    def relu(self, channels: int, *, last: bool = False) -> nn.Module:
        """Return a rectified activation."""
        made = self.layers.relu(channels, last=last)
        self.asked[made] = Asked("relu", last=last, channels=channels)
        return made

    def residual(self, *, rectified: bool = False) -> nn.Module:
        """Return the quantizer of residual operands."""
        made = self.layers.residual(rectified=rectified)
        self.asked[made] = Asked("residual")
        return made

    def by_name(self, network: nn.Module) -> dict[str, Asked]:
        """Return what each layer of a network is, by its path, in the order of the network."""
        return {name: self.asked[module] for name, module in network.named_modules() if module in self.asked}
