"""The accuracy of trained ASQ networks whose step is the same for every image.

No part of a result's version: it changes nothing that is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from accuracy_table.runs import BusyError, Run, Store
from codesign import data, zoo
from codesign.errors import UserError
from codesign.quant import asq
from codesign.train import checkpoint, evaluate
from codesign.train.batches import to_tensor

BATCH = 250


def folded_out(model: zoo.Model, weights: Path) -> dict[str, Any]:
    """Evaluate a network on the whole test set with its steps folded out.

    The factor of an activation's step is then its mean over all training images, not augmented, whatever the image.

    Parameters
    ----------
    model : Model
        With ASQ activations.
    weights : Path
        Its trained checkpoint.

    Returns
    -------
    dict
        "accuracy" in percent, and "factors" by the name of the activation.
    """
    dataset, module = data.load(model.dataset), model.module()
    checkpoint.load_weights(module, weights)
    starts = range(0, len(dataset.x_train), BATCH)
    batches = (to_tensor(dataset.x_train[start : start + BATCH], model.input_scale) for start in starts)
    factors = asq.fold_out(module, batches)
    accuracy = evaluate.accuracy(module, dataset.x_test, dataset.y_test, model.input_scale)
    return {
        "accuracy": round(accuracy, 4),
        "factors": {name.split(".act_quant.")[0]: round(factor, 6) for name, factor in factors.items()},
    }


def add(store: Store, runs: Sequence[Run], say: Callable[[str], None] = print) -> int:
    """Add "folded" to the result of every run with ASQ activations that is done and lacks it; return how many.

    The checkpoints are those of the trainings in the store; what cannot be evaluated is passed over with a line.
    """
    added = 0
    before = torch.get_num_threads()
    # As in training, so that sums have the same order.
    torch.set_num_threads(1)
    try:
        for run in runs:
            if run.row.activations != "asq":
                continue
            try:
                with store.locked(run):
                    if (result := _one(store, run)) is None:
                        continue
            except UserError as error:
                say(f"{run.name}: skipped: {error}")
                continue
            except BusyError:
                say(f"{run.name}: skipped: another process is at it")
                continue
            added += 1
            say(f"{run.name}: {result['accuracy']:.2f} %, folded out {result['folded']['accuracy']:.2f} %")
    finally:
        torch.set_num_threads(before)
    return added


def _one(store: Store, run: Run) -> dict[str, Any] | None:
    """Write the result of a run with what was added to it, and return it; None when there is nothing to do."""
    result = store.current(run)
    if result is None or "diverged" in result or "folded" in result:
        return None
    model = store.model(run)
    weights = store.training(run, model) / f"{model.name}.safetensors"
    if not weights.is_file():
        raise UserError(f"there is no {weights}; its checkpoint is where it was trained.")
    if checkpoint.sha256(weights) != result["checkpoint_sha256"]:
        raise UserError(f"{weights} is not the checkpoint that the result was measured on.")
    whole = result | {"folded": folded_out(model, weights)}
    store.write(run, whole)
    return whole
