"""OHQ: widths by an integer program over sensitivities and what layers cost on the hardware.

For a layer of sensitivity a and cost c at b bits, Σ a·4^(−b) + μ·c/c_max is minimised exactly within the budget, one
width per layer. The sensitivity is how far the outputs move, as Kullback-Leibler divergence, when the layer is masked
at random. The widths of activations are not part of the method: each candidate has one for all of them.

The paper measures the costs on the chip. Here nothing is measured for the model that is searched: the evaluator
returns lookup tables by the estimate (`codesign.estimate`, fitted to syntheses of other networks), those of each layer
when all layers have that width and all activations the middle one of the space. So the cost of a layer does not follow
the width that a candidate gives to what it reads.

A reconstruction: formulas by our best reading of the paper. Pruning a layer (4⁰) is left out.

References
----------
OHQ: on-chip hardware-aware quantization, 2023 (arXiv 2309.01945).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np

from codesign.search.fixed_activations import FixedActivations
from codesign.search.measurements import MeasuresLayerCosts, MeasuresMasking
from codesign.search.problem import Problem
from codesign.search.sweep import BudgetSweep

NEEDS = (MeasuresMasking, MeasuresLayerCosts)


def strategy(
    problem: Problem, seed: int, evaluations: int, *, mu: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 0.01
) -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures masking and estimates the costs of layers.
    seed : int
        Of no effect.
    evaluations : int
    mu : float
        Weight of the cost, relative to the largest sensitivity.
    """
    masking = problem.measures(MeasuresMasking, "ohq").masking()
    costs = problem.measures(MeasuresLayerCosts, "ohq").layer_costs()
    most = max(float(np.max(row)) for row in costs.values())
    # Divergences differ by orders of magnitude from network to network; μ should mean the same in all of them.
    largest = max(masking.values())
    bits = np.array(problem.space.weight_bits)
    rise = {name: masking[name] / largest * 4.0**-bits + mu * np.asarray(costs[name]) / most for name in costs}
    return BudgetSweep(problem, FixedActivations(problem, rise).solve, evaluations)
