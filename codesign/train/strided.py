"""1×1 convolutions with a stride that oneDNN is not asked for, as their gradients overwrite memory.

Where it has no better kernels than those of AVX2, oneDNN writes past a buffer in the gradient of such weights if images
are channels last and there are fewer channels than a block of it holds; a training crashes or learns nonsense then. As
such a convolution reads every so many pixels alone, one without a stride over these is the same.

References
----------
https://github.com/uxlfoundation/oneDNN/issues/6035
"""

from __future__ import annotations

from types import MethodType

import torch.nn.functional as F
from torch import Tensor, nn

_BLOCK = 16
"""Channels in a block of oneDNN, at most."""


def guarded(network: nn.Module) -> nn.Module:
    """Return `network` with such convolutions computed over the pixels that they read, without a stride.

    Parameters
    ----------
    network : Module
        Changed in place: how these layers compute, neither parameters nor what they say of themselves.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d) or layer.groups > 1 or layer.in_channels >= _BLOCK:
            continue
        if layer.kernel_size == (1, 1) and layer.padding == (0, 0) and max(layer.stride) > 1:
            layer._conv_forward = MethodType(_over_read_pixels, layer)  # type: ignore[method-assign]
    return network


def _over_read_pixels(layer: nn.Conv2d, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    down, right = layer.stride
    return F.conv2d(images[:, :, ::down, ::right], weight, bias)
