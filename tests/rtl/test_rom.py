"""`rom`: the word of a file, one clock after its address, and held while it is not enabled."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps

from codesign.backends.rtl import memory

# A stage of a pipeline: a word of the memory for every address.
WIRING = """\
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 0;
        else if (advance) out_valid <= in_valid;
    end
"""


def rom(width: int, words: int, style: str) -> Case:
    rng = np.random.default_rng(words)
    table = rng.integers(0, 2, (words, width))
    addresses = rng.integers(0, words, 200)
    content = [memory.packed(row, 1) for row in table.tolist()]
    bits = max(1, (words - 1).bit_length())
    return Case(
        "rom",
        {"WIDTH": width, "WORDS": words, "FILE": "table", "STYLE": style},
        {"in": Words(addresses.tolist(), {"address": bits})},
        {"out": Words([content[address] for address in addresses], {"data": width})},
        files={"table": memory.words(table, 1)},
        latency=1,
        ports={"clk": "clk", "enable": "advance", "address": "in_word", "data": "out_word"},
        wiring=WIRING,
    )


CASES = [
    rom(8, 2, "logic"),
    rom(5, 1, "logic"),
    rom(13, 9, "distributed"),
    rom(70, 33, "block"),
    rom(3, 40, "logic"),
    rom(1, 1, "block"),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
