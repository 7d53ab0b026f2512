"""The fastest choice within the limits: the fewest clocks for which there is one, by bisection."""

from __future__ import annotations

import bisect
from collections.abc import Callable

from codesign.folding.problem import Chosen, Problem
from codesign.folding.solve import solve


def fastest(
    problem: Problem, near: int | None = None, by: Callable[[Problem, int], Chosen | None] = solve
) -> Chosen | None:
    """Return the choice with the fewest clocks of a frame that exceeds no limit, the cheapest of those.

    A choice for some clocks serves for more of them too, so bisection over the clocks that candidates and joints may
    take finds the fewest.

    Parameters
    ----------
    problem : Problem
        With limits.
    near : int, optional
        Clocks that are tried first, such as those of a network much like this one. The result is the same.
    by : callable
        Told the problem and clocks, returns a choice or None; what it has for some clocks it has for more of them too.

    Returns
    -------
    Chosen or None
        None when even the slowest choice exceeds a limit.
    """
    steps = sorted(_clocks(problem))
    low, high = 0, len(steps) - 1
    best = by(problem, steps[high])
    # What is tried before bisection begins: the guess, and if it serves, the next that is faster.
    guess = None if near is None else min(bisect.bisect_left(steps, near), high)
    first = [] if guess is None else [guess, guess - 1]
    while best is not None and low < high:
        middle = first.pop(0) if first else (low + high) // 2
        if not low <= middle < high:
            continue
        found = by(problem, steps[middle])
        if found is None:
            first.clear()
            low = middle + 1
        else:
            best, high = found, middle
    return best


def _clocks(problem: Problem) -> set[int]:
    """Return every number of clocks that the slowest part of a choice may have."""
    found = {one.cycles for every in problem.candidates.values() for one in every}
    for edge in problem.edges:
        source = problem.candidates.get(edge.source)
        lanes = {problem.inputs[edge.source]} if source is None else {one.lanes_out for one in source}
        wanted = {one.lanes_in[edge.operand] for one in problem.candidates[edge.node]}
        found |= {edge.joint(a, b)[0] for a in lanes for b in wanted}
    return found
