"""A sensitivity whose layers and activations rise as much as was measured, and whose channels share that by theory.

A second-order term at the float network orders the channels of a layer well, but not layers and activations of a few
bits against one another: what rounding to one bit does is no small change. So each layer, and each activation, is
given each narrow width, the first wide one and the widest once, while all others have a middle one, and the loss of the
network is measured. Wide widths rise by what the second-order term says, or all by the same share less, so that the
first of them rises by no more than was measured. The rise of a layer is shared out among its channels as the term has
it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from codesign.search.measurements import Table
from codesign.search.space import Assignment, Space

MIDDLE = 4
"""Bits that all others have while one is measured."""
WIDE = 5
"""Bits from which rises are too small to be measured one by one."""


def anchored(space: Space, second: Table, loss: Callable[[Assignment], float]) -> Table:
    """Return a sensitivity by measured losses.

    Parameters
    ----------
    space : Space
    second : Table
        Expected rises of the loss by a second-order term.
    loss : callable
        Of a candidate; asked once for each width below `WIDE` bits, the narrowest from there on and the widest of each
        layer, for each kind of weights, and of each activation. Not asked where all widths are wide.
    """
    base = space.uniform(_nearest(space.weight_bits), _nearest(space.activation_bits))
    weights: dict[str, dict[str, np.ndarray]] = {}
    known: dict[str, float] = {}

    def once(chosen: Assignment) -> float:
        key = chosen.digest()
        if key not in known:
            known[key] = loss(chosen)
        return known[key]

    for kind, layers in second.weights.items():
        weights[kind] = {}
        for layer in space.layers:

            def of_layer(bits: int, name: str = layer.name, channels: int = layer.channels, kind: str = kind) -> float:
                schemes = {} if kind == "uniform" else {name: kind}
                widths = {**base.weights, name: (bits,) * channels}
                return once(msgspec.structs.replace(base, weights=widths, schemes=schemes))

            own, widths = layers[layer.name], space.widths(kind)
            widest = second.weights[space.schemes[0]][layer.name][:, -1].sum()
            end = functools.partial(of_layer, space.weight_bits[-1], kind=space.schemes[0])
            rises = _rises(widths, of_layer, own.sum(0)[: len(widths)], float(widest), end)
            weights[kind][layer.name] = _shares(own) * np.concatenate([rises, own.sum(0)[len(widths) :]])
    activations = {}
    for activation in space.activations:

        def of_activation(bits: int, name: str = activation.name) -> float:
            return once(msgspec.structs.replace(base, activations={**base.activations, name: bits}))

        own = second.activations[activation.name]
        end = functools.partial(of_activation, space.activation_bits[-1])
        activations[activation.name] = _rises(space.activation_bits, of_activation, own, float(own[-1]), end)
    return Table(weights, activations)


def _nearest(widths: Sequence[int]) -> int:
    return min(widths, key=lambda bits: (abs(bits - MIDDLE), bits))


def _rises(
    widths: Sequence[int], loss: Callable[[int], float], second: np.ndarray, least: float, end: Callable[[], float]
) -> np.ndarray:
    """Return the rise at each width.

    Parameters
    ----------
    widths : sequence of int
    loss : callable
        Measured at a width.
    second : ndarray
        The second-order rises.
    least : float
        That of the widest of all.
    end : callable
        Returns the loss that was measured there.
    """
    narrow = [index for index, bits in enumerate(widths) if bits < WIDE]
    rises = np.array(second, dtype=np.float64)
    if not narrow:
        return rises
    reference, most = end(), least
    first = narrow[-1] + 1
    if first < len(widths):
        # No more than the term says, and no more than is measured.
        measured, said = max(0.0, loss(widths[first]) - reference), rises[first] - least
        if said > measured:
            rises[first:] = least + measured / said * (rises[first:] - least)
        rises[first:] = np.minimum.accumulate(rises[first:])
        most = max(least, rises[first])
    # From wide to narrow: what is narrower is not better, whatever the noise says; above, what is wider is not worse.
    for index in reversed(narrow):
        most = max(most, least + loss(widths[index]) - reference)
        rises[index] = most
    return rises


def _shares(rises: np.ndarray) -> np.ndarray:
    """Return the share of each channel in the rise of its layer at each width, shape (channels, widths)."""
    totals = rises.sum(0)
    alike = np.full_like(rises, 1 / len(rises))
    return np.divide(rises, totals, out=alike, where=totals > 0)
