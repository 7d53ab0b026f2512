"""1×1 convolutions with a stride that oneDNN is not asked for, as their gradients overwrite memory.

With its kernels for AVX2, and there for fewer than 8 channels, oneDNN writes past a buffer in the gradient of such
weights if images are channels last: a training crashes, hangs or learns nonsense then. As such a convolution reads
every so many pixels alone, one without a stride over these is the same. It is computed so on all processors, up to the
channels of the widest block that oneDNN has.

References
----------
https://github.com/uxlfoundation/oneDNN/issues/6035
"""

from __future__ import annotations

import functools

import torch.nn.functional as F
from torch import Tensor, nn

_BLOCK = 16
"""Channels in a block of oneDNN, at most: 8 with AVX2, 16 with AVX-512."""


def guarded(network: nn.Module) -> nn.Module:
    """Compute such convolutions of a network over the pixels that they read, without a stride.

    Parameters
    ----------
    network : Module
        Changed in place: how these layers compute, neither parameters nor what they say of themselves.

    Returns
    -------
    Module
        The same.
    """
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d) or layer.groups > 1 or layer.in_channels >= _BLOCK:
            continue
        if layer.kernel_size == (1, 1) and layer.padding == (0, 0) and max(layer.stride) > 1:
            down, right = layer.stride
            layer._conv_forward = functools.partial(_over_read_pixels, down, right)  # type: ignore[method-assign]
    return network


def _over_read_pixels(down: int, right: int, images: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(images[..., ::down, ::right], weight, bias)
