"""`uart_shell` of `hw/shell`: a serial line, packets, and a memory for a frame, around a network."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import log2

LUT = {
    "control": 230.0,
    "counter": 1.5,
    "memory": 1.0,
    "bank": 1.0,
    "multiplexer": 0.5,
    "shift": 1.0,
}
FF = {"control": 130.0, "register": 1.0, "memory": 1.0}
BYTE = 8

SERIAL = True
"""For families whose boards have it."""


def census(block: Block) -> Census:
    """Return what it is made of, without the network."""
    p = block.parameters
    words, width = p["IN_WORDS"], p["IN"]
    parts, answers = -(-width // BYTE), -(-p["OUT"] // BYTE)
    held = block.technology.memories.either(words, width)
    counters = (
        log2(p["CLOCKS"]),
        log2(p["CLOCKS"]),
        log2(words),
        log2(words * parts + 1),
        log2(p["OUT_WORDS"] * answers + 1),
        log2(parts),
        log2(answers + 1) if answers > 1 else 0,
    )
    found = Census(bram36=held.bram36, technology=block.technology)
    found.add(control=1, memory=held.luts, bank=held.banks - 1, multiplexer=(held.banks - 1) * width)
    # The bytes of an answer come one after the other out of the word that was taken.
    found.add(shift=BYTE * (answers - 1))
    found.carry("counter", *counters)
    # The bytes of a word wait for the last one; the word in front is the register of a block memory.
    found.register(
        control=1,
        register=sum(counters) + BYTE * (parts - 1 + answers) + (0 if held.bram36 else width),
        memory=held.registers,
    )
    return found
