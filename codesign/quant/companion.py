"""What a quantisation method does during a training beside its quantizers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from torch import Tensor, nn

from codesign import quant


class Companion(Protocol):
    """Acts before each step of a training and may add to its loss.

    It belongs to one network. What it keeps between steps is in `tensors`, so that a training that was
    interrupted continues bit for bit; nothing of it is in the final checkpoint.
    """

    def before_step(self, progress: float, batch: Tensor) -> None:
        """Prepare the network for the next step.

        Parameters
        ----------
        progress : float
            Share of the training that is done, 0 to below 1.
        batch : Tensor
            The network's input of this step.
        """

    def penalty(self) -> Tensor | None:
        """Return what is added to the loss of this step, a scalar, or None."""

    def finish(self) -> None:
        """Leave the network as its checkpoint will be, whatever stage the training reached."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned, in a companion made for the same network."""


def make(module: nn.Module, methods: Iterable[str]) -> Companion | None:
    """Return the companion that one of `methods` has for `module`, None when there is none."""
    for name in methods:
        maker = getattr(quant.method(name), "companion", None)
        found: Companion | None = maker(module) if maker is not None else None
        if found is not None:
            return found
    return None
