"""What AutoQB's low-level controller practises on before it plays.

Where a sensitivity is measured, it says how a goal is best shared out among the channels of a layer if rises of the
loss add up: each channel takes the width that minimises rise + λ·width, and λ is chosen so that the widths come to the
goal. That needs no candidate. Episodes are played that do so for goals all over the range, with slips that the next
channels have to make up for, since what the controller does later will not be without error either.

References
----------
Shoham and Gersho, Efficient bit allocation for an arbitrary set of quantizers, IEEE TASSP 1988 (the multiplier λ).
Laskey et al., DART: noise injection for robust imitation learning, CoRL 2017 (the slips).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_MULTIPLIERS = 96


class Sharing:
    """How a goal is shared out among the channels of one layer.

    Parameters
    ----------
    rises : array of shape (channels, widths)
        Of the loss.
    widths : sequence of int
        Ascending.
    """

    def __init__(self, rises: np.ndarray, widths: Sequence[int]) -> None:
        self._widths = np.array(widths)
        chosen = np.stack([self._best(rises, one) for one in self._multipliers(rises)])  # (multipliers, channels)
        self._chosen = np.unique(chosen, axis=0)
        # What the channels from each one on come to.
        self._left = np.cumsum(self._chosen[:, ::-1], axis=1)[:, ::-1]

    def _multipliers(self, rises: np.ndarray) -> np.ndarray:
        falls = -np.diff(rises, axis=1) / np.diff(self._widths)
        falls = falls[falls > 0]
        if not falls.size:
            return np.array([0.0])
        ends = np.log([falls.min() / 2, falls.max() * 2])
        quantiles = np.quantile(falls, np.linspace(0, 1, _MULTIPLIERS // 2))
        return np.concatenate([[0.0], np.exp(np.linspace(ends[0], ends[1], _MULTIPLIERS // 2)), quantiles * (1 + 1e-9)])

    def _best(self, rises: np.ndarray, multiplier: float) -> np.ndarray:
        # Of equal ones the narrowest.
        return self._widths[np.argmin(rises + multiplier * self._widths, axis=1)]

    def play(self, goal: float, slips: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Go through the channels once.

        Parameters
        ----------
        goal : float
            Mean width.
        slips : float
            Share of the channels that are given another width than is right.
        generator : Generator

        Returns
        -------
        right, taken : int array of shape (channels,)
            The width that would have been right after what was done before, and the one that was taken.
        """
        count = self._chosen.shape[1]
        right, taken = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
        needed = goal * count
        slip: np.ndarray = np.less(generator.random(count), slips)
        other = generator.choice(self._widths, count)
        for channel in range(count):
            row = int(np.argmin(np.abs(self._left[:, channel] - needed)))
            right[channel] = self._chosen[row, channel]
            taken[channel] = other[channel] if slip[channel] else right[channel]
            needed -= taken[channel]
        return right, taken
