"""NIPQ: widths by gradient descent, with noise in place of quantisation.

Each width is b = low + (high − low)·σ(b̂). The evaluator runs a step of training in which values carry noise with the
power of the error that was measured for quantising to that width, and returns the gradient of the loss by the width
(`codesign.search.width_noise`; the paper's noise is that of a quantisation step). To the loss of the task
3·SmoothL1(bit operations / budget − 1) is added: the paper measures them in billions, which says little of small
networks. Adam moves b̂; every few steps the rounded widths are evaluated, within the budget. The weights of the network
stay as they are.

References
----------
Shin et al., NIPQ: noise proxy-based integrated pseudo-quantization, CVPR 2023 (arXiv 2206.00820).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.measurements import MeasuresNoise, PerChoice
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment

_BETAS, _EPSILON = (0.9, 0.999), 1e-8


class Nipq:
    """Gradient descent on widths.

    Parameters
    ----------
    problem : Problem
    evaluations, steps : int
    rate, weight : float
    """

    def __init__(self, problem: Problem, evaluations: int, steps: int, rate: float, weight: float) -> None:
        self._problem = problem
        self._noise = problem.measures(MeasuresNoise, "nipq")
        self._coordinates = Coordinates(problem.space)
        self._steps, self._rate, self._weight = steps, rate, weight
        self._low = self._coordinates.least.astype(float)
        self._span = self._coordinates.highest - self._low
        self._target = float(problem.bit_operation_budget)
        self._hidden = np.full(self._coordinates.size, 2.0)  # near the widest, where noise is small
        self._moments = np.zeros((2, self._coordinates.size))
        self._step = 0
        self._left = evaluations

    @property
    def widths(self) -> np.ndarray:
        """The widths, as real numbers."""
        return self._low + self._span * _sigmoid(self._hidden)

    def ask(self) -> list[Assignment]:
        """Return the rounded widths after some more steps."""
        if self._left <= 0:
            return []
        self._left -= 1
        for _ in range(self._steps):
            self._descend()
        rounded = self._coordinates.assignment(self._coordinates.snap(self.widths))
        return [within_budget(self._problem, rounded)]

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Lower the target where the limits of a board had to be kept by a repair."""
        for one in evaluations:
            if one.repaired:
                self._target = min(self._target, float(one.bit_operations))

    def _descend(self) -> None:
        widths = self.widths
        found = self._noise.noise_step(self._named(widths), self._step)
        gradient = self._flat(found.gradient) + self._weight * self._cost_gradient(widths)
        share = _sigmoid(self._hidden)
        gradient = gradient * self._span * share * (1 - share)
        self._step += 1
        first, second = _BETAS
        self._moments[0] = first * self._moments[0] + (1 - first) * gradient
        self._moments[1] = second * self._moments[1] + (1 - second) * gradient**2
        mean = self._moments[0] / (1 - first**self._step)
        spread = self._moments[1] / (1 - second**self._step)
        self._hidden = self._hidden - self._rate * mean / (np.sqrt(spread) + _EPSILON)

    def _cost_gradient(self, widths: np.ndarray) -> np.ndarray:
        """Return the gradient of SmoothL1(bit operations / target − 1)."""
        found = self._coordinates
        taken = self._problem.space.fixed_bit_operations + float(
            np.sum(found.macs * found.read_widths(widths) * found.per_layer(widths))
        )
        over = taken / self._target - 1
        return np.clip(over, -1, 1) * found.per_bit(widths) / self._target

    def _named(self, widths: np.ndarray) -> PerChoice:
        space, found = self._problem.space, self._coordinates
        return PerChoice(
            {layer.name: widths[part].copy() for layer, part in zip(space.layers, found.slices, strict=True)},
            {one.name: float(widths[found.channels + index]) for index, one in enumerate(space.activations)},
        )

    def _flat(self, named: PerChoice) -> np.ndarray:
        space = self._problem.space
        parts = [np.asarray(named.weights[layer.name], dtype=float) for layer in space.layers]
        return np.concatenate([*parts, np.array([named.activations[one.name] for one in space.activations])])


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -700, 700)))


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    steps: Annotated[int, msgspec.Meta(ge=1)] = 20,
    rate: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 0.05,
    weight: Annotated[float, msgspec.Meta(gt=0, le=1e6)] = 3.0,
) -> Nipq:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator runs steps with noise.
    seed : int
        Of no effect: the evaluator numbers its batches.
    evaluations : int
    steps : int
        Steps between two evaluations.
    rate : float
        Learning rate of Adam.
    weight : float
        Of the bit operations in the loss.
    """
    return Nipq(problem, evaluations, steps, rate, weight)
