"""`mvau_binary`: agreements or masks instead of products, counted three at a time where inputs have one bit."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import TABLE, log2, table, tree

LUT = {
    "control": 6.0,
    "counter": 1.3,
    "delay": 1.0,
    **TABLE,
    "counted": 1.0,
    "alone": 1.0,
    "adder": 1.0,
    "accumulator": 1.0,
    "direct": 0.3,
    "fixed": 0.3,
    "start": 0.5,
}
FF = {"control": 1.0, "input": 1.0, "weight": 1.0, "product": 1.0, "tree": 1.0, "accumulator": 1.0}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    pe, simd, x = p["PE"], p["SIMD"], p["X"]
    counted = x == 1 and not p["X_SIGNED"] and simd > 3
    terms, term = (-(-simd // 3), 2) if counted else (simd, x)
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], pe * simd
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], width), block.technology)
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], log2(terms) // p["STEP"] + 2, p["BIAS"], block.technology)
    added = tree(terms, term, p["STEP"])
    found = Census(bram36=weights.bram36, technology=block.technology)
    found.add(control=1, delay=steps.delay, **weights.logic)
    found.carry("counter", *steps.counters)
    # With constant weights an agreement is the input or its complement.
    kind = "counted" if counted else "alone" if words > 1 else "fixed"
    found.add(**{kind: pe * terms * term})
    found.carry("accumulator" if p["FOLD_IN"] > 1 else "direct", p["ACC"], count=pe)
    for count, bits in added.sums:
        found.carry("adder", bits, count=pe * count)
    found.register(control=steps.register, input=simd * x, weight=weights.registers)
    found.register(product=pe * terms * term, tree=pe * added.registers, accumulator=pe * p["ACC"])
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    if p["BIAS"]:
        read = table("logic", p["FOLD_OUT"], block.bits(p["BIASES"], pe * p["ACC"]), block.technology)
        found.add(**read.logic, start=pe * p["ACC"])
        found.register(weight=read.registers, control=log2(p["FOLD_OUT"]))
    return found
