"""`stream_fifo`: two registers, or a memory with its pointers."""

from __future__ import annotations

from codesign.estimate.census import Block, Census
from codesign.estimate.logic import log2

LUT = {
    "pair": 6.0,
    "word": 1.0,
    "shallow": 8.0,
    "pointer": 1.5,
    "round_pointer": 0.7,
    "deep": 8.0,
    "span": 1.1,
    "bank": 2.0,
    "memory": 1.0,
    "multiplexer": 0.5,
    "passed": 1.0,
}
FF = {"register": 1.0, "memory": 1.0}


def census(block: Block) -> Census:
    """Return what a FIFO is made of."""
    depth, width = block.parameters["DEPTH"], block.parameters["WIDTH"]
    found = Census(technology=block.technology)
    memories = block.technology.memories
    count = log2(depth + 1)
    pointers: tuple[int, ...]
    if depth <= 2:
        found.add(pair=1, word=width)
        found.register(register=count + 2 * width)
        return found
    if depth <= 64:
        held, pointers = memories.either(depth, width), (count, log2(depth), log2(depth))
        # Where the words are a power of two, addresses come round by themselves.
        found.add(shallow=1)
        found.carry("round_pointer" if depth & (depth - 1) == 0 else "pointer", *pointers)
        if block.technology.lookup < 6:
            # Cells of 16 words, so that most have several.
            found.add(bank=held.banks - 1)
        # The address to read is kept a second time, beside a memory of lookup tables; one of blocks has it in itself,
        # and hands a word on beside it that is read as it comes.
        beside = log2(depth) if held.luts else width + 1 if held.bram36 else 0
        found.register(register=sum(pointers) + beside)
        if held.bram36:
            found.add(passed=width)
    else:
        held = memories.either(depth - 1, width)
        pointers = count, count, log2(depth - 1), log2(depth - 1)
        found.add(deep=1, bank=held.banks - 1)
        found.carry("span", *pointers)
        # The word in front is the register of a block memory.
        found.register(register=sum(pointers) + 1 + (0 if held.bram36 else width))
    found.register(memory=held.registers)
    found.add(memory=held.luts, multiplexer=(held.banks - 1) * width)
    found.bram36 = held.bram36
    return found
