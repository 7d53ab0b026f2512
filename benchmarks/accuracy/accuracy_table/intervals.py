"""Paired differences and their 95 % t intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codesign.errors import UserError

# 97.5 % quantiles of Student's t distribution for 1, 2, 3, … degrees of freedom.
QUANTILES = (
    *(12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281),
    *(2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860),
)


@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval.

    Attributes
    ----------
    n : int
        Number of values.
    mean : float
    low, high : float or None
        Ends of the interval; None when there is one value.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of `values` with its 95 % t interval, mean ± t · s / √n.

    Raises
    ------
    ValueError
        When there is no value.
    UserError
        When there are more than the table of quantiles covers.
    """
    n, most = len(values), len(QUANTILES) + 1
    if not n:
        raise ValueError("1 value at least makes a mean, not 0")
    if n > most:
        raise UserError(f"{n} seeds are more than intervals are made of here; choose {most} at most by --seeds.")
    mean = math.fsum(values) / n
    if n == 1:
        return Estimate(1, mean)
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    half = QUANTILES[n - 2] * math.sqrt(variance / n)
    return Estimate(n, mean, mean - half, mean + half)


def paired(left: Mapping[int, float], right: Mapping[int, float]) -> Estimate | None:
    """Return the estimate of left - right over the seeds that both have, None when there are none."""
    seeds = sorted(left.keys() & right.keys())
    return estimate([left[seed] - right[seed] for seed in seeds]) if seeds else None


def verdict(difference: Estimate | None) -> str:
    """Return one of "missing", "one seed", "higher", "lower" and "open": whether the interval excludes 0."""
    if difference is None:
        return "missing"
    if difference.low is None or difference.high is None:
        return "one seed"
    if difference.low > 0:
        return "higher"
    return "lower" if difference.high < 0 else "open"
