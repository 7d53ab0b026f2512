"""A tiny network for small images: convolution, depthwise and pointwise convolution, two max pools, dense."""

from __future__ import annotations

from torch import Tensor, nn

from codesign.quant.layers import Layers


class DigitsCnn(nn.Module):
    """Three convolutions, each with batch norm and ReLU, and two 2x2 max pools."""

    def __init__(self, layers: Layers, shape: tuple[int, ...], classes: int, channels: int) -> None:
        super().__init__()
        height, width, inputs = shape
        self.stem = layers.conv(inputs, channels, 3, padding=1, first=True)
        self.bn1 = nn.BatchNorm2d(channels)
        self.act1 = layers.relu(channels)
        self.pool1 = nn.MaxPool2d(2)
        self.depthwise = layers.conv(channels, channels, 3, padding=1, groups=channels)
        self.bn2 = nn.BatchNorm2d(channels)
        self.act2 = layers.relu(channels)
        self.pointwise = layers.conv(channels, 2 * channels, 1)
        self.bn3 = nn.BatchNorm2d(2 * channels)
        self.act3 = layers.relu(2 * channels, last=True)
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.dense = layers.dense(2 * channels * (height // 4) * (width // 4), classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.pool1(self.act1(self.bn1(self.stem(x))))
        x = self.act2(self.bn2(self.depthwise(x)))
        x = self.pool2(self.act3(self.bn3(self.pointwise(x))))
        return self.dense(self.flatten(x))


def build(layers: Layers, shape: tuple[int, ...], classes: int, channels: int = 16) -> nn.Module:
    """Build the network for images of `shape` (H, W, C); `channels` after the first convolution."""
    return DigitsCnn(layers, shape, classes, channels)
