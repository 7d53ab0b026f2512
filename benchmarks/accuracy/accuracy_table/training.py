"""The training of one run and the evaluation of what it gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from codesign import data, zoo
from codesign.train import checkpoint, evaluate
from codesign.train.run import train

FACTORS = (0.5, 2.0)


def train_and_evaluate(model: zoo.Model, folder: Path, answers: Path, *, under_scaled_inputs: bool) -> dict[str, Any]:
    """Train a run and return its accuracies in percent.

    Parameters
    ----------
    model : Model
    folder : Path
        Of this training alone; one that was stopped there continues.
    answers : Path
        Where the answers of the teacher are kept.
    under_scaled_inputs : bool
        Evaluate on scaled test images too.

    Raises
    ------
    DivergedError
        When the loss is no longer finite.
    """
    trained = train(model, folder, threads=1, answers=answers)
    result: dict[str, Any] = {
        "accuracy": trained.float_accuracy,
        "images": trained.images,
        "parameters": trained.parameters,
        "macs": trained.macs,
        "checkpoint_sha256": trained.checkpoint_sha256,
    }
    if under_scaled_inputs:
        dataset = data.load(model.dataset)
        module = model.module()
        checkpoint.load_weights(module, Path(trained.checkpoint))
        result["scaled"] = {
            f"{factor:g}": round(
                evaluate.accuracy(
                    module,
                    scaled(dataset.x_test, factor, dataset.input_bits, dataset.input_signed),
                    dataset.y_test,
                    model.input_scale,
                ),
                4,
            )
            for factor in FACTORS
        }
        result["unclipped"] = {
            "2": round(evaluate.accuracy(module, dataset.x_test, dataset.y_test, 2 * model.input_scale), 4)
        }
    return result


def scaled(x: np.ndarray, factor: float, bits: int, signed: bool) -> np.ndarray:
    """Return integers `x` as a sensor with another gain gives them.

    Multiplied by `factor`, rounded (half up) and clipped to the input type, of the dtype of `x`.
    """
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.clip(np.floor(x * factor + 0.5), low, high).astype(x.dtype)
