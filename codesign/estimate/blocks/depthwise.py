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
FF = {"control": 1.0, "input": 1.0, "weight": 1.0, "product": 1.0, "accumulator": 1.0, "block": 0.05}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    lanes, x, w, acc = p["LANES"], p["X"], p["W"], p["ACC"]
    words = p["FOLD"] * p["TAPS"]
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], lanes * w))
    count = log2(words) + counter(p["TAPS"]) + log2(p["FOLD"])
    marks = 4 if p["TAPS"] > 1 else 0
    found = Census(bram36=weights.bram36)
    found.add(control=1, counter=count, **weights.logic)
    found.register(control=count + marks + 3, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    if block.dsp and multiply.takes_block(x, p["X_SIGNED"], w):
        found.dsp = lanes
        found.add(block=lanes * acc)
        found.register(block=lanes * (2 * x + w + acc))
    else:
        found.add(**multiply.luts(x, w, lanes), accumulator=lanes * acc if p["TAPS"] > 1 else 0)
        found.register(input=lanes * x, product=lanes * (x + w), accumulator=lanes * acc)
    if p["BIAS"]:
        read = table("logic", p["FOLD"], block.bits(p["BIASES"], lanes * acc))
        found.add(**read.logic, start=lanes * acc)
        found.register(weight=read.registers, control=2 * log2(p["FOLD"]))
    return found
