"""`frame_memory`: frames that are committed come out as words, others leave nothing behind."""

from __future__ import annotations

import numpy as np
import pytest
from streams import SLOW, Case, Words

WRITE, RESTART, COMMIT, LAST = 1 << 8, 1 << 9, 1 << 10, 1 << 11
# Nothing is written while a frame is sent; a wrong in_last sticks and shows in the words.
WIRING = """\
    logic busy, last, wrong, write;
    assign in_ready = !busy;
    assign write = in_valid && in_ready && in_word[8];
    always_ff @(posedge clk) begin
        if (rst) wrong <= 1'b0;
        else if (write && last != in_word[11]) wrong <= 1'b1;
    end
"""


def memory(width: int, words: int) -> Case:
    rng = np.random.default_rng(width + words)
    parts = -(-width // 8)
    entering: list[int] = []
    leaving: list[int] = []
    for number in range(12):
        data = rng.bytes(words * parts)
        # Some frames break off, some are too long, and whole ones are not always right.
        broken = number % 3 != 0
        size = int(rng.integers(0, 2 * len(data) + 1)) if broken else len(data)
        sent = (data + data)[:size]
        entering += [byte | WRITE | LAST * ((i + 1) % len(data) == 0) for i, byte in enumerate(sent)]
        entering.append(RESTART if broken else COMMIT | RESTART * (number % 2))
        if not broken:
            pieces = [data[i : i + parts] for i in range(0, len(data), parts)]
            leaving += [int.from_bytes(piece, "little") & (1 << width) - 1 for piece in pieces]
    return Case(
        "frame_memory",
        {"WIDTH": width, "WORDS": words},
        {"in": Words(entering, {"data": 8, "write": 1, "restart": 1, "commit": 1, "last": 1})},
        {"out": Words(leaving, {"data": width, "wrong": 1})},
        depends=frozenset(),
        ports={
            "clk": "clk",
            "rst": "rst",
            "in_valid": "write",
            "in_data": "in_word[7:0]",
            "in_last": "last",
            "restart": "in_valid && in_ready && in_word[9]",
            "commit": "in_valid && in_ready && in_word[10]",
            "busy": "busy",
            "out_valid": "out_valid",
            "out_ready": "out_ready",
            "out_data": f"out_word[{width - 1}:0]",
        },
        wiring=WIRING + f"    assign out_word[{width}] = wrong;\n",
    )


CASES = [memory(8, 5), memory(3, 16), memory(9, 4), memory(17, 3), memory(24, 1), memory(1, 1)]


def test_words_and_paths(bench):
    bench.check()


@pytest.mark.parametrize("number", range(len(CASES)))
def test_latency_and_pace(bench, number: int):
    case, seen = bench.cases[number], bench.run(**SLOW)[number]
    words = case.parameters["WORDS"]
    commits = [seen["in"].clocks[i] for i, word in enumerate(case.inputs["in"].values) if word & COMMIT]
    assert seen["out"].clocks == [commit + 2 + word for commit in commits for word in range(words)]
