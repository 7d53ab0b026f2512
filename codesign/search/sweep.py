"""Strategies that solve for a budget of bit operations: which budgets they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment

Solve = Callable[[int], Sequence[Assignment]]
"""Told a budget (bit operations or lookup tables), returns candidates within it, best first; none where none is."""

_SECTIONS = 4
_ROUNDS = 4
_SHRINK = 0.85
_SMALLEST = 0.05


class BudgetSweep:
    """Asks for the solution at the whole budget, then at smaller ones.

    Where the limits of a board are what binds, the solution for the budget of bit operations may exceed them. Then
    the largest budget whose solution does not is looked for first, by cutting the range into five parts and going on
    with one of them, four times. After that each further budget is 15 % smaller than the one before, down to a
    twentieth: those solutions are the Pareto front. Bit operations that are fixed are no part of these shares.

    Parameters
    ----------
    problem : Problem
    solve : callable
    evaluations : int
        How many may be asked for.
    fixed, most : int, optional
        The budget that is taken whatever is chosen, and the greatest one, where it is of something else than bit
        operations.
    front : bool
        Ask for solutions of smaller budgets in the end.
    """

    def __init__(
        self,
        problem: Problem,
        solve: Solve,
        evaluations: int,
        fixed: int | None = None,
        most: int | None = None,
        front: bool = True,
    ) -> None:
        self._front = front
        self._fixed = problem.space.fixed_bit_operations if fixed is None else fixed
        self._free = (problem.bit_operation_budget if most is None else most) - self._fixed
        self._solve = solve
        self._evaluations = evaluations
        self._low, self._high = 0.0, 1.0
        self._holds: float | None = None
        self._round = 0
        self._asked: list[tuple[float, Assignment]] = []
        self._known: dict[str, bool | None] = {}
        self._descending = False

    def ask(self) -> list[Assignment]:
        """Return the solutions for the next budgets."""
        batch: list[tuple[float, Assignment]] = []
        while not batch:
            shares = self._next()
            if not shares:
                return []
            for share in shares:
                for one in self._solve(self._fixed + int(self._free * share)):
                    if (digest := one.digest()) not in self._known:
                        self._known[digest] = None
                        batch.append((share, one))
                    elif (held := self._known[digest]) is not None:
                        self._learn({share: held})
        self._asked = batch
        return [one for _, one in batch]

    def _next(self) -> list[float]:
        """Return the shares of the budget that come next."""
        if self._round == 0:
            self._round = 1
            return [1.0]
        if self._holds != 1.0 and self._round <= _ROUNDS and not self._descending:
            self._round += 1
            width = (self._high - self._low) / (_SECTIONS + 1)
            return [self._low + width * (index + 1) for index in reversed(range(_SECTIONS))]
        if self._descending or not self._front:
            return []
        self._descending = True
        shares: list[float] = []
        share = (self._holds or self._low) * _SHRINK
        while share > _SMALLEST and len(shares) < self._evaluations:
            shares.append(share)
            share *= _SHRINK
        return shares

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Learn at which budgets the solutions hold as they are."""
        held: dict[float, bool] = {}
        for (share, _), one in zip(self._asked, evaluations, strict=False):
            held[share] = held.get(share, False) or not one.repaired
        for (_, asked), one in zip(self._asked, evaluations, strict=False):
            self._known[asked.digest()] = not one.repaired
        self._learn(held)

    def _learn(self, held: dict[float, bool]) -> None:
        holding = [share for share, holds in held.items() if holds]
        if holding and (self._holds is None or max(holding) > self._holds):
            self._holds = self._low = max(holding)
        too_much = [share for share, holds in held.items() if not holds and share > self._low]
        if too_much:
            self._high = min(too_much)
