"""How much the loss is expected to rise by a width: second-order sensitivity of channels and activations.

For an error δ of some values the loss rises by about ½ δᵀHδ, H its Hessian there; the first-order term vanishes at a
trained network. H is taken as the Fisher matrix, the mean over images of g gᵀ with g the gradient of the loss of that
image for a label drawn from the network's own answer: it is the generalised Gauss-Newton matrix of the cross entropy,
and positive. So

    rise = ½ · mean over images of (g · δ)²

with g and δ over the weights of one output channel, or over the values of one activation, whose δ is another for each
image. Terms within a channel are all counted, not the diagonal alone; terms between channels and layers are not.

References
----------
Dong et al., HAWQ-V2, NeurIPS 2020, arXiv 1911.03852: trace of the Hessian times squared error, by layers. Frantar,
Singh and Alistarh, Optimal brain compression, NeurIPS 2022, arXiv 2208.11580: quadratic forms of errors. Kunstner,
Balles and Hennig, arXiv 1905.12558: labels drawn from the answer, not those of the data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.quant.switchable import (
    SwitchableReLU,
    activation_layers,
    weight_layers,
)
from codesign.search.image_gradients import by_weights, passes
from codesign.search.space import Assignment


@dataclass(frozen=True)
class Sensitivity:
    """Expected rises of the loss, in nats of the mean cross entropy.

    Parameters
    ----------
    weight_bits, activation_bits, post_bits : tuple of int
        Widths of the columns.
    weights : dict of str to ndarray, shape (channels, len(weight_bits))
        Of uniform weights, for each layer.
    activations : dict of str to ndarray, shape (len(activation_bits),)
    post : dict of str to ndarray, shape (channels, len(post_bits))
        Of POST weights; empty where these may not be chosen.
    """

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]
    post_bits: tuple[int, ...]
    weights: dict[str, np.ndarray]
    activations: dict[str, np.ndarray]
    post: dict[str, np.ndarray]

    def rise(self, chosen: Assignment) -> float:
        """Return the sum of the rises of a choice."""
        total = 0.0
        for name, bits in chosen.weights.items():
            post = chosen.schemes.get(name) == "post"
            table, known = (self.post[name], self.post_bits) if post else (self.weights[name], self.weight_bits)
            total += float(table[np.arange(len(bits)), [known.index(width) for width in bits]].sum())
        for name, width in chosen.activations.items():
            total += float(self.activations[name][self.activation_bits.index(width)])
        return total


def measure(supernet: nn.Module, images: Tensor, seed: int = 0) -> Sensitivity:
    """Measure the sensitivity of a supernet at its float weights, in one pass over images.

    Parameters
    ----------
    supernet : Module
        In evaluation mode, with float layers chosen and batch norms that fit these.
    images : Tensor
        Training examples as the network takes them.
    seed : int
        Of the labels that are drawn.
    """
    layers, activations = weight_layers(supernet), activation_layers(supernet)
    uniform = {name: layer.weight_quant.errors(layer.weight) for name, layer in layers.items()}
    post = {
        name: layer.weight_quant.errors(layer.weight, "post")
        for name, layer in layers.items()
        if layer.weight_quant.post_bits
    }
    totals = {
        kind: {name: torch.zeros(error.shape[:2], dtype=torch.float64) for name, error in errors.items()}
        for kind, errors in (("uniform", uniform), ("post", post))
    }
    sums = {name: torch.zeros(len(layer.act_quant.bits), dtype=torch.float64) for name, layer in activations.items()}
    for seen in passes(supernet, images, seed=seed):
        for name, layer in layers.items():
            gradients = by_weights(layer, seen[name])
            for kind, errors in (("uniform", uniform), ("post", post)):
                if name in errors:
                    products = torch.einsum("sok,bok->sbo", gradients, errors[name])
                    totals[kind][name] += products.double().square().sum(0)
        for name, activation in activations.items():
            for row, error in enumerate(activation_errors(activation, seen[name].x)):
                sums[name][row] += (error * seen[name].gradient).flatten(1).sum(1).double().square().sum()

    def rises(values: Tensor) -> np.ndarray:
        return np.asarray((0.5 / len(images) * values).numpy())

    first, act = next(iter(layers.values())).weight_quant, next(iter(activations.values()), None)
    return Sensitivity(
        first.bits,
        () if act is None else act.act_quant.bits,
        first.post_bits,
        {name: rises(values.T) for name, values in totals["uniform"].items()},
        {name: rises(values) for name, values in sums.items()},
        {name: rises(values.T) for name, values in totals["post"].items()},
    )


@torch.no_grad()
def activation_errors(layer: SwitchableReLU, x: Tensor) -> list[Tensor]:
    """Return what quantising changes behind the ReLU, for each width."""
    rectified = F.relu(x)
    errors = []
    try:
        for bits in layer.act_quant.bits:
            layer.choose(bits)
            errors.append(layer.forward(x) - rectified)  # past the hooks
    finally:
        layer.choose(None)
    return errors
