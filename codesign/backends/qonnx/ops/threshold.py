"""Thresholds: QONNX's MultiThreshold."""

from __future__ import annotations

from codesign.backends.qonnx import datatypes, requantise, staircase
from codesign.backends.qonnx.place import Place
from codesign.ir.ops import Threshold


def write(place: Place) -> None:
    """Add the node."""
    op: Threshold = place.op
    dtype = requantise.compare_carrier(place)
    levels = staircase.within(op.thresholds, place.x.type)
    constant = place.constant(levels, dtype, datatypes.of_values(levels))
    place.finish(requantise.multi_threshold(place, place.read(dtype), constant, op.offset))
