"""One width for all weights and one for all activations: what mixed widths must beat.

What is asked for holds as it is: of a pair that exceeds the limits of a board a repair would make mixed widths, and
the best of the search might be no uniform pair. So each pair is estimated here before it is asked for, eight at a time,
and again by the worker that evaluates it. That is a small part of an evaluation. Pairs that exceed the limits would
be estimated in vain, and mostly come first. So the boundary between those and the others is walked along before, as
costs rise with either width: a pair is taken to exceed the limits where a narrower one does. That takes no more
estimates than there are widths of weights and of activations together, for each kind of weights. Costs that do not
rise with every step may make it miss a pair, but what it asks for holds.
"""

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
        self._held: dict[str, bool] = {}
        self._left: list[Assignment] | None = None

    def ask(self) -> list[Assignment]:
        """Return the next pairs that satisfy the constraint."""
        if self._left is None:
            pairs = [one for scheme in self._problem.space.schemes for one in self._pairs(scheme)]
            self._left = sorted(pairs, key=self._problem.space.bit_operations, reverse=True)
        batch: list[Assignment] = []
        while self._left and len(batch) < self.batch:
            one = self._left.pop(0)
            if self._holds(one):
                batch.append(one)
        return batch

    def _pairs(self, scheme: str) -> list[Assignment]:
        """Return the pairs of a kind of weights but those for which a narrower one exceeds the constraint."""
        space = self._problem.space
        kinds = {} if scheme == "uniform" else {layer.name: scheme for layer in space.layers}
        weights = [bits for bits in space.widths(scheme) if bits]
        pairs = []
        for activation in space.activation_bits:
            row = [msgspec.structs.replace(space.uniform(bits, activation), schemes=kinds) for bits in weights]
            # What is too wide at one width of activations is too wide at all wider ones.
            while row and not self._holds(row[-1]):
                row.pop()
                weights.pop()
            pairs += row
        return pairs

    def _holds(self, one: Assignment) -> bool:
        constraint, taken = self._problem.constraint, self._problem.space.bit_operations(one)
        if constraint.bit_operations is not None and taken > constraint.bit_operations:
            return False
        if not constraint.limits:
            return True
        # The cost on a board is asked for only where it decides, and once.
        key = one.digest()
        if key not in self._held:
            self._held[key] = not constraint.exceeded(taken, self._problem.evaluator.cost(one))
        return self._held[key]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn nothing."""


def holds(problem: Problem, one: Assignment) -> bool:
    """Tell whether a candidate satisfies the constraint as it is."""
    return Uniform(problem)._holds(one)


def widest(problem: Problem) -> Assignment | None:
    """Return the pair of widths with the most bit operations that satisfies the constraint, None where none does."""
    source = Uniform(problem)
    source.batch = 1
    return next(iter(source.ask()), None)


def strategy(problem: Problem, seed: int, evaluations: int) -> Uniform:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed, evaluations : int
        Of no effect: all pairs are asked for, in one order.
    """
    return Uniform(problem)
