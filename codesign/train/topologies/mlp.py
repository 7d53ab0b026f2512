"""A multi-layer perceptron with batch norm, for tables."""

from __future__ import annotations

from torch import Tensor, nn

from codesign.quant.layers import Layers


class Hidden(nn.Module):
    """Dense layer, batch norm, ReLU."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, first: bool, last: bool) -> None:
        super().__init__()
        self.dense = layers.dense(inputs, outputs, bias=False, first=first)
        self.bn = nn.BatchNorm1d(outputs)
        self.act = layers.relu(outputs, last=last)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs) to (N, outputs)."""
        return self.act(self.bn(self.dense(x)))


class Mlp(nn.Module):
    """Hidden layers and a dense layer with bias."""

    def __init__(self, layers: Layers, inputs: int, classes: int, hidden: list[int]) -> None:
        super().__init__()
        sizes = [inputs, *hidden]
        last = len(hidden) - 1
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(
            *(Hidden(layers, sizes[i], size, first=i == 0, last=i == last) for i, size in enumerate(hidden))
        )
        self.dense = layers.dense(sizes[-1], classes, last=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map rows (N, F), or images that are flattened, to logits (N, classes)."""
        return self.dense(self.hidden(self.flatten(x)))


def build(layers: Layers, shape: tuple[int, ...], classes: int, hidden: list[int] | None = None) -> nn.Module:
    """Build a perceptron; `hidden` lists the sizes of the hidden layers, at least one."""
    sizes = [64, 64] if hidden is None else hidden
    if not sizes or min(sizes) < 1:
        raise ValueError("hidden needs at least one positive size")
    inputs = 1
    for size in shape:
        inputs *= size
    return Mlp(layers, inputs, classes, sizes)
