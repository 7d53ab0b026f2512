"""Binary activations of ReActNet: a learned shift per channel before the step, and a smoother derivative.

The activation is u = [x + b_c >= 0], with a learned b_c for each channel; the derivative of the sign is
taken as 2 + 2x on [-1, 0) and 2 - 2x on [0, 1), as in Bi-Real Net, and that of u = (sign + 1) / 2 as half of
it. Weights are those of `sign`. The shift
costs nothing in hardware, where it is part of a threshold.

ReActNet's other part, RPReLU (shift, PReLU, shift), is left out. It is monotone in each channel for positive
slopes, so that where a step alone reads it, it does no more than b_c does. Where a shortcut reads it too, as in
ReActNet and in the topology `bireal` of this package, it would do more.

References
----------
Liu, Shen, Savvides and Cheng, ReActNet: towards precise binary neural network with generalized activation
functions, ECCV 2020, arXiv 2003.03488.
Liu et al., Bi-Real Net, ECCV 2018, arXiv 1808.00278.
"""

from __future__ import annotations

from collections import OrderedDict

import brevitas.nn as qnn
import torch
from brevitas.inject import ExtendedInjector
from torch import Tensor, nn

from codesign.quant.sign import SignAct, SignWeightPerChannel, SignWeightPerTensor, require_one_bit


class ReactAct(SignAct):
    """Binary activations 0 and 1 with the piecewise polynomial derivative."""

    smooth = True


class ChannelShift(nn.Module):
    """x + b_c with a learned b for each channel, zero at the start.

    Parameters
    ----------
    channels : int
        Size of the second axis of the input.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Shift `x` of shape (N, channels, ...); the result has its shape and type."""
        return x + self.value.to(x.dtype).view(-1, *(1,) * (x.ndim - 2))


def weight(bits: int, per_channel: bool) -> type[ExtendedInjector]:
    """Return the Brevitas weight quantizer of this method, that of `sign`.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "react")
    return SignWeightPerChannel if per_channel else SignWeightPerTensor


def relu(channels: int, bits: int) -> nn.Module:
    """Return shift and step, which stand in the place of ReLU and quantizer.

    Raises
    ------
    ValueError
        When `bits` is not 1.
    """
    require_one_bit(bits, "react")
    # The name tells partial checkpoints that the shift belongs to a quantizer: a float network has none.
    return nn.Sequential(OrderedDict(shift_quant=ChannelShift(channels), step=qnn.QuantIdentity(act_quant=ReactAct)))
