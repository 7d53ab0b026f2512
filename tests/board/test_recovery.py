"""Bytes that are damaged or lost on the line, and devices that are reset in the middle of a packet: no answer is ever
wrong, and the host comes through by itself.
"""

from __future__ import annotations

import numpy as np
import pytest

from codesign.deploy import protocol
from codesign.deploy.client import Client, Counts, DeviceError
from codesign.deploy.device import Device
from codesign.deploy.protocol import Code, Kind, Reply
from codesign.deploy.serial_port import SerialPort
from codesign.ir import golden

from .twin import Board, Twin

HASTY_S = 0.25
"""More than an answer of the twin takes; where the machine is so busy that it does not, a request is sent twice."""

NUMBER = 33
FRAMES = np.random.default_rng(8).integers(-256, 256, (4, 4))
FAULTY = 1
"""The frame whose exchange is disturbed."""


def exchange(board: Board) -> tuple[bytes, bytes]:
    """The bytes that go either way for the faulty frame."""
    frame = FRAMES[FAULTY]
    (expected,) = golden.run(board.project.graph, frame[None])
    # The identity took the first number.
    number = NUMBER + 1 + FAULTY
    request = protocol.request(Kind.INFER, number, board.serial.entering.pack(frame))
    return request, protocol.reply(Reply(Code.ANSWER, number, board.serial.leaving.pack(expected)))


def disturbed(board: Board, twin: Twin, *faults: str) -> Counts:
    """Send all frames, the faulty one with faults, and check every integer."""
    with SerialPort(twin.port, 115_200) as port:
        client = Client(port, HASTY_S, first_number=NUMBER)
        device = Device(client, board.project.graph)
        for index, frame in enumerate(FRAMES):
            if index == FAULTY:
                twin.tell(*faults)
            expected = golden.run(board.project.graph, frame[None])[0]
            assert np.array_equal(device.run(frame), expected), (faults, index)
    assert client.counts.requests == 1 + len(FRAMES)
    counts = client.counts
    # A refusal may come when its request has been answered already.
    assert not twin.led or counts.refused or counts.stale
    return counts


def mask(board: Board, way: str, index: int, wanted: int) -> str:
    """The command that makes a byte another one."""
    line = exchange(board)[way == "from"]
    return f"{way} {index} flip {line[index] ^ wanted}"


# What goes to the device: flag, type, number, length, payload from byte 5, checksum, flag.
TO_DEVICE = {
    "a corrupted type": ["to 1 flip 3"],
    "a corrupted number": ["to 2 flip 64"],
    "a corrupted length": ["to 3 flip 1"],
    "a corrupted byte of the frame": ["to 5 flip 16"],
    "two corrupted bytes": ["to 5 flip 16", "to 9 flip 255"],
    "a corrupted checksum": ["to 13 flip 128"],
    "a lost byte": ["to 7 lose 1"],
    "two lost bytes": ["to 7 lose 2"],
}


@pytest.mark.parametrize("name", TO_DEVICE)
def test_a_damaged_request_is_refused_and_repeated(board: Board, twin: Twin, name: str):
    counts = disturbed(board, twin, *TO_DEVICE[name])
    assert counts.refused.get(Code.BAD_CHECKSUM) == 1
    assert counts.retries >= 1


@pytest.mark.parametrize(
    ("wanted", "index"), [(protocol.FLAG, 5), (protocol.FLAG, 2), (protocol.ESCAPE, 6), (protocol.ESCAPE, 13)]
)
def test_a_byte_that_becomes_a_flag_or_an_escape(board: Board, twin: Twin, wanted: int, index: int):
    counts = disturbed(board, twin, mask(board, "to", index, wanted))
    assert counts.refused.get(Code.BAD_CHECKSUM, 0) >= 1
    assert counts.retries >= 1


def test_the_flag_before_a_request_may_be_lost(board: Board, twin: Twin):
    # The one behind the request before does as well.
    disturbed(board, twin, "to 0 lose 1")


@pytest.mark.parametrize("first", [1, 4, 8, 15])
def test_a_truncated_request(board: Board, twin: Twin, first: int):
    size = len(exchange(board)[0])
    counts = disturbed(board, twin, f"to {first} lose {size - first}")
    # The flag of the repeated request ends what was left of the first one; where only a flag was lost, it was whole.
    assert counts.timeouts >= 1
    assert counts.retries >= 1


def test_a_request_that_is_lost_whole(board: Board, twin: Twin):
    counts = disturbed(board, twin, f"to 0 lose {len(exchange(board)[0])}")
    assert counts.timeouts >= 1


@pytest.mark.parametrize("byte", [0, 1, 4, 9, 14, 15])
def test_a_reset_in_the_middle_of_a_request(board: Board, twin: Twin, byte: int):
    counts = disturbed(board, twin, f"to {byte} reset")
    assert counts.retries >= 1


# What comes from the device: flag, code, number, length, payload from byte 5, checksum, flag.
FROM_DEVICE = {
    "a corrupted code": ["from 1 flip 9"],
    "a corrupted number": ["from 2 flip 1"],
    "a corrupted length": ["from 4 flip 255"],
    "a corrupted byte of the answer": ["from 20 flip 8"],
    "a lost byte": ["from 20 lose 1"],
    "a lost flag and a lost byte": ["from 0 lose 1", "from 9 lose 1"],
}


@pytest.mark.parametrize("name", FROM_DEVICE)
def test_a_damaged_reply_is_asked_for_again(board: Board, twin: Twin, name: str):
    counts = disturbed(board, twin, *FROM_DEVICE[name])
    assert counts.damaged >= 1
    assert counts.retries >= 1
    assert counts.refused.get(Code.BAD_CHECKSUM, 0) == 0


@pytest.mark.parametrize("wanted", [protocol.FLAG, protocol.ESCAPE])
def test_a_byte_of_a_reply_that_becomes_a_flag_or_an_escape(board: Board, twin: Twin, wanted: int):
    counts = disturbed(board, twin, mask(board, "from", 30, wanted))
    assert counts.damaged >= 1


def test_a_truncated_reply(board: Board, twin: Twin):
    size = len(exchange(board)[1])
    counts = disturbed(board, twin, f"from 25 lose {size - 25}")
    assert counts.timeouts >= 1
    # The flag of the next reply ends what was left of the first one.
    assert counts.damaged >= 1


def test_a_lost_end_of_a_reply(board: Board, twin: Twin):
    counts = disturbed(board, twin, f"from {len(exchange(board)[1]) - 1} lose 1")
    assert counts.retries >= 1


@pytest.mark.parametrize("byte", [0, 3, 5, 30, 52])
def test_a_reset_in_the_middle_of_a_reply(board: Board, twin: Twin, byte: int):
    # The network holds the other half of the answer then, and must forget it.
    counts = disturbed(board, twin, f"from {byte} reset")
    assert counts.retries >= 1


def test_faults_in_both_directions(board: Board, twin: Twin):
    counts = disturbed(board, twin, "to 6 flip 1", "from 3 flip 4", "to 30 lose 2", "from 70 flip 2")
    assert counts.retries >= 2


def test_a_device_that_is_dumb_is_given_up(board: Board, twin: Twin):
    twin.tell("from 0 lose 100000")
    with SerialPort(twin.port, 115_200) as port, pytest.raises(DeviceError, match="no answer that is whole in 2"):
        Device(Client(port, 0.1, attempts=2), board.project.graph)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["flip 1", "flip 255", "lose 1", "reset"])
def test_every_byte_either_way(board: Board, kind: str):
    request, reply = exchange(board)
    for way, line in (("to", request), ("from", reply)):
        for index in range(len(line)):
            with Twin(board, seed=index + 1) as twin:
                disturbed(board, twin, f"{way} {index} {kind}")
