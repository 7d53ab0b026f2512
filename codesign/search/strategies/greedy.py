"""Greedy: from the widest candidate, always lower what raises the loss least for the bit operations it saves."""

from __future__ import annotations

import functools

import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.measurements import MeasuresSensitivity, Table
from codesign.search.problem import Problem
from codesign.search.space import Assignment, Space
from codesign.search.sweep import BudgetSweep


class Path:
    """The path of candidates from the widest to the narrowest.

    Parameters
    ----------
    space : Space
    rise : Table
        Of the loss, by width.

    Attributes
    ----------
    kinds : dict of str to str
        By layer the kind of weights.
    """

    def __init__(self, space: Space, rise: Table) -> None:
        self._coordinates = Coordinates(space)
        self.kinds: dict[str, str] = {}
        widths = max(len(space.weight_bits), len(space.activation_bits))
        self._rise = np.full((self._coordinates.size, widths), np.inf)
        self._bits = np.zeros_like(self._rise)
        self._widest = np.full(self._coordinates.size, len(space.activation_bits) - 1)
        shared = min(len(space.widths(kind)) for kind in space.schemes)
        for layer, part in zip(space.layers, self._coordinates.slices, strict=True):
            # The kind of weights whose rise at the narrower widths is least on the whole.
            totals = {one: float(np.sum(rise.weights[one][layer.name][:, :shared])) for one in space.schemes}
            kind = min(totals, key=lambda one: totals[one])
            self.kinds[layer.name] = kind
            self._widest[part] = len(space.widths(kind)) - 1
            self._rise[part, : len(space.weight_bits)] = rise.weights[kind][layer.name]
            self._bits[part, : len(space.weight_bits)] = space.weight_bits
        for index, activation in enumerate(space.activations, self._coordinates.channels):
            self._rise[index, : len(space.activation_bits)] = rise.activations[activation.name]
            self._bits[index, : len(space.activation_bits)] = space.activation_bits

    @property
    def _start(self) -> np.ndarray:
        """The widest candidate: each entry as wide as its kind of weights may be."""
        widths = self._coordinates.highest.copy()
        channels = self._coordinates.channels
        widths[:channels] = np.array(self._coordinates.space.weight_bits)[self._widest[:channels]]
        return widths

    @functools.cached_property
    def _steps(self) -> list[tuple[int, int, int]]:
        """The whole path: the bit operations after each step, what it lowers, and to which width."""
        found = self._coordinates
        widths = self._start
        columns = self._widest.copy()
        rows = np.arange(found.size)
        narrower = np.arange(self._rise.shape[1])[None, :]
        steps: list[tuple[int, int, int]] = []
        while True:
            saved = (self._bits[rows, columns][:, None] - self._bits) * found.per_bit(widths)[:, None]
            risen = self._rise - self._rise[rows, columns][:, None]
            allowed = (narrower < columns[:, None]) & (saved > 0)
            price = np.divide(risen, saved, out=np.full_like(risen, np.inf), where=allowed)
            row, column = divmod(int(np.argmin(price)), price.shape[1])
            if not np.isfinite(price[row, column]):
                return steps
            columns[row] = column
            widths[row] = int(self._bits[row, column])
            steps.append((found.bit_operations(widths), row, int(widths[row])))

    def down_to(self, budget: int) -> list[Assignment]:
        """Return the first candidate on the path within so many bit operations, in a list; an empty one for none.

        The last step may save more than is needed; earlier ones are then taken back, from the latest, where they fit.
        """
        found = self._coordinates
        widths = self._start
        undo: list[tuple[int, int]] = []
        taken = found.bit_operations(widths)
        for after, row, width in self._steps:
            if taken <= budget:
                break
            undo.append((row, int(widths[row])))
            widths[row], taken = width, after
        if taken > budget:
            return []
        for row, width in reversed(undo):
            more = int(found.per_bit(widths)[row]) * (width - int(widths[row]))
            if taken + more <= budget:
                widths[row], taken = width, taken + more
        return [found.assignment(widths, self.kinds)]


def strategy(problem: Problem, seed: int, evaluations: int) -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures the sensitivity.
    seed : int
        Of no effect.
    evaluations : int
    """
    path = Path(problem.space, problem.measures(MeasuresSensitivity, "greedy").sensitivity())
    return BudgetSweep(problem, path.down_to, evaluations)
