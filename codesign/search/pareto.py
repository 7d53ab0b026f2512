"""The best candidate, and the Pareto front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from codesign.search.problem import BIT_OPERATIONS, Evaluation, Problem


def best(problem: Problem, evaluations: Sequence[Evaluation]) -> Evaluation | None:
    """Return the evaluation with the highest score; of equal ones that with fewer bit operations, then the first."""
    if not evaluations:
        return None
    return max(evaluations, key=lambda one: (problem.score(one), -one.bit_operations))


def front(evaluations: Iterable[Evaluation], cost: str = BIT_OPERATIONS) -> list[Evaluation]:
    """Return the evaluations that no other one beats in accuracy and in a cost, by ascending cost.

    Of several with the same accuracy and cost the first is kept.

    Parameters
    ----------
    evaluations : iterable of Evaluation
    cost : str
        "bit_operations", or the name of a cost that all of them have.
    """
    kept: list[Evaluation] = []
    for one in sorted(evaluations, key=lambda each: (each.value(cost), -each.accuracy)):
        if not kept or one.accuracy > kept[-1].accuracy:
            kept.append(one)
    return kept
