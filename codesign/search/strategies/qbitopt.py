"""QBitOpt: widths solved again and again from the gradients of the network that has them.

φ is the moving average of the squared gradients E‖∂L/∂θ‖². The rise of the loss of a channel (an activation) at a
width is φ times the mean squared error of quantising a value: Δ²/12 in the paper; measured here, so that it holds for
1 bit and for pruning too. Its sum is minimised within the budget, the gradients are measured at that solution, and so
on. The budget holds at every step.

A reconstruction: formulas by our best reading of the paper. `solver="relaxed"` solves for real widths in closed form
and rounds them, with weights alone and one width for all activations; `solver="exact"` is the integer program.

References
----------
QBitOpt: fast and accurate bitwidth reallocation during training, ICCV 2023 (arXiv 2307.04535).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates
from codesign.search.measurements import MeasuresDistortion, MeasuresGradients, PerChoice, Table
from codesign.search.problem import Evaluation, Problem
from codesign.search.program import Program
from codesign.search.relaxed import relaxed, rounded
from codesign.search.space import Assignment, Space
from codesign.search.sweep import BudgetSweep

Solver = Literal["exact", "relaxed"]


def rise(space: Space, gradients: PerChoice, distortion: Table) -> Table:
    """Return the expected rise of the loss: φ times the mean squared error of a value."""
    size = {layer.name: layer.weights for layer in space.layers}
    elements = {one.name: one.elements for one in space.activations}
    return Table(
        {
            kind: {name: gradients.weights[name][:, None] * rows / size[name] for name, rows in layers.items()}
            for kind, layers in distortion.weights.items()
        },
        {name: gradients.activations[name] * row / elements[name] for name, row in distortion.activations.items()},
    )


def solve_relaxed(space: Space, table: Table, budget: int) -> Assignment | None:
    """Return the best assignment with real widths rounded: for each width of all activations one, the best of them.

    The errors follow c·4^(−b); c is taken from the table at the middle width.
    """
    coordinates = Coordinates(space)
    bits = tuple(width for width in space.weight_bits if width)
    middle = bits[len(bits) // 2]
    scheme = space.schemes[0]
    column = space.weight_bits.index(middle)
    rows = [table.weights[scheme][layer.name][:, column] for layer in space.layers]
    error = np.concatenate(rows) * 4.0**middle
    best: tuple[float, Assignment] | None = None
    for at, width in enumerate(space.activation_bits):
        whole = coordinates.highest.copy()
        whole[coordinates.channels :] = width
        cost = coordinates.per_bit(whole)[: coordinates.channels]
        room = budget - space.fixed_bit_operations
        real = relaxed(error, cost, room, bits[0], bits[-1])
        if real is None:
            continue
        whole[: coordinates.channels] = rounded(real, error, cost, room, bits)
        total = float(np.sum(error * 4.0 ** -whole[: coordinates.channels]))
        total += sum(float(row[at]) for row in table.activations.values())
        if best is None or total < best[0]:
            best = total, coordinates.assignment(whole)
    return None if best is None else best[1]


class QBitOpt:
    """Solves, has the solution evaluated, measures the gradients there, and so on; then sweeps over budgets.

    Parameters
    ----------
    problem : Problem
    evaluations, rounds : int
    momentum : float
    solver : {"exact", "relaxed"}
    """

    def __init__(self, problem: Problem, evaluations: int, rounds: int, momentum: float, solver: Solver) -> None:
        self._problem = problem
        self._gradients = problem.measures(MeasuresGradients, "qbitopt")
        self._distortion = problem.measures(MeasuresDistortion, "qbitopt").distortion()
        self._rounds, self._momentum, self._solver = rounds, momentum, solver
        self._average = self._gradients.squared_gradients(self._start())
        self._evaluations = evaluations
        self._sweep: BudgetSweep | None = None
        self._last = ""

    def _start(self) -> Assignment:
        """Return the uniform candidate with the most bit operations within the budget, or the narrowest."""
        space = self._problem.space
        pairs = [space.uniform(w, a) for w in space.weight_bits if w for a in space.activation_bits]
        pairs.sort(key=space.bit_operations)
        fitting = [one for one in pairs if space.bit_operations(one) <= self._problem.bit_operation_budget]
        return (fitting or pairs[:1])[-1]

    def solve(self, budget: int) -> list[Assignment]:
        """Return the solution within a budget from what the gradients are so far, in a list; an empty one for none."""
        space = self._problem.space
        table = rise(space, self._average, self._distortion)
        exact = self._solver == "exact"
        found = Program(space, table).solve(budget) if exact else solve_relaxed(space, table, budget)
        return [] if found is None else [found]

    def ask(self) -> list[Assignment]:
        """Return the next solution."""
        if self._sweep is None and self._rounds > 0:
            self._rounds -= 1
            found = self.solve(self._problem.bit_operation_budget)
            if found and (digest := found[0].digest()) != self._last:
                self._last = digest
                return found
        if self._sweep is None:
            self._sweep = BudgetSweep(self._problem, self.solve, self._evaluations)
        return self._sweep.ask()

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Move the average towards the gradients at what was evaluated."""
        if self._sweep is not None:
            self._sweep.tell(evaluations)
            return
        for one in evaluations:
            found = self._gradients.squared_gradients(one.assignment)
            old, new = self._momentum, 1 - self._momentum
            self._average = PerChoice(
                {name: old * values + new * found.weights[name] for name, values in self._average.weights.items()},
                {
                    name: old * value + new * found.activations[name]
                    for name, value in self._average.activations.items()
                },
            )


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    rounds: Annotated[int, msgspec.Meta(ge=1)] = 6,
    momentum: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.5,
    solver: Solver = "exact",
) -> QBitOpt:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
        Its evaluator measures gradients and distortion.
    seed : int
        Of no effect.
    evaluations : int
    rounds : int
        How often the gradients are measured again.
    momentum : float
        Of the moving average.
    solver : {"exact", "relaxed"}
    """
    return QBitOpt(problem, evaluations, rounds, momentum, solver)
