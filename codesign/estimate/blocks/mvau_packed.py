"""`mvau_packed`: several products in a multiplier block, added as they come or in columns."""

from __future__ import annotations

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import TABLE, log2, table, tree

ABSORBS = True
"""For families whose multiplier blocks add."""
LUT = {
    "control": 6.0,
    "counter": 1.3,
    "delay": 1.0,
    **TABLE,
    "digit": 0.3,
    "column": 0.1,
    "adder": 1.0,
    "accumulator": 1.0,
    "direct": 0.3,
    "inner": 0.5,
    "start": 0.5,
    **{f"soft_{name}": value for name, value in multiply.LUT.items()},
    "soft_column": 1.0,
}
FF = {
    "control": 1.0,
    "input": 1.0,
    "taken": 0.05,
    "weight": 1.0,
    "product": 1.0,
    "column": 0.05,
    "soft": 1.0,
    "tree": 1.0,
    "accumulator": 1.0,
    "inner": 0.05,
}


def census(block: Block) -> Census:
    """Return what a unit is made of."""
    p = block.parameters
    pe, simd, x, w, field = p["PE"], p["SIMD"], p["X"], p["W"], p["FIELD"]
    groups, inner = p["GROUPS"], p["INNER"]
    columns = simd // p["CHAIN"]
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], pe * simd * w
    weights = table(p["STYLE"], words, block.bits(p["WEIGHTS"], width), block.technology)
    depth = 2 if inner else log2(columns) // p["STEP"] + 3
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], depth, p["BIAS"], block.technology)
    found = Census(bram36=weights.bram36, technology=block.technology)
    found.add(control=1, delay=steps.delay, **weights.logic)
    found.carry("counter", *steps.counters)
    found.register(control=steps.register, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    for group in range(groups):
        outputs = pe // groups + (group < pe % groups)
        operand = (outputs - 1) * field + w
        if multiply.takes_block(block, x + (not p["X_SIGNED"]), True, operand):
            found.dsp += simd
            if outputs > 1:
                found.add(digit=simd * operand)
            # The last of a chain leaves the blocks.
            found.add(column=columns * outputs * field)
            found.register(**{"inner" if inner else "column": columns * outputs * field})
        else:
            found.add(**multiply.prefixed(multiply.luts(x, operand, block.technology, simd), "soft_"))
            found.add(soft_column=simd * outputs * field)
            # What is not in a block are registers.
            found.register(product=simd * (operand + x), soft=columns * outputs * field)
    # What only blocks read goes into their own registers.
    found.register(**{"taken" if found.dsp == groups * simd else "input": simd * x})
    if inner:
        found.add(inner=pe * p["ACC"])
    else:
        added = tree(columns, field, p["STEP"])
        found.add(adder=pe * added.adders, **{"accumulator" if p["FOLD_IN"] > 1 else "direct": pe * p["ACC"]})
        found.register(tree=pe * added.registers, accumulator=pe * p["ACC"])
    if p["BIAS"]:
        read = table("logic", p["FOLD_OUT"], block.bits(p["BIASES"], pe * p["ACC"]), block.technology)
        found.add(**read.logic, start=pe * p["ACC"])
        found.register(weight=read.registers, control=log2(p["FOLD_OUT"]))
    return found
