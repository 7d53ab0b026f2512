"""Random candidates: what every other strategy must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.fresh import Fresh
from codesign.search.problem import Evaluation, Problem
from codesign.search.sampling import sample
from codesign.search.space import Assignment


class Random:
    """Asks for random candidates within the budget, each once.

    Parameters
    ----------
    problem : Problem
    seed, batch : int
    """

    def __init__(self, problem: Problem, seed: int, batch: int) -> None:
        self._problem, self._batch = problem, batch
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)
        self._fresh = Fresh()

    def ask(self) -> list[Assignment]:
        """Return the next random candidates."""
        return [self._fresh.draw(self._sample) for _ in range(self._batch)]

    def _sample(self) -> Assignment:
        return sample(self._problem, self._coordinates, self._generator)

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn what is known now, and nothing else."""
        self._fresh.tell(evaluations)


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
