"""How far predictions are off, of operators and of whole networks, from errors on designs that the fit did not see.

The error of a network is the sum of those of its operators. They have a part that is each operator's own, which
averages out, and one that all operators of a design have in common, which does not. How the two compare says which of
two networks has the larger error; how far intervals must reach is read off the errors of whole designs, so that no
shape of their distribution is assumed.
"""

from __future__ import annotations

import math

import numpy as np

from codesign.estimate.model import Spread, quantile

_UNKNOWN = Spread(low=-0.5, high=1.0, floor=0.0, deviation=0.5, common=1.0, reach=2.0)
"""Where nothing was measured."""


def spread(measured: np.ndarray, predicted: np.ndarray, designs: np.ndarray, coverage: float, floor: float) -> Spread:
    """Return how far predictions are off (split conformal: the order statistics that hold for the next one too).

    Parameters
    ----------
    measured, predicted : ndarray of float
        Of operators; predictions by a fit to other designs.
    designs : ndarray of int
        Which design each is of.
    coverage : float
        Share of operators, and of designs, that intervals are to hold.
    floor : float
        Cells that are added to a prediction before an error is taken as a share of it.

    References
    ----------
    Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005; Barber et al., Predictive inference with
    the jackknife+, 2021; Lei et al., Distribution-free predictive inference for regression, 2018 (errors as shares of
    a scale that depends on the case).
    """
    if not len(measured):
        return _UNKNOWN
    around = predicted + floor
    shares = (measured - predicted) / around
    ordered = np.sort(shares)
    rank = math.ceil((len(ordered) + 1) * (0.5 + coverage / 2)) - 1
    low, high = ordered[max(len(ordered) - 1 - rank, 0)], ordered[min(rank, len(ordered) - 1)]
    # Errors beyond the interval count as its ends: a few of them would decide alone.
    within = np.clip(shares, low, high)
    deviation = max(float(np.sqrt(np.mean(within**2))), 1e-6)
    numbers, place = np.unique(designs, return_inverse=True)
    common = _common(within, place, len(numbers))
    errors = np.bincount(place, measured - predicted)
    alone, together = np.bincount(place, around**2), np.bincount(place, around) ** 2
    scores = np.sort(np.abs(errors) / deviation / np.sqrt((1 - common) * alone + common * together))
    needed = math.ceil((len(numbers) + 1) * coverage) - 1
    # Of few designs, not even the largest error is one that the next design stays below so surely.
    reach = scores[needed] if needed < len(scores) else max(scores[-1], quantile(coverage))
    return Spread(
        low=round(float(low), 4),
        high=round(float(high), 4),
        floor=floor,
        deviation=round(deviation, 4),
        common=round(common, 4),
        reach=round(float(reach), 4),
    )


def _common(shares: np.ndarray, place: np.ndarray, designs: int) -> float:
    """Return the correlation of errors within a design, from 0 to 1: what is measured and its standard error more.

    It decides how far intervals of networks with many operators reach, and too narrow ones are the worse mistake. The
    standard error is that of the jackknife over designs.
    """
    sums, squares = np.bincount(place, shares, designs), np.bincount(place, shares**2, designs)
    counts = np.bincount(place, minlength=designs).astype(float)

    def correlation(kept: np.ndarray) -> float:
        pairs = float((counts * (counts - 1) * kept).sum())
        square = float((squares * kept).sum()) / max(float((counts * kept).sum()), 1.0)
        return float(((sums**2 - squares) * kept).sum()) / pairs / square if pairs and square else 0.0

    every = np.ones(designs)
    without = np.array([correlation(every - one) for one in np.eye(designs)])
    error = math.sqrt((designs - 1) / designs * float(((without - without.mean()) ** 2).sum()))
    return min(1.0, max(0.0, correlation(every)) + error)
