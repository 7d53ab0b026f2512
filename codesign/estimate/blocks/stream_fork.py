"""`stream_fork`: who has taken the word."""

from __future__ import annotations

from codesign.estimate.census import Block, Census

LUT = {"control": 1.0, "reader": 2.0}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    readers = block.parameters["N"]
    found = Census(technology=block.technology)
    found.add(control=1, reader=readers)
    found.register(register=readers)
    return found
