"""`crc16`: the checksum of RFC 1662 after every byte, and its constant over a packet with its checksum."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps

from codesign.deploy import protocol

CLEAR = 1 << 8
# A stage of a pipeline: the sum behind every byte.
WIRING = """\
    logic take;
    assign in_ready = !out_valid || out_ready;
    assign take = in_valid && in_ready;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 0;
        else if (in_ready) out_valid <= in_valid;
    end
"""


def sums() -> Case:
    rng = np.random.default_rng(1)
    entering, leaving = [], []
    messages = [b"123456789", b"", bytes(20), *(rng.bytes(int(n)) for n in rng.integers(1, 40, 12))]
    for message in messages:
        whole = message + protocol.checksum(message).to_bytes(2, "little")
        entering += [CLEAR, *whole]
        for end in range(len(whole) + 1):
            crc = protocol.checksum(whole[:end]) ^ 0xFFFF
            leaving.append((crc == 0xF0B8) << 16 | crc)
        assert leaving[-1] >> 16
    return Case(
        "crc16",
        {},
        {"in": Words(entering, {"data": 8, "clear": 1})},
        {"out": Words(leaving, {"crc": 16, "good": 1})},
        latency=1,
        ports={
            "clk": "clk",
            "clear": "take && in_word[8]",
            "enable": "take",
            "data": "in_word[7:0]",
            "crc": "out_word[15:0]",
            "good": "out_word[16]",
        },
        wiring=WIRING,
    )


CASES = [sums()]


def test_the_published_check_value():
    # The catalogue of parametrised CRC algorithms, CRC-16/IBM-SDLC.
    assert protocol.checksum(b"123456789") == 0x906E


def test_words_latency_and_paths(bench):
    bench.check()


def test_a_byte_in_every_clock(bench):
    for seen in bench.run():
        assert gaps(seen["in"].clocks) == {1}
