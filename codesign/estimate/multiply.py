"""Multiplications: which take a multiplier block in Yosys, and what the others are made of."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_PRODUCT = 9
"""Bits of a product from which Yosys takes a block (`DSP_Y_MINWIDTH`)."""
LEAST_OPERAND = 2

LUT: Mapping[str, float] = {
    "sign": 1.0,
    "mask": 0.7,
    "small": 1.2,
    "partial": 0.9,
    "carry": 0.5,
}
"""Of a product in lookup tables: by one bit, of one bit, by two bits, and of more."""


def takes_block(x: int, signed: bool, w: int) -> bool:
    """Return whether a product of an input of `x` bits by a signed weight of `w` bits takes a block."""
    return x + w >= LEAST_PRODUCT and min(x + (not signed), w) >= LEAST_OPERAND


def luts(x: int, w: int, count: int) -> dict[str, float]:
    """Return the amounts of `LUT` of so many products of `x` bits by `w`."""
    small, large = sorted((x, w))
    if small == 1:
        return {"sign" if w == 1 else "mask": float(count * (large + 1))}
    if small == 2:
        return {"small": float(count * (large + 1))}
    return {"partial": float(count * small * large), "carry": float(count * (small + large))}
