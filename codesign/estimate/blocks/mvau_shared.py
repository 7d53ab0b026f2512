"""`mvau_shared`: products of several outputs in a multiplier block, and a tree of adders for each output."""

from __future__ import annotations

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import TABLE, log2, table, tree

ABSORBS = False
"""For families whose multiplier blocks only multiply."""
LUT = {
    "control": 6.0,
    "counter": 1.3,
    "delay": 1.0,
    **TABLE,
    "adder": 1.0,
    "accumulator": 1.0,
    "direct": 0.3,
    "start": 0.5,
    **{f"soft_{name}": value for name, value in multiply.LUT.items()},
}
FF = {"control": 1.0, "input": 1.0, "weight": 1.0, "product": 1.0, "tree": 1.0, "accumulator": 1.0, "block": 0.0}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p, own = block.parameters, block.technology
    pe, simd, x, w, field = p["PE"], p["SIMD"], p["X"], p["W"], p["FIELD"]
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], pe * simd * w
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], width), own)
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], log2(simd) // p["STEP"] + 2, p["BIAS"], own)
    found = Census(bram36=weights.bram36, technology=own)
    found.add(control=1, delay=steps.delay, **weights.logic)
    found.carry("counter", *steps.counters)
    found.register(control=steps.register, input=simd * x, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    signed = x + (not p["X_SIGNED"])
    for group in range(p["GROUPS"]):
        outputs = pe // p["GROUPS"] + (group < pe % p["GROUPS"])
        operand = (outputs - 1) * field + w
        # The multiplications are marked, so that they take blocks however small they are; one bit is no product.
        hard = block.dsp and min(signed, operand) > 1
        if hard:
            multiply.into_blocks(found, simd, operand, signed, shared=True)
        else:
            found.add(**multiply.prefixed(multiply.luts(signed, operand, own, simd), "soft_"))
        within = multiply.pipelined(block, hard)
        found.register(**{"block" if within else "product": simd * (operand + signed)})
    added = tree(simd, field, p["STEP"])
    # Each output but the first of a group has a carry more in every adder.
    carried = pe - p["GROUPS"]
    for count, bits in added.sums:
        found.carry("adder", bits, count=p["GROUPS"] * count)
        found.carry("adder", bits + 1, count=carried * count)
    found.carry("accumulator" if p["FOLD_IN"] > 1 else "direct", p["ACC"], count=p["GROUPS"])
    found.carry("accumulator", p["ACC"] + 1, count=carried)
    found.register(tree=pe * added.registers, accumulator=pe * p["ACC"])
    if p["BIAS"]:
        read = table("logic", p["FOLD_OUT"], block.bits(p["BIASES"], pe * p["ACC"]), own)
        found.add(**read.logic, start=pe * p["ACC"])
        found.register(weight=read.registers, control=log2(p["FOLD_OUT"]))
    return found
