"""ResNet-9 in the manner of D. Page's fast CIFAR-10 networks: few, wide layers. Used as a teacher."""

from __future__ import annotations

from torch import Tensor, nn

from codesign.quant.layers import Layers


class Block(nn.Module):
    """3x3 convolution, batch norm, ReLU, and a 2x2 max pool when asked for."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, pool: bool = False, first: bool = False) -> None:
        super().__init__()
        self.conv = layers.conv(inputs, outputs, 3, padding=1, first=first)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = layers.relu(outputs)
        self.pool: nn.Module = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H, W), or half of it with a pool."""
        # ReLU and max pool commute; pooling first leaves a quarter of the work.
        return self.act(self.pool(self.bn(self.conv(x))))


class ResNet9(nn.Module):
    """Eight convolutions with two residual pairs, global max pool, dense layer."""

    def __init__(self, layers: Layers, shape: tuple[int, ...], classes: int, channels: list[int]) -> None:
        super().__init__()
        c0, c1, c2, c3 = channels
        self.block0 = Block(layers, shape[-1], c0, first=True)
        self.block1 = Block(layers, c0, c1, pool=True)
        self.pair1 = nn.Sequential(Block(layers, c1, c1), Block(layers, c1, c1))
        self.block2 = Block(layers, c1, c2, pool=True)
        self.block3 = Block(layers, c2, c3, pool=True)
        self.pair2 = nn.Sequential(Block(layers, c3, c3), Block(layers, c3, c3))
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.flatten = nn.Flatten()
        self.dense = layers.dense(c3, classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.block1(self.block0(x))
        x = x + self.pair1(x)
        x = self.block3(self.block2(x))
        x = x + self.pair2(x)
        return self.dense(self.flatten(self.pool(x)))


def build(layers: Layers, shape: tuple[int, ...], classes: int, channels: list[int] | None = None) -> nn.Module:
    """Build ResNet-9 for images of `shape` (H, W, C); `channels` of the four resolutions' convolutions."""
    sizes = channels or [64, 128, 256, 512]
    if len(sizes) != 4:
        raise ValueError("channels needs four sizes")
    return ResNet9(layers, shape, classes, sizes)
