"""A residual network for binary convolutions: each has a shortcut of its own, as in Bi-Real Net.

The first layer is 5x5 with stride 2; then come units
x <- res(x) + res(BN(conv3x3(act(x)))), whose sums keep more than one bit of every feature. Where the
resolution halves, the shortcut is an average pool and its channels are repeated: no weights, so that every
hidden convolution is one from binary activations with binary weights.

References
----------
Liu et al., Bi-Real Net, ECCV 2018, arXiv 1808.00278. Repeating channels: ReActNet, arXiv 2003.03488.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from codesign.quant.layers import Layers


class Unit(nn.Module):
    """Activation, 3x3 convolution, batch norm, and a shortcut around them.

    With stride 2 the shortcut is the average of 2x2; it repeats its channels `outputs / inputs` times.
    Both branches pass the same quantizer `res`, so that the addition is one of integers.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.act = layers.relu(inputs)
        self.conv = layers.conv(inputs, outputs, 3, stride=stride, padding=1)
        self.bn = nn.BatchNorm2d(outputs)
        self.pool: nn.Module = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.res = layers.residual()
        self.repeats = outputs // inputs

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        branch = self.res(self.bn(self.conv(self.act(x))))
        shortcut = self.res(self.pool(x))
        if self.repeats > 1:
            shortcut = torch.cat([shortcut] * self.repeats, 1)
        return branch + shortcut


class BiReal(nn.Module):
    """First layer, units in stages of halved resolution, global average pool, dense layer."""

    def __init__(
        self, layers: Layers, shape: tuple[int, ...], classes: int, channels: list[int], units: list[int]
    ) -> None:
        super().__init__()
        self.stem = layers.conv(shape[-1], channels[0], 5, stride=2, padding=2, first=True)
        self.bn = nn.BatchNorm2d(channels[0])
        self.res = layers.residual()
        stages = []
        inputs = channels[0]
        for stage, (outputs, count) in enumerate(zip(channels, units, strict=True)):
            for unit in range(count):
                stages.append(Unit(layers, inputs, outputs, 2 if stage and not unit else 1))
                inputs = outputs
        self.units = nn.Sequential(*stages)
        self.act = layers.relu(inputs, last=True)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dense = layers.dense(inputs, classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.res(self.bn(self.stem(x)))
        x = self.act(self.units(x))
        return self.dense(self.flatten(self.average(x)))


def build(
    layers: Layers,
    shape: tuple[int, ...],
    classes: int,
    channels: list[int] | None = None,
    units: list[int] | None = None,
) -> nn.Module:
    """Build the network for images of `shape` (H, W, C).

    Parameters
    ----------
    layers : Layers
        What it is made of.
    shape : tuple of int
        Of an image.
    classes : int
        Size of the output.
    channels : list of int, optional
        Of the stages, each a multiple of the one before; 64, 128 and 256 unless given.
    units : list of int, optional
        Convolutions of the stages; 3, 3 and 2 unless given.

    Raises
    ------
    ValueError
        When the lists do not fit each other.
    """
    channels, units = channels or [64, 128, 256], units or [3, 3, 2]
    if len(channels) != len(units):
        raise ValueError("channels and units need one entry for each stage")
    if any(after % before for before, after in itertools.pairwise(channels)):
        raise ValueError("the channels of a stage must be a multiple of those of the stage before")
    return BiReal(layers, shape, classes, channels, units)
