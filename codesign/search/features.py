"""What the learning strategies see of a layer: numbers between 0 and 1."""

from __future__ import annotations

import numpy as np

from codesign.search.measurements import MeasuresSensitivity
from codesign.search.problem import Problem
from codesign.search.space import Space


def of_layers(space: Space) -> np.ndarray:
    """Return what sets each layer apart: shape (layers, 8).

    The columns: depthwise, input channels, output channels, stride, kernel, weights, size of the feature map, place
    in the network. Each is scaled so that the layers span 0 to 1; what is the same for all is 0.
    """
    rows = []
    for index, layer in enumerate(space.layers):
        inputs = 1 if layer.depthwise else layer.weights / layer.kernel**2
        rows.append(
            (
                float(layer.depthwise),
                inputs,
                layer.channels,
                layer.stride,
                layer.kernel,
                layer.weights * layer.channels,
                layer.size,
                index,
            )
        )
    return scaled(np.array(rows, dtype=float))


def of_channels(problem: Problem, name: str) -> list[np.ndarray]:
    """Return for each layer what sets its channels apart: shape (channels, 2) each, all 0 where nothing is measured.

    The columns, from the sensitivity at the narrowest width but 0: the rank within the layer, and the logarithm,
    scaled over all channels of the network.
    """
    space = problem.space
    if not problem.offers(MeasuresSensitivity):
        return [np.zeros((layer.channels, 2)) for layer in space.layers]
    table = problem.measures(MeasuresSensitivity, name).sensitivity().weights[space.schemes[0]]
    column = next(index for index, bits in enumerate(space.weight_bits) if bits)
    rises = [np.maximum(table[layer.name][:, column], 0) for layer in space.layers]
    least = min((float(np.min(rise[rise > 0])) for rise in rises if np.any(rise > 0)), default=1.0)
    logarithms = scaled(np.log(np.maximum(np.concatenate(rises), least))[:, None])[:, 0]
    ends = np.cumsum([layer.channels for layer in space.layers])[:-1]
    return [np.stack([_ranks(rise), own], axis=1) for rise, own in zip(rises, np.split(logarithms, ends), strict=True)]


def _ranks(values: np.ndarray) -> np.ndarray:
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return order / max(1, len(values) - 1)


def scaled(columns: np.ndarray) -> np.ndarray:
    """Return columns that go from 0 to 1; one that does not vary is 0."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    return (columns - low) / np.where(high > low, high - low, 1.0)


def bits_of(actions: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return whole widths from actions in [0, 1], each width for an equal share of them."""
    return np.clip(np.round((high - low + 1) * actions + low - 0.5), low, high)


def action_of(bits: np.ndarray, low: int, high: int) -> np.ndarray:
    """Return actions that `bits_of` makes these widths of: the middle of the share of each."""
    return (np.asarray(bits, dtype=float) - low + 0.5) / (high - low + 1)


def decay_for(evaluations: int, warm_up: int) -> float:
    """Return the factor by which exploration shrinks from episode to episode.

    The papers have 0.99 and hundreds of episodes. With fewer it shrinks faster, so that noise of 0.5 is 0.02 in the
    end and what was learned is put to use.
    """
    return float(min(0.99, 0.04 ** (1 / max(1, evaluations - warm_up))))
