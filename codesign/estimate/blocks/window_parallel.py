"""`window_parallel`: a memory for each row, columns in a register, and the window."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counters, log2, multiplexer

LUT = {
    "control": 20.0,
    "address": 2.0,
    "row": 5.0,
    "column": 2.0,
    "slot": 3.0,
    "tap": 4.0,
    "counter": 1.3,
    "memory": 1.0,
    "multiplexer": 0.4,
    "select": 1.0,
    "delay": 1.0,
}
FF = {"register": 1.0, "address": 1.0, "row": 1.0, "stored": 1.0, "held": 1.0, "window": 1.0, "memory": 1.0}
DEEPEST = 32
"""Places of a shift register in a lookup table."""


def census(block: Block) -> Census:
    """Return what a window is made of."""
    p = block.parameters
    words = p["COLUMNS_IN"] * p["FOLD"]
    slot = log2(p["ROWS"])
    high = (p["ROWS_OUT"] - 1) * p["STRIDE_H"] + p["KERNEL_H"]
    wide = (p["COLUMNS_OUT"] - 1) * p["STRIDE_W"] + p["KERNEL_W"]
    y = log2(max(high, p["ROWS_IN"]) + p["STRIDE_H"] + p["PAD_TOP"] + 1) + 1
    x = log2(max(wide, p["COLUMNS_IN"]) + p["PAD_LEFT"] + 1) + 1
    column = p["KERNEL_H"] * p["WIDTH"]
    counts = counters(p["ROWS_OUT"], p["FOLD"], p["REPEAT"])
    left = log2(p["KERNEL_W"] + p["STRIDE_W"] + 1)
    held = block.technology.memories.distributed(words, p["WIDTH"])
    rows = p["ROWS"]
    found = Census(technology=block.technology)
    found.add(control=1, slot=slot, tap=p["KERNEL_H"])
    found.carry("address", log2(words))
    found.carry("row", y)
    found.carry("column", x)
    found.carry("counter", *counts, left)
    if words > 1:
        found.add(memory=rows * held.luts, multiplexer=rows * (held.banks - 1) * p["WIDTH"])
        found.register(memory=rows * held.registers)
        found.bram36 = rows * held.bram36
    # A tap is a bit of one of the rows, or zero.
    found.add(select=column * max(1, multiplexer(rows, block.technology.lookup)))
    before = p["KERNEL_W"] - 1
    if block.technology.shifts(p["FOLD"]):
        found.add(delay=before * column * -(-p["FOLD"] // DEEPEST))
    else:
        found.register(held=before * p["FOLD"] * column)
    found.register(register=log2(rows + 1) + 3 * slot + sum(counts) + left + x + 3, address=2 * log2(words), row=2 * y)
    # One word is a register, and that which is read of a block memory is the memory's own.
    stored = 2 if words == 1 else 0 if held.bram36 else 1
    found.register(stored=rows * p["WIDTH"] * stored + p["KERNEL_H"], window=p["KERNEL_W"] * column)
    return found
