"""Layers whose widths can be switched: shared float weights, and steps of their own for each width.

The layers of a one-shot supernet. A weight layer holds a step for each output channel and width, and an α for POST
weights; an activation one step for each width. A choice of widths picks among them; without one the layers are float.
Binary channels may have float weights apart: what suits ±step suits no other width, and the other way round.

References
----------
Guo et al., Single path one-shot neural architecture search, ECCV 2020, arXiv 1904.00420. Jin, Yang and Liao, AdaBits,
CVPR 2020, arXiv 1912.09666: steps for each width, weights shared.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.quant.brevitas_layers import BrevitasLayers
from codesign.quant.choice import Method
from codesign.quant.lsq import code_range, lsq
from codesign.quant.lsq_channels import BINARY, Codes
from codesign.quant.mixed import POST_BITS
from codesign.quant.post_channels import Tables
from codesign.quant.steps import SMALLEST_STEP
from codesign.quant.widths import Widths

Transform = Callable[[Tensor], Tensor]

_FACTORS = torch.logspace(-2.0, 0.6, 40, base=2.0)
"""Of the steps that training starts from, among which the one of the least squared error is looked for."""


class SwitchableWeights(nn.Module):
    """What quantises the weights of one layer.

    Parameters
    ----------
    weight : Tensor
        Output channels first; sets the first steps.
    bits : tuple of int
        Widths that may be chosen, ascending, 0 to 8.
    post : bool
        Whether POST weights may be chosen too, of those widths that it has.
    apart : bool
        Whether channels of one bit have float weights of their own.

    Attributes
    ----------
    instead : callable or None
        What is done to the float weights in the place of quantising them.
    """

    def __init__(self, weight: Tensor, bits: Sequence[int], post: bool, apart: bool = False) -> None:
        super().__init__()
        self.bits, self.shape = tuple(bits), (weight.shape[0],) + (1,) * (weight.ndim - 1)
        self.post_bits = tuple(width for width in bits if width <= POST_BITS) if post else ()
        self.steps = nn.Parameter(torch.ones(len(self.bits), weight.shape[0]))
        self.alphas = nn.Parameter(torch.ones(len(self.post_bits), weight.shape[0])) if post else None
        # By this name it learns as fast as weights do, unlike a step (`train.checkpoint.is_step`), but does not decay.
        own = apart and BINARY in self.bits
        self.adapter = nn.ParameterDict({"binary": weight.detach().clone()}) if own else None
        self.instead: Transform | None = None
        self.codes: Codes | Tables | None = None
        self.rows = torch.zeros(0, dtype=torch.int64)
        self.binary = torch.zeros(self.shape, dtype=torch.bool)
        self.initialise(weight)

    @torch.no_grad()
    def initialise(self, weight: Tensor) -> None:
        """Set the steps of all widths to those of the least squared error for these weights, and begin with them for
        binary channels.
        """
        if self.adapter is not None:
            self.adapter["binary"].copy_(weight)
        for row, bits in enumerate(self.bits):
            self.steps[row] = self._nearest(weight, bits, "uniform")[1].flatten()
        if self.alphas is not None:
            for row, bits in enumerate(self.post_bits):
                self.alphas[row] = self._nearest(weight, bits, "post")[1].flatten()

    def _nearest(self, weight: Tensor, bits: int, scheme: str) -> tuple[Codes | Tables, Tensor]:
        """Return what quantises all channels to a width, and the steps or α of the least squared error."""
        widths = (bits,) * weight.shape[0]
        codes: Codes | Tables
        if scheme == "post":
            codes = Tables(widths)
            first = codes.first_alphas(weight, self.shape)
        else:
            codes = Codes(widths, weight.ndim)
            first = codes.first_steps(weight)
        return codes, _best(weight, first, codes.quantise) if bits > BINARY else first

    @torch.no_grad()
    def errors(self, weight: Tensor, scheme: str = "uniform") -> Tensor:
        """Return what quantising with steps of the least squared error changes, for each width of a kind.

        Steps that a supernet learned clip its weights, to which it is used by training: at float weights that looks
        like a large error, of seven bits too.

        Parameters
        ----------
        weight : Tensor
            Float weights of the layer.
        scheme : {"uniform", "post"}

        Returns
        -------
        Tensor, shape (widths, channels, weights of a channel)
        """
        found = []
        for bits in self.post_bits if scheme == "post" else self.bits:
            codes, steps = self._nearest(weight, bits, scheme)
            found.append((codes.quantise(weight, steps.view(self.shape)) - weight).flatten(1))
        return torch.stack(found)

    def choose(self, widths: Sequence[int] | None, scheme: str = "uniform") -> None:
        """Choose a width for each output channel, or float weights.

        Raises
        ------
        ValueError
            When a width is none of those that may be chosen.
        """
        if widths is None:
            self.codes = None
            return
        known = self.post_bits if scheme == "post" else self.bits
        try:
            self.rows = torch.tensor([known.index(width) for width in widths])
        except ValueError:
            wrong = next(width for width in widths if width not in known)
            raise ValueError(f"weights of {wrong} bits of the kind '{scheme}' are none of the supernet's") from None
        self.codes = Tables(widths) if scheme == "post" else Codes(widths, len(self.shape))
        self.binary = torch.tensor([width == BINARY for width in widths]).view(self.shape)

    def latent(self, weight: Tensor, binary: Tensor) -> Tensor:
        """Return the float weights that are quantised.

        Parameters
        ----------
        weight : Tensor
            Those of the layer.
        binary : Tensor of bool
            Which channels have one bit, of a shape that broadcasts to the weights'.
        """
        return weight if self.adapter is None else torch.where(binary, self.adapter["binary"], weight)

    def forward(self, weight: Tensor) -> Tensor:
        """Return what the layer computes with."""
        if self.instead is not None:
            return self.instead(weight)
        if self.codes is None:
            return weight
        table = self.alphas if isinstance(self.codes, Tables) else self.steps
        assert table is not None  # noqa: S101
        chosen = table[self.rows, torch.arange(len(self.rows))]
        return self.codes.quantise(
            self.latent(weight, self.binary), chosen.abs().clamp_min(SMALLEST_STEP).view(self.shape)
        )


class _Switchable:
    """What the two kinds of weight layers share."""

    weight: Tensor
    weight_quant: SwitchableWeights
    frozen: Tensor | None = None

    def freeze(self, frozen: bool) -> None:
        """Quantise the weights once for all passes that follow, or again in each."""
        self.frozen = None
        if frozen:
            with torch.no_grad():
                self.frozen = self.weight_quant(self.weight)

    def used(self) -> Tensor:
        """Return the weights to compute with."""
        return self.weight_quant(self.weight) if self.frozen is None else self.frozen


class SwitchableConv2d(_Switchable, nn.Conv2d):
    """A convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve."""
        return self._conv_forward(x, self.used(), self.bias)


class SwitchableLinear(_Switchable, nn.Linear):
    """A dense layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return F.linear(x, self.used(), self.bias)


class SwitchableSteps(nn.Module):
    """The steps of an activation, one for each width."""

    def __init__(self, bits: Sequence[int]) -> None:
        super().__init__()
        self.bits = tuple(bits)
        self.steps = nn.Parameter(torch.ones(len(self.bits)))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set the steps of all widths to those of the least squared error for these values."""
        values = x.detach().float().clamp_min(0).flatten()
        values = values[:: max(1, len(values) // 50_000)][None]
        for row, bits in enumerate(self.bits):
            high = code_range(bits, signed=False, narrow=False)[1]
            first = (2 * values.mean() / math.sqrt(high)).clamp_min(SMALLEST_STEP).view(1, 1)
            self.steps[row] = _best(values, first, functools.partial(lsq, low=0, high=high)).flatten()[0]


class SwitchableReLU(nn.Module):
    """A ReLU and the quantizer behind it.

    Parameters
    ----------
    bits : tuple of int
        Widths that may be chosen, ascending, 1 to 8.

    Attributes
    ----------
    instead : callable or None
        What is done behind the ReLU in the place of quantising.
    """

    def __init__(self, bits: Sequence[int]) -> None:
        super().__init__()
        self.act_quant = SwitchableSteps(bits)
        self.instead: Transform | None = None
        self.row: int | None = None

    def choose(self, bits: int | None) -> None:
        """Choose a width, or a float activation.

        Raises
        ------
        ValueError
            When the width is none of those that may be chosen.
        """
        if bits is not None and bits not in self.act_quant.bits:
            raise ValueError(f"an activation of {bits} bits is none of the supernet's")
        self.row = None if bits is None else self.act_quant.bits.index(bits)

    def forward(self, x: Tensor) -> Tensor:
        """Rectify and quantise."""
        if self.instead is not None:
            return self.instead(F.relu(x))
        if self.row is None:
            return F.relu(x)
        high = 2 ** self.act_quant.bits[self.row] - 1
        step = self.act_quant.steps[self.row].abs().clamp_min(SMALLEST_STEP)
        count = x[0].numel() if x.ndim else 1
        return lsq(x, step, 0, high, 1.0 / math.sqrt(max(count, 1) * high))


class SwitchableLayers:
    """Makes switchable hidden layers; first, last and residual ones have the fixed widths of a model.

    Parameters
    ----------
    widths : Widths
        Of what is fixed.
    method : Method
        Its method of edges.
    weight_bits, activation_bits : tuple of int
        Widths that may be chosen.
    post : bool
        Whether POST weights may be chosen.
    apart : bool
        Whether channels of one bit have float weights of their own.
    """

    def __init__(
        self,
        widths: Widths,
        method: Method,
        weight_bits: Sequence[int],
        activation_bits: Sequence[int],
        post: bool,
        apart: bool = False,
    ) -> None:
        self.fixed = BrevitasLayers(widths, method)
        self.weight_bits, self.activation_bits = tuple(weight_bits), tuple(activation_bits)
        self.post, self.apart = post, apart

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
        if first:
            return self.fixed.conv(
                inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=bias, first=True
            )
        made = SwitchableConv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)
        made.weight_quant = SwitchableWeights(made.weight, self.weight_bits, self.post, self.apart)
        return made

    def dense(
        self, inputs: int, outputs: int, *, bias: bool = True, first: bool = False, last: bool = False
    ) -> nn.Module:
        """Return a dense layer."""
        if first or last:
            return self.fixed.dense(inputs, outputs, bias=bias, first=first, last=last)
        made = SwitchableLinear(inputs, outputs, bias=bias)
        made.weight_quant = SwitchableWeights(made.weight, self.weight_bits, self.post, self.apart)
        return made

    def relu(self, channels: int, *, last: bool = False) -> nn.Module:
        """Return a rectified activation."""
        if last:
            made: qnn.QuantReLU = self.fixed.relu(channels, last=True)
            return made
        return SwitchableReLU(self.activation_bits)

    def residual(self, *, rectified: bool = False) -> nn.Module:
        """Return the quantizer of residual operands."""
        return self.fixed.residual(rectified=rectified)


def weight_layers(network: nn.Module) -> dict[str, SwitchableConv2d | SwitchableLinear]:
    """Return the switchable weight layers of a network by their path, in its order."""
    return {n: m for n, m in network.named_modules() if isinstance(m, SwitchableConv2d | SwitchableLinear)}


def activation_layers(network: nn.Module) -> dict[str, SwitchableReLU]:
    """Return the switchable activations of a network by their path, in its order."""
    return {n: m for n, m in network.named_modules() if isinstance(m, SwitchableReLU)}


@torch.no_grad()
def _best(v: Tensor, first: Tensor, quantise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the steps, near `first` (rows, 1, ...), of the least squared error of each row of `v`."""
    best, least = first, torch.full(first.shape, math.inf)
    for factor in _FACTORS:
        step = (first * factor).clamp_min(SMALLEST_STEP)
        error = (quantise(v, step) - v).square().flatten(1).sum(1).view(first.shape)
        best, least = torch.where(error < least, step, best), torch.minimum(error, least)
    return best
