"""What AutoQB is shown before it plays: candidates that follow what was measured, and nothing learned.

How far channels may be told apart by the second-order term is not known beforehand. Where the term is right, a layer
whose channels have widths of their own beats one of the same mean width throughout; where it is not, or where lanes of
hardware are as wide as their widest channel, it is the other way round. So the candidates have several degrees of
trust: with a trust of 1 channels share the rise of their layer as the term has it, with less they come closer to
sharing it alike. The low-level controller practises with the degree of the best of all candidates.

Shown are, within a number of evaluations:

* solutions of `profiled`, which has one width for each layer and knows lookup tables where these are limited, until the
  widest one that holds is found, or half of the evaluations are spent;
* candidates of `greedy`'s path for each degree of trust: at the budget of bit operations, or where there is none, at
  those of the best solution before and a little below;
* the widest candidates with the same widths everywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from codesign.search.fresh import Fresh
from codesign.search.measurements import Table
from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment
from codesign.search.strategies import profiled
from codesign.search.strategies.greedy import Path
from codesign.search.strategies.uniform import Uniform

TRUSTS = (1.0, 0.25, 0.05)
"""Degrees of trust. With the last one channels of a layer differ by a step at most, as a rule: the term then says which
of them get the wider one."""
_SHARES = (1.0, 0.85, 0.7)
"""Of bit operations that hold with one width for each layer: channels of several widths may take more tables."""
_UNIFORM = 3
"""Candidates with the same widths everywhere: activations a little wider and weights narrower, or the reverse."""


def trusted(table: Table, trust: float) -> Table:
    """Return a sensitivity with each channel's rise at trust · its own + (1 − trust) · the mean of its layer."""
    weights = {
        kind: {name: trust * rows + (1 - trust) * rows.mean(0, keepdims=True) for name, rows in layers.items()}
        for kind, layers in table.weights.items()
    }
    return replace(table, weights=weights)


class Lessons:
    """Candidates, in batches, and what came of them.

    Parameters
    ----------
    problem : Problem
    table : Table
        Its sensitivity.
    most : int
        How many candidates there are at most.

    Attributes
    ----------
    best : Evaluation or None
        The best of those that were evaluated.
    trust : float
        Degree of trust that goes with it.
    """

    def __init__(self, problem: Problem, table: Table, most: int) -> None:
        self._problem, self._table, self._left = problem, table, most
        self._sweep = profiled.sweep(problem, most, front=False)
        self._sweeps_left = (most + 1) // 2
        self._others: Iterator[tuple[float, Assignment]] | None = None
        self._fresh = Fresh()
        self._asked: list[float] = []
        self.best: Evaluation | None = None
        self.trust = TRUSTS[-1]

    def ask(self) -> list[Assignment]:
        """Return the next candidates; none when all were shown."""
        batch: list[tuple[float, Assignment]] = []
        if self._sweeps_left:
            batch = [(TRUSTS[-1], one) for one in self._sweep.ask()[: self._sweeps_left]]
            self._sweeps_left = self._sweeps_left - len(batch) if batch else 0
        if not batch and self._left:
            if self._others is None:
                self._others = self._rest()
            batch = list(itertools.islice((one for one in self._others if self._fresh.take(one[1])), self._left))
        self._left -= len(batch)
        self._asked = [trust for trust, _ in batch]
        return [one for _, one in batch]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Note what candidates are worth."""
        if self._others is None:
            self._sweep.tell(evaluations)
        self._fresh.tell(evaluations)
        for trust, one in zip(self._asked, evaluations, strict=False):
            if self.best is None or self._problem.score(one) > self._problem.score(self.best):
                self.best, self.trust = one, trust

    def _rest(self) -> Iterator[tuple[float, Assignment]]:
        """Yield what does not depend on what the others are worth, the widest of each kind first."""
        problem, space = self._problem, self._problem.space
        limited = problem.constraint.bit_operations is not None
        fixed, whole = space.fixed_bit_operations, problem.bit_operation_budget
        free = (whole if limited or self.best is None else self.best.bit_operations) - fixed
        paths = [(trust, Path(space, trusted(self._table, trust))) for trust in TRUSTS]
        uniform = iter(Uniform(problem).ask()[:_UNIFORM])
        for share in (1.0,) if limited else _SHARES:
            yield from ((trust, one) for trust, path in paths for one in path.down_to(fixed + int(share * free)))
            yield from ((TRUSTS[-1], one) for one in itertools.islice(uniform, 1))
        yield from ((TRUSTS[-1], one) for one in uniform)
