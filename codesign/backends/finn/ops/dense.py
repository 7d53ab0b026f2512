"""Fully connected layer."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.products import matrix_units
from codesign.backends.finn.units import Unit
from codesign.ir.ops import Dense


def write(place: FinnPlace) -> None:
    """Add the nodes."""
    op: Dense = place.op
    place.end(place.product(place.read(np.float32), op.values()))


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    return matrix_units(place, place.op.values(), 1)
