"""`subsample`: counters of words, rows and columns."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counters

LUT = {"control": 5.0, "counter": 1.3}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    bits = counters(p["FOLD"], p["ROWS_IN"], p["COLUMNS_IN"], p["STRIDE_H"], p["STRIDE_W"])
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("counter", *bits)
    found.register(register=sum(bits))
    return found
