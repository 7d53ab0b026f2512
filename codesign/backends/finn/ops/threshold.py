"""Thresholds: a thresholding layer."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.ir.ops import Threshold


def write(place: FinnPlace) -> None:
    """Add the node."""
    op: Threshold = place.op
    place.thresholds(place.read(np.float32), op.thresholds, op.offset)
