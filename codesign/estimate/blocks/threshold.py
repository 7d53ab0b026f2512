"""`threshold`: comparisons of all thresholds at once, and the count of those that are reached."""

from __future__ import annotations

import numpy as np

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import TABLE, log2, table

LUT = {
    "control": 5.0,
    "counter": 1.3,
    **TABLE,
    "compare": 0.5,
    "constant": 0.2,
    "short_constant": 0.45,
    "count": 1.0,
}
FF = {"control": 1.0, "input": 1.0, "table": 1.0, "reached": 1.0, "output": 1.0}
CARRIED = 13
"""Bits from which a comparison with a constant goes along a carry chain of two cells and more."""


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    lanes, bits = p["LANES"], p["T"]
    words, width = p["FOLD"] * p["ENTRIES"], lanes * p["COUNT"] * bits
    read = table(p["STYLE"], words, block.bits(p["THRESHOLDS"], width), block.technology)
    found = Census(bram36=read.bram36, technology=block.technology)
    found.add(control=1, **read.logic)
    found.carry("counter", log2(p["FOLD"]))
    found.register(control=log2(p["FOLD"]) + 3, input=lanes * p["X"], table=read.registers, output=lanes * p["Y"])
    # A threshold that varies is compared on a carry chain, two bits in a lookup table; one that does not takes less,
    # and none where it repeats another one or is always or never reached.
    if words == 1:
        seen = distinct(block)
        found.carry("short_constant" if bits < CARRIED else "constant", bits, count=sum(seen))
        found.add(count=sum(adders(each) for each in seen))
        found.register(reached=sum(seen))
    else:
        found.carry("compare", bits, count=lanes * p["COUNT"])
        found.add(count=lanes * adders(p["COUNT"]))
        found.register(reached=lanes * p["COUNT"])
        if p["STYLE"] == "logic":
            found.register(control=log2(words))
    return found


def distinct(block: Block) -> list[int]:
    """Return for every lane how many different thresholds lie in the range of the input, where there is one word."""
    p = block.parameters
    width = p["LANES"] * p["COUNT"] * p["T"]
    fields = block.bits(p["THRESHOLDS"], width).reshape(p["LANES"], p["COUNT"], p["T"]).astype(np.int64)
    weights = 1 << np.arange(p["T"], dtype=np.int64)
    # Two's complement.
    weights[-1] = -weights[-1]
    values = fields @ weights
    least = -(1 << (p["X"] - 1)) if p["X_SIGNED"] else 0
    most = (1 << (p["X"] - p["X_SIGNED"])) - 1
    return [len({v for v in lane if least < v <= most}) for lane in values.tolist()]


def adders(count: int) -> int:
    """Return the lookup tables that count so many bits: full adders of three bits, two tables each."""
    return 2 * (count - count.bit_count()) if count > 1 else 0
