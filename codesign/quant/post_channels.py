"""POST weights whose widths differ from output channel to output channel, from 0 bits to 5.

The levels of a width are the greatest ones of every larger width, up to a power of two: ±1, ±181/256, ±1/2 and so on
of α. So a layer has one table, that of its widest channel, and a narrower channel uses the upper part of it: a channel
of 2 bits 0 and ±α, one of 1 bit (binary) ±α, a pruned one 0 alone. In the integer graph all codes of a layer are as
wide as those of its table; a narrow channel is cheaper only where hardware is made of the values themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from brevitas.inject import ExtendedInjector, value
from brevitas.inject.enum import QuantType
from torch import Tensor, nn

from codesign.quant.codebook import CodebookFunction, codebook_of
from codesign.quant.lsq_channels import BINARY, PRUNED, BinaryStepFunction
from codesign.quant.post import START, levels_of
from codesign.quant.quantizer import Quantizer, WeightProxy, channel_shape
from codesign.quant.steps import SMALLEST_STEP


class Tables:
    """The levels that channels of given widths may be.

    Parameters
    ----------
    widths : sequence of int
        Bits of each output channel, 0 to 5.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self.levels = levels_of(max(2, *widths))
        self.groups: list[tuple[int, Tensor, Tensor, Tensor]] = []
        for bits in sorted(set(widths)):
            rows = torch.tensor([row for row, width in enumerate(widths) if width == bits])
            table = torch.tensor(levels_of(max(bits, 2)), dtype=torch.float32)
            self.groups.append((bits, rows, table, (table[1:] + table[:-1]) / 2))

    def quantise(self, w: Tensor, alpha: Tensor) -> Tensor:
        """Quantise weights, output channels first.

        Parameters
        ----------
        w : Tensor
            Of the number of channels of the widths.
        alpha : Tensor, shape (channels, 1, ...)
            Positive: the magnitude of the greatest level.

        Returns
        -------
        Tensor
            Of the shape and type of `w`, with the gradients of `CodebookFunction`; those of binary channels are of
            `BinaryStepFunction`, and pruned ones have none.
        """
        scale = 1 / math.sqrt(max(w.numel() // alpha.numel(), 1))
        if len(self.groups) == 1:
            return _of_width(self.groups[0], w, alpha, scale)
        y = torch.zeros_like(w)
        for group in self.groups:
            rows = group[1]
            y = y.index_copy(0, rows, _of_width(group, w[rows], alpha[rows], scale))
        return y

    def first_alphas(self, w: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Return the α that training starts from: a quantile of |w| by width, binary mean|w|."""
        magnitude = w.detach().abs().flatten(1)
        alpha = torch.empty(len(magnitude), dtype=w.dtype)
        for bits, rows, _, _ in self.groups:
            if bits <= BINARY:
                alpha[rows] = magnitude[rows].mean(1)
                continue
            found = torch.quantile(magnitude[rows], START[bits], dim=1)
            alpha[rows] = torch.where(found > 0, found, magnitude[rows].amax(1))
        return alpha.clamp_min(SMALLEST_STEP).view(shape)


def _of_width(group: tuple[int, Tensor, Tensor, Tensor], w: Tensor, alpha: Tensor, scale: float) -> Tensor:
    bits, _, levels, middles = group
    if bits == PRUNED:
        return torch.zeros_like(w)
    if bits == BINARY:
        return BinaryStepFunction.apply(w, alpha, scale)
    return CodebookFunction.apply(w, alpha, levels, middles, scale, True)


class PostChannelsQuant(Quantizer):
    """Brevitas `tensor_quant` of POST weights with a width for each output channel.

    Parameters
    ----------
    widths : tuple of int
        Bits of each output channel, 0 to 5.
    scaling_shape : tuple of int
        (channels, 1, ...).
    tracked_parameter_list : list of Parameter
        Given by Brevitas: the weights, which set α.

    Attributes
    ----------
    codebook : tuple of int
        Signed integers of the widest channel's table, ascending.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        scaling_shape: tuple[int, ...],
        tracked_parameter_list: list[nn.Parameter],
    ) -> None:
        self.tables = Tables(widths)
        super().__init__(self.tables.levels[-1].bit_length() + 1)
        (channels,) = set(scaling_shape[:1])
        if channels != len(widths):
            raise ValueError(f"the layer has {channels} output channels, but {len(widths)} widths are given")
        self.codebook = codebook_of(self.tables.levels)
        self.alpha = nn.Parameter(self.tables.first_alphas(tracked_parameter_list[0], scaling_shape))

    def clip(self) -> Tensor:
        """Return α, positive."""
        return self.alpha.abs().clamp_min(SMALLEST_STEP)

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Quantise weights."""
        alpha = self.clip()
        return self.described(self.tables.quantise(w, alpha), alpha / self.tables.levels[-1])

    @torch.no_grad()
    def codes(self, w: Tensor) -> Tensor:
        """Return the position of each weight in `codebook`, int64, shape as `w`."""
        alpha = self.clip()
        integers = (self.tables.quantise(w, alpha) / (alpha / self.tables.levels[-1])).round()
        return torch.searchsorted(torch.tensor(self.codebook, dtype=integers.dtype), integers.contiguous())


class PostWeightChannels(ExtendedInjector):
    """POST weights with an α and a width for each output channel.

    Use as `QuantConv2d(..., weight_quant=PostWeightChannels.let(widths=(4, 3, 2, 0)))`.
    """

    tensor_quant = PostChannelsQuant
    proxy_class = WeightProxy
    quant_type = QuantType.INT
    signed = True
    narrow_range = True

    @value
    def bit_width(widths: tuple[int, ...]) -> int:  # noqa: N805
        """Bits of the widest channel."""
        return max(widths)

    @value
    def scaling_shape(module: Any) -> tuple[int, ...]:  # noqa: N805
        """Shape of one scale per output channel."""
        return channel_shape(module)
