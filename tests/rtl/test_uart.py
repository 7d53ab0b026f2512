"""`uart_tx` and `uart_rx`: what one sends the other receives, a byte in ten bits and a clock."""

from __future__ import annotations

import numpy as np
from streams import Case, Words, gaps

# The receiver never waits; the sink may.
WIRING = """\
    logic line, byte_valid, line_break, room;
    logic [7:0] data;
    uart_rx #(.CLOCKS(CLOCKS)) receiver
        (.clk(clk), .rst(rst), .rx(line), .valid(byte_valid), .line_break(line_break), .data(data));
    stream_fifo #(.WIDTH(9), .DEPTH(16)) kept
        (.clk(clk), .rst(rst), .in_valid(byte_valid || line_break), .in_ready(room), .in_data({line_break, data}),
         .out_valid(out_valid), .out_ready(out_ready), .out_data(out_word));
"""


def line(clocks: int) -> Case:
    data = [0x00, 0xFF, 0x00, 0x00, 0x55, 0xAA, 0x7E, *np.random.default_rng(clocks).bytes(60)]
    return Case(
        "uart_tx",
        {"CLOCKS": clocks},
        {"in": Words(data, {"in_data": 8})},
        {"out": Words(data, {"data": 8, "line_break": 1})},
        depends=frozenset(),
        ports={
            "clk": "clk",
            "rst": "rst",
            "in_valid": "in_valid",
            "in_ready": "in_ready",
            "in_data": "in_word",
            "tx": "line",
        },
        wiring=WIRING.replace("(CLOCKS)", f"({clocks})", 1),
    )


CASES = [line(clocks) for clocks in (4, 5, 13, 30)]


def test_bytes_and_paths(bench):
    bench.check()


def test_a_byte_takes_ten_bits_and_a_clock(bench):
    for case, seen in zip(bench.cases, bench.run(), strict=True):
        assert gaps(seen["in"].clocks) == {10 * case.parameters["CLOCKS"] + 1}
