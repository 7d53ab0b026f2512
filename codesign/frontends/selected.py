"""Re-quantisation of an edge whose scale is chosen per frame: one table of constants per entry of a codebook.

An adaptive step (ASQ) multiplies the scale of an edge by one of a few known factors, which a small network
picks for every frame. Every constant behind it exists once per factor, each as exact as without the factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from codesign.errors import UserError
from codesign.frontends.requantize import Affine, Grid, requantizer, threshold_operator
from codesign.ir.ops import Dyadic, SelectDyadic, SelectThreshold, Threshold
from codesign.ir.types import IntType


@dataclass(frozen=True)
class Selector:
    """The edge that picks a factor for each frame.

    Parameters
    ----------
    edge : str
        Unsigned integers of shape (1,), the position in `factors`.
    factors : tuple of Fraction
        Ascending and positive.
    """

    edge: str
    factors: tuple[Fraction, ...]

    def meanings(self, affines: Sequence[Affine]) -> list[tuple[Affine, ...]]:
        """Return the meaning of the edge's channels for each factor."""
        return [tuple(replace(a, scale=factor * a.scale) for a in affines) for factor in self.factors]


def selected_requantizer(
    affines: Sequence[Affine], factors: Sequence[Fraction], grid: Grid, input_type: IntType
) -> SelectThreshold | SelectDyadic:
    """Return the operator that turns integers of an edge into the quantiser's integers, for every factor.

    Parameters
    ----------
    affines : sequence of Affine
        Meaning per channel for a factor of 1, scales not negative.
    factors : sequence of Fraction
        Positive, one per entry.
    grid : Grid
    input_type : IntType
        Of the edge.

    Raises
    ------
    UserError
        When a quantiser of more than 8 bits needs thresholds.
    """
    meanings = Selector("", tuple(factors)).meanings(affines)
    found = [requantizer(meaning, grid, input_type) for meaning in meanings]
    dyadics = [op for op in found if isinstance(op, Dyadic)]
    if len(dyadics) == len(found) and all(op.type == dyadics[0].type for op in dyadics):
        rows = max(len(op.multiplier) for op in dyadics)
        multiplier, bias, shift = (
            np.stack([np.broadcast_to(getattr(op, name), rows) for op in dyadics])
            for name in ("multiplier", "bias", "shift")
        )
        return SelectDyadic(multiplier, bias, shift, dyadics[0].type)
    if grid.high - grid.low > 255:
        raise UserError("a quantiser of more than 8 bits behind an adaptive step is not supported; use at most 8 bits.")
    thresholds = [
        op if isinstance(op, Threshold) else threshold_operator(meaning, grid, input_type)
        for op, meaning in zip(found, meanings, strict=True)
    ]
    rows = max(len(op.thresholds) for op in thresholds)
    table = np.stack([np.broadcast_to(op.thresholds, (rows, op.thresholds.shape[1])) for op in thresholds])
    return SelectThreshold(table, thresholds[0].offset)
