"""Profiled: a width for each layer and activation, by an integer program over measured losses and measured sizes.

What a width costs in accuracy is the sensitivity of a layer as a whole, which is held to measured losses
(`codesign.search.anchored`). What it takes is bit operations where these are limited, else lookup tables of the layer
at that width of weights and of what it reads, from estimates of networks with the same widths everywhere
(`codesign.search.profile`). The program is solved exactly, the kind of the weights of each layer among its choices.

Layers have one width each, since channels of several widths share lanes, which then are as wide as the widest of them:
in lookup tables they take more than the sum of their parts, which the program does not know.

References
----------
The program is that of Yao et al., HAWQ-V3, ICML 2021, with sizes in the place of bit operations as in Guo et al., OHQ:
on-chip hardware-aware quantization, 2023 (arXiv 2309.01945), and with activations among its choices.
"""

from __future__ import annotations

import math

import numpy as np

from codesign.search import knapsack
from codesign.search.measurements import MeasuresPairCosts, MeasuresSensitivity, PairCosts, Table
from codesign.search.problem import Problem
from codesign.search.space import Assignment, Space, WeightLayer
from codesign.search.sweep import BudgetSweep

_UNLIMITED = 1 << 53
_ABOVE = 1.1
"""The greatest budget of lookup tables, as a multiple of the limit: sizes do not quite add up."""


class Profiled:
    """The program.

    Parameters
    ----------
    space : Space
    rise : Table
        Of the loss.
    costs : PairCosts or None
        What layers take; bit operations unless given.
    """

    def __init__(self, space: Space, rise: Table, costs: PairCosts | None) -> None:
        self._space = space
        self._rise = rise
        self._costs = costs
        self._choices = [
            (kind, bits)
            for kind in space.schemes
            for bits in space.widths(kind)
            if bits or len(space.widths(kind)) == 1
        ]
        self._readers: list[list[WeightLayer]] = [
            [layer for layer in space.layers if layer.activation == one.name] for one in space.activations
        ]
        self._alone = [layer for layer in space.layers if layer.activation is None]
        self._groups = [self._group(index) for index in range(len(space.activations))]
        self._groups += [self._single(layer) for layer in self._alone]

    @property
    def fixed(self) -> int:
        """What is taken whatever the widths are."""
        return self._space.fixed_bit_operations if self._costs is None else math.ceil(self._costs.rest)

    @property
    def most(self) -> int:
        """What the solution takes where nothing is limited."""
        found = knapsack.solve(self._groups, _UNLIMITED)
        assert found is not None  # noqa: S101 - all choices are within that
        return self.fixed + knapsack.cost(self._groups, found.choices)

    def solve(self, budget: int) -> list[Assignment]:
        """Return the solution within a budget in a list, an empty one where there is none."""
        found = knapsack.solve(self._groups, budget - self.fixed)
        if found is None:
            return []
        weights: dict[str, tuple[int, ...]] = {}
        schemes: dict[str, str] = {}
        activations: dict[str, int] = {}
        owners = [*self._readers, *([layer] for layer in self._alone)]
        for index, ((alternative, columns), members) in enumerate(zip(found.choices, owners, strict=True)):
            if index < len(self._space.activations):
                activations[self._space.activations[index].name] = self._space.activation_bits[alternative]
            for layer, column in zip(members, columns, strict=False):
                kind, bits = self._choices[column]
                weights[layer.name] = (bits,) * layer.channels
                if kind != "uniform":
                    schemes[layer.name] = kind
        ordered = {layer.name: weights[layer.name] for layer in self._space.layers}
        return [Assignment(ordered, activations, schemes)]

    def _group(self, index: int) -> knapsack.Group:
        activation = self._space.activations[index]
        cost = []
        for column, bits in enumerate(self._space.activation_bits):
            rows = [self._cost(layer, column, bits) for layer in self._readers[index]]
            own = 0 if self._costs is None else math.ceil(self._costs.activations[activation.name][column])
            # One that no layer reads has a member of its own with nothing to choose.
            rows = rows or [np.zeros(1, dtype=np.int64)]
            cost.append([rows[0] + own, *rows[1:]])
        losses = [self._loss(layer) for layer in self._readers[index]] or [np.zeros(1)]
        return knapsack.Group(np.asarray(self._rise.activations[activation.name], dtype=float), losses, cost)

    def _single(self, layer: WeightLayer) -> knapsack.Group:
        """Return the group of a layer that reads what no width is chosen for."""
        return knapsack.Group(np.zeros(1), [self._loss(layer)], [[self._cost(layer, -1, layer.input_bits)]])

    def _loss(self, layer: WeightLayer) -> np.ndarray:
        columns = [(kind, self._space.weight_bits.index(bits)) for kind, bits in self._choices]
        return np.array([float(np.sum(self._rise.weights[kind][layer.name][:, at])) for kind, at in columns])

    def _cost(self, layer: WeightLayer, read: int, read_bits: int) -> np.ndarray:
        if self._costs is None:
            bits = [width for _, width in self._choices]
            return np.array([layer.macs * read_bits * layer.channels * width for width in bits], dtype=np.int64)
        values = [
            self._costs.layers[kind][layer.name][self._space.weight_bits.index(width), read]
            for kind, width in self._choices
        ]
        return np.ceil(values).astype(np.int64)


def strategy(problem: Problem, seed: int, evaluations: int) -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures the sensitivity and, where bit operations are unlimited and lookup tables are not, sizes.
    seed : int
        Of no effect.
    evaluations : int
    """
    rise = problem.measures(MeasuresSensitivity, "profiled").sensitivity()
    limit = problem.constraint.limits.get("lut")
    if problem.constraint.bit_operations is not None or limit is None or not problem.offers(MeasuresPairCosts):
        return BudgetSweep(problem, Profiled(problem.space, rise, None).solve, evaluations)
    program = Profiled(problem.space, rise, problem.measures(MeasuresPairCosts, "profiled").pair_costs())
    most = min(program.most, math.floor(_ABOVE * limit))
    return BudgetSweep(problem, program.solve, evaluations, program.fixed, most)
