"""Making any assignment satisfy the constraint exactly.

Widths are lowered one step at a time, in rounds: in each round every channel and activation that can still be lowered
loses one step, from the back of the network to its front, as HAQ does. So what was wide stays wider than what was
narrow. First nothing is lowered to 0 bits; only when all is at its narrowest are channels pruned. The steps make a
chain of ever narrower candidates. The first one within the budget of bit operations is found by counting; the first
one within the limits of the board by bisection, because their costs come from an estimate: a handful of estimates
instead of thousands. Costs that do not fall with every step may make the bisection miss a wider candidate, but what
it returns has always been estimated itself, and holds.

References
----------
Wang et al., HAQ: hardware-aware automated quantization with mixed precision, CVPR 2019.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from codesign.errors import UserError
from codesign.search.coordinates import Coordinates
from codesign.search.problem import BIT_OPERATIONS, Problem
from codesign.search.space import Assignment


def repair(problem: Problem, assignment: Assignment) -> tuple[Assignment, dict[str, float]]:
    """Return an assignment that satisfies the constraint, and what it costs.

    Parameters
    ----------
    problem : Problem
    assignment : Assignment
        Returned as it is when it satisfies the constraint.

    Raises
    ------
    UserError
        When even the narrowest widths exceed the constraint.
    """
    problem.space.check(assignment)
    within = within_budget(problem, assignment)
    cost = dict(problem.evaluator.cost(within))
    if not problem.constraint.exceeded(problem.space.bit_operations(within), cost):
        return within, cost
    coordinates = Coordinates(problem.space)
    start = coordinates.flatten(within)
    steps = list(_chain(coordinates, start.copy()))

    def estimate(count: int) -> tuple[Assignment, dict[str, float], bool]:
        widths = start.copy()
        for index, width in steps[:count]:
            widths[index] = width
        lowered = coordinates.assignment(widths, within.schemes)
        taken = dict(problem.evaluator.cost(lowered))
        return lowered, taken, not problem.constraint.exceeded(coordinates.bit_operations(widths), taken)

    low, high = 0, len(steps)
    best, cost, holds = estimate(high)
    if not holds:
        raise UserError(_too_much(problem, best, cost))
    while high - low > 1:
        middle = (low + high) // 2
        lowered, taken, holds = estimate(middle)
        if holds:
            high, best, cost = middle, lowered, taken
        else:
            low = middle
    return best, cost


def within_budget(problem: Problem, assignment: Assignment) -> Assignment:
    """Return an assignment within the budget of bit operations; the limits of the board aside.

    Raises
    ------
    UserError
        When even the narrowest widths exceed it.
    """
    budget = problem.constraint.bit_operations
    if budget is None or problem.space.bit_operations(assignment) <= budget:
        return assignment
    coordinates = Coordinates(problem.space)
    widths = lowered_to(coordinates, coordinates.flatten(assignment), budget)
    if widths is None:
        narrowest = problem.space.uniform(problem.space.weight_bits[0], problem.space.activation_bits[0])
        raise UserError(_too_much(problem, narrowest, {}))
    return coordinates.assignment(widths, assignment.schemes)


def lowered_to(coordinates: Coordinates, widths: np.ndarray, budget: int) -> np.ndarray | None:
    """Return the first vector of the chain within so many bit operations, or None."""
    widths = widths.copy()
    total = coordinates.bit_operations(widths)
    if total <= budget:
        return widths
    macs = [int(count) for count in coordinates.macs]
    sums = [int(value) for value in coordinates.per_layer(widths)]
    reads = [int(value) for value in coordinates.read_widths(widths)]
    owner = [layer for layer, part in enumerate(coordinates.slices) for _ in range(part.start, part.stop)]
    current = widths.tolist()
    for index, width in _chain(coordinates, widths.copy()):
        fall = current[index] - width
        current[index] = width
        if index < coordinates.channels:
            layer = owner[index]
            sums[layer] -= fall
            total -= macs[layer] * reads[layer] * fall
        else:
            for layer, where in enumerate(coordinates.reads):
                if where == index:
                    reads[layer] = width
                    total -= macs[layer] * sums[layer] * fall
        if total <= budget:
            return np.array(current, dtype=np.int64)
    return None


def _chain(coordinates: Coordinates, widths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield which entry is lowered next and to what, until all are at their narrowest."""
    space = coordinates.space
    below = (
        {wide: narrow for narrow, wide in itertools.pairwise(space.weight_bits)},
        {wide: narrow for narrow, wide in itertools.pairwise(space.activation_bits)},
    )
    order = _back_to_front(coordinates)
    current = widths.tolist()
    for floors in (coordinates.least.tolist(), coordinates.lowest.tolist()):
        left = [index for index in order if current[index] > floors[index]]
        while left:
            for index in left:
                current[index] = below[index >= coordinates.channels][current[index]]
                yield index, current[index]
            left = [index for index in left if current[index] > floors[index]]


def _back_to_front(coordinates: Coordinates) -> list[int]:
    """Return all entries: layers from the last, each before what it reads; what no layer reads comes last."""
    order: dict[int, None] = {}
    for part, where in reversed(list(zip(coordinates.slices, coordinates.reads, strict=True))):
        order.update(dict.fromkeys(reversed(range(part.start, part.stop))))
        if where is not None:
            order[where] = None
    order.update(dict.fromkeys(range(coordinates.channels, coordinates.size)))
    return list(order)


def _too_much(problem: Problem, narrowest: Assignment, cost: Mapping[str, float]) -> str:
    constraint = problem.constraint
    taken = problem.space.bit_operations(narrowest)
    if constraint.bit_operations is not None and taken > constraint.bit_operations:
        return (
            f"even the narrowest widths take {taken:,} bit operations, more than the {constraint.bit_operations:,} "
            "that are allowed; allow more."
        )
    name, (found, limit) = next(
        (name, pair) for name, pair in constraint.exceeded(taken, cost).items() if name != BIT_OPERATIONS
    )
    return (
        f"even the narrowest widths take {found:,.0f} {name.replace('_', ' ')}, more than the {limit:,.0f} "
        "that are allowed; choose a bigger board or a lower frame rate."
    )
