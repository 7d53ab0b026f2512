"""Evolution: the oldest of a population dies, a changed copy of a good one is born. None is born twice.

References
----------
Real et al., Regularized evolution for image classifier architecture search, AAAI 2019.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.fresh import Fresh
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import within_budget
from codesign.search.sampling import cross, mutate, sample
from codesign.search.space import Assignment

_Count = Annotated[int, msgspec.Meta(ge=1)]


class Evolution:
    """Regularised evolution with crossover of layers.

    Parameters
    ----------
    problem : Problem
    seed, population, tournament, batch : int
    crossover : float
    """

    def __init__(
        self, problem: Problem, seed: int, population: int, tournament: int, crossover: float, batch: int
    ) -> None:
        self._problem, self._batch = problem, batch
        self._tournament, self._crossover = tournament, crossover
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)
        self._alive: collections.deque[Evaluation] = collections.deque(maxlen=population)
        self._best: Evaluation | None = None
        self._asked = 0
        self._fresh = Fresh()

    def ask(self) -> list[Assignment]:
        """Return random candidates until the population is full, then children."""
        full = self._alive.maxlen or 0
        batch = []
        for _ in range(self._batch):
            old = self._asked >= full and self._alive
            batch.append(self._fresh.draw(self._child) if old else self._first(self._asked))
            self._asked += 1
        return batch

    def _first(self, number: int) -> Assignment:
        """Return one of the first generation: every other one a uniform candidate, lowered to the budget."""
        space = self._problem.space
        if number % 2 == 0 and number // 2 < len(space.activation_bits):
            bits = space.activation_bits[-1 - number // 2]
            uniform = within_budget(self._problem, space.uniform(space.weight_bits[-1], bits))
            if self._fresh.take(uniform):
                return uniform
        return self._fresh.draw(lambda: sample(self._problem, self._coordinates, self._generator))

    def _child(self) -> Assignment:
        parent = self._pick().assignment
        if self._generator.random() < self._crossover:
            parent = cross(self._coordinates, parent, self._pick().assignment, self._generator)
        return mutate(self._problem, self._coordinates, parent, self._generator)

    def _pick(self) -> Evaluation:
        """Return the best of a few at random; the best of all takes part like anyone else, dead or alive."""
        pool = [*self._alive, *([self._best] if self._best is not None else [])]
        chosen = self._generator.integers(0, len(pool), self._tournament)
        return max((pool[index] for index in chosen), key=self._problem.score)

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Let the new ones live, and as many of the oldest die."""
        self._fresh.tell(evaluations)
        for one in evaluations:
            self._alive.append(one)
            if self._best is None or self._problem.score(one) > self._problem.score(self._best):
                self._best = one


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    population: _Count = 32,
    tournament: _Count = 8,
    crossover: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3,
    batch: _Count = 8,
) -> Evolution:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
        A population takes at most a quarter of them.
    population : int
        Candidates alive.
    tournament : int
        Candidates, at most as many as evaluations, of which the best becomes a parent.
    crossover : float
        Share of children with two parents.
    batch : int
        Children born at a time.
    """
    tournament = min(tournament, max(1, evaluations))
    return Evolution(problem, seed, max(2, min(population, evaluations // 4)), tournament, crossover, batch)
