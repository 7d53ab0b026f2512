"""How QONNX names integer types, and which float carries their values exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.ir import IntType
from codesign.ir.exact import FLOAT32_EXACT, FLOAT64_EXACT
from codesign.ir.types import weight_bits


def name(type: IntType) -> str:
    """Return the QONNX datatype that holds every value of an integer type.

    QONNX has no signed type of one bit (-1 and 0): that one is ``INT2``.
    """
    if type.signed:
        return f"INT{max(2, type.bits)}"
    return "BINARY" if type.bits == 1 else f"UINT{type.bits}"


def of_weights(values: np.ndarray) -> str:
    """Return the narrowest QONNX datatype of signed weights; ``BIPOLAR`` where all are -1 or 1."""
    if bool((np.abs(values) == 1).all()):
        return "BIPOLAR"
    return f"INT{max(2, weight_bits(values))}"


def of_values(values: np.ndarray) -> str:
    """Return the narrowest QONNX datatype that holds every element of an array."""
    return name(IntType.for_range(int(values.min()), int(values.max())))


def carrier(largest: int) -> Any | None:
    """Return the narrowest float in which every integer of magnitude up to `largest` is exact, None without one."""
    if largest <= FLOAT32_EXACT:
        return np.float32
    return np.float64 if largest <= FLOAT64_EXACT else None


def magnitude(type: IntType) -> int:
    """Return the largest absolute value of a type."""
    return max(-type.min, type.max)
