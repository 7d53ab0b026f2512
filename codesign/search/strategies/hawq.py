"""HAWQ: Hessian-aware widths by an integer program.

The rise of the loss of a channel at a width is the mean diagonal of the Hessian over its weights times the squared
error of quantising them; the same for activations. The sum is minimised exactly under the budget. The paper has one
width per layer (`granularity="layer"`) and weights of 4 or 8 bits; here each channel may have its own.

References
----------
Yao et al., HAWQ-V3: dyadic neural network quantization, ICML 2021.
"""

from __future__ import annotations

import numpy as np

from codesign.search.measurements import MeasuresCurvature, MeasuresDistortion, PerChoice, Table
from codesign.search.problem import Problem
from codesign.search.program import Granularity, Program
from codesign.search.space import Assignment
from codesign.search.sweep import BudgetSweep


def weighed(distortion: Table, weight: PerChoice) -> Table:
    """Return the squared errors times a weight of each channel and activation."""
    return Table(
        {
            kind: {name: np.asarray(weight.weights[name])[:, None] * rows for name, rows in layers.items()}
            for kind, layers in distortion.weights.items()
        },
        {name: weight.activations[name] * row for name, row in distortion.activations.items()},
    )


def strategy(problem: Problem, seed: int, evaluations: int, *, granularity: Granularity = "channel") -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures curvature and distortion.
    seed : int
        Of no effect.
    evaluations : int
    granularity : {"channel", "layer"}
        What has a width of its own.
    """
    curvature = problem.measures(MeasuresCurvature, "hawq").curvature()
    distortion = problem.measures(MeasuresDistortion, "hawq").distortion()
    program = Program(problem.space, weighed(distortion, _not_negative(curvature)), granularity)

    def solve(budget: int) -> list[Assignment]:
        found = program.solve(budget)
        return [] if found is None else [found]

    return BudgetSweep(problem, solve, evaluations)


def _not_negative(curvature: PerChoice) -> PerChoice:
    """Estimates of a trace from few samples may be below 0, which would reward errors."""
    return PerChoice(
        {name: np.maximum(values, 0) for name, values in curvature.weights.items()},
        {name: max(value, 0.0) for name, value in curvature.activations.items()},
    )
