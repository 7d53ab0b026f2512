"""`pool_rows`: partial results of a row of outputs in a memory, and a sum or a comparison for each lane."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import counters, log2

LUT = {
    "control": 8.0,
    "counter": 1.3,
    "address": 1.5,
    "memory": 1.0,
    "multiplexer": 0.5,
    "sum": 1.2,
    "greatest": 1.6,
}
FF = {"register": 1.0, "memory": 1.0}


def words(p: Mapping[str, Any]) -> int:
    """Return how many words hold the results so far."""
    return int(p["COLUMNS_IN"] // p["KERNEL_W"] * p["FOLD"])


def clocked(p: Mapping[str, Any]) -> bool:
    """Return whether a block memory that reads by a clock can hold them.

    A row of one output is found by the number of its word alone. Where that comes round by itself it is a plain
    register, which a block memory can take in as its address.
    """
    held = words(p)
    return held == p["FOLD"] and held & (held - 1) == 0


def census(block: Block) -> Census:
    """Return what it is made of."""
    p = block.parameters
    places = words(p)
    bits = p["LANES"] * p["Y"]
    counts = counters(p["FOLD"], p["KERNEL_H"], p["KERNEL_W"], p["ROWS_IN"], p["COLUMNS_IN"])
    found = Census(technology=block.technology)
    found.add(control=1)
    found.carry("counter", *counts)
    found.carry("address", log2(places))
    memories = block.technology.memories
    blocks = not memories.tables and clocked(p)
    held = memories.either(places, bits) if blocks else memories.unclocked(places, bits)
    # A window of one value is that value: nothing is added, and what is held never read.
    alone = p["KERNEL_H"] * p["KERNEL_W"] == 1
    if not alone:
        found.carry("greatest" if p["MAX"] else "sum", p["Y"], count=p["LANES"])
    found.register(register=sum(counts) + log2(places) + 1 + bits)
    if places > 1 and not (alone and memories.tables):
        found.add(memory=held.luts, multiplexer=(held.banks - 1) * bits)
        # Beside such a memory a word is handed on that is read as it comes.
        found.register(memory=held.registers, register=bits + 1 - log2(places) if held.bram36 else 0)
        found.bram36 = held.bram36
    # One word is a register: the same as that of the output where all of the frame is used, but where memories become
    # flip-flops one by one.
    rest = p["ROWS_IN"] % p["KERNEL_H"] or p["COLUMNS_IN"] % p["KERNEL_W"] or not memories.tables
    if places == 1 and rest and not alone:
        found.register(register=bits)
    return found
