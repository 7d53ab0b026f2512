"""How many values trained activations clip: a range that is too narrow shows in it.

No part of a result's version: it changes nothing that is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from brevitas.nn import QuantReLU

from accuracy_table.runs import Run, Store
from codesign import data, zoo
from codesign.errors import UserError
from codesign.train import checkpoint
from codesign.train.batches import to_tensor

IMAGES = 500
_ROUNDING = 1e-4
"""Of the largest value that an activation puts out: what is above it by no more is no clipped value."""


def shares(model: zoo.Model, weights: Path, images: int = IMAGES) -> dict[str, float]:
    """Return for each activation which part of its positive values it clips.

    Parameters
    ----------
    model : Model
        With Brevitas' `QuantReLU`, or none is told.
    weights : Path
        Its trained checkpoint.
    images : int
        The first of the test set, so many.

    Returns
    -------
    dict of str to float
        From 0 to 1, by the name of the module. What is above the largest value that comes out of the activation for
        these images counts as clipped.
    """
    dataset, module = data.load(model.dataset), model.module()
    checkpoint.load_weights(module, weights)
    module.eval()
    found: dict[str, float] = {}

    def watch(name: str) -> Callable[..., None]:
        def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            before, after = (getattr(each, "value", each) for each in (inputs[0], output))
            positive = before[before > 0]
            found[name] = float((positive > after.max() * (1 + _ROUNDING)).float().mean()) if len(positive) else 0.0

        return hook

    for name, each in module.named_modules():
        if isinstance(each, QuantReLU):
            each.register_forward_hook(watch(name))
    with torch.no_grad():
        module(to_tensor(dataset.x_test[:images], model.input_scale))
    return found


def tell(store: Store, runs: Sequence[Run], say: Callable[[str], None] = print) -> None:
    """Say a line for every run that is done and has activations whose range is the same for every image."""
    for run in runs:
        result = store.current(run)
        if result is None or "diverged" in result or run.row.activations == "asq":
            continue
        model = store.model(run)
        weights = store.training(run, model) / f"{model.name}.safetensors"
        if not weights.is_file():
            say(f"{run.name}: skipped: there is no {weights}; its checkpoint is where it was trained.")
            continue
        if checkpoint.sha256(weights) != result["checkpoint_sha256"]:
            raise UserError(f"{weights} is not the checkpoint that the result was measured on.")
        parts = [f"{name} {100 * share:.1f} %" for name, share in shares(model, weights).items()]
        say(f"{run.name}: {', '.join(parts) or 'no activations that clip to a range of their own'}")
