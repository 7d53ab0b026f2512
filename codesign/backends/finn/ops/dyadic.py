"""Multiply and shift: as thresholds, which FINN re-quantises by."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
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
