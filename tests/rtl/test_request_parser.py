"""`request_parser`: what each packet is answered, which bytes pass, and that one packet never changes the next."""

from __future__ import annotations

import numpy as np
from streams import Case, Words

from codesign.deploy import protocol

BYTES = 5
WRITE, ENDED, ABORTED, BUSY, NO_ROOM = (1 << bit for bit in range(8, 13))
# A memory for BYTES bytes, which counts those that pass. Words that come out: a byte, or bit 8 and the reply.
WIRING = f"""\
    logic payload, reply, accept, write, ends;
    logic [7:0] data, number;
    logic [3:0] code;
    int count;
    assign in_ready = out_ready;
    assign write = in_valid && out_ready && in_word[8];
    assign ends = in_valid && out_ready && in_word[9];
    assign out_valid = payload || ends;
    assign out_word = ends ? {{accept, code, number, 1'b1, 7'b0, reply}} : {{14'b0, data}};
    always_ff @(posedge clk) begin
        if (rst || ends) count <= 0;
        else if (payload) count <= count == {BYTES - 1} ? 0 : count + 1;
    end
"""


class Script:
    """Packets, and what the specification in hw/shell/README.md says of them."""

    def __init__(self) -> None:
        self.entering: list[int] = []
        self.leaving: list[int] = []
        self.number = 0

    def send(self, body: bytes, busy: tuple[int, ...] = (), aborted: bool = False, room: bool = True) -> int:
        """Add a packet with its checksum; `busy` are the bytes in which the device is, the flag is number -1."""
        for index, byte in enumerate(body):
            self.entering.append(byte | WRITE | BUSY * (index in busy))
            if 4 <= index < 4 + BYTES and body[0] == 0x11:
                self.leaving.append(byte)
        if len(body) > 1:
            self.number = body[1]
        self.entering.append(ENDED | ABORTED * aborted | BUSY * (-1 in busy) | NO_ROOM * (not room))
        code = self.code(body, busy) if not aborted else 8
        accept = code == 1 and room
        self.leaving.append(accept << 21 | code << 17 | self.number << 9 | 1 << 8 | room)
        return code

    @staticmethod
    def code(body: bytes, busy: tuple[int, ...]) -> int:
        if len(body) < 2 or protocol.checksum(body[:-2]).to_bytes(2, "little") != body[-2:]:
            return 8
        if body[0] not in (0x10, 0x11):
            return 9
        size = BYTES if body[0] == 0x11 else 0
        if size and any(index == -1 or (4 <= index < 4 + BYTES and index < len(body)) for index in busy):
            return 11
        return body[0] & 1 if len(body) == 6 + size and body[2:4] == size.to_bytes(2, "little") else 10


def whole(first: int, number: int, payload: bytes, length: int | None = None) -> bytes:
    body = bytes([first, number]) + (len(payload) if length is None else length).to_bytes(2, "little") + payload
    return body + protocol.checksum(body).to_bytes(2, "little")


def script() -> tuple[Script, set[int]]:
    rng = np.random.default_rng(1)
    made = Script()
    right = whole(0x11, 200, b"hello")
    packets = [
        right,
        whole(0x10, 7, b""),
        whole(0x11, 8, b"hell"),
        whole(0x11, 9, b"hello!"),
        whole(0x11, 9, b"hello", 4),
        whole(0x11, 9, b"hello", 5 + 256),
        whole(0x10, 9, b"", 1),
        whole(0x10, 9, b"x"),
        whole(0x10, 9, b"hello"),
        whole(0x12, 9, b"hello"),
        whole(0x21, 9, b"hello"),
        whole(0x91, 9, b"hello"),
        b"\x00\x00",
        b"\x11",
        right[:6],
        right + b"\x00",
        # Another packet with its checksum inside: its end is not that of the packet.
        right + right,
    ]
    codes = set()
    for packet in packets:
        codes.add(made.send(packet))
        codes.add(made.send(right))
    for index in range(len(right)):
        damaged = bytearray(right)
        damaged[index] ^= int(rng.integers(1, 256))
        made.send(bytes(damaged))
        made.send(right[:index] + right[index + 1 :])
        codes.add(made.send(right, busy=(index,)))
    for busy in ((-1,), (4, 5), (0, 1, 2, 3), (9, 10)):
        made.send(right, busy=busy)
        made.send(whole(0x10, 3, b""), busy=busy)
    made.send(right, aborted=True)
    made.send(right, room=False)
    made.send(b"\x11\x22\x33", room=False)
    made.send(right)
    return made, codes


SCRIPT, CODES = script()
CASES = [
    Case(
        "request_parser",
        {"BYTES": BYTES},
        {"in": Words(SCRIPT.entering, {"data": 8, "events": 5})},
        {"out": Words(SCRIPT.leaving, {"word": 22})},
        depends=frozenset({("in", "out"), ("out", "in")}),
        ports={
            "clk": "clk",
            "rst": "rst",
            "in_valid": "write",
            "in_data": "in_word[7:0]",
            "ended": "ends",
            "aborted": "in_word[10]",
            "payload_valid": "payload",
            "payload_data": "data",
            "payload_last": f"count == {BYTES - 1}",
            "busy": "in_word[11]",
            "room": "!in_word[12]",
            "reply_valid": "reply",
            "code": "code",
            "number": "number",
            "accept": "accept",
        },
        wiring=WIRING,
    )
]


def test_every_code_is_among_the_cases():
    assert sorted(CODES) == [0, 1, 8, 9, 10, 11]


def test_words_and_paths(bench):
    bench.check()
