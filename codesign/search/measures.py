"""What strategies ask of a supernet beside accuracies: errors, curvature, gradients, and what masks change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from codesign.quant.switchable import activation_layers, weight_layers
from codesign.search.image_gradients import by_weights, passes
from codesign.search.measurements import PerChoice, Table
from codesign.search.sensitivity import Sensitivity, activation_errors
from codesign.search.space import Space
from codesign.train.evaluate import plain


def table(
    space: Space, uniform: Mapping[str, np.ndarray], post: Mapping[str, np.ndarray], acts: Mapping[str, np.ndarray]
) -> Table:
    """Return a table over the widths of a space.

    Parameters
    ----------
    space : Space
    uniform, post : mapping of str to ndarray, shape (channels, widths)
        By weight layer. POST has fewer widths; beyond them the value of the widest stands, which nothing may choose.
    acts : mapping of str to ndarray, shape (widths,)
    """
    count = len(space.weight_bits)
    filled = {
        name: np.concatenate([rows, np.repeat(rows[:, -1:], count - rows.shape[1], axis=1)], axis=1)
        for name, rows in post.items()
    }
    kinds: dict[str, Mapping[str, np.ndarray]] = {"uniform": uniform, "post": filled}
    return Table({kind: kinds[kind] for kind in space.schemes}, dict(acts))


def sensitivities(space: Space, found: Sensitivity) -> Table:
    """Return a sensitivity as a table."""
    return table(space, found.weights, found.post, found.activations)


@torch.no_grad()
def distortion(supernet: nn.Module, space: Space, images: Tensor) -> Table:
    """Return Σ(w − Q(w))² of each channel at each width; of activations Σ(x − Q(x))² of a mean frame of `images`."""
    layers, activations = weight_layers(supernet), activation_layers(supernet)
    sums: dict[str, np.ndarray] = {}

    def add(name: str, x: Tensor) -> None:
        errors = [float(error.double().square().sum()) for error in activation_errors(activations[name], x)]
        sums[name] = np.array(errors) / len(x)

    hooks = [
        layer.register_forward_pre_hook(lambda _layer, inputs, name=name: add(name, inputs[0]))
        for name, layer in activations.items()
    ]
    try:
        supernet(images)
    finally:
        for hook in hooks:
            hook.remove()

    def of(scheme: str) -> dict[str, np.ndarray]:
        if scheme not in space.schemes:
            return {}
        errors = {name: one.weight_quant.errors(one.weight, scheme) for name, one in layers.items()}
        return {name: each.double().square().sum(2).T.numpy() for name, each in errors.items()}

    return table(space, of("uniform"), of("post"), sums)


def squared_gradients(supernet: nn.Module, images: Tensor, labels: Tensor | None = None, seed: int = 0) -> PerChoice:
    """Return E‖∂L/∂θ‖² of the loss of an image, over the weights of a channel and the values of an activation.

    Parameters
    ----------
    supernet : Module
        Its widths chosen, or float.
    images : Tensor
    labels : Tensor, optional
        Without them, labels are drawn from the network's own answers, and this is the trace of the Fisher matrix.
    seed : int
        Of the labels that are drawn.
    """
    layers, activations = weight_layers(supernet), activation_layers(supernet)
    weights = {name: torch.zeros(len(layer.weight), dtype=torch.float64) for name, layer in layers.items()}
    acts = dict.fromkeys(activations, 0.0)
    for seen in passes(supernet, images, labels, seed):
        for name, layer in layers.items():
            weights[name] += by_weights(layer, seen[name]).double().square().sum((0, 2))
        for name in acts:
            acts[name] += float(seen[name].gradient.double().square().sum())
    count = len(images)
    return PerChoice(
        {name: values.numpy() / count for name, values in weights.items()},
        {name: value / count for name, value in acts.items()},
    )


def curvature(supernet: nn.Module, space: Space, images: Tensor, seed: int = 0) -> PerChoice:
    """Return the mean diagonal of the Fisher matrix, which stands for the Hessian, of channels and activations."""
    traces = squared_gradients(supernet, images, seed=seed)
    return PerChoice(
        {layer.name: traces.weights[layer.name] / layer.weights for layer in space.layers},
        {one.name: traces.activations[one.name] / one.elements for one in space.activations},
    )


@torch.no_grad()
def masking(supernet: nn.Module, images: Tensor, seed: int = 0, share: float = 0.5) -> dict[str, float]:
    """Return for each weight layer KL(p(x) ‖ p(x; masked)) in nats, its weights masked at random.

    Parameters
    ----------
    supernet : Module
        With float layers chosen.
    images : Tensor
    seed : int
        Of the masks.
    share : float
        Of the weights of the layer that are set to 0.
    """
    generator = torch.Generator().manual_seed(seed)
    expected = plain(supernet(images)).float().log_softmax(1)
    found = {}
    for name, layer in weight_layers(supernet).items():
        mask = (torch.rand(layer.weight.shape, generator=generator) >= share).to(layer.weight.dtype)
        layer.weight_quant.instead = lambda weight, mask=mask: weight * mask
        try:
            masked = plain(supernet(images)).float().log_softmax(1)
        finally:
            layer.weight_quant.instead = None
        found[name] = float(F.kl_div(masked, expected, log_target=True, reduction="batchmean"))
    return found
