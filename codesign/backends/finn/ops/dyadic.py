"""Multiply and shift: as thresholds, which FINN re-quantises by."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Unit, thresholding
from codesign.backends.qonnx import staircase
from codesign.ir.ops import Dyadic


def write(place: FinnPlace) -> None:
    """Add the node."""
    op: Dyadic = place.op
    if not staircase.is_staircase(op):
        place.refuse(
            f"FINN re-quantises by thresholds, and this one has falling channels or more than {staircase.MAX_BITS} bits"
        )
    levels = staircase.thresholds(op, place.x.type)
    place.thresholds(place.read(np.float32), levels, op.type.min)


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    channels, vectors = place.y.channels, place.y.size // place.y.channels
    return [thresholding(channels, vectors, (1 << place.op.type.bits) - 1, (place.bits_in, place.bits_out))]
