"""The board's twin answers as the golden executor, and says what it is; wrong requests are refused and change nothing.

Counts of retries are compared only where no clock of the host decides them.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from codesign.deploy import protocol
from codesign.deploy.client import Client, DeviceError
from codesign.deploy.device import Device, WrongDeviceError
from codesign.deploy.protocol import Code, Deframer, Kind, Reply
from codesign.deploy.serial_port import SerialPort
from codesign.errors import UserError
from codesign.ir import GraphBuilder, IntType, golden
from codesign.ir.ops import Dense

from .twin import Board, Twin

PATIENT_S = 20.0
"""Longer than any answer takes on a busy machine: nothing is sent twice."""


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-256, 256, (count, 4))


def packed(board: Board, frame: np.ndarray) -> bytes:
    return board.serial.entering.pack(frame)


def talk(port: SerialPort, line: bytes, replies: int) -> list[Reply]:
    """Send bytes and return as many replies, and none may come behind them."""
    port.write(line)
    deframer, found = Deframer(), []
    end = time.monotonic() + PATIENT_S
    while len(found) < replies and time.monotonic() < end:
        found += [protocol.read_reply(body) for body in deframer.feed(port.read(1.0))]
    found += [protocol.read_reply(body) for body in deframer.feed(port.read(0.1))]
    return found


def wait_for(twin: Twin, taken: int = 0, sent: int = 0) -> None:
    """Wait until so many bytes have gone to the device and come from it."""
    end = time.monotonic() + PATIENT_S
    while True:
        counts = [int(word) for word in twin.tell("look").split()[2:]]
        if counts[0] >= taken and counts[1] >= sent:
            return
        assert time.monotonic() < end, counts
        time.sleep(0.01)


def answer(board: Board, number: int, frame: np.ndarray) -> Reply:
    (expected,) = golden.run(board.project.graph, frame[None])
    return Reply(Code.ANSWER, number, board.serial.leaving.pack(expected))


def test_every_integer_is_golden(board: Board, twin: Twin):
    x = frames(40)
    with SerialPort(twin.port, 115_200) as port:
        device = Device(Client(port, PATIENT_S), board.project.graph)
        found = np.array([device.run(frame) for frame in x])
    assert np.array_equal(found, golden.run(board.project.graph, x))
    counts = device.client.counts
    assert (counts.requests, counts.retries, counts.stale, counts.refused) == (41, 0, 0, {})
    assert not twin.led


def test_identity(board: Board, twin: Twin):
    with SerialPort(twin.port, 115_200) as port:
        device = Device(Client(port, PATIENT_S), board.project.graph)
        assert device.identity == board.serial.identity
    assert (device.identity.input_bytes, device.identity.output_bytes) == (8, 48)


def test_a_device_with_another_network_is_refused(twin: Twin):
    builder = GraphBuilder("other")
    other = builder.build(builder.add(Dense(np.eye(4, 24, dtype=np.int64)), builder.input((4,), IntType(9, True))))
    with SerialPort(twin.port, 115_200) as port, pytest.raises(WrongDeviceError, match="holds another network"):
        Device(Client(port, PATIENT_S), other)


def test_bits_above_a_word_are_ignored(board: Board, twin: Twin):
    (x,) = frames(1)
    noisy = bytes(byte | 0xA4 * (index % 2) for index, byte in enumerate(packed(board, x)))
    with SerialPort(twin.port, 115_200) as port:
        assert talk(port, protocol.request(Kind.INFER, 9, noisy), 1) == [answer(board, 9, x)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (protocol.packet(0x12, 3), Code.UNKNOWN_TYPE),
        (protocol.packet(0x21, 3, bytes(8)), Code.UNKNOWN_TYPE),
        (protocol.request(Kind.INFER, 3, bytes(7)), Code.WRONG_LENGTH),
        (protocol.request(Kind.INFER, 3, bytes(9)), Code.WRONG_LENGTH),
        (protocol.request(Kind.INFER, 3, bytes(500)), Code.WRONG_LENGTH),
        (protocol.request(Kind.IDENTIFY, 3, b"?"), Code.WRONG_LENGTH),
        (protocol.framed(b"\x11\x03\x07\x00" + bytes(8)), Code.WRONG_LENGTH),
        (b"~\x11\x03~", Code.BAD_CHECKSUM),
        (protocol.request(Kind.INFER, 3, bytes(8))[:-1] + b"}~", Code.BAD_CHECKSUM),
    ],
)
def test_wrong_requests_are_refused_and_leave_nothing(board: Board, twin: Twin, line: bytes, code: Code):
    (x,) = frames(1)
    with SerialPort(twin.port, 115_200) as port:
        assert talk(port, line, 1) == [Reply(code, 3)]
        assert twin.led
        assert talk(port, protocol.request(Kind.INFER, 4, packed(board, x)), 1) == [answer(board, 4, x)]


def test_a_request_that_the_device_does_not_know_is_not_repeated(twin: Twin):
    with SerialPort(twin.port, 115_200) as port:
        client = Client(port, PATIENT_S)
        with pytest.raises(DeviceError, match="refuses a request of this length"):
            client.request(Kind.INFER, bytes(7))
        assert client.counts.retries == 0


def test_flags_between_packets_and_one_between_two_are_right(board: Board, twin: Twin):
    (x,) = frames(1)
    infer, identify = protocol.request(Kind.INFER, 1, packed(board, x)), protocol.request(Kind.IDENTIFY, 2)
    with SerialPort(twin.port, 115_200) as port:
        found = talk(port, b"~~~" + infer + b"~~" + identify[1:], 2)
    assert found == [answer(board, 1, x), Reply(Code.IDENTITY, 2, board.serial.identity.to_bytes())]


def test_a_host_that_does_not_wait_is_told_so_and_no_answer_is_wrong(board: Board, twin: Twin):
    x = frames(4)
    requests = [protocol.request(Kind.INFER, number, packed(board, frame)) for number, frame in enumerate(x)]
    with SerialPort(twin.port, 115_200) as port:
        # The third is complete when two replies are owed already.
        assert talk(port, b"".join(requests[:3]), 2) == [answer(board, 0, x[0]), Reply(Code.BUSY, 1)]
        assert twin.led
        assert talk(port, requests[3], 1) == [answer(board, 3, x[3])]


def test_a_request_that_comes_twice_is_answered_once_and_refused_once(board: Board, twin: Twin):
    (x,) = frames(1)
    request = protocol.request(Kind.INFER, 7, packed(board, x))
    with SerialPort(twin.port, 115_200) as port:
        assert talk(port, request * 2, 2) == [answer(board, 7, x), Reply(Code.BUSY, 7)]


def test_what_is_on_the_line_after_power_up_is_no_packet(board: Board, twin: Twin):
    twin.tell(*(f"noise {byte}" for byte in (0x11, 0x00, 0x7D, 0xFF)), "unstopped 85")
    with SerialPort(twin.port, 115_200) as port:
        client = Client(port, PATIENT_S)
        Device(client, board.project.graph)
    assert (client.counts.retries, client.counts.refused) == (0, {})
    assert not twin.led


def test_an_old_answer_is_not_taken_for_a_new_one(board: Board, twin: Twin):
    x = frames(2)
    with SerialPort(twin.port, 115_200) as port:
        client = Client(port, PATIENT_S, first_number=60)
        port.write(protocol.request(Kind.IDENTIFY, 59))
        found = client.request(Kind.INFER, packed(board, x[0]))
        assert (found, client.counts.stale, client.counts.retries) == (answer(board, 60, x[0]).payload, 1, 0)


def test_what_an_earlier_program_left_unread_is_forgotten(board: Board, twin: Twin):
    x = frames(2)
    with SerialPort(twin.port, 115_200) as port:
        port.write(protocol.request(Kind.INFER, 61, packed(board, x[0])))
        wait_for(twin, sent=len(protocol.reply(answer(board, 61, x[0]))))
        # It has even the number that comes next.
        client = Client(port, PATIENT_S, first_number=61)
        assert client.request(Kind.INFER, packed(board, x[1])) == answer(board, 61, x[1]).payload


def test_a_break_resets_the_device_and_its_network(board: Board, twin: Twin):
    x = frames(2)
    request = protocol.request(Kind.INFER, 1, packed(board, x[0]))
    with SerialPort(twin.port, 115_200) as port:
        assert talk(port, protocol.packet(0x12, 3), 1) == [Reply(Code.UNKNOWN_TYPE, 3)]
        assert twin.led
        port.write(request[:9])
        wait_for(twin, taken=len(protocol.packet(0x12, 3)) + 9)
        twin.tell("break")
        # What came before the break is gone: this is no packet's end.
        assert talk(port, request[9:] + protocol.request(Kind.INFER, 2, packed(board, x[1])), 1) == [
            answer(board, 2, x[1])
        ]
        assert not twin.led


def test_a_port_belongs_to_one_program(twin: Twin):
    with SerialPort(twin.port, 115_200), pytest.raises(UserError, match="in use by another program"):
        SerialPort(twin.port, 115_200)
    SerialPort(twin.port, 115_200).close()


def test_a_port_that_goes_away_is_told(board: Board):
    with Twin(board) as twin:
        port = SerialPort(twin.port, 115_200)
    with port, pytest.raises(UserError, match="has gone away"):
        port.read(1.0)
