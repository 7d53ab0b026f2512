"""Evaluation of a torch network."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from codesign.train import precision
from codesign.train.batches import to_tensor
from codesign.train.checkpoint import is_step


@torch.no_grad()
def logits(
    module: nn.Module, x: np.ndarray, input_scale: float, batch: int = 250, bfloat16: bool = False
) -> np.ndarray:
    """Return the outputs (N, classes) float32 of `module` in evaluation mode for integer inputs `x`.

    Parameters
    ----------
    module : Module
    x : ndarray
        Integers (N, H, W, C) or (N, features).
    input_scale : float
        Their step.
    batch : int
        Examples at once.
    bfloat16 : bool
        Compute in it where this processor has kernels for it, see `codesign.train.precision`.
    """
    was_training = module.training
    module.eval()
    outputs = []
    for start in range(0, len(x), batch):
        with precision.autocast("bfloat16" if bfloat16 else "float32"):
            out = module(to_tensor(x[start : start + batch], input_scale))
        outputs.append(plain(out).float().numpy())
    module.train(was_training)
    return np.concatenate(outputs)


def accuracy(module: nn.Module, x: np.ndarray, y: np.ndarray, input_scale: float) -> float:
    """Return the top-1 accuracy in percent."""
    return float((logits(module, x, input_scale).argmax(1) == y).mean() * 100)


def plain(out: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return the tensor inside a Brevitas quantised tensor; a plain tensor passes."""
    return out if isinstance(out, torch.Tensor) else out[0]


@torch.no_grad()
def recompute_batch_norm(module: nn.Module, x: np.ndarray, input_scale: float, batch: int = 250) -> None:
    """Set the statistics of all batch norms to their mean over `x`.

    Averaged weights need statistics of their own (Izmailov et al., arXiv 1803.05407, section 3).
    """
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    was_training = module.training
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for start in range(0, len(x) - batch + 1, batch):
        module(to_tensor(x[start : start + batch], input_scale))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.train(was_training)


def parameters(module: nn.Module) -> int:
    """Count weights, biases and batch norm factors; steps of quantizers do not count."""
    return sum(p.numel() for name, p in module.named_parameters() if not is_step(name))


@torch.no_grad()
def macs(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Count the multiply-accumulates of one input of `shape`, channels last."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer.weight, torch.Tensor):
            total += plain(output)[0].numel() * layer.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    try:
        logits(module, np.zeros((1, *shape), np.uint8), 1.0)
    finally:
        for hook in hooks:
            hook.remove()
    return total
