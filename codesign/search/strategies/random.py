"""Random candidates: what every other strategy must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.problem import Evaluation, Problem
from codesign.search.sampling import sample
from codesign.search.space import Assignment


class Random:
    """Asks for random candidates within the budget.

    Parameters
    ----------
    problem : Problem
    seed, batch : int
    """

    def __init__(self, problem: Problem, seed: int, batch: int) -> None:
        self._problem, self._batch = problem, batch
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)

    def ask(self) -> list[Assignment]:
        """Return the next random candidates."""
        return [sample(self._problem, self._coordinates, self._generator) for _ in range(self._batch)]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn nothing."""


def strategy(problem: Problem, seed: int, evaluations: int, *, batch: Annotated[int, msgspec.Meta(ge=1)] = 8) -> Random:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
    batch : int
        Candidates asked for at a time.
    """
    return Random(problem, seed, batch)
