"""`lane_adapter`: registers, and a counter."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import log2

LUT = {"widen": 3.0, "narrow": 4.0, "count": 1.0, "shift": 1.0, "choice": 0.5}
FF = {"register": 1.0}
WIDE_COUNT = 3
"""Bits of the count of parts with which such a choice has more than six inputs."""


def census(block: Block) -> Census:
    """Return what an adapter is made of."""
    p = block.parameters
    bits, lanes, wanted = p["BITS"], p["IN"], p["OUT"]
    found = Census(technology=block.technology)
    if lanes < wanted:
        count = log2(wanted // lanes)
        found.add(widen=1)
        found.carry("count", count)
        found.register(register=count + 1 + (2 * wanted - lanes) * bits)
    else:
        count = log2(lanes // wanted + 1)
        # The last part comes from nowhere but the input.
        found.add(narrow=1, shift=(lanes - wanted) * bits)
        found.carry("count", count)
        if count >= WIDE_COUNT and block.behind == "stream_fifo":
            # Whether the FIFO has room goes into the choice of every bit, which then takes two tables.
            found.add(choice=(lanes - wanted) * bits)
        found.register(register=count + lanes * bits)
    return found
