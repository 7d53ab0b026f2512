"""Input frames for verification: real test data, and frames that reach the extremes."""

from __future__ import annotations

import numpy as np

from codesign.ir import Graph


def dataset_frames(x_test: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return `count` test inputs drawn without replacement, or all of them when there are fewer."""
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(x_test))[:count]
    return np.ascontiguousarray(x_test[chosen]).astype(np.int64)


def random_frames(graph: Graph, count: int, seed: int) -> np.ndarray:
    """Return `count` random frames; the first are all minimum, all maximum and a checkerboard of both.

    Returns
    -------
    ndarray of int64, shape (count, *input shape)
    """
    tensor = graph.input
    rng = np.random.default_rng(seed)
    x = rng.integers(tensor.type.min, tensor.type.max + 1, size=(count, *tensor.shape), dtype=np.int64)
    board = np.indices(tensor.shape).sum(axis=0) % 2
    extremes = (
        np.full(tensor.shape, tensor.type.min),
        np.full(tensor.shape, tensor.type.max),
        np.where(board == 0, tensor.type.min, tensor.type.max),
    )
    for index, frame in enumerate(extremes[:count]):
        x[index] = frame
    return x
