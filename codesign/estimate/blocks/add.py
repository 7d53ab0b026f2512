"""`add`: an adder and a register for each lane."""

from __future__ import annotations

from codesign.estimate.census import Block, Census

LUT = {"control": 3.0, "adder": 1.0}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    bits = block.parameters["LANES"] * block.parameters["Y"]
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("adder", block.parameters["Y"], count=block.parameters["LANES"])
    found.register(register=1 + bits)
    return found
