"""Gradients of the loss of single images, by what layers put out: what second-order measures are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.quant.switchable import SwitchableConv2d, SwitchableLinear, activation_layers, weight_layers
from codesign.train.evaluate import plain

CHUNK = 32
"""Images whose gradients by each weight are held at once."""


@dataclass(frozen=True)
class Seen:
    """What a layer read, and the gradients by what it made.

    Parameters
    ----------
    x : Tensor
        Images first.
    gradient : Tensor
        Of the loss of each image.
    """

    x: Tensor
    gradient: Tensor


def passes(
    supernet: nn.Module, images: Tensor, labels: Tensor | None = None, seed: int = 0
) -> Iterator[dict[str, Seen]]:
    """Yield for some images at a time what each weight layer and activation saw.

    Parameters
    ----------
    supernet : Module
        In evaluation mode, its widths chosen.
    images : Tensor
    labels : Tensor, optional
        Labels drawn from the network's own answers unless given: then the mean of the squared gradients is the
        diagonal of the Fisher matrix.
    seed : int
        Of the labels that are drawn.
    """
    layers: dict[str, Any] = weight_layers(supernet) | activation_layers(supernet)
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def note(name: str) -> Callable[[Any, tuple[Tensor, ...], Tensor], None]:
        def hook(_layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            output.retain_grad()
            seen[name] = inputs[0].detach(), output

        return hook

    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers.items()]
    generator = torch.Generator().manual_seed(seed)
    try:
        for start in range(0, len(images), CHUNK):
            logits = plain(supernet(images[start : start + CHUNK])).float()
            if labels is None:
                own = torch.multinomial(logits.detach().softmax(1), 1, generator=generator)[:, 0]
            else:
                own = labels[start : start + CHUNK]
            supernet.zero_grad(set_to_none=True)
            F.cross_entropy(logits, own, reduction="sum").backward()
            yield {name: _with_gradient(*pair) for name, pair in seen.items()}
    finally:
        for hook in hooks:
            hook.remove()
        supernet.zero_grad(set_to_none=True)


def _with_gradient(x: Tensor, output: Tensor) -> Seen:
    # What nothing depends on, as behind a layer of zeros, has none.
    return Seen(x, torch.zeros_like(output) if output.grad is None else output.grad)


def by_weights(layer: SwitchableConv2d | SwitchableLinear, seen: Seen) -> Tensor:
    """Return the gradient of each image's loss by the weights, (images, channels, weights of a channel)."""
    x, gradient = seen.x, seen.gradient
    if isinstance(layer, SwitchableLinear):
        return gradient[:, :, None] * x[:, None, :]
    count, outputs, groups = len(x), layer.out_channels, layer.groups
    windows = F.unfold(x, layer.kernel_size, layer.dilation, layer.padding, layer.stride)  # type: ignore[arg-type]
    windows = windows.view(count, groups, -1, windows.shape[-1])
    arriving = gradient.reshape(count, groups, outputs // groups, -1)
    return torch.einsum("sgol,sgkl->sgok", arriving, windows).reshape(count, outputs, -1)
