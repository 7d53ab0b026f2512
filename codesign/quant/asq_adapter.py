"""The small network of ASQ that chooses a step for each sample, and the steps it may choose from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from brevitas.inject import ExtendedInjector
from brevitas.nn import QuantLinear
from torch import Tensor, nn

from codesign.quant.lsq import LsqQuant, LsqWeightPerTensor

BITS = 8
"""Width of the adapter's weights and hidden activations in hardware mode."""

HIDDEN_FROM = 8
"""Fewest channels with a hidden layer."""

OUTPUT_WEIGHT_STEP = 2.0**-BITS
"""Step of the output layer's weights at the start, with which codes reach up to about 1/2.

The weights start near 0, for beta near 1. A step set to suit them clips as soon as they grow, and the gradients
of clipped values then blow it up until few codes are left in use.
"""


def codebook(entries: int) -> Tensor:
    """Return the factors (entries,) that a step may be multiplied by, ascending, float32.

    From 1/8 to about 4 in equal ratios, 1 among them, rounded to eight significant bits: all of them and
    the middles between them are then exact in every float type of 11 significant bits or more.
    """
    below = round(0.6 * (entries - 1))
    exact = 2.0 ** (3.0 * (torch.arange(entries, dtype=torch.float64) - below) / below)
    mantissa, exponent = torch.frexp(exact)
    return torch.ldexp((mantissa * 256).round() / 256, exponent).float()


class AsqAdapter(nn.Module):
    """Two dense layers from the averages of the channels to one number per sample.

    Parameters
    ----------
    channels : int
        C. The hidden layer has C // 4 units; with fewer than 8 channels there is none.
    quantised : bool
        Give weights and hidden activations 8 bits by LSQ.

    Attributes
    ----------
    hidden : QuantLinear or nn.Linear, or None
        C to C // 4, followed by a ReLU.
    hidden_quant : LsqQuant or None
        Unsigned, behind that ReLU.
    output : QuantLinear or nn.Linear
        To one unit; starts with weights near 0 and bias 1.
    """

    def __init__(self, channels: int, quantised: bool) -> None:
        super().__init__()
        units = channels // 4 if channels >= HIDDEN_FROM else channels
        self.hidden = _dense(channels, units, quantised) if channels >= HIDDEN_FROM else None
        self.hidden_quant = LsqQuant(BITS, False, False, ()) if self.hidden is not None and quantised else None
        self.output = _dense(units, 1, quantised, _OutputWeight)
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        if self.hidden is not None:
            # Averages of ReLU outputs are positive: a unit whose weights sum to less than 0 would hardly ever learn.
            weight = self.hidden.weight
            weight.mul_(torch.where(weight.sum(1, keepdim=True) < 0, -1.0, 1.0))
            self.hidden.bias.zero_()
        self.output.weight.normal_(0.0, 0.01)
        self.output.bias.fill_(1.0)
        for layer in (self.hidden, self.output):
            if isinstance(layer, QuantLinear):
                layer.weight_quant.init_tensor_quant()

    def forward(self, averages: Tensor) -> Tensor:
        """Map averages (N, C) to outputs (N,)."""
        values = averages
        if self.hidden is not None:
            values = F.relu(self.hidden(values))
            if self.hidden_quant is not None:
                values = self.hidden_quant(values)[0]
        return self.output(values).squeeze(1)


class _OutputLsq(LsqQuant):
    """LSQ that starts from `OUTPUT_WEIGHT_STEP`, whatever the weights."""

    def __init__(
        self,
        bit_width: int,
        signed: bool,
        narrow_range: bool,
        scaling_shape: tuple[int, ...],
        tracked_parameter_list: list[nn.Parameter] | None = None,
    ) -> None:
        super().__init__(bit_width, signed, narrow_range, scaling_shape, tracked_parameter_list)
        with torch.no_grad():
            self.scaling_impl.value.fill_(OUTPUT_WEIGHT_STEP)


class _OutputWeight(LsqWeightPerTensor):
    tensor_quant = _OutputLsq


def _dense(
    inputs: int, outputs: int, quantised: bool, weight: type[ExtendedInjector] = LsqWeightPerTensor
) -> nn.Linear:
    if not quantised:
        return nn.Linear(inputs, outputs)
    return QuantLinear(inputs, outputs, bias=True, weight_quant=weight.let(bit_width=BITS))
