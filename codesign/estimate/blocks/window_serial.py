"""`window_serial`: a buffer of rows, the walk of the reader over it, and zeros for the padding."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counter, counters, log2

LUT = {
    "control": 10.0,
    "pixel": 20.0,
    "pixel_advance": 6.0,
    "pixel_wrap": 2.0,
    "pixel_counter": 2.0,
    "pixel_mask": 0.4,
    "address": 6.0,
    "advance": 3.0,
    "wrap": 1.5,
    "row": 6.0,
    "column": 2.5,
    "counter": 1.3,
    "memory": 1.0,
    "multiplexer": 0.4,
    "bank": 1.0,
    "mask": 1.0,
    "stride": 1.0,
}
FF = {"register": 1.0, "address": 1.0, "row": 1.0, "column": 1.0, "select": 1.0, "memory": 1.0}


def census(block: Block) -> Census:
    """Return what a window is made of."""
    p = block.parameters
    words = p["COLUMNS_IN"] * p["FOLD"]
    total = p["ROWS"] * words
    address = log2(total + 1)
    high = (p["ROWS_OUT"] - 1) * p["STRIDE_H"] + p["KERNEL_H"]
    wide = (p["COLUMNS_OUT"] - 1) * p["STRIDE_W"] + p["KERNEL_W"]
    y = log2(max(high, p["ROWS_IN"]) + p["STRIDE_H"] + p["PAD_TOP"] + 1) + 1
    x = log2(max(wide, p["COLUMNS_IN"]) + p["STRIDE_W"] + p["PAD_LEFT"] + 1) + 1
    group = p["FOLD"] // p["GROUPS"]
    taps = counters(p["KERNEL_H"], p["KERNEL_W"], p["GROUPS"], group, p["REPEAT"])
    places = counters(p["ROWS_OUT"], p["COLUMNS_OUT"])
    block_memory = p["STYLE"] == "block"
    memories = block.technology.memories
    held = memories.block(total, p["WIDTH"], writes=True) if block_memory else memories.distributed(total, p["WIDTH"])
    # Numbers below a power of two come round by themselves.
    advance = "wrap" if total & (total - 1) == 0 else "advance"
    # A frame of one pixel, as behind a dense layer, has one row and one column.
    pixel = p["ROWS_IN"] == p["COLUMNS_IN"] == 1
    found = Census(bram36=held.bram36, technology=block.technology)
    found.register(memory=held.registers)
    found.add(memory=held.luts, multiplexer=(held.banks - 1) * p["WIDTH"], bank=held.banks - 1)
    if pixel:
        found.add(pixel=1, pixel_mask=p["WIDTH"])
        found.carry("pixel_counter", *taps)
        found.carry(f"pixel_{advance}", address)
    else:
        found.add(control=1)
        found.carry("address", address)
        found.carry("row", y)
        found.carry("column", x)
        found.carry("counter", *taps, *places)
        found.carry(advance, address, count=1 + (p["KERNEL_H"] > 1) + (p["ROWS_OUT"] > 1))
        found.carry("stride", (p["STRIDE_H"] > 1) * y, (p["STRIDE_W"] > 1) * x)
        # Where there is no padding, that is not seen.
        found.add(mask=p["WIDTH"])
    found.register(register=counter(p["ROWS"]) + sum(taps) + sum(places) + 1 + (0 if held.bram36 else p["WIDTH"]))
    found.register(address=address * 5 + (address if words > 1 else 0), row=3 * y, column=2 * x)
    if held.bram36:
        found.register(select=log2(held.banks))
    return found
