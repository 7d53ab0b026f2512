"""Thresholds that an index chooses: a MultiThreshold whose thresholds are gathered."""

from __future__ import annotations

from codesign.backends.qonnx import datatypes, requantise, selection, staircase
from codesign.backends.qonnx.place import Place
from codesign.ir.ops import SelectThreshold


def write(place: Place) -> None:
    """Add the nodes."""
    op: SelectThreshold = place.op
    dtype = requantise.compare_carrier(place)
    levels = staircase.within(op.thresholds, place.x.type)
    chosen = selection.gather(place, levels.reshape(op.entries, -1).astype(dtype), datatypes.of_values(levels))
    rows = selection.reshape(place, chosen, levels.shape[1:])
    place.finish(requantise.multi_threshold(place, place.read(dtype), rows, op.offset))
