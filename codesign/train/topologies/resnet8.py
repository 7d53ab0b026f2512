"""ResNet-8 of the MLPerf Tiny benchmark: three residual stacks, 77,946 parameters, 12.5 million MACs."""

from __future__ import annotations

from torch import Tensor, nn

from codesign.quant.layers import Layers


class Stack(nn.Module):
    """Two 3x3 convolutions with a shortcut.

    The shortcut is the identity, or a strided 1x1 convolution with bias where the shape changes.
    Both branches pass the same quantizer `res`, so that the addition is one of integers.
    """

    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int, last: bool) -> None:
        super().__init__()
        self.conv1 = layers.conv(inputs, outputs, 3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = layers.relu(outputs)
        self.conv2 = layers.conv(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = layers.conv(inputs, outputs, 1, stride=stride, bias=True)
        self.res = layers.residual()
        self.act2 = layers.relu(outputs, last=last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, H, W) to (N, outputs, H / stride, W / stride)."""
        branch = self.res(self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x))))))
        return self.act2(branch + self.res(self.shortcut(x)))


class ResNet8(nn.Module):
    """Stem, three stacks of 16, 32 and 64 channels, global average pool, dense layer."""

    def __init__(self, layers: Layers, shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        self.stem = layers.conv(shape[-1], width, 3, padding=1, first=True)
        self.bn = nn.BatchNorm2d(width)
        self.act = layers.relu(width)
        self.stack1 = Stack(layers, width, width, 1, last=False)
        self.stack2 = Stack(layers, width, 2 * width, 2, last=False)
        self.stack3 = Stack(layers, 2 * width, 4 * width, 2, last=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dense = layers.dense(4 * width, classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to logits (N, classes)."""
        x = self.act(self.bn(self.stem(x)))
        x = self.stack3(self.stack2(self.stack1(x)))
        return self.dense(self.flatten(self.pool(x)))


def build(layers: Layers, shape: tuple[int, ...], classes: int, width: int = 16) -> nn.Module:
    """Build ResNet-8 for images of `shape` (H, W, C); `width` channels in the first stack."""
    return ResNet8(layers, shape, classes, width)
