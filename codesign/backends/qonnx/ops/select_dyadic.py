"""Multiply and shift by constants that an index chooses."""

from __future__ import annotations

import numpy as np

from codesign.backends.qonnx import requantise, selection
from codesign.backends.qonnx.place import Place
from codesign.ir.ops import SelectDyadic


def write(place: Place) -> None:
    """Add the nodes."""
    op: SelectDyadic = place.op
    carriers = [requantise.dyadic_carrier(place, choice) for choice in op.choices]
    dtype = max(carriers, key=lambda carrier: np.dtype(carrier).itemsize)
    multiplier, constant, factor = (
        selection.gather(place, place.per_channel(values).astype(dtype))
        for values in (op.multiplier, op.bias + op.half, np.ldexp(1.0, -op.shift))
    )
    place.finish(requantise.multiply_shift(place, dtype, multiplier, constant, factor, op.type.min, op.type.max))
