"""`pool_rows`: partial results of a row of outputs in lookup tables, and a sum or a comparison for each lane."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counters, log2

LUT = {
    "control": 8.0,
    "counter": 1.3,
    "address": 1.5,
    "memory": 1.0,
    "multiplexer": 0.5,
    "sum": 1.2,
    "greatest": 1.6,
}
FF = {"register": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    words = p["COLUMNS_IN"] // p["KERNEL_W"] * p["FOLD"]
    bits = p["LANES"] * p["Y"]
    counts = counters(p["FOLD"], p["KERNEL_H"], p["KERNEL_W"], p["ROWS_IN"], p["COLUMNS_IN"])
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("counter", *counts)
    found.carry("address", log2(words))
    held = block.technology.memories.distributed(words, bits)
    # A window of one value is that value: nothing is added, and what is held never read.
    alone = p["KERNEL_H"] * p["KERNEL_W"] == 1
    if not alone:
        found.carry("greatest" if p["MAX"] else "sum", p["Y"], count=p["LANES"])
    if words > 1 and not alone:
        found.add(memory=held.luts, multiplexer=(held.banks - 1) * bits)
    # One word is a register, the same as that of the output where all of the frame is used.
    rest = p["ROWS_IN"] % p["KERNEL_H"] or p["COLUMNS_IN"] % p["KERNEL_W"]
    found.register(register=sum(counts) + log2(words) + 1 + bits + (bits if words == 1 and rest else 0))
    return found
