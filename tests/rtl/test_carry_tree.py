"""`carry_tree`: the exact sum of N terms and N bits but the last one, which leaves beside it."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps, integers, packed


def tree(terms: int, bits: int, step: int) -> Case:
    levels = (terms - 1).bit_length()
    latency, wide = levels // step, bits + levels
    rng = np.random.default_rng(terms)
    x, carries = integers(rng, bits, True, (150, terms)), integers(rng, 1, False, (150, terms))
    # The least and the greatest sum.
    x[:2], carries[:2] = [[-(1 << (bits - 1))], [(1 << (bits - 1)) - 1]], [[0], [1]]
    sums = x.sum(axis=1) + carries[:, :-1].sum(axis=1)
    taken = zip(packed(x, bits), packed(carries, 1), strict=True)
    given = zip(packed(sums[:, None], wide), carries[:, -1].tolist(), strict=True)
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
        "carry_tree",
        {"N": terms, "W": bits, "STEP": step},
        {"in": Words([a | b << terms * bits for a, b in taken], {"terms": terms * bits, "carries": terms})},
        {"out": Words([a | b << wide for a, b in given], {"sum": wide, "carry": 1})},
        latency=latency,
        # Without a register the word goes straight through, and nothing waits.
        depends=frozenset({("in", "out")} if latency else {("in", "out"), ("out", "in")}),
        ports={
            "clk": "clk",
            "enable": "advance",
            "terms": f"in_word[{terms * bits - 1}:0]",
            "carries": f"in_word[{terms * (bits + 1) - 1}:{terms * bits}]",
            "sum": f"out_word[{wide - 1}:0]",
            "carry": f"out_word[{wide}]",
        },
        wiring=wiring,
    )


CASES = [tree(1, 4, 2), tree(2, 3, 1), tree(3, 5, 1), tree(5, 6, 2), tree(8, 2, 2), tree(9, 7, 3), tree(17, 1, 3)]


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_word_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
