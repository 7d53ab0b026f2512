"""`deframer`: packets without flags and escapes, and whether they ended as they should."""

from __future__ import annotations

import numpy as np
from streams import Case, Words

from codesign.deploy import protocol

FLAG, ESCAPE = protocol.FLAG, protocol.ESCAPE
ENDED, ABORTED = 1 << 8, 1 << 9
# The module never waits: a byte goes in only while the sink takes what comes out.
WIRING = """\
    logic byte_valid, aborted;
    assign in_ready = out_ready;
    assign out_valid = byte_valid || out_word[8];
    assign out_word[9] = out_word[8] && aborted;
"""


def expected(line: bytes) -> list[int]:
    """What comes out, byte by byte, as RFC 1662 tells it."""
    out: list[int] = []
    for number, piece in enumerate(line.split(bytes([FLAG]))):
        if number == 0:
            # Before the first flag.
            continue
        toggled = False
        for byte in piece:
            if byte == ESCAPE and not toggled:
                toggled = True
            else:
                out.append(byte ^ 0x20 * toggled)
                toggled = False
        # The piece behind the last flag has not ended.
        if piece and number < line.count(FLAG):
            out.append(FLAG ^ 0x20 * toggled | ENDED | ABORTED * toggled)
    return out


def deframer(line: bytes) -> Case:
    return Case(
        "deframer",
        {},
        {"in": Words(list(line), {"in_data": 8})},
        {"out": Words(expected(line), {"out_data": 8, "ended": 1, "aborted": 1})},
        depends=frozenset({("in", "out"), ("out", "in")}),
        ports={
            "clk": "clk",
            "rst": "rst",
            "in_valid": "in_valid && out_ready",
            "in_data": "in_word",
            "out_valid": "byte_valid",
            "out_data": "out_word[7:0]",
            "ended": "out_word[8]",
            "aborted": "aborted",
        },
        wiring=WIRING,
    )


def noise(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    often = rng.choice([FLAG, ESCAPE, FLAG ^ 0x20, ESCAPE ^ 0x20], 500)
    return bytes(np.where(rng.random(500) < 0.4, often, rng.integers(0, 256, 500)).tolist())


PACKETS = [bytes(range(256)), b"\x7e", b"\x7d\x5d", b"", bytes(7)]
CASES = [
    deframer(b"\x11\x7d\x22" + b"".join(map(protocol.framed, PACKETS))),
    deframer(noise(1)),
    deframer(noise(2)),
    deframer(bytes([FLAG, FLAG, ESCAPE, FLAG, 1, ESCAPE, FLAG, FLAG, 2, FLAG])),
]


def test_a_packet_comes_out_as_it_was():
    (body, *_) = PACKETS
    out = expected(protocol.framed(body))
    assert bytes(out[:-3]) == body
    assert out[-1] == FLAG | ENDED


def test_words_and_paths(bench):
    bench.check()
