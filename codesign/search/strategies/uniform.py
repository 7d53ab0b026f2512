"""One width for all weights and one for all activations: what mixed widths must beat."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment


class Uniform:
    """Asks for every pair of widths that satisfies the constraint, from the most bit operations to the fewest.

    Parameters
    ----------
    problem : Problem
    """

    batch = 8

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        space = problem.space
        pairs = [
            msgspec.structs.replace(space.uniform(weight, activation), schemes=kinds)
            for scheme in space.schemes
            for kinds in ({} if scheme == "uniform" else {layer.name: scheme for layer in space.layers},)
            for weight in space.widths(scheme)
            if weight
            for activation in space.activation_bits
        ]
        self._left = sorted(pairs, key=space.bit_operations, reverse=True)

    def ask(self) -> list[Assignment]:
        """Return the next pairs that satisfy the constraint."""
        batch: list[Assignment] = []
        while self._left and len(batch) < self.batch:
            one = self._left.pop(0)
            if self._holds(one):
                batch.append(one)
        return batch

    def _holds(self, one: Assignment) -> bool:
        constraint, taken = self._problem.constraint, self._problem.space.bit_operations(one)
        if constraint.bit_operations is not None and taken > constraint.bit_operations:
            return False
        # The cost on a board is asked for only where it decides.
        return not constraint.limits or not constraint.exceeded(taken, self._problem.evaluator.cost(one))

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn nothing."""


def strategy(problem: Problem, seed: int, evaluations: int) -> Uniform:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed, evaluations : int
        Of no effect: all pairs are asked for, in one order.
    """
    return Uniform(problem)
