"""Top-1 accuracy of anything that turns frames into logits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Accuracy:
    """Outcome of an evaluation.

    Parameters
    ----------
    accuracy : float
        Top-1 in percent.
    images : int
        Frames evaluated.
    images_per_second : float
        Of this run, on this machine.
    """

    accuracy: float
    images: int
    images_per_second: float


def top1(outputs: np.ndarray) -> np.ndarray:
    """Return the predicted class per frame: the largest logit (lowest index on ties), or an arg_max output itself."""
    flat = outputs.reshape(len(outputs), -1)
    return flat[:, 0] if flat.shape[1] == 1 else flat.argmax(axis=1)


def evaluate(
    run: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    batch: int = 500,
    advance: Callable[[int], None] | None = None,
) -> Accuracy:
    """Measure top-1 accuracy.

    Parameters
    ----------
    run : callable
        Frames (n, *shape) to outputs (n, classes) or class indices (n, 1).
    x, y : ndarray
        Frames and labels.
    batch : int
        Frames per call.
    advance : callable, optional
        Told the number of frames done after each call, for a progress bar.

    Raises
    ------
    ValueError
        Without any frame.
    """
    if not len(x):
        raise ValueError("there is nothing to evaluate")
    right = 0
    start = time.perf_counter()
    for begin in range(0, len(x), batch):
        piece = x[begin : begin + batch]
        right += int((top1(np.asarray(run(piece))) == y[begin : begin + batch]).sum())
        if advance is not None:
            advance(len(piece))
    seconds = time.perf_counter() - start
    return Accuracy(100.0 * right / len(x), len(x), len(x) / seconds)
