"""Thresholds: a thresholding layer."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import Unit, thresholding
from codesign.ir.ops import Threshold


def write(place: FinnPlace) -> None:
    """Add the node."""
    op: Threshold = place.op
    place.thresholds(place.read(np.float32), op.thresholds, op.offset)


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    channels, vectors = place.y.channels, place.y.size // place.y.channels
    return [thresholding(channels, vectors, place.op.levels - 1, (place.bits_in, place.bits_out))]
