"""Choices of widths drawn at random, to train a supernet on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

VERSION = 2
"""Of the way in which widths are drawn: supernets of another one are trained anew."""
_TRIES = 100
"""Choices of which one is taken, where none is within the limits."""
_SPREADS = (0.0, 0.7, 1.6)
"""Standard deviations of the widths of a layer's channels around their centre: one of these for each network."""


@dataclass(frozen=True)
class Choice:
    """A width for each output channel of each weight layer and for each activation, and the kinds of weights."""

    weights: dict[str, tuple[int, ...]]
    activations: dict[str, int]
    schemes: dict[str, str]


def draw(
    rng: np.random.Generator,
    magnitudes: Mapping[str, np.ndarray],
    activations: Sequence[str],
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    post_bits: Sequence[int] = (),
) -> Choice:
    """Draw a choice of widths.

    A network, a layer and a channel each move the centre of what is drawn below it: channels drawn on their own would
    make every layer alike by the law of large numbers. Centres lie densest at few bits, even in their square roots:
    there a bit makes the most of a difference. In half of the networks the channels of greater weights get
    the greater widths of their layer, as a search would have it; in half of them, up to a fifth of the channels is
    pruned.

    Parameters
    ----------
    rng : Generator
    magnitudes : mapping of str to ndarray, shape (channels,)
        Root of the mean square of each channel's weights, for each weight layer.
    activations : sequence of str
        Names of the activations.
    weight_bits, activation_bits : sequence of int
        Widths to draw from, ascending.
    post_bits : sequence of int
        Widths of POST weights, which a quarter of the layers then has.
    """
    positive = [bits for bits in weight_bits if bits > 0]
    center, spread = _center(rng, positive), float(rng.choice(_SPREADS))
    pruned = rng.uniform(0, 0.2) if 0 in weight_bits and rng.random() < 0.5 else 0.0
    ordered = rng.random() < 0.5
    weights, schemes = {}, {}
    for name, magnitude in magnitudes.items():
        post = bool(post_bits) and rng.random() < 1 / 4
        known = [bits for bits in post_bits if bits > 0] if post else positive
        wanted = center + rng.normal(0, 0.8) + rng.normal(0, 1, len(magnitude)) * spread
        bits = np.asarray(known)[np.abs(wanted[:, None] - np.asarray(known)).argmin(1)]
        bits[rng.random(len(bits)) < pruned] = 0
        if ordered:
            bits[np.argsort(magnitude, kind="stable")] = np.sort(bits)
        weights[name] = tuple(int(width) for width in bits)
        if post:
            schemes[name] = "post"
    middle = _center(rng, activation_bits)
    drawn = {}
    for name in activations:
        wanted_bits = middle + rng.normal(0, 0.8)
        drawn[name] = activation_bits[int(np.abs(np.asarray(activation_bits) - wanted_bits).argmin())]
    return Choice(weights, drawn, schemes)


def _center(rng: np.random.Generator, bits: Sequence[int]) -> float:
    return float(rng.uniform((bits[0] - 0.4) ** 0.5, (bits[-1] + 0.4) ** 0.5) ** 2)


def draw_within(drawn: Callable[[], Choice], cost: Callable[[Choice], int], least: int, most: int) -> Choice:
    """Return the first choice whose cost is within limits, the nearest of a hundred where none is.

    So it is for most choices where the limits are those of the narrowest networks.

    Parameters
    ----------
    drawn : callable
        Returns another choice each time.
    cost : callable
        Returns what a choice takes, at least 1.
    least, most : int
    """
    nearest, off = None, np.inf
    for _ in range(_TRIES):
        one = drawn()
        taken = cost(one)
        if least <= taken <= most:
            return one
        if (far := np.log(max(taken / most, least / taken))) < off:
            nearest, off = one, far
    assert nearest is not None  # noqa: S101 - there was one at least
    return nearest
