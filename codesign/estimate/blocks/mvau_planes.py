"""`mvau_planes`: tables and adders of a function written for the node, and accumulators."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import TABLE, log2, multiplexer, table

LUT = {
    "control": 8.0,
    "counter": 1.3,
    "look_up": 1.0,
    "wide_look_up": 2.0,
    "adder": 1.0,
    "choice": 1.0,
    "horner": 1.0,
    "accumulator": 1.0,
    "direct": 0.3,
    "shifted": 0.5,
    **TABLE,
}
FF = {"control": 1.0, "input": 1.0, "function": 1.0, "plane": 1.0, "constant": 1.0, "accumulator": 1.0}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    pe, simd, planes, made = p["PE"], p["SIMD"], p["PLANES"], block.function
    # Of weights that are all even, say, sums have bits that are always 0.
    acc, sums = p["ACC"] - made["zeros"], p["SUM"] - made["zeros"]
    turns, words = p["X"] // planes, p["FOLD_IN"] * p["FOLD_OUT"]
    depth = p["DELAY"] + (2 if planes > 1 else 1)
    read = table("logic", p["FOLD_OUT"] * turns, block.bits(p["CONSTANTS"], pe * p["ACC"]), block.technology)
    counts = log2(words), log2(words), log2(p["FOLD_IN"]), log2(turns)
    constants = log2(p["FOLD_OUT"] * turns)
    found = Census(technology=block.technology)
    # With so many words, their address alone fills a lookup table.
    kind = "wide_look_up" if log2(words) >= block.technology.lookup else "look_up"
    found.add(control=1, adder=planes * made["adder"], **{kind: planes * made["table"]})
    found.carry("counter", *counts, constants)
    found.add(choice=simd * planes * multiplexer(turns, block.technology.lookup), **read.logic)
    found.carry("accumulator" if p["FOLD_IN"] * turns > 1 else "direct", acc, count=pe)
    if turns > 1:
        found.add(shifted=pe * acc)
    total = sums + planes
    if planes > 1:
        # The bits of a sum that lie below the next plane pass by its adder.
        found.carry("horner", sums + 1, count=pe * (planes - 1))
        found.register(plane=pe * total)
    marks = depth + (depth if words > 1 or turns > 1 else 0) * 2
    found.register(control=sum(counts) + 2 * constants + log2(words) + marks + 1, input=simd * planes)
    found.register(function=planes * made["register"], constant=read.registers, accumulator=pe * acc)
    return found
