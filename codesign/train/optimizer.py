"""The optimizer, its parameter groups, and its state as named tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codesign.train.checkpoint import is_quantizer, is_step
from codesign.train.recipe import Recipe


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the optimizer of `recipe` with three groups: weights, quantisation steps, the rest.

    A small network within a quantizer, such as that of an adaptive step, belongs to the rest: it learns
    as fast as the network around it. Only weights decay. Each group has a key `rate`, its learning rate
    relative to the schedule.
    """
    weights: list[tuple[str, nn.Parameter]] = []
    steps: list[tuple[str, nn.Parameter]] = []
    rest: list[tuple[str, nn.Parameter]] = []
    for name, parameter in module.named_parameters():
        decays = parameter.ndim > 1 and not is_quantizer(name)
        group = steps if is_step(name) else weights if decays else rest
        group.append((name, parameter))
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay, "rate": 1.0},
        {"params": steps, "weight_decay": 0.0, "rate": recipe.step_rate},
        {"params": rest, "weight_decay": 0.0, "rate": 1.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, lr=recipe.learning_rate, foreach=True)
    return torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0, foreach=True
    )


def _named(optimizer: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    return {
        name: parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    }


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state, named `<parameter>/<what>`."""
    return {
        f"{name}/{key}": value
        for name, parameter in _named(optimizer).items()
        for key, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = _named(optimizer)
    for full, value in tensors.items():
        name, _, key = full.rpartition("/")
        optimizer.state[parameters[name]][key] = value.clone()
