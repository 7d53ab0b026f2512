"""Integer edges of a network being lowered, and what they mean as real numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from codesign.frontends.requantize import Affine, Grid
from codesign.frontends.selected import Selector
from codesign.ir.operator import Operator

ALIGNING_BITS = 16
"""Widest multiplier that brings integers of unlike scales to a common one."""


@dataclass(frozen=True)
class Value:
    """An integer edge and what it means.

    Parameters
    ----------
    edge : str
        Edge of the graph being built, channels last.
    affines : tuple of Affine
        One per channel of the edge's last axis.
    selector : Selector or None
        Behind an adaptive step: what picks, per frame, a factor of all scales.
    """

    edge: str
    affines: tuple[Affine, ...]
    selector: Selector | None = None

    @property
    def scale(self) -> Fraction | None:
        """The scale if the edge is plainly scale·integer in every channel, else None."""
        first = self.affines[0]
        same = all(a.scale == first.scale and a.offset == 0 and a.linear for a in self.affines)
        return first.scale if same and self.selector is None else None


@dataclass(frozen=True)
class Requantization:
    """How one quantiser of the model was frozen, for the float64 reference model.

    Parameters
    ----------
    edge_in, edge_out : str
        Edges of the unsimplified graph.
    affines : tuple of Affine
        Meaning of the incoming edge per channel.
    grid : Grid
    op : Threshold, Dyadic, SelectThreshold or SelectDyadic
    selector : Selector or None
        Of the incoming edge's meaning; for the two operators that select.
    """

    edge_in: str
    edge_out: str
    affines: tuple[Affine, ...]
    grid: Grid
    op: Operator
    selector: Selector | None = None


def common_divisor(a: Fraction, b: Fraction) -> Fraction:
    """Return the largest positive rational of which both are integer multiples."""
    denominator = math.lcm(a.denominator, b.denominator)
    return Fraction(math.gcd(int(a * denominator), int(b * denominator)), denominator)
