"""Exponential moving average of weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class Average:
    """Average of a network's float state over the updates of a training.

    Parameters
    ----------
    module : nn.Module
        The network.
    decay : float
        Share of the old average kept at each update, 0 to follow the network. Early updates use
        (1 + t) / (10 + t) when that is smaller, so that the start is forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.tensors: dict[str, Tensor] = {}
        if decay:
            self.tensors = {name: t.detach().clone() for name, t in module.state_dict().items()}
        # The state shares its memory with the network; nothing replaces it during a training.
        self.floats = [name for name, t in self.tensors.items() if t.is_floating_point()]
        self.live = {name: t.detach() for name, t in module.state_dict().items()} if decay else {}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights."""
        if not self.decay:
            return
        share = 1.0 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        torch._foreach_lerp_(
            [self.tensors[name] for name in self.floats], [self.live[name] for name in self.floats], share
        )
        for name, tensor in self.tensors.items():
            if not tensor.is_floating_point():
                tensor.copy_(self.live[name])

    def copy_to(self, module: nn.Module) -> None:
        """Replace the weights of `module` by the average."""
        if self.decay:
            overwrite(module, self.tensors)

    @contextlib.contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Have the averaged weights in `module` for the duration of a block."""
        own = {name: t.detach().clone() for name, t in module.state_dict().items()}
        self.copy_to(module)
        try:
            yield
        finally:
            overwrite(module, own)


@torch.no_grad()
def overwrite(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy `tensors` over the state of `module` in place.

    `load_state_dict` of Brevitas modules makes new parameters, which an optimizer would not know.
    """
    state = module.state_dict()
    for name, tensor in tensors.items():
        state[name].copy_(tensor)
