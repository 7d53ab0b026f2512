"""Brevitas modules that the import tests build: small, randomly initialised, with settled statistics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from brevitas import nn as qnn
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    Int8WeightPerTensorFixedPoint,
    Int8WeightPerTensorFloat,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryWeightPerTensorConst,
    Uint8ActPerTensorFixedPoint,
    Uint8ActPerTensorFloat,
)
from torch import nn

from codesign.quant import lsq

# These networks are too small to share among threads.
torch.set_num_threads(1)

WEIGHTS: tuple[Callable[[int], dict], ...] = (
    lambda bits: {"weight_quant": Int8WeightPerTensorFloat, "weight_bit_width": bits},
    lambda bits: {"weight_quant": Int8WeightPerChannelFloat, "weight_bit_width": bits},
    lambda bits: {"weight_quant": Int8WeightPerTensorFixedPoint, "weight_bit_width": bits},
    lambda bits: {"weight_quant": lsq.weight(bits, per_channel=True)},
    lambda bits: {"weight_quant": SignedBinaryWeightPerTensorConst, "weight_scaling_const": 0.1},
    lambda bits: {"weight_quant": SignedTernaryWeightPerTensorConst, "weight_scaling_const": 0.1},
)


def weights(rng: np.random.Generator) -> dict:
    """A random weight quantiser of 2 to 8 bits as keyword arguments."""
    return WEIGHTS[rng.integers(len(WEIGHTS))](int(rng.integers(2, 9)))


def relu(rng: np.random.Generator, bits: int | None = None) -> nn.Module:
    bits = int(rng.integers(1, 9)) if bits is None else bits
    choice = rng.integers(3)
    if choice == 0:
        return qnn.QuantReLU(
            act_quant=Uint8ActPerTensorFloat, bit_width=bits, return_quant_tensor=bool(rng.integers(2))
        )
    if choice == 1:
        return qnn.QuantReLU(act_quant=Uint8ActPerTensorFixedPoint, bit_width=bits)
    return qnn.QuantReLU(act_quant=lsq.activation(bits, signed=False))


def identity(rng: np.random.Generator, bits: int = 8) -> nn.Module:
    choice = rng.integers(3)
    if choice == 0:
        return qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)
    if choice == 1:
        return qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=bits)
    return qnn.QuantIdentity(act_quant=lsq.activation(bits, signed=True))


def activation(rng: np.random.Generator) -> nn.Module:
    choice = rng.integers(4)
    if choice < 2:
        return relu(rng)
    if choice == 2:
        return identity(rng, int(rng.integers(2, 9)))
    return qnn.QuantHardTanh(bit_width=int(rng.integers(2, 9)), max_val=1.0, min_val=-1.0)


def batch_norm(channels: int, rng: np.random.Generator, flat: bool = False) -> nn.Module:
    """A batch norm with settled, uneven statistics; some gains negative, some zero."""
    layer = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(channels)
    with torch.no_grad():
        gain = rng.normal(size=channels) + 0.5
        gain[rng.random(channels) < 0.15] = 0.0
        layer.weight.copy_(torch.from_numpy(gain))
        layer.bias.copy_(torch.from_numpy(rng.normal(size=channels) * 0.3))
        layer.running_mean.copy_(torch.from_numpy(rng.normal(size=channels) * 0.2))
        layer.running_var.copy_(torch.from_numpy(rng.random(channels) + 0.2))
        layer.momentum = 0.0  # calibration leaves the statistics alone
    return layer


class Block(nn.Module):
    """conv, batch norm, activation, pooling in one of two orders, and perhaps a residual around a second conv."""

    def __init__(self, channels: int, side: int, rng: np.random.Generator) -> None:
        super().__init__()
        kind = rng.integers(4)
        groups, outputs = 1, int(rng.integers(1, 5)) * 2
        if kind == 1:
            groups, outputs = channels, channels * int(rng.integers(1, 3))
        elif kind == 2 and channels % 2 == 0:
            groups = 2
        kernel = 1 if kind == 3 else int(rng.integers(2, 4))
        padding = int(rng.integers(0, 2)) if kernel == 3 else 0
        self.conv = qnn.QuantConv2d(
            channels, outputs, kernel, stride=int(rng.integers(1, 3)) if kernel == 3 else 1, padding=padding,
            groups=groups, bias=bool(rng.integers(2)), **weights(rng),
        )  # fmt: skip
        self.norm = batch_norm(outputs, rng) if rng.random() < 0.7 else nn.Identity()
        self.act = activation(rng)
        pools = [nn.Identity(), nn.MaxPool2d(2), nn.MaxPool2d(2, 1), nn.MaxPool2d(3, 2)]
        pool = pools[rng.integers(4 if side > 8 else 1)]
        self.before, self.after = (pool, nn.Identity()) if rng.random() < 0.5 else (nn.Identity(), pool)
        self.residual = None
        if rng.random() < 0.5:
            shared = identity(rng)
            self.residual = qnn.QuantConv2d(outputs, outputs, 3, padding=1, bias=False, **weights(rng))
            self.join = batch_norm(outputs, rng)
            self.left = shared
            if rng.random() < 0.3:  # scales that are powers of two align without being shared
                self.left = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=6)
                shared = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=8)
            self.right = shared
            self.out = relu(rng)
        self.channels = outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.after(self.act(self.before(self.norm(self.conv(x)))))
        if self.residual is None:
            return x
        return self.out(self.left(self.join(self.residual(x))) + self.right(x))


class Network(nn.Module):
    """Blocks, then a head: global average or flatten with extent, perhaps batch norm on features, and a dense layer."""

    def __init__(self, seed: int, size: int = 12, channels: int = 3, blocks: int = 2) -> None:
        super().__init__()
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self.entry = identity(rng) if rng.random() < 0.3 else nn.Identity()
        self.blocks = nn.Sequential()
        side = size
        for _ in range(blocks):
            block = Block(channels, side, rng)
            self.blocks.append(block)
            channels = block.channels
            with torch.no_grad():
                side = self.blocks(torch.rand(8, 3, size, size)).shape[-1]
        head = rng.integers(3)
        self.pool: nn.Module = nn.Identity()
        if head == 0:
            self.pool, side = nn.AdaptiveAvgPool2d(1), 1
        elif head == 1 and side >= 2:
            self.pool, side = nn.AvgPool2d(2), side // 2
        features = channels * side * side
        self.flatten = nn.Flatten()
        self.flat: nn.Module = nn.Identity()
        if rng.random() < 0.4:
            self.flat = nn.Sequential(batch_norm(features, rng, flat=True), relu(rng))
        self.last = qnn.QuantLinear(features, 5, bias=bool(rng.integers(2)), **weights(rng))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.flat(self.flatten(self.pool(self.blocks(self.entry(x))))))


def settled(model: nn.Module, shape: tuple[int, ...], batches: int = 3) -> nn.Module:
    """Let the quantisers see data, then return the module in evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    model.train()
    with torch.no_grad():
        for _ in range(batches):
            model(torch.randint(0, 256, (8, *shape), generator=generator).float() / 256)
    return model.eval()
