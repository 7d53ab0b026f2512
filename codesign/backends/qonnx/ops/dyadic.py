"""Multiply and shift: thresholds where it rises and has few levels, arithmetic otherwise."""

from __future__ import annotations

import numpy as np

from codesign.backends.qonnx import datatypes, requantise, staircase
from codesign.backends.qonnx.place import Place
from codesign.ir.ops import Dyadic


def write(place: Place) -> None:
    """Add the nodes."""
    op: Dyadic = place.op
    if staircase.is_staircase(op):
        dtype = requantise.compare_carrier(place)
        levels = staircase.thresholds(op, place.x.type)
        constant = place.constant(levels, dtype, datatypes.of_values(levels))
        place.finish(requantise.multi_threshold(place, place.read(dtype), constant, op.type.min))
        return
    dtype = requantise.dyadic_carrier(place, op)
    multiplier, constant, factor = (
        place.document.constant(place.name, place.per_channel(values).astype(dtype))
        for values in (op.multiplier, op.bias + op.half, np.ldexp(1.0, -op.shift))
    )
    place.finish(requantise.multiply_shift(place, dtype, multiplier, constant, factor, op.type.min, op.type.max))
