"""`lane_adapter`: registers, and a counter."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import log2

LUT = {"widen": 3.0, "narrow": 4.0, "count": 1.0, "shift": 1.0}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what an adapter is made of."""
    p = block.parameters
    bits, lanes, wanted = p["BITS"], p["IN"], p["OUT"]
    found = Census()
    if lanes < wanted:
        count = log2(wanted // lanes)
        found.add(widen=1, count=count)
        found.register(register=count + 1 + (2 * wanted - lanes) * bits)
    else:
        count = log2(lanes // wanted + 1)
        # The last part comes from nowhere but the input.
        found.add(narrow=1, count=count, shift=(lanes - wanted) * bits)
        found.register(register=count + lanes * bits)
    return found
