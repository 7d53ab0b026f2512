"""What AutoQB is shown before it plays: candidates that follow what was measured, and nothing learned.

How far channels may be told apart by the second-order term is not known beforehand. Where the term is right, a layer
whose channels have widths of their own beats one of the same mean width throughout; where it is not, or where lanes of
hardware are as wide as their widest channel, it is the other way round. So the candidates have several degrees of
trust: with a trust of 1 channels share the rise of their layer as the term has it, with less they come closer to
sharing it alike. The degree of the best of all candidates is what the low-level controller practises with.

Shown are, within a number of evaluations: the first solutions of `profiled`, which has one width for each layer and
knows lookup tables where these are limited; the path of `greedy` for each degree of trust; and the widest candidates
with the same widths everywhere.
"""

from __future__ import annotations

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
_SHARES = (1.0, 0.6, 0.36)
"""Of the bit operations of the widest candidate, where the board alone limits: what exceeds that is repaired."""
_UNIFORM = 3


def trusted(table: Table, trust: float) -> Table:
    """Return a sensitivity whose channels are brought closer to the mean of their layer, all but a share of the way."""
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
        self._sweep = profiled.strategy(problem, 0, most)
        self._rest = self._others()
        self._fresh = Fresh()
        self._asked: list[float] = []
        self._of_sweep = True
        self.best: Evaluation | None = None
        self.trust = TRUSTS[-1]

    def ask(self) -> list[Assignment]:
        """Return the next candidates; none when all were shown."""
        batch: list[tuple[float, Assignment]] = []
        if self._of_sweep:
            # Smaller budgets after that are for a front.
            batch = [] if self._sweep.is_found else [(TRUSTS[-1], one) for one in self._sweep.ask()]
            self._of_sweep = bool(batch)
        if not batch and self._left:
            batch = [one for one in self._rest if self._fresh.take(one[1])]
        batch = batch[: self._left]
        self._left -= len(batch)
        self._asked = [trust for trust, _ in batch]
        return [one for _, one in batch]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Note what candidates are worth."""
        if self._of_sweep:
            self._sweep.tell(evaluations)
        self._fresh.tell(evaluations)
        for trust, one in zip(self._asked, evaluations, strict=False):
            if self.best is None or self._problem.score(one) > self._problem.score(self.best):
                self.best, self.trust = one, trust

    def _others(self) -> Iterator[tuple[float, Assignment]]:
        space, constraint = self._problem.space, self._problem.constraint
        fixed = space.fixed_bit_operations
        free = self._problem.bit_operation_budget - fixed
        shares = (1.0,) if constraint.bit_operations is not None else _SHARES
        for trust in TRUSTS:
            path = Path(space, trusted(self._table, trust))
            yield from ((trust, one) for share in shares for one in path.down_to(fixed + int(share * free)))
        yield from ((TRUSTS[-1], one) for one in Uniform(self._problem).ask()[:_UNIFORM])
