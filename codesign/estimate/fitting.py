"""Coefficients from measurements: least relative errors, kept near to what is known of the cells; and their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.estimate import model
from codesign.estimate.census import Census
from codesign.estimate.model import JOINT, Fit, Spread

COVERAGE = 0.9
"""Share of operators that intervals are to hold."""
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

    def __init__(self, resource: str) -> None:
        self.resource = resource
        priors = model.priors(resource)
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
        """Return the coefficients with the least sum of squared relative errors, none of them negative.

        Knowledge beforehand is a measurement of its own, and decides alone where there is no other.
        """
        from scipy.optimize import nnls

        weight = np.where(nodes, WHOLE, 1) / (NOISE[self.resource] * (values + FLOOR))
        trust = np.where(self.prior == 1, CERTAIN[self.resource], TRUST)
        certain = 1 / (trust * np.maximum(self.prior, SMALLEST))
        left = np.concatenate([matrix * weight[:, None], np.diag(certain)])
        right = np.concatenate([values * weight, self.prior * certain])
        return np.asarray(nnls(left, right, maxiter=100 * len(self.prior))[0])

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
        columns = _Columns(resource)
        matrix, values = columns.matrix(rows), np.array([getattr(row, resource) for row in rows], dtype=float)
        coefficients[resource] = columns.by_module(columns.solve(matrix, values, nodes))
        predicted = _left_out(columns, matrix, values, rows)
        designs = np.array([row.design for row in rows])
        spreads[resource] = spread(values[nodes], predicted[nodes], designs[nodes])
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


def spread(measured: np.ndarray, predicted: np.ndarray, designs: np.ndarray) -> Spread:
    """Return how far predictions are off (split conformal: the order statistics that hold for the next one too).

    Parameters
    ----------
    measured, predicted : ndarray of float
    designs : ndarray of int
        Which each is of.

    References
    ----------
    Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005; Barber et al., Predictive inference with
    the jackknife+, 2021.
    """
    if not len(measured):
        return Spread(low=-0.5, high=1.0, floor=FLOOR, deviation=0.5, common=0.5)
    shares = np.sort((measured - predicted) / (predicted + FLOOR))
    rank = math.ceil((len(shares) + 1) * (0.5 + COVERAGE / 2)) - 1
    high = shares[min(rank, len(shares) - 1)]
    low = shares[max(len(shares) - 1 - rank, 0)]
    unsorted = (measured - predicted) / (predicted + FLOOR)
    return Spread(
        low=round(float(low), 4),
        high=round(float(high), 4),
        floor=FLOOR,
        deviation=round(float(np.sqrt(np.mean(unsorted**2))), 4),
        common=round(_common(unsorted, designs), 4),
    )


def _common(shares: np.ndarray, designs: np.ndarray) -> float:
    """Return the correlation of errors within a design, at least 0."""
    products, pairs = 0.0, 0
    for design in np.unique(designs):
        own = shares[designs == design]
        products += float(own.sum() ** 2 - (own**2).sum())
        pairs += len(own) * (len(own) - 1)
    square = float(np.mean(shares**2))
    return min(1.0, max(0.0, products / pairs / square)) if pairs and square else 0.0
