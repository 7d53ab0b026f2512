"""`sum_tree`: the exact sum of N terms, some clocks later."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed


def tree(terms: int, bits: int, signed: bool, step: int) -> Case:
    levels = (terms - 1).bit_length()
    latency = levels // step if step else 0
    x = integers(np.random.default_rng(terms), bits, signed, (150, terms))
    # The least and the greatest sum.
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    x[:2] = [[low], [high]]
    # As many stages as the tree has registers; they move when the last of them can.
    wiring = f"""
    logic [{latency}:0] valid;
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;
    assign valid[0] = in_valid;
    assign out_valid = valid[{latency}];
    always_ff @(posedge clk) begin
        for (int stage = 1; stage <= {latency}; stage++) begin
            if (rst) valid[stage] <= 0;
            else if (advance) valid[stage] <= valid[stage - 1];
        end
    end
"""
    return Case(
        "sum_tree",
        {"N": terms, "W": bits, "SIGNED": signed, "STEP": step},
        {"in": Words(packed(x, bits), {"terms": terms * bits})},
        {"out": Words(packed(x.sum(axis=1)[:, None], bits + levels), {"sum": bits + levels})},
        latency=latency,
        # Without a register the word goes straight through, and nothing waits.
        depends=frozenset({("in", "out")} if latency else {("in", "out"), ("out", "in")}),
        ports={"clk": "clk", "enable": "advance", "terms": "in_word", "sum": "out_word"},
        wiring=wiring,
    )


CASES = [
    tree(1, 4, True, 2),
    tree(2, 3, False, 1),
    tree(3, 5, True, 1),
    tree(5, 6, True, 2),
    tree(8, 2, False, 2),
    tree(9, 7, False, 0),
    tree(17, 1, True, 3),
    tree(36, 6, True, 2),
]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
