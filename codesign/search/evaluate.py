"""Evaluating one candidate: repaired if need be, then its cost, then its accuracy."""

from __future__ import annotations

import math

from codesign.search.measurements import MeasuresLoss
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import repair
from codesign.search.space import Assignment


def evaluate(problem: Problem, asked: Assignment) -> Evaluation:
    """Return what is known of a candidate once it satisfies the constraint.

    A pure function of its arguments, so that it does not matter which process runs it, or how often.

    Raises
    ------
    UserError
        When no candidate satisfies the constraint.
    ValueError
        When the evaluator gives no number, or does not know what is limited.
    """
    assignment, cost = repair(problem, asked)
    evaluator, loss = problem.evaluator, None
    if isinstance(evaluator, MeasuresLoss):
        accuracy, loss = map(float, evaluator.evaluated(assignment))
    else:
        accuracy = float(evaluator.accuracy(assignment))
    for name, value in (("accuracy", accuracy), ("loss", loss)):
        if value is not None and not math.isfinite(value):
            raise ValueError(f"the {name} of a candidate is no number: {value}")
    return Evaluation(
        assignment,
        accuracy,
        problem.space.bit_operations(assignment),
        {name: float(value) for name, value in cost.items()},
        repaired=assignment != asked,
        loss=loss,
    )
