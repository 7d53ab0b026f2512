"""`mvau`: weights in a memory, products, a tree of adders and accumulators."""

from __future__ import annotations

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import log2, table, tree, widths

LUT = {
    "control": 6.0,
    "counter": 1.3,
    "delay": 1.0,
    "table": 1.0,
    "deep": 1.9,
    "bias": 1.0,
    "adder": 1.0,
    "accumulator": 1.0,
    "start": 0.5,
    "constant": 0.6,
    **multiply.LUT,
}
FF = {"control": 1.0, "input": 1.0, "weight": 1.0, "product": 1.0, "tree": 1.0, "accumulator": 1.0, "block": 0.0}


def census(block: Block) -> Census:
    """Return what a unit is made of, also one whose lanes have widths of their own."""
    p = block.parameters
    pe, simd, x = p["PE"], p["SIMD"], p["X"]
    bits, sums = widths(p["W"], pe), widths(p.get("SUMS", p["ACC"]), pe)
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], simd * sum(bits)
    weights = table(p["STYLE"], words, width, None if p["STYLE"] == "block" else block.bits(p["WEIGHTS"], width))
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], log2(simd) // p["STEP"] + 2, p["BIAS"])
    found = Census(bram36=weights.bram36)
    found.add(control=1, counter=steps.counter, delay=steps.delay, table=weights.luts, deep=weights.deep)
    found.register(control=steps.register, input=simd * x, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    for own, total in zip(bits, sums, strict=True):
        found.add(accumulator=total)
        found.register(accumulator=total)
        if not own:
            continue
        product = x + own
        added = tree(simd, product, p["STEP"])
        found.add(adder=added.adders)
        found.register(tree=added.registers)
        if words == 1:
            # Constant weights: a product is a few additions, or none.
            found.add(constant=simd * product)
            found.register(product=simd * product)
        elif block.dsp and multiply.takes_block(x, p["X_SIGNED"], own):
            found.dsp += simd
            found.register(block=simd * product)
        else:
            found.add(**multiply.luts(x, own, simd))
            found.register(product=simd * product)
    if p["BIAS"]:
        read = table("logic", p["FOLD_OUT"], pe * p["ACC"], block.bits(p["BIASES"], pe * p["ACC"]))
        found.add(bias=read.luts, start=sum(sums))
        found.register(weight=read.registers, control=log2(p["FOLD_OUT"]))
    return found
