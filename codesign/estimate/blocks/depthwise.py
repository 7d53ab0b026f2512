"""`depthwise`: a product and an accumulator for each lane."""

from __future__ import annotations

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.logic import TABLE, counter, log2, table

LUT = {
    "control": 6.0,
    "counter": 1.3,
    **TABLE,
    "accumulator": 1.0,
    "block": 0.1,
    "start": 0.5,
    **multiply.LUT,
}
FF = {
    "control": 1.0,
    "input": 1.0,
    "weight": 1.0,
    "product": 1.0,
    "accumulator": 1.0,
    "block": 0.05,
    "block_input": 0.5,
}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    lanes, x, w, acc = p["LANES"], p["X"], p["W"], p["ACC"]
    words = p["FOLD"] * p["TAPS"]
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], lanes * w), block.technology)
    counts = log2(words), counter(p["TAPS"]), log2(p["FOLD"])
    marks = 4 if p["TAPS"] > 1 else 0
    found = Census(bram36=weights.bram36, technology=block.technology)
    found.add(control=1, **weights.logic)
    found.carry("counter", *counts)
    found.register(control=sum(counts) + marks + 3, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    hard = multiply.takes_block(block, x, p["X_SIGNED"], w)
    if hard:
        multiply.into_blocks(found, lanes, x + (not p["X_SIGNED"]), w)
    else:
        found.add(**multiply.luts(x, w, block.technology, lanes))
    if hard and block.technology.absorbs:
        found.add(block=lanes * acc)
        found.register(block=lanes * (2 * x + w + acc))
    else:
        if p["TAPS"] > 1:
            found.carry("accumulator", acc, count=lanes)
        within = multiply.pipelined(block, hard)
        found.register(**{"block_input" if within and p["X_SIGNED"] else "input": lanes * x})
        found.register(accumulator=lanes * acc, **{"block" if within else "product": lanes * (x + w)})
    if p["BIAS"]:
        read = table("logic", p["FOLD"], block.bits(p["BIASES"], lanes * acc), block.technology)
        found.add(**read.logic, start=lanes * acc)
        found.register(weight=read.registers, control=2 * log2(p["FOLD"]))
    return found
