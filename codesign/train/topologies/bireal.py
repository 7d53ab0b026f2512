"""A residual network for binary convolutions: each has a shortcut of its own, as in Bi-Real Net.

The first layer is 5x5 with stride 2; then come stages of units x <- x + res(ReLU(BN(conv3x3(act(BN(x)))))),
whose sums keep more than one bit of every feature. The batch norm in front of the activation keeps the sums,
which grow from unit to unit, where the derivative of the step is not zero; in hardware it is part of a
threshold. The ReLU, part of a re-quantisation, is what bends the sums between two steps. All operands of a stage
pass one unsigned quantizer `res`, so that its sums are sums of integers on one grid and nothing between them is
rounded again. Where the resolution halves, the shortcut is an average pool and its channels are repeated: no
weights, so that every hidden convolution is one from binary activations with binary weights.

References
----------
Liu et al., Bi-Real Net, ECCV 2018, arXiv 1808.00278. Repeating channels: ReActNet, arXiv 2003.03488.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from codesign.quant.layers import Layers


class Branch(nn.Module):
    """Batch norm, activation, 3x3 convolution, batch norm."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.act = layers.relu(inputs)
        self.conv = layers.conv(inputs, outputs, 3, stride=stride, padding=1)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        return self.bn(self.conv(self.act(self.norm(x))))


class Stage(nn.Module):
    """Units of one resolution.

    With stride 2 the first unit halves the resolution; its shortcut averages 2x2 and repeats the channels
    `outputs / inputs` times.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int, units: int, stride: int) -> None:
        super().__init__()
        sizes = [inputs, *[outputs] * (units - 1)]
        self.units = nn.ModuleList(
            Branch(layers, size, outputs, 1 if unit else stride) for unit, size in enumerate(sizes)
        )
        self.pool: nn.Module = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.repeats = outputs // inputs
        self.res = layers.residual(rectified=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        total = self.res(self.pool(x))
        if self.repeats > 1:
            total = torch.cat([total] * self.repeats, 1)
        for unit, branch in enumerate(self.units):
            total = total + self.res(branch(total if unit else x))
        return total


class BiReal(nn.Module):
    """First layer, stages, global average pool, dense layer."""

    def __init__(
        self, layers: Layers, shape: tuple[int, ...], classes: int, channels: list[int], units: list[int]
    ) -> None:
        super().__init__()
        self.stem = layers.conv(shape[-1], channels[0], 5, stride=2, padding=2, first=True)
        self.bn = nn.BatchNorm2d(channels[0])
        sizes = [channels[0], *channels]
        self.stages = nn.Sequential(
            *(
                Stage(layers, sizes[stage], sizes[stage + 1], count, 2 if stage else 1)
                for stage, count in enumerate(units)
            )
        )
        self.act = layers.relu(channels[-1], last=True)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dense = layers.dense(channels[-1], classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.stages(self.bn(self.stem(x)))
        return self.dense(self.flatten(self.average(self.act(x))))


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
        Convolutions of the stages; 3, 4 and 2 unless given.

    Raises
    ------
    ValueError
        When the lists do not fit each other.
    """
    channels, units = channels or [64, 128, 256], units or [3, 4, 2]
    if len(channels) != len(units):
        raise ValueError("channels and units need one entry for each stage")
    if any(after % before for before, after in itertools.pairwise(channels)):
        raise ValueError("the channels of a stage must be a multiple of those of the stage before")
    return BiReal(layers, shape, classes, channels, units)
