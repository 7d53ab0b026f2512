"""`reduce`: the result so far, and a sum or a comparison, for each lane."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counter

LUT = {"control": 4.0, "counter": 1.3, "sum": 1.2, "greatest": 1.6}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    bits, count = p["LANES"] * p["Y"], counter(p["COUNT"])
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("counter", count)
    if p["COUNT"] > 1:
        found.carry("greatest" if p["MAX"] else "sum", p["Y"], count=p["LANES"])
    # One bit more than the output has, for the copied sign of a greatest; sums of two's complement need it.
    found.register(register=count + 1 + bits + (p["LANES"] if p["X_SIGNED"] and not p["MAX"] else 0))
    return found
