"""Widths as real numbers: the closed form, and its rounding.

With an error of c_i·4^(−b_i) for each choice and a budget Σ n_i·b_i ≤ B, the optimum has the same ratio of error to
cost everywhere: b_i = ½·log2(c_i/n_i) + t, with t such that the budget is used up. Where a width would leave its
range it stays at the end of it, and t makes up for that.

References
----------
QBitOpt: fast and accurate bitwidth reallocation during training, ICCV 2023 (arXiv 2307.04535).
"""

from __future__ import annotations

import heapq
import math

import numpy as np


def relaxed(error: np.ndarray, cost: np.ndarray, budget: float, low: float, high: float) -> np.ndarray | None:
    """Return the real widths with the least Σ error·4^(−b) such that Σ cost·b ≤ budget, or None.

    Parameters
    ----------
    error, cost : array of shape (n,)
        Errors at 0 bits, not negative; costs of a bit, positive.
    budget : float
    low, high : float
        Range of the widths.
    """
    if float(np.sum(cost)) * low > budget:
        return None
    if float(np.sum(cost)) * high <= budget:
        return np.full(len(error), float(high))
    with np.errstate(divide="ignore"):
        own = np.maximum(0.5 * np.log2(error / cost), -1e6)  # an error of 0 wants the narrowest width
    bottom, top = low - float(np.max(own)) - 1, high - float(np.min(own)) + 1
    for _ in range(200):
        middle = (bottom + top) / 2
        if float(np.sum(cost * np.clip(own + middle, low, high))) <= budget:
            bottom = middle
        else:
            top = middle
    return np.clip(own + bottom, low, high)


def rounded(
    widths: np.ndarray, error: np.ndarray, cost: np.ndarray, budget: float, allowed: tuple[int, ...]
) -> np.ndarray:
    """Return whole widths within the budget: rounded down, then widened where that lowers the error most for its cost.

    Parameters
    ----------
    widths : array of shape (n,)
        Real widths within the budget, not below the narrowest allowed.
    error, cost : array of shape (n,)
    budget : float
    allowed : tuple of int
        Ascending.
    """
    steps = np.array(allowed)
    columns = np.searchsorted(steps, widths + 1e-9, side="right") - 1
    left = budget - float(np.sum(cost * steps[columns]))
    queue = [_gain(index, int(columns[index]), steps, error, cost) for index in range(len(widths))]
    heapq.heapify(queue)
    while queue:
        gain, index = heapq.heappop(queue)
        if gain == math.inf:
            break
        column = int(columns[index])
        price = float(cost[index]) * float(steps[column + 1] - steps[column])
        if price > left:
            continue  # it will not fit later either
        columns[index] += 1
        left -= price
        heapq.heappush(queue, _gain(index, column + 1, steps, error, cost))
    return steps[columns]


def _gain(index: int, column: int, steps: np.ndarray, error: np.ndarray, cost: np.ndarray) -> tuple[float, int]:
    """Return minus the fall of the error for the cost of the next width, for a queue; infinite at the widest."""
    if column + 1 == len(steps):
        return math.inf, index
    fall = float(error[index]) * (4.0 ** -int(steps[column]) - 4.0 ** -int(steps[column + 1]))
    return -fall / (float(cost[index]) * int(steps[column + 1] - steps[column])), index
