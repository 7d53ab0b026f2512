"""`arg_max`: a comparison with the greatest so far."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import log2

LUT = {"control": 6.0, "counter": 1.3, "compare": 0.5, "index": 1.0}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    count, value = log2(p["FEATURES"] + 1), p["X"] + (1 if p["X_SIGNED"] else 0)
    found = Census(technology=block.technology)
    found.add(control=1, index=p["Y"])
    found.carry("counter", count)
    found.carry("compare", value)
    # The copied sign of an unsigned value is 0.
    found.register(register=count + 1 + value + 2 * p["Y"])
    return found
