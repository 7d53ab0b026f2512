"""Making any assignment satisfy the constraint exactly.

Widths are lowered one step at a time, in rounds: in each round every channel and activation that can still be lowered
loses one step, from the back of the network to its front, as HAQ does. So what was wide stays wider than what was
narrow. First nothing is lowered to 0 bits; only when all is at its narrowest are channels pruned. The steps make a
chain of ever narrower candidates. The first one within the budget of bit operations is found by counting. What holds
on the board only an estimate says, which may take a second. Costs are about linear in bit operations from round to
round, but a layer of which some channels were lowered may take more tables than before, and a binary one more than a
ternary one. So the layer is found first whose end holds, then the channel in it, each by a few estimates; where the
narrowest widths are no cheaper, as they may be, rounds come before. Where to look next a line tells: through what does
not hold and what holds, or before something does, through what was estimated last or through the narrowest network,
which is estimated once for a problem. Costs that do not fall may still make the search miss a wider one, but what it
returns has always been estimated itself, and holds.

References
----------
Wang et al., HAQ: hardware-aware automated quantization with mixed precision, CVPR 2019.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from codesign.errors import UserError
from codesign.search.coordinates import Coordinates
from codesign.search.problem import BIT_OPERATIONS, Problem
from codesign.search.space import Assignment

AIM = 0.985
"""Share of the limits that is aimed at: estimates are no straight line, and what is a little too much counts for
nothing."""
USED_UP, NEAR = 0.97, 0.1
"""Share of a limit from which a candidate is wide enough, where one of so many more bit operations does not hold."""
CLOSE = 0.02
"""One that holds is wide enough, too, where another of so few more bit operations, relative to its own, does not."""


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
    return _within_limits(problem, within, cost)


def _within_limits(
    problem: Problem, widest: Assignment, cost: Mapping[str, float]
) -> tuple[Assignment, dict[str, float]]:
    """Return a candidate of the chain that holds and uses up what was exceeded, or is close to one that does not hold.

    Parameters
    ----------
    problem : Problem
    widest : Assignment
        The beginning of the chain, which does not hold.
    cost : mapping of str to float
        What it takes.
    """
    coordinates = Coordinates(problem.space)
    start = coordinates.flatten(widest)
    rounds = list(_rounds(coordinates, start))
    steps = list(itertools.chain.from_iterable(rounds))
    if not steps:
        raise UserError(_too_much(problem, widest, cost))
    # Behind the last place one more, of no bit operations at no cost.
    taken = np.array([*_bit_operations(coordinates, start, steps), 0], dtype=np.float64)
    # What was within its limit all along does not tell how far to go: clocks are used up whatever the widths are.
    names = set(problem.constraint.exceeded(int(taken[0]), cost))
    low, high = (0, _share(problem, names, cost)), (len(steps) + 1, 0.0)
    before: tuple[int, float] | None = None
    best: tuple[Assignment, dict[str, float]] | None = None

    def at(place: int) -> tuple[Assignment, dict[str, float]]:
        lowered = coordinates.assignment(_after(start, steps[:place]), widest.schemes)
        return lowered, dict(problem.evaluator.cost(lowered))

    def is_enough() -> bool:
        if best is None:
            return False
        wide, narrow = taken[low[0]], max(taken[high[0]], 1)
        gap = (wide - narrow) / max(wide, 1)
        if gap > NEAR:
            # What holds may lie on a plateau below a limit, of which a line over a wide gap tells nothing.
            return False
        # How much wider the widest that holds may be, by the line between both.
        line = math.isfinite(low[1]) and low[1] > 1 > high[1]
        left = (1 - high[1]) / (low[1] - high[1]) * (wide - narrow) / narrow if line else math.inf
        return gap <= CLOSE or left <= CLOSE or high[1] >= USED_UP

    def falls() -> bool:
        """Tell whether the low end took less the last time it moved, so that a line through both places tells more."""
        return best is None and before is not None and before[1] > low[1] and taken[before[0]] > taken[low[0]]

    def far() -> tuple[float, float] | None:
        """Bit operations and share of another point of the line: of what holds, else of the low end before, else of the
        narrowest; None where these tell nothing.
        """
        if best is not None:
            return taken[high[0]], high[1]
        if before is not None and falls():
            slope = (before[1] - low[1]) / (taken[before[0]] - taken[low[0]])
            return taken[low[0]] - low[1] / slope, 0.0
        operations, cost = problem.narrowest
        share = _share(problem, names, cost)
        return (operations, share) if operations < taken[low[0]] and share < min(AIM, low[1]) else None

    parts = {"rounds": _ends(rounds), "layers": _ends(_layers(coordinates, rounds)), "steps": range(1, len(steps) + 1)}
    if far() is not None:
        # How much the limits are exceeded tells about where to look, and whole rounds are far apart.
        del parts["rounds"]
    for part, places in parts.items():
        # How often in a row the same end moved, negative for the low one.
        moved, dearer = 0, set[int]()
        while (
            between := [place for place in places if low[0] < place < high[0] and place not in dearer]
        ) and not is_enough():
            # An end that stays where it is tells of a curve: half the way is safe. While nothing holds yet, the line
            # through the last two follows the curve by itself, as long as it falls.
            if abs(moved) > 1 and not falls():
                place = between[len(between) // 2]
            else:
                aim = bisect.bisect_left(between, _crossing(taken, low, high[0], far() or (0, 0.0)))
                place = between[min(aim, len(between) - 1)]
            found = at(place)
            if exceeded := problem.constraint.exceeded(int(taken[place]), found[1]):
                names |= set(exceeded)
                share = _share(problem, exceeded, found[1])
                if best is not None:
                    high = (high[0], _share(problem, names, best[1]))
                if part == "rounds" and math.isfinite(share) and share >= low[1]:
                    # A round that makes it dearer; what holds may lie within.
                    dearer.add(place)
                    continue
                before, low, moved = low, (place, share), min(moved, 0) - 1
            else:
                high, best, moved = (place, _share(problem, names, found[1])), found, max(moved, 0) + 1
    if best is None:
        raise UserError(_too_much(problem, *at(len(steps))))
    return best


def _share(problem: Problem, names: Iterable[str], cost: Mapping[str, float]) -> float:
    """Return the greatest share that is used of some limits of the board."""
    limits = {name: problem.constraint.limits[name] for name in names}
    return max(cost[name] / limit if limit else (math.inf if cost[name] else 0.0) for name, limit in limits.items())


def _crossing(taken: np.ndarray, low: tuple[int, float], last: int, far: tuple[float, float]) -> int:
    """Return a place between two where the limits are just used up if costs are linear in bit operations.

    Parameters
    ----------
    taken : ndarray
        Bit operations by place.
    low : (int, float)
        The first place and the share that is used there.
    last : int
        The last place.
    far : (float, float)
        Bit operations and share of another point of the line, estimated or not.
    """
    (first, above), (operations, below) = low, far
    if not math.isfinite(above):
        return (first + last) // 2
    aim = taken[first] - (above - AIM) / (above - below) * (taken[first] - operations)
    # The first place with no more; they fall along the chain.
    place = len(taken) - int(np.searchsorted(taken[::-1], aim, side="right"))
    return min(max(place, first + 1), last - 1)


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
    if coordinates.bit_operations(widths) <= budget:
        return widths.copy()
    steps = list(itertools.chain.from_iterable(_rounds(coordinates, widths)))
    for count, total in enumerate(_bit_operations(coordinates, widths, steps)):
        if total <= budget:
            return _after(widths, steps[:count])
    return None


def _after(widths: np.ndarray, steps: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return a vector after steps of its chain."""
    lowered = widths.copy()
    for index, width in steps:
        lowered[index] = width
    return lowered


def _bit_operations(coordinates: Coordinates, widths: np.ndarray, steps: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yield the bit operations of a vector, and those after each step."""
    total = coordinates.bit_operations(widths)
    macs = [int(count) for count in coordinates.macs]
    sums = [int(value) for value in coordinates.per_layer(widths)]
    reads = [int(value) for value in coordinates.read_widths(widths)]
    owner = coordinates.owner.tolist()
    current = widths.tolist()
    yield total
    for index, width in steps:
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
        yield total


Step = tuple[int, int]
"""Which entry of a vector is lowered, and to what."""


def _rounds(coordinates: Coordinates, widths: np.ndarray) -> Iterator[list[Step]]:
    """Yield the steps of each round of the chain."""
    space = coordinates.space
    below = (
        {wide: narrow for narrow, wide in itertools.pairwise(space.weight_bits)},
        {wide: narrow for narrow, wide in itertools.pairwise(space.activation_bits)},
    )
    order = _back_to_front(coordinates)
    current = widths.tolist()
    for floors in (coordinates.least.tolist(), coordinates.lowest.tolist()):
        while left := [index for index in order if current[index] > floors[index]]:
            for index in left:
                current[index] = below[index >= coordinates.channels][current[index]]
            yield [(index, current[index]) for index in left]


def _layers(coordinates: Coordinates, rounds: Sequence[Sequence[Step]]) -> Iterator[list[Step]]:
    """Yield the steps of each layer, and of each activation, in each round."""
    owner = coordinates.owner.tolist()
    for one in rounds:
        for _, steps in itertools.groupby(
            one, lambda step: owner[step[0]] if step[0] < coordinates.channels else -step[0]
        ):
            yield list(steps)


def _ends(parts: Iterable[Sequence[Step]]) -> list[int]:
    """Return how many steps there are until the end of each part."""
    return list(itertools.accumulate(len(part) for part in parts))


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
    allowed = f"the {limit:,.0f} that are allowed"
    if name == "lut" and problem.reserve:
        free = problem.reserve
        allowed = f"{limit:,.0f}: of the {limit + free:,.0f} allowed {free:,.0f} stay free for what training changes"
    return (
        f"even the narrowest widths take {found:,.0f} {name.replace('_', ' ')}, more than {allowed}; allow more, or "
        "choose a bigger board or a lower frame rate."
    )
