"""`select_threshold`: `threshold`, and the index of a frame."""

from __future__ import annotations

from codesign.estimate.blocks import threshold
from codesign.estimate.census import Block, Census
from codesign.estimate.control import index

LUT = {**threshold.LUT, "index": 8.0, "place": 1.3}
FF = threshold.FF

OF = "threshold"
"""Whose coefficients it has."""


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    found = threshold.census(block)
    count, registers = index(p["WORDS"], p["INDEX"])
    found.add(index=1)
    found.carry("place", count, p["INDEX"])
    found.register(control=registers)
    return found
