"""`mvau_shift`: shifted inputs, a tree of adders for each factor, and the factors' multiples of the sums."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import TABLE, log2, shifter, table, tree

LUT = {
    "control": 8.0,
    "counter": 1.3,
    "delay": 1.0,
    **TABLE,
    "shift": 1.0,
    "term": 1.0,
    "adder": 1.0,
    "accumulator": 1.0,
    "direct": 0.3,
    "start": 0.5,
    "multiple": 1.0,
}
FF = {
    "control": 1.0,
    "input": 1.0,
    "weight": 1.0,
    "product": 1.0,
    "tree": 1.0,
    "accumulator": 1.0,
    "result": 1.0,
}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    pe, simd, x = p["PE"], p["SIMD"], p["X"]
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], pe * simd * (p["K"] + 2)
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], width), block.technology)
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], log2(simd) // p["STEP"] + 2, True, block.technology)
    starts = pe * (p["SUM_A"] + p["SUM_B"])
    read = table("logic", p["FOLD_OUT"], block.bits(p["STARTS"], starts), block.technology)
    found = Census(bram36=weights.bram36, technology=block.technology)
    found.add(control=1, delay=steps.delay, **weights.logic)
    found.carry("counter", *steps.counters)
    found.add(**read.logic)
    found.register(control=steps.register + 1, input=simd * x, weight=weights.registers + read.registers)
    found.register(result=pe * p["ACC"], control=log2(p["FOLD_OUT"]))
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    parts = [(p["MOST_A"], p["SUM_A"], p["FIRST"])]
    if p["MOST_B"] >= 0:
        parts.append((p["MOST_B"], p["SUM_B"], p["SECOND"]))
    for most, bits, _ in parts:
        added = tree(simd, x + most, p["STEP"])
        for count, sum_bits in added.sums:
            found.carry("adder", sum_bits, count=pe * count)
        found.add(start=pe * bits)
        # Constants shift and negate without tables.
        if words > 1:
            found.add(term=pe * simd * (x + most))
        found.carry("accumulator" if p["FOLD_IN"] > 1 else "direct", bits, count=pe)
        found.register(product=pe * simd * (x + most), tree=pe * added.registers, accumulator=pe * bits)
    # One shifter serves both sums.
    if words > 1:
        found.add(shift=pe * simd * shifter(x, max(p["MOST_A"], p["MOST_B"]), block.technology.lookup))
    adders = sum(int(factor).bit_count() - 1 for _, _, factor in parts) + len(parts) - 1
    found.carry("multiple", p["ACC"], count=pe * adders)
    return found
