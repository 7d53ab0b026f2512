"""`mvau`: weights in a memory, products, a tree of adders and accumulators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.control import control
from codesign.estimate.logic import TABLE, log2, table, tree, widths

LUT = {
    "control": 6.0,
    "counter": 1.3,
    "delay": 1.0,
    **TABLE,
    "adder": 1.0,
    "handed": 0.5,
    "accumulator": 1.0,
    "start": 0.5,
    "direct": 0.3,
    "inside": 0.05,
    **multiply.LUT,
    **multiply.FIXED,
}
FF = {
    "control": 1.0,
    "input": 1.0,
    "weight": 1.0,
    "product": 1.0,
    "tree": 1.0,
    "accumulator": 1.0,
    "block": 0.0,
    "block_input": 0.5,
}


def census(block: Block) -> Census:
    """Return what a unit is made of, also one whose lanes have widths of their own."""
    p = block.parameters
    pe, simd, x = p["PE"], p["SIMD"], p["X"]
    bits, sums = widths(p["W"], pe), widths(p.get("SUMS", p["ACC"]), pe)
    words, width = p["FOLD_IN"] * p["FOLD_OUT"], simd * sum(bits)
    contents = block.bits(p["WEIGHTS"], width)
    weights = table(p["STYLE"], words, contents, block.technology)
    steps = control(p["FOLD_IN"], p["FOLD_OUT"], log2(simd) // p["STEP"] + 2, p["BIAS"], block.technology)
    found = Census(bram36=weights.bram36, technology=block.technology)
    found.add(control=1, delay=steps.delay, **weights.logic)
    found.carry("counter", *steps.counters)
    found.register(control=steps.register, weight=weights.registers)
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    fixed = _fixed(block, bits) if words == 1 else [np.zeros(0, dtype=np.int64)] * pe
    read_by: set[int] = set()
    for own, total, constants, lanes in zip(bits, sums, fixed, _used(contents, simd, bits), strict=True):
        # A sum that is complete at once has nothing to be added to, but a bias.
        hard = multiply.takes_block(block, x, p["X_SIGNED"], own)
        absorbed = hard and block.technology.absorbs
        # One product after the other is added up in its block.
        inside = absorbed and simd == 1
        found.carry("inside" if inside else "accumulator" if p["FOLD_IN"] > 1 else "direct", total)
        found.register(**{"block" if inside else "accumulator": total})
        if not own:
            continue
        product = x + own
        added = tree(simd if hard else max(1, len(lanes)), product, p["STEP"])
        read_by.update(range(simd) if hard else lanes)
        # A block can add what another one hands on.
        for count, sum_bits in added.sums:
            found.carry("handed" if absorbed else "adder", sum_bits, count=count)
        found.register(tree=added.registers - (added.passed if absorbed else 0))
        # Multiplier blocks are given out before it is seen which weights are constant.
        if hard:
            multiply.into_blocks(found, simd, x + (not p["X_SIGNED"]), own)
            within = absorbed or multiply.pipelined(block, hard)
            found.register(**{"block" if within else "product": simd * product})
        elif words == 1:
            magnitudes = np.abs(constants)
            found.add(**multiply.fixed(x, map(int.bit_count, magnitudes.tolist()), block.technology))
            # What a power of two multiplies is moved, and what 0 multiplies is gone.
            odd = [value // (value & -value) for value in magnitudes.tolist() if value]
            negative = int((constants < 0).sum()) * (not p["X_SIGNED"])
            found.register(product=sum(x + value.bit_length() - 1 for value in odd) + negative)
        else:
            found.add(**multiply.luts(x, own, block.technology, len(lanes)))
            found.register(product=len(lanes) * product)
    # What only blocks read goes into their own registers.
    only = len(found.products) == sum(own > 0 for own in bits) > 0
    if only and block.technology.absorbs:
        found.register(block=len(read_by) * x)
    else:
        within = multiply.pipelined(block, only) and p["X_SIGNED"]
        found.register(**{"block_input" if within else "input": len(read_by) * x})
    if p["BIAS"]:
        read = table("logic", p["FOLD_OUT"], block.bits(p["BIASES"], pe * p["ACC"]), block.technology)
        found.add(**read.logic, start=sum(sums))
        found.register(weight=read.registers, control=log2(p["FOLD_OUT"]))
    return found


def _fixed(block: Block, bits: Sequence[int]) -> list[np.ndarray]:
    """Return the weights of each lane, where there is one word of them."""
    p = block.parameters
    word = block.bits(p["WEIGHTS"], p["SIMD"] * sum(bits))[0]
    found, place = [], 0
    for own in bits:
        fields = word[place : place + p["SIMD"] * own].reshape(p["SIMD"], own).astype(np.int64)
        weights = 1 << np.arange(own, dtype=np.int64)
        # Two's complement.
        weights[-1:] = -weights[-1:]
        found.append(fields @ weights)
        place += p["SIMD"] * own
    return found


def _used(contents: np.ndarray, simd: int, bits: Sequence[int]) -> list[list[int]]:
    """Return for each output the inputs whose weights are not 0 in all words: the others are not multiplied.

    Where there is one word, registers of the tree stay that such an input would go through: all count.
    """
    if len(contents) == 1:
        return [list(range(simd)) for _ in bits]
    found, place = [], 0
    for own in bits:
        fields = contents[:, place : place + simd * own].reshape(len(contents), simd, own)
        found.append(np.flatnonzero(fields.any((0, 2))).tolist() if own else [])
        place += simd * own
    return found
