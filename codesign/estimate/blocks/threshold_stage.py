"""`threshold_stage`: one comparison for each lane, with a threshold that depends on those before."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import TABLE, log2, table

LUT = {"control": 3.0, "counter": 1.3, **TABLE, "compare": 0.5, "constant": 0.3, "last": 0.5}
FF = {"control": 1.0, "input": 1.0, "table": 1.0}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    lanes, bits, stage, fold = p["LANES"], p["T"], p["STAGE"], p["FOLD"]
    words = fold << stage
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("counter", log2(fold))
    found.register(control=log2(fold) + 1, input=lanes * (stage + p["X"]))
    contents = block.bits(p["THRESHOLDS"], bits).reshape(fold, -1, 1 << stage, bits)
    for lane in range(lanes):
        read = table(p["STYLE"], words, contents[:, lane].reshape(words, bits), block.technology)
        found.add(**read.logic)
        found.register(table=read.registers)
        found.bram36 += read.bram36
    if p["STYLE"] == "logic":
        # The number so far is kept anyway.
        found.register(control=log2(fold))
    found.carry("constant" if words == 1 else "compare", bits, count=lanes)
    if p["LAST"] and p["OFFSET"]:
        found.add(last=lanes * p["Y"])
    return found
