"""Profiled: a width for each layer and activation, by an integer program over measured losses and measured sizes.

What a width costs in accuracy is the sensitivity of a layer as a whole, which is held to measured losses
(`codesign.search.anchored`). What it takes is bit operations where these are limited, else lookup tables of the layer
at that width of weights and of what it reads, from estimates of networks with the same widths everywhere
(`codesign.search.profile`). Multiplier blocks beside these tables are limited too, to what the board or the user has:
a layer is as in the designs that have blocks, or as in those that have none. The program is solved exactly, but where
branch and bound is cut off (`codesign.search.knapsack`); the kind of the weights of each layer is among its choices.

Layers have one width each, since channels of several widths share lanes, which then are as wide as the widest of them:
in lookup tables they take more than the sum of their parts, which the program does not know. It prunes nothing: where
even its cheapest choice takes more bit operations than are allowed, that one is asked for and the repair prunes it.

References
----------
The program is that of Yao et al., HAWQ-V3, ICML 2021, with sizes in the place of bit operations as in Guo et al., OHQ:
on-chip hardware-aware quantization, 2023 (arXiv 2309.01945), and with activations among its choices.
"""

from __future__ import annotations

import math

import numpy as np

from codesign.search import knapsack
from codesign.search.measurements import MeasuresPairCosts, MeasuresSensitivity, PairCosts, PairSizes, Table
from codesign.search.problem import Problem
from codesign.search.space import Assignment, Space, WeightLayer
from codesign.search.sweep import BudgetSweep

_UNLIMITED = 1 << 53
_PARTS = 16
"""Of a lookup table or a block, in which sizes are counted: interpolated ones are no whole numbers."""
_ABOVE = 1.1
"""The greatest budget of lookup tables, as a multiple of the limit: sizes do not quite add up."""
_NEAR = 0.02
"""Of a budget, to which the least one is found."""


class Profiled:
    """The program.

    Parameters
    ----------
    space : Space
    rise : Table
        Of the loss.
    costs : PairCosts or None
        What layers take; bit operations unless given.
    blocks : int, optional
        The most multiplier blocks, with `costs`.
    """

    def __init__(self, space: Space, rise: Table, costs: PairCosts | None, blocks: int | None = None) -> None:
        self._space = space
        self._rise = rise
        self._costs = costs
        self._parts = 1 if costs is None else _PARTS
        self._choices = [
            (kind, bits, bare)
            for bare in ((False,) if costs is None or costs.bare is None else (False, True))
            for kind in space.schemes
            for bits in space.widths(kind)
            if bits
        ]
        self._readers: list[list[WeightLayer]] = [
            [layer for layer in space.layers if layer.activation == one.name] for one in space.activations
        ]
        self._alone = [layer for layer in space.layers if layer.activation is None]
        self._groups = [self._group(index) for index in range(len(space.activations))]
        self._groups += [self._single(layer) for layer in self._alone]
        self._blocks: int | None = None
        if costs is not None and blocks is not None:
            # By the tables maybe nothing keeps to them; designs do, which have lookup tables instead.
            fewest = knapsack.least(self._groups, second=True)
            self._blocks = max(_PARTS * blocks - round(_PARTS * costs.dsp.rest), fewest)

    @property
    def fixed(self) -> int:
        """What is taken whatever the widths are."""
        return self._space.fixed_bit_operations if self._costs is None else math.ceil(self._costs.lut.rest)

    @property
    def least(self) -> int:
        """The least budget with a solution; to 2 % above it where multiplier blocks are limited."""
        low, high = self.fixed + math.ceil(knapsack.least(self._groups) / self._parts), self.most
        if self._blocks is None or self.solve(low):
            return low
        while high - low > max(1, _NEAR * low):
            middle = (low + high) // 2
            low, high = (low, middle) if self.solve(middle) else (middle, high)
        return high

    @property
    def most(self) -> int:
        """What the solution takes where multiplier blocks alone are limited; what any may take if none is found."""
        found = knapsack.solve(self._groups, _UNLIMITED, self._blocks)
        taken = knapsack.greatest(self._groups) if found is None else knapsack.cost(self._groups, found.choices)
        return self.fixed + math.ceil(taken / self._parts)

    def solve(self, budget: int) -> list[Assignment]:
        """Return the solution within a budget in a list, an empty one where none is found."""
        found = knapsack.solve(self._groups, self._parts * (budget - self.fixed), self._blocks)
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
                kind, bits, _ = self._choices[column]
                weights[layer.name] = (bits,) * layer.channels
                if kind != "uniform":
                    schemes[layer.name] = kind
        ordered = {layer.name: weights[layer.name] for layer in self._space.layers}
        return [Assignment(ordered, activations, schemes)]

    def _group(self, index: int) -> knapsack.Group:
        activation, readers = self._space.activations[index], self._readers[index]
        alternatives = list(enumerate(self._space.activation_bits))
        cost = [[self._cost(layer, column, bits) for layer in readers] for column, bits in alternatives]
        second = [[self._second(layer, column) for layer in readers] for column, _ in alternatives]
        # One that no layer reads has a member of its own with nothing to choose.
        nothing = np.zeros(1, dtype=np.int64)
        cost, second = ([row or [nothing] for row in rows] for rows in (cost, second))
        if self._costs is not None:
            for rows, sizes in ((cost, self._costs.lut), (second, self._costs.dsp)):
                for column, row in enumerate(rows):
                    row[0] = row[0] + round(_PARTS * sizes.activations[activation.name][column])
        losses = [self._loss(layer) for layer in readers] or [np.zeros(1)]
        return knapsack.Group(np.asarray(self._rise.activations[activation.name], dtype=float), losses, cost, second)

    def _single(self, layer: WeightLayer) -> knapsack.Group:
        """Return the group of a layer that reads what no width is chosen for."""
        cost, second = self._cost(layer, -1, layer.input_bits), self._second(layer, -1)
        return knapsack.Group(np.zeros(1), [self._loss(layer)], [[cost]], [[second]])

    def _loss(self, layer: WeightLayer) -> np.ndarray:
        columns = [(kind, self._space.weight_bits.index(bits)) for kind, bits, _ in self._choices]
        return np.array([float(np.sum(self._rise.weights[kind][layer.name][:, at])) for kind, at in columns])

    def _cost(self, layer: WeightLayer, read: int, read_bits: int) -> np.ndarray:
        costs = self._costs
        if costs is None:
            bits = [width for _, width, _ in self._choices]
            return np.array([layer.macs * read_bits * layer.channels * width for width in bits], dtype=np.int64)
        return self._sizes(costs.lut, costs.bare, layer, read)

    def _second(self, layer: WeightLayer, read: int) -> np.ndarray:
        if self._costs is None:
            return np.zeros(len(self._choices), dtype=np.int64)
        return self._sizes(self._costs.dsp, None, layer, read)

    def _sizes(self, sizes: PairSizes, bare: PairSizes | None, layer: WeightLayer, read: int) -> np.ndarray:
        """Return what each choice takes, in parts; `bare` None is nothing."""
        rows = self._space.weight_bits
        values = []
        for kind, width, without in self._choices:
            of = bare if without else sizes
            values.append(0.0 if of is None else of.layers[kind][layer.name][rows.index(width), read])
        return np.rint(_PARTS * np.array(values)).astype(np.int64)


def sweep(problem: Problem, evaluations: int, front: bool = True) -> BudgetSweep:
    """Return solutions for budgets of what is limited: bit operations, else lookup tables.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures the sensitivity and, where bit operations are unlimited and lookup tables are not, sizes.
    evaluations : int
    front : bool
        Ask for solutions of smaller budgets in the end.
    """
    rise = problem.measures(MeasuresSensitivity, "profiled").sensitivity()
    limit = problem.constraint.limits.get("lut")
    if problem.constraint.bit_operations is not None or limit is None or not problem.offers(MeasuresPairCosts):
        program = Profiled(problem.space, rise, None)
        most = max(problem.bit_operation_budget, program.least)
        return BudgetSweep(problem, program.solve, evaluations, most=most, front=front)
    costs = problem.measures(MeasuresPairCosts, "profiled").pair_costs()
    blocks = problem.constraint.limits.get("dsp")
    program = Profiled(problem.space, rise, costs, None if blocks is None else math.floor(blocks))
    most = min(program.most, math.floor(_ABOVE * limit))
    # The cheapest choice is asked for in any case, for tables may say too much of it.
    return BudgetSweep(problem, program.solve, evaluations, program.fixed, max(most, program.least), front)


def strategy(problem: Problem, seed: int, evaluations: int) -> BudgetSweep:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        As for `sweep`.
    seed : int
        Of no effect.
    evaluations : int
    """
    return sweep(problem, evaluations)
