"""Gradients of the loss by widths that are real numbers, through noise in the place of quantisation.

Quantising at b bits is taken for uniform noise of the same power: values v become v + σ(b) · n, with n of variance 1,
drawn anew for each pass, and σ(b) the root of the mean square error of quantising to b bits. Between two integer
widths log σ is a line, so that σ has a derivative. The loss then has one by the width of every channel and activation.

References
----------
Shin et al., NIPQ: noise proxy-based integrated pseudo-quantization, CVPR 2023, arXiv 2206.00820: noise in the place of
quantisation, widths learned by gradients. There the noise is that of a step; here it has the power of the error found,
so that pruned, binary and POST weights are told alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.quant.switchable import activation_layers, weight_layers
from codesign.search.sensitivity import activation_errors
from codesign.train.evaluate import plain

SMALLEST = 2.0**-20


@dataclass(frozen=True)
class WidthGradients:
    """The loss with noise, and its gradients.

    Parameters
    ----------
    loss : float
        Mean cross entropy of the batch, in nats.
    weights : dict of str to ndarray, shape (channels,)
        Nats per bit of each channel's width.
    activations : dict of str to float
        Nats per bit of each activation's width.
    """

    loss: float
    weights: dict[str, np.ndarray]
    activations: dict[str, float]


@dataclass(frozen=True)
class Errors:
    """Root mean square errors of quantising.

    Parameters
    ----------
    weight_bits, activation_bits : tuple of int
        Widths of the columns, ascending.
    weights : dict of str to Tensor, shape (channels, len(weight_bits))
    activations : dict of str to Tensor, shape (1, len(activation_bits))
    """

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    weights: dict[str, Tensor]
    activations: dict[str, Tensor]


@torch.no_grad()
def errors_of(supernet: nn.Module, images: Tensor) -> Errors:
    """Measure the errors of a supernet with float layers chosen; those of activations on `images`."""
    layers, activations = weight_layers(supernet), activation_layers(supernet)
    found: dict[str, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda _layer, inputs, name=name: found.__setitem__(name, inputs[0]))
        for name, layer in activations.items()
    ]
    try:
        supernet(images)
    finally:
        for hook in hooks:
            hook.remove()
    return Errors(
        next(iter(layers.values())).weight_quant.bits,
        next(iter(activations.values())).act_quant.bits if activations else (),
        {name: layer.weight_quant.errors(layer.weight).square().mean(2).sqrt().T for name, layer in layers.items()},
        {
            name: torch.stack([e.square().mean().sqrt() for e in activation_errors(layer, found[name])])[None]
            for name, layer in activations.items()
        },
    )


def sigma(table: Tensor, known: Sequence[int], widths: Tensor) -> Tensor:
    """Return the noise of real widths: log-linear between those of the table, differentiable by the widths.

    Parameters
    ----------
    table : Tensor, shape (rows, len(known))
        Errors at the widths `known`, ascending.
    widths : Tensor, shape (rows,)
        Any real number; beyond the table its ends hold.
    """
    places = torch.tensor(known, dtype=widths.dtype)
    logs = table.to(widths.dtype).clamp_min(SMALLEST).log()
    inside = widths.clamp(float(places[0]), float(places[-1]))
    left = (torch.searchsorted(places, inside.detach().contiguous(), right=True) - 1).clamp(0, len(known) - 2)
    share = (inside - places[left]) / (places[left + 1] - places[left])
    rows = torch.arange(len(table))
    return (logs[rows, left] * (1 - share) + logs[rows, left + 1] * share).exp()


def width_gradients(
    supernet: nn.Module,
    errors: Errors,
    images: Tensor,
    labels: Tensor,
    weights: Mapping[str, np.ndarray],
    activations: Mapping[str, float],
    seed: int,
) -> WidthGradients:
    """Return the loss of a batch with the noise of real widths, and its gradients by these.

    Parameters
    ----------
    supernet : Module
        Batch norms use the statistics of the batch and keep their own.
    errors : Errors
        From `errors_of`.
    images, labels : Tensor
        A training batch.
    weights : mapping of str to ndarray, shape (channels,)
        Real widths of all weight layers.
    activations : mapping of str to float
        Real widths of all activations.
    seed : int
        Of the noise.
    """
    layers, acts = weight_layers(supernet), activation_layers(supernet)
    generator = torch.Generator().manual_seed(seed)
    chosen = {name: torch.tensor(np.asarray(weights[name]), dtype=torch.float32) for name in layers}
    chosen |= {name: torch.tensor([float(activations[name])]) for name in acts}
    for widths in chosen.values():
        widths.requires_grad_()

    def noisy(noise: Tensor) -> Tensor:
        # Uniform between -√3 and √3: of variance 1.
        return (2 * torch.rand(noise.shape, generator=generator, dtype=torch.float32) - 1) * 3**0.5

    norms = [m for m in supernet.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta, training = [norm.momentum for norm in norms], [norm.training for norm in norms]
    try:
        for name, layer in layers.items():
            power = sigma(errors.weights[name], errors.weight_bits, chosen[name])
            power = power.view(layer.weight_quant.shape)
            layer.weight_quant.instead = lambda w, power=power: w + power * noisy(w)
        for name, activation in acts.items():
            power = sigma(errors.activations[name], errors.activation_bits, chosen[name])
            activation.instead = lambda x, power=power: (x + power * noisy(x)).clamp_min(0)
        for norm in norms:
            norm.momentum = 0.0
            norm.train()
        loss = F.cross_entropy(plain(supernet(images)).float(), labels)
        gradients = torch.autograd.grad(loss, list(chosen.values()), allow_unused=True)
    finally:
        for norm, momentum, before in zip(norms, momenta, training, strict=True):
            norm.momentum = momentum
            norm.train(before)
        for layer in layers.values():
            layer.weight_quant.instead = None
        for activation in acts.values():
            activation.instead = None
    found = {
        name: np.zeros(len(widths)) if gradient is None else gradient.double().numpy()
        for (name, widths), gradient in zip(chosen.items(), gradients, strict=True)
    }
    return WidthGradients(
        float(loss.detach()), {name: found[name] for name in layers}, {name: float(found[name][0]) for name in acts}
    )
