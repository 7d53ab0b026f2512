"""A multiple-choice knapsack whose choices come in groups, solved exactly but where branch and bound is cut off.

A group has alternatives (widths of an activation) and members (layers that read it); each member takes one of its
columns (sums of widths). What a column costs depends on the alternative of its group. The least loss within a budget
is wanted. Costs may be of two kinds with a budget each, such as lookup tables and multiplier blocks.

Before HiGHS gets the integer program, choices that no optimum can hold are left out: a price on the budget gives a
lower bound of the loss, and a choice whose own bound is above a known solution is none. That changes nothing of the
optimum and leaves hundreds of variables of tens of thousands. Where the second budget binds nothing is left out.

Branch and bound ends after a number of nodes, and in rare cases HiGHS ends without an answer. Then the best solution
that is known is returned, within the budget like any other, and it is told that nobody proved it to be the optimum.

References
----------
Nauss, An efficient algorithm for the 0-1 knapsack problem, Management Science, 1976 (leaving out by bounds).
Huangfu and Hall, Parallelizing the dual revised simplex method, Mathematical Programming Computation, 2018 (HiGHS).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

_NODES = 20_000
"""Most nodes of branch and bound; a bound in seconds would make the result depend on the machine."""
_BISECTIONS = 60
_ATTEMPTS = 8
_OPTIMAL = 0
"""Status of `scipy.optimize.milp`."""


@dataclass(frozen=True)
class Group:
    """Members that share an alternative.

    Parameters
    ----------
    base : array of shape (alternatives,)
        Loss of each alternative.
    loss : sequence of array
        For each member the loss of its columns.
    cost : sequence of sequence of int array
        For each alternative, and each member, the cost of its columns.
    second : sequence of sequence of int array, optional
        The same of another kind of cost.
    """

    base: np.ndarray
    loss: Sequence[np.ndarray]
    cost: Sequence[Sequence[np.ndarray]]
    second: Sequence[Sequence[np.ndarray]] | None = None


Choice = tuple[int, tuple[int, ...]]
"""Of a group: the alternative, and a column of each member."""


@dataclass(frozen=True)
class Solution:
    """What was found.

    Parameters
    ----------
    choices : list of Choice
        Of each group; within the budget.
    proved : bool
        Whether no other solution has a smaller loss for certain, but for the rounding of sums.
    """

    choices: list[Choice]
    proved: bool


def loss(groups: Sequence[Group], solution: Sequence[Choice]) -> float:
    """Return the loss of a solution."""
    return sum(
        float(group.base[at]) + sum(float(each[column]) for each, column in zip(group.loss, columns, strict=True))
        for group, (at, columns) in zip(groups, solution, strict=True)
    )


def cost(groups: Sequence[Group], solution: Sequence[Choice]) -> int:
    """Return the cost of a solution."""
    return _summed([group.cost for group in groups], solution)


def second_cost(groups: Sequence[Group], solution: Sequence[Choice]) -> int:
    """Return the cost of the second kind; every group has one."""
    return _summed([_second(group) for group in groups], solution)


def least(groups: Sequence[Group], second: bool = False) -> int:
    """Return the least cost that a solution may have, of the second kind if so asked, whatever the other one is."""
    costs = [_second(group) if second else group.cost for group in groups]
    return sum(min(sum(int(np.min(each)) for each in row) for row in one) for one in costs)


def greatest(groups: Sequence[Group]) -> int:
    """Return the greatest cost that a solution may have."""
    return sum(max(sum(int(np.max(each)) for each in row) for row in group.cost) for group in groups)


def solve(groups: Sequence[Group], room: int, second_room: int | None = None) -> Solution | None:
    """Return the solution with the least loss whose cost is at most `room`, or None.

    Parameters
    ----------
    groups : sequence of Group
        Losses are finite, costs not negative.
    room : int
    second_room : int, optional
        The most of the second kind of cost. Where it binds and branch and bound is cut off without a solution, None
        is returned as well.
    """
    found = _within(groups, room)
    if found is None or second_room is None or second_cost(groups, found.choices) <= second_room:
        return found
    program = _Program(groups, _priced(groups, 0.0).left(math.inf), _range(groups))
    return program.solved(room, None, second_room)


def _summed(costs: Sequence[Sequence[Sequence[np.ndarray]]], solution: Sequence[Choice]) -> int:
    return sum(
        int(each[column])
        for own, (at, columns) in zip(costs, solution, strict=True)
        for each, column in zip(own[at], columns, strict=True)
    )


def _second(group: Group) -> Sequence[Sequence[np.ndarray]]:
    if group.second is None:
        raise ValueError("a second budget needs a second cost of every group")
    return group.second


def _range(groups: Sequence[Group]) -> float:
    """Return by how much the losses of two solutions may differ; 1 where they do not."""
    return sum(float(np.ptp(group.base)) + sum(float(np.ptp(each)) for each in group.loss) for group in groups) or 1.0


def _within(groups: Sequence[Group], room: int) -> Solution | None:
    """Return the solution within the first budget."""
    free = _priced(groups, 0.0)
    if cost(groups, free.solution) <= room:
        return Solution(free.solution, proved=True)
    if least(groups) > room:
        return None
    low, high, known = _bracket(groups, room)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        at_middle = _priced(groups, middle)
        if cost(groups, at_middle.solution) <= room:
            high = middle
            known = min(known, at_middle.solution, key=lambda one: loss(groups, one))
        else:
            low = middle
    known = min(known, _filled(groups, room, high, low), key=lambda one: loss(groups, one))
    priced = _priced(groups, high)
    slack = max(0.0, loss(groups, known) - priced.bound(room))
    # Sums of floating-point numbers, each of them rounded.
    slack += 1e-12 * (abs(loss(groups, known)) + high * room)
    if slack <= 0:
        return Solution(known, proved=True)
    return _Program(groups, priced.left(slack), slack).solved(room, known)


@dataclass(frozen=True)
class _Priced:
    """All choices with the price of their cost added to their loss, and the best solution."""

    price: float
    values: list[np.ndarray]  # of each alternative of each group
    columns: list[list[list[np.ndarray]]]  # of each column, by group, alternative and member
    solution: list[Choice]

    def bound(self, room: int) -> float:
        """Return a loss that no solution within `room` is below."""
        return sum(float(np.min(values)) for values in self.values) - self.price * room

    def left(self, slack: float) -> list[list[list[np.ndarray]]]:
        """Return the columns with which the bound rises by at most `slack`: by group, alternative and member."""
        return [
            [
                [np.flatnonzero(value - np.min(values) + each - np.min(each) <= slack) for each in row]
                for value, row in zip(values, rows, strict=True)
            ]
            for values, rows in zip(self.values, self.columns, strict=True)
        ]


def _priced(groups: Sequence[Group], price: float) -> _Priced:
    all_values, all_columns, solution = [], [], []
    for group in groups:
        rows = [[own + price * each for own, each in zip(group.loss, row, strict=True)] for row in group.cost]
        values = group.base + np.array([sum(float(np.min(each)) for each in row) for row in rows])
        at = int(np.argmin(values))
        solution.append((at, tuple(int(np.argmin(each)) for each in rows[at])))
        all_values.append(values)
        all_columns.append(rows)
    return _Priced(price, all_values, all_columns, solution)


def _bracket(groups: Sequence[Group], room: int) -> tuple[float, float, list[Choice]]:
    """Return prices between which the solution comes to fit, and the solution at the upper one."""
    low, high = 0.0, 1e-30
    while high < 1e60:
        found = _priced(groups, high).solution
        if cost(groups, found) <= room:
            return low, high, found
        low, high = high, high * 16
    raise ValueError("the losses differ by too much to be weighed against costs")


def _filled(groups: Sequence[Group], room: int, high: float, low: float) -> list[Choice]:
    """Return the solution that fits, with choices of the one that does not where there is room for them."""
    solution, wider = _priced(groups, high).solution, _priced(groups, low).solution
    for index, choice in enumerate(wider):
        trial = [*solution[:index], choice, *solution[index + 1 :]]
        if cost(groups, trial) <= room and loss(groups, trial) < loss(groups, solution):
            solution = trial
    return solution


class _Program:
    """The integer program of what is left."""

    def __init__(self, groups: Sequence[Group], left: list[list[list[np.ndarray]]], slack: float) -> None:
        self._groups = groups
        # HiGHS stops at gaps of 1e-6 at the least, whatever the losses are measured in.
        self._scale = 1e4 / slack
        self._losses: list[float] = []
        self._costs: list[int] = []
        self._seconds: list[int] = []
        self._rows: list[dict[int, float]] = []
        self._equals: list[float] = []
        self._alternatives: list[list[tuple[int, int, list[list[tuple[int, int]]]]]] = []
        for group, rows in zip(groups, left, strict=True):
            self._add(group, rows)

    def _add(self, group: Group, rows: list[list[np.ndarray]]) -> None:
        least = float(np.min(group.base)) + sum(float(np.min(each)) for each in group.loss)
        alternatives = []
        for at, members in enumerate(rows):
            if not all(len(columns) for columns in members):
                continue
            chosen = self._variable(float(group.base[at]) - least, 0, 0)
            others = group.cost[at] if group.second is None else group.second[at]
            taken = [
                [(self._variable(float(own[c]), int(each[c]), int(other[c])), int(c)) for c in columns]
                for own, each, other, columns in zip(group.loss, group.cost[at], others, members, strict=True)
            ]
            for pairs in taken:
                self._row({**{variable: 1.0 for variable, _ in pairs}, chosen: -1.0}, 0.0)
            alternatives.append((chosen, at, taken))
        self._row({chosen: 1.0 for chosen, _, _ in alternatives}, 1.0)
        self._alternatives.append(alternatives)

    def _variable(self, own_loss: float, own_cost: int, own_second: int) -> int:
        self._losses.append(own_loss)
        self._costs.append(own_cost)
        self._seconds.append(own_second)
        return len(self._losses) - 1

    def _row(self, row: dict[int, float], equals: float) -> None:
        self._rows.append(row)
        self._equals.append(equals)

    def solved(self, room: int, known: list[Choice] | None, second_room: int | None = None) -> Solution | None:
        """Run HiGHS; return its solution, or the known one where that is as good or HiGHS has none."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        entries = [(i, j, value) for i, row in enumerate(self._rows) for j, value in row.items()]
        rows, columns, values = zip(*entries, strict=True)
        matrix = csr_array((values, (rows, columns)), (len(self._rows), len(self._losses)))
        budgets = [_Budget(self._costs, room, cost)]
        if second_room is not None:
            budgets.append(_Budget(self._seconds, second_room, second_cost))
        for attempt in range(_ATTEMPTS):
            found = milp(
                np.array(self._losses) * self._scale,
                integrality=np.ones(len(self._losses)),
                bounds=Bounds(0, 1),
                constraints=[
                    LinearConstraint(matrix, self._equals, self._equals),
                    *(LinearConstraint(each.row, -np.inf, each.within) for each in budgets),
                ],
                options={"mip_rel_gap": 0, "node_limit": _NODES},
            )
            # Under a smaller budget than was asked for nothing is proved.
            proved = attempt == 0 and found.status == _OPTIMAL
            if found.x is None:
                break
            solution = self._read(found.x)
            # Each is asked: all budgets become smaller where they have to.
            held = [each.holds(self._groups, solution) for each in budgets]
            if all(held):
                both = [solution] if known is None else [known, solution]
                return Solution(min(both, key=lambda one: loss(self._groups, one)), proved)
        return None if known is None else Solution(known, proved=False)

    def _read(self, x: np.ndarray) -> list[Choice]:
        solution: list[Choice] = []
        for alternatives in self._alternatives:
            _, at, taken = max(alternatives, key=lambda one: x[one[0]])
            solution.append((at, tuple(max(pairs, key=lambda pair: x[pair[0]])[1] for pairs in taken)))
        return solution


class _Budget:
    """A row of costs and what they may be together."""

    def __init__(
        self, costs: Sequence[int], room: int, total: Callable[[Sequence[Group], Sequence[Choice]], int]
    ) -> None:
        self._unit = functools.reduce(math.gcd, costs) or 1
        self._room, self._total = room, total
        self.row = np.array(costs, dtype=float)[None] / self._unit
        self.within = room // self._unit

    def holds(self, groups: Sequence[Group], solution: Sequence[Choice]) -> bool:
        """Return whether a solution is within it; where not, become smaller, for HiGHS allows its tolerance."""
        over = self._total(groups, solution) - self._room
        if over > 0:
            self.within -= -(-over // self._unit)
        return over <= 0
