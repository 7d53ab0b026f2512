"""Multiplications: which take a multiplier block in Yosys, and what the others are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from codesign.estimate.logic import LOOKUP

LEAST_PRODUCT = 9
"""Bits of a product from which Yosys takes a block (`DSP_Y_MINWIDTH`)."""
LEAST_OPERAND = 2

LUT: Mapping[str, float] = {
    "sign": 1.0,
    "mask": 0.7,
    "small": 1.2,
    "looked_up": 1.0,
    "compressor": 2.0,
    "carry": 1.0,
}
"""Of a product in lookup tables: by one bit, of one bit, by two bits, of six bits together, and of more: full adders
that make two rows of all, two tables each, and the adder of the last two."""
FIXED: Mapping[str, float] = {"fixed_compressor": 1.6, "fixed_carry": 0.8}
"""Of a product by a constant, which has a row for each 1 in it."""


def takes_block(x: int, signed: bool, w: int) -> bool:
    """Return whether a product of an input of `x` bits by a signed weight of `w` bits takes a block."""
    return x + w >= LEAST_PRODUCT and min(x + (not signed), w) >= LEAST_OPERAND


def luts(x: int, w: int, count: int = 1) -> dict[str, float]:
    """Return the amounts of `LUT` of so many products of `x` bits by `w`."""
    small, large = sorted((x, w))
    if small == 1:
        return {"sign" if w == 1 else "mask": float(count * (large + 1))}
    if small == 2:
        return {"small": float(count * (large + 1))}
    if x + w <= LOOKUP:
        # Each bit of the product is one function of all bits of its operands.
        return {"looked_up": float(count * (x + w))}
    return _rows(small, large, count, "")


def fixed(x: int, ones: Iterable[int]) -> dict[str, float]:
    """Return the amounts of `FIXED` of products of `x` bits by constants with so many ones each."""
    found: dict[str, float] = dict.fromkeys(FIXED, 0.0)
    for count in ones:
        if count > 1:
            small, large = sorted((x, count))
            for name, amount in _rows(small, large, 1, "fixed_").items():
                found[name] += amount
    return found


def _rows(rows: int, bits: int, count: int, prefix: str) -> dict[str, float]:
    compressor, carry = max(0, rows - 2) * (bits + rows / 2), rows + bits
    return {f"{prefix}compressor": float(count * compressor), f"{prefix}carry": float(count * carry)}
