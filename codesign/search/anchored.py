"""A sensitivity whose layers and activations rise as much as was measured, and whose channels share that by theory.

A second-order term at the float network orders the channels of a layer well, but not layers and activations of a few
bits against one another: what rounding to one bit does is no small change. So each layer, and each activation, is
given each narrow width once while all others have a middle one, and the loss of the network is measured. The rise is
shared out among the channels as the second-order term has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from codesign.search.measurements import Table
from codesign.search.space import Assignment, Space

MIDDLE = 4
"""Bits that all others have while one is measured."""
WIDE = 5
"""Bits from which the second-order term is small enough to hold, and too small to be measured."""


def anchored(space: Space, second: Table, loss: Callable[[Assignment], float]) -> Table:
    """Return a sensitivity by measured losses.

    Parameters
    ----------
    space : Space
    second : Table
        Expected rises of the loss by a second-order term.
    loss : callable
        Of a candidate; asked once for each width of at most `WIDE` bits of each layer, for each kind of weights, and of
        each activation.
    """
    base = space.uniform(_nearest(space.weight_bits), _nearest(space.activation_bits))
    weights: dict[str, dict[str, np.ndarray]] = {}
    for kind, layers in second.weights.items():
        weights[kind] = {}
        for layer in space.layers:

            def of_layer(bits: int, name: str = layer.name, channels: int = layer.channels, kind: str = kind) -> float:
                schemes = {} if kind == "uniform" else {name: kind}
                widths = {**base.weights, name: (bits,) * channels}
                return loss(msgspec.structs.replace(base, weights=widths, schemes=schemes))

            own, widths = layers[layer.name], space.widths(kind)
            rises = _rises(widths, of_layer, own.sum(0)[: len(widths)])
            weights[kind][layer.name] = _shares(own) * np.concatenate([rises, own.sum(0)[len(widths) :]])
    activations = {}
    for activation in space.activations:

        def of_activation(bits: int, name: str = activation.name) -> float:
            return loss(msgspec.structs.replace(base, activations={**base.activations, name: bits}))

        activations[activation.name] = _rises(space.activation_bits, of_activation, second.activations[activation.name])
    return Table(weights, activations)


def _nearest(widths: Sequence[int]) -> int:
    return min(widths, key=lambda bits: (abs(bits - MIDDLE), bits))


def _rises(widths: Sequence[int], loss: Callable[[int], float], second: np.ndarray) -> np.ndarray:
    """Return the rise at each width: the second-order one where it is wide, and what was measured beyond that."""
    narrow = [index for index, bits in enumerate(widths) if bits < WIDE]
    rises = np.array(second, dtype=np.float64)
    if not narrow:
        return rises
    first = min(narrow[-1] + 1, len(widths) - 1)
    reference = loss(widths[first])
    measured: Mapping[int, float] = {index: loss(widths[index]) - reference for index in narrow if index != first}
    least = 0.0
    # From wide to narrow: what is narrower is not better, whatever the noise says.
    for index in sorted(measured, reverse=True):
        least = max(least, measured[index])
        rises[index] = rises[first] + least
    return rises


def _shares(rises: np.ndarray) -> np.ndarray:
    """Return the share of each channel in the rise of its layer at each width, shape (channels, widths)."""
    totals = rises.sum(0)
    alike = np.full_like(rises, 1 / len(rises))
    return np.divide(rises, totals, out=alike, where=totals > 0)
