"""Coefficients from measurements: least relative errors, kept near to what is known of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.estimate import model, technology
from codesign.estimate.census import Census
from codesign.estimate.model import JOINT, Fit
from codesign.estimate.spread import spread

COVERAGE = 0.9
"""Share of operators, and of whole networks, that intervals are to hold."""
FLOOR = 12.0
"""Lookup tables or flip-flops below which errors count as absolute ones."""
SMALLEST = 0.4
"""A coefficient is known beforehand no better than if it were this large."""
NOISE = {"lut": 0.03, "ff": 0.01}
"""Relative error of what the model cannot see."""
TRUST = 0.25
"""Relative error of what is known of the cells beforehand."""
CERTAIN = {"lut": 0.12, "ff": 0.05}
"""The same where it is one: a table for a bit of an adder or a memory, a flip-flop for a bit of a register."""
WHOLE = 2.0
"""What a measurement of a whole node counts beside one of a block alone: nodes are what is predicted."""
BEND = 1.5
"""Error, as a multiple of the noise, from which its cost grows with itself and no longer with its square."""
STEPS = 30
"""Problems of least squares that are solved for it, one after the other."""
LEFT_OUT = 10
"""Parts of the designs that are left out in turn, to see how far predictions are off."""


@dataclass(frozen=True)
class Measured:
    """What something takes, by synthesis.

    Parameters
    ----------
    design : int
        Of one design, all is left out together.
    parts : sequence of (str, Census)
        Module and census of every block: one, or those of a node.
    node : bool
        Whether it is a whole node.
    lut, ff : float
    """

    design: int
    parts: Sequence[tuple[str, Census]]
    node: bool
    lut: float
    ff: float


class _Columns:
    """The coefficients of a resource in a row."""

    def __init__(self, resource: str, family: str) -> None:
        self.resource = resource
        priors = model.priors(resource, technology.KNOWN[family])
        self.names = [(module, name) for module, own in priors.items() for name in own]
        self.place = {key: number for number, key in enumerate(self.names)}
        self.prior = np.array([priors[module][name] for module, name in self.names])

    def matrix(self, rows: Sequence[Measured]) -> np.ndarray:
        """Return how much of each is in every measurement."""
        found = np.zeros((len(rows), len(self.names)))
        for row, measured in zip(found, rows, strict=True):
            for module, census in measured.parts:
                group = model.owner(module)
                for name, amount in getattr(census, self.resource).items():
                    row[self.place[group, name]] += amount
            if measured.node:
                row[self.place[JOINT, "saved"]] -= len(measured.parts) - 1
        return found

    def solve(self, matrix: np.ndarray, values: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the coefficients with the least cost of relative errors, none of them negative.

        Knowledge beforehand is a measurement of its own, and decides alone where there is no other. The cost is that
        of Huber: a few blocks come out quite otherwise than what they are made of, as where all constants of one are
        the same, and squares of their errors would decide for all others.

        References
        ----------
        Huber, Robust estimation of a location parameter, 1964; solved by weights that are found anew.
        """
        from scipy.optimize import nnls

        noise = NOISE[self.resource] * (values + FLOOR)
        trust = np.where(self.prior == 1, CERTAIN[self.resource], TRUST)
        certain = 1 / (trust * np.maximum(self.prior, SMALLEST))
        shares = np.ones(len(values))
        found = np.zeros(len(self.prior))
        for _ in range(STEPS):
            weight = np.where(nodes, WHOLE, 1) * np.sqrt(shares) / noise
            left = np.concatenate([matrix * weight[:, None], np.diag(certain)])
            right = np.concatenate([values * weight, self.prior * certain])
            before, found = found, np.asarray(nnls(left, right, maxiter=100 * len(self.prior))[0])
            if np.allclose(before, found, rtol=1e-4, atol=1e-4):
                break
            shares = np.minimum(1, BEND / np.maximum(np.abs(values - matrix @ found) / noise, 1e-12))
        return found

    def by_module(self, coefficients: np.ndarray) -> dict[str, dict[str, float]]:
        """Return coefficients by module and name."""
        found: dict[str, dict[str, float]] = {}
        for (module, name), value in zip(self.names, coefficients.tolist(), strict=True):
            found.setdefault(module, {})[name] = round(value, 4)
        return found


def fit(rows: Sequence[Measured], family: str, tool: str) -> Fit:
    """Return the model of measurements.

    Parameters
    ----------
    rows : sequence of Measured
        Of blocks alone, and of whole nodes, which the spread is from.
    family, tool : str
    """
    coefficients, spreads = {}, {}
    nodes = np.array([row.node for row in rows])
    for resource in ("lut", "ff"):
        columns = _Columns(resource, family)
        matrix, values = columns.matrix(rows), np.array([getattr(row, resource) for row in rows], dtype=float)
        coefficients[resource] = columns.by_module(columns.solve(matrix, values, nodes))
        predicted = _left_out(columns, matrix, values, rows)
        designs = np.array([row.design for row in rows])
        spreads[resource] = spread(values[nodes], predicted[nodes], designs[nodes], COVERAGE, FLOOR)
    return Fit(
        family=family,
        tool=tool,
        designs=len({row.design for row in rows}),
        blocks=sum(not row.node for row in rows),
        nodes=sum(row.node for row in rows),
        coverage=COVERAGE,
        lut=coefficients["lut"],
        ff=coefficients["ff"],
        lut_spread=spreads["lut"],
        ff_spread=spreads["ff"],
    )


def _left_out(columns: _Columns, matrix: np.ndarray, values: np.ndarray, rows: Sequence[Measured]) -> np.ndarray:
    """Return predictions of every measurement by a fit to the designs of other parts."""
    order = {design: number for number, design in enumerate(sorted({row.design for row in rows}))}
    part = np.array([order[row.design] % LEFT_OUT for row in rows])
    nodes = np.array([row.node for row in rows])
    predicted = np.zeros(len(rows))
    for number in np.unique(part):
        out = part == number
        predicted[out] = matrix[out] @ columns.solve(matrix[~out], values[~out], nodes[~out])
    return predicted
