"""`reply_writer`: headers of all codes, the identity, and as many bytes of the network as an answer has."""

from __future__ import annotations

import numpy as np
from streams import SLOW, Case, Words, gaps

IDENTITY = bytes(range(100, 116))


def writer(size: int, codes: list[int]) -> Case:
    rng = np.random.default_rng(size)
    replies = [(code, int(rng.integers(0, 256))) for code in codes]
    answers = rng.bytes(size * codes.count(1))
    leaving, taken = [], 0
    for code, number in replies:
        payload = b""
        if code == 0:
            payload = IDENTITY
        elif code == 1:
            payload = answers[taken : taken + size]
            taken += size
        packet = bytes([0x90 | code, number]) + len(payload).to_bytes(2, "little") + payload
        leaving += [byte | (i == len(packet) - 1) << 8 for i, byte in enumerate(packet)]
    return Case(
        "reply_writer",
        {"BYTES": size, "IDENTITY": int.from_bytes(IDENTITY, "little")},
        {
            "in": Words([code | number << 4 for code, number in replies], {"code": 4, "number": 8}),
            "answer": Words(list(answers), {"answer_data": 8}),
        },
        {"out": Words(leaving, {"out_data": 8, "out_last": 1})},
        depends=frozenset({("out", "answer"), ("answer", "out")}),
        ports={
            "clk": "clk",
            "rst": "rst",
            "reply_valid": "in_valid",
            "code": "in_word[3:0]",
            "number": "in_word[11:4]",
            "room": "in_ready",
            "answering": "answering",
            "answer_valid": "answer_valid",
            "answer_ready": "answer_ready",
            "answer_data": "answer_word",
            "out_valid": "out_valid",
            "out_ready": "out_ready",
            "out_data": "out_word[7:0]",
            "out_last": "out_word[8]",
        },
        wiring="    logic answering;\n",
    )


CODES = [1, 0, 8, 1, 1, 9, 10, 0, 0, 11, 1, 8, 8, 1, 0, 1]
CASES = [writer(size, CODES) for size in (1, 15, 16, 17, 300)]


def test_words_and_paths(bench):
    bench.check()


def test_the_header_comes_in_the_next_clock(bench):
    for seen in bench.run(**SLOW):
        assert seen["out"].clocks[0] == seen["in"].clocks[0] + 1


def test_a_byte_in_every_clock_behind_the_first_header(bench):
    for seen in bench.run():
        assert gaps(seen["out"].clocks) <= {1, 2}
