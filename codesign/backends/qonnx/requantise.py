"""Nodes that several re-quantisations share."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.document import GENERAL
from codesign.backends.qonnx.place import Place
from codesign.ir.exact import FLOAT32_EXACT
from codesign.ir.ops import Dyadic


def compare_carrier(place: Place) -> Any:
    """Return the float in which an input and its thresholds, at most one above its range, compare exactly."""
    x = place.x.type
    return place.carrier(max(-x.min, x.max + 1), f"its input {x}")


def multi_threshold(place: Place, tensor: str, thresholds: str, offset: int) -> str:
    """Add a MultiThreshold and return its output."""
    if abs(offset) > FLOAT32_EXACT:
        place.refuse(f"its offset {offset} exceeds a float32 attribute")
    return place.add(
        "MultiThreshold",
        [tensor, thresholds],
        place.shape(place.x),
        place.document.dtype(tensor),
        domain=GENERAL,
        out_dtype=datatypes.name(place.y.type),
        out_bias=float(offset),
        data_layout=place.layout,
    )


def multiply_shift(place: Place, dtype: Any, multiplier: str, constant: str, factor: str, low: int, high: int) -> str:
    """Add clamp(floor((x·multiplier + constant)·factor)) and return its output; `factor` is a power of two."""
    shape = place.shape(place.x)
    y = place.add("Mul", [place.read(dtype), multiplier], shape, dtype)
    y = place.add("Add", [y, constant], shape, dtype)
    y = place.add("Mul", [y, factor], shape, dtype)
    y = place.add("Floor", [y], shape, dtype)
    limits = [place.constant(np.array(limit), dtype) for limit in (low, high)]
    if dtype == np.float32:
        return place.add("Clip", [y, *limits], shape, dtype)
    # The Clip of this opset has no float64.
    return place.add("Min", [place.add("Max", [y, limits[0]], shape, dtype), limits[1]], shape, dtype)


def dyadic_carrier(place: Place, dyadic: Dyadic) -> Any:
    """Return the float in which every step of a multiply and shift is exact."""
    steps = [dyadic.intermediate_type(place.x), dyadic.type, place.x.type]
    constants = [int(np.abs(dyadic.multiplier).max()), max(abs(int(c)) for c in dyadic.bias + dyadic.half)]
    return place.carrier(max(*constants, *map(datatypes.magnitude, steps)), "its product")
