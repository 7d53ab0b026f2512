"""OMPQ: widths from how orthogonal the layers' outputs are, without a search.

One batch through the float network gives features of each layer; two layers whose features are alike are redundant.
With K the centred Gram matrix of a layer's features, ORM(i, j) = ⟨K_i, K_j⟩ / (‖K_i‖·‖K_j‖), which lies in [0, 1];
γ_i = Σ_{j≠i} ORM(i, j); θ_i = exp(−β·γ_i). The widths maximise Σ b_i·mean_{j≥i} θ_j within the budget. That is
linear, so most layers end at the narrowest or the widest width. The integer program is solved exactly, instead of
rounding the linear one. The widths of activations are not part of the method: each candidate has one for all of them.

References
----------
Ma et al., OMPQ: orthogonal mixed precision quantization, AAAI 2023 (arXiv 2109.07865).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.fixed_activations import FixedActivations
from codesign.search.measurements import MeasuresFeatures
from codesign.search.problem import Problem
from codesign.search.sweep import BudgetSweep


def orthogonality(features: Sequence[np.ndarray]) -> np.ndarray:
    """Return the ORM matrix: shape (layers, layers), 1 on the diagonal, 0 for features with nothing in common.

    Parameters
    ----------
    features : sequence of array
        Of each layer: shape (frames, values); the same frames for all.
    """
    grams = []
    for one in features:
        values = np.asarray(one, dtype=float).reshape(len(one), -1)
        values = values - values.mean(axis=0)
        gram = values @ values.T
        norm = np.linalg.norm(gram)
        grams.append(gram.ravel() / norm if norm else gram.ravel())
    stacked = np.stack(grams)
    matrix = np.clip(stacked @ stacked.T, 0.0, 1.0)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def importance(matrix: np.ndarray, beta: float) -> np.ndarray:
    """Return θ of each layer, relative to the largest: the larger, the less it has in common with the others."""
    gamma = matrix.sum(axis=1) - np.diag(matrix)
    # A common factor changes no optimum, but all of them may be too small for floating point.
    return np.exp(-beta * (gamma - gamma.min()))


def suffix_means(theta: np.ndarray) -> np.ndarray:
    """Return for each layer the mean of its own value and those behind it."""
    return np.cumsum(theta[::-1])[::-1] / np.arange(len(theta), 0, -1)


def strategy(
    problem: Problem, seed: int, evaluations: int, *, beta: Annotated[float, msgspec.Meta(ge=0, le=1e6)] = 10.0
) -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures features.
    seed : int
        Of no effect.
    evaluations : int
    beta : float
        Sharpness; the paper has 10 where training follows, 100 where none does.
    """
    features: Mapping[str, np.ndarray] = problem.measures(MeasuresFeatures, "ompq").features()
    theta = importance(orthogonality([features[layer.name] for layer in problem.space.layers]), beta)
    bits = np.array(problem.space.weight_bits, dtype=float)
    gains = suffix_means(theta)
    rise = {layer.name: -gain * bits for layer, gain in zip(problem.space.layers, gains, strict=True)}
    return BudgetSweep(problem, FixedActivations(problem, rise).solve, evaluations)
