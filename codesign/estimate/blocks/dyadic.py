"""`dyadic`: a product, a constant, a shift and a clamp for each lane."""

from __future__ import annotations

import numpy as np

from codesign.estimate import multiply
from codesign.estimate.census import Block, Census
from codesign.estimate.logic import TABLE, log2, multiplexer, table

LUT = {
    "control": 6.0,
    "counter": 1.3,
    **TABLE,
    "clamp": 1.3,
    "floor": 0.3,
    "compare": 0.3,
    "shift": 1.0,
    "sum": 1.0,
    "block": 0.5,
    **multiply.LUT,
    **multiply.FIXED,
    "few_compressor": 1.4,
    "few_carry": 1.0,
}
FEW = 4
"""So many constants are a function of two bits, which tables of the product take in."""
FF = {
    "control": 1.0,
    "input": 1.0,
    "table": 1.0,
    "kept": 1.0,
    "product": 1.0,
    "shifted": 1.0,
    "output": 1.0,
    "block": 0.1,
    "block_input": 0.5,
    "block_table": 0.8,
    "block_kept": 0.5,
}


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    lanes, x, wide = p["LANES"], p["X"], p["WIDE"]
    words, entry = p["FOLD"] * p["ENTRIES"], p["M"] + p["C"] + p["S"]
    bits = block.bits(p["CONSTANTS"], lanes * entry)
    read = table(p["STYLE"], words, bits, block.technology)
    fields = bits.reshape(words, lanes, entry)
    multipliers, constants = fields[:, :, : p["M"]], fields[:, :, p["M"] : p["M"] + p["C"]]
    shifts = fields[:, :, p["M"] + p["C"] :] @ (1 << np.arange(p["S"]))
    own = block.technology
    hard = multiply.takes_block(block, x, p["X_SIGNED"], p["M"], wide)
    found = Census(bram36=read.bram36, technology=own)
    found.add(control=1, **read.logic)
    found.carry("counter", log2(p["FOLD"]))
    # Limits of which one is 0 are resets and sets of the output's registers.
    found.add(**{"clamp" if p["LOW"] else "floor": lanes * p["Y"]})
    found.register(control=log2(p["FOLD"]) + 4, output=lanes * p["Y"])
    if p["STYLE"] == "logic" and words > 1:
        found.register(control=log2(words))
    # What is behind the shift, lane by lane: at least the bits that the least shift leaves.
    least = shifts.min(0)
    left = np.clip(wide - least, 1, wide)
    for bits_left in left.tolist():
        found.carry("compare", bits_left)
    found.register(shifted=float(left.sum()))
    for lane in range(lanes):
        choices = len(set(shifts[:, lane].tolist()))
        found.add(shift=float(left[lane]) * multiplexer(choices, own.lookup))
    kept = table("distributed", words, constants.reshape(words, -1), own).registers
    amounts = (shifts[:, :, None] >> np.arange(p["S"])) & 1
    kept_shift = table("distributed", words, amounts.reshape(words, -1).astype(np.uint8), own).registers
    found.register(kept=kept_shift)
    if hard:
        multiply.into_blocks(found, lanes, x + (not p["X_SIGNED"]), p["M"])
    if hard and own.absorbs:
        found.add(block=lanes * wide)
        found.register(block=lanes * wide, block_input=lanes * x, block_table=read.registers, block_kept=kept)
        return found
    within = multiply.pipelined(block, hard)
    found.register(**{"block_input" if within and p["X_SIGNED"] else "input": lanes * x})
    found.register(table=read.registers, kept=kept, **{"block" if within else "product": lanes * wide})
    found.carry("sum", wide, count=lanes)
    if hard:
        return found
    if words == 1:
        found.add(**multiply.fixed(x, multipliers[0].sum(1).tolist(), own))
    else:
        # Bits that are 0 in all multipliers make no row.
        for used in multipliers.any(0).sum(1).tolist():
            for name, amount in multiply.luts(x, used, own).items():
                few = words <= FEW and name in ("compressor", "carry")
                found.add(**{f"few_{name}" if few else name: amount})
    return found
