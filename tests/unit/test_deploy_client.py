"""The client against a stream that a script and a clock of its own stand for: what it repeats, ignores and gives up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from codesign import ir
from codesign.deploy import protocol
from codesign.deploy.client import Client, DeviceError, reply_time_s
from codesign.deploy.device import WrongDeviceError, packings
from codesign.deploy.measure import measure
from codesign.deploy.protocol import Code, Identity, Kind, Reply, VersionError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense

NUMBER = 10


class Stream:
    """Answers each request with bytes that a function makes of the attempt; time passes while it is silent."""

    def __init__(self, answer: Callable[[int], list[bytes | float]]) -> None:
        self.answer, self.now = answer, 0.0
        self.sent: list[bytes] = []
        self.waiting: list[bytes | float] = []
        self.breaks = 0

    def clock(self) -> float:
        return self.now

    def read(self, timeout_s: float) -> bytes:
        if not self.waiting:
            self.now += timeout_s
            return b""
        if not isinstance(self.waiting[0], bytes):
            # So many seconds of silence.
            silence = self.waiting.pop(0)
            if silence > timeout_s:
                self.waiting.insert(0, silence - timeout_s)
            self.now += min(silence, timeout_s)
            return b"" if silence > timeout_s else self.read(timeout_s - silence)
        self.now += 0.001
        return self.waiting.pop(0)

    def write(self, data: bytes) -> None:
        self.waiting += self.answer(len(self.sent))
        self.sent.append(data)

    def discard_input(self) -> None:
        self.waiting.clear()

    def send_break(self) -> None:
        self.breaks += 1


def client(answer: Callable[[int], list[bytes | float]], byte_s: float = 0.0) -> tuple[Client, Stream]:
    stream = Stream(answer)
    return Client(stream, 2.0, byte_s, attempts=4, first_number=NUMBER, clock=stream.clock), stream


def reply(code: Code = Code.ANSWER, number: int = NUMBER, payload: bytes = b"good") -> bytes:
    return protocol.reply(Reply(code, number, payload if code < 8 else b""))


GOOD = reply()
DAMAGED = GOOD.replace(b"good", b"food")


def test_the_first_answer_ends_a_request():
    talker, stream = client(lambda attempt: [GOOD[:3], GOOD[3:]])
    assert talker.request(Kind.INFER, b"x") == b"good"
    assert stream.sent == [protocol.request(Kind.INFER, NUMBER, b"x")]
    assert (talker.counts.requests, talker.counts.retries) == (1, 0)
    assert stream.now < 0.01


def test_numbers_count_and_begin_again_behind_255():
    talker, stream = client(lambda attempt: [reply(number=(NUMBER + attempt) % 256)])
    for _ in range(300):
        talker.request(Kind.INFER)
    assert [protocol.Deframer().feed(line)[0][1] for line in stream.sent] == [(NUMBER + i) % 256 for i in range(300)]


def test_silence_is_repeated_with_the_same_number():
    talker, stream = client(lambda attempt: [GOOD] if attempt == 2 else [])
    assert talker.request(Kind.INFER) == b"good"
    assert (talker.counts.retries, talker.counts.timeouts) == (2, 2)
    assert len(set(stream.sent)) == 1
    assert 4.0 < stream.now < 4.1


@pytest.mark.parametrize(
    ("first", "counted"),
    [
        (DAMAGED, {"damaged": 1}),
        (GOOD[:9] + b"~", {"damaged": 1}),
        (reply(Code.BAD_CHECKSUM), {"refused": {Code.BAD_CHECKSUM: 1}}),
        # The number was damaged as well.
        (reply(Code.BAD_CHECKSUM, 99), {"refused": {Code.BAD_CHECKSUM: 1}}),
        (reply(Code.BUSY), {"refused": {Code.BUSY: 1}}),
    ],
)
def test_what_failed_is_repeated_once_the_line_is_silent(first: bytes, counted: dict[str, object]):
    talker, stream = client(lambda attempt: [GOOD] if attempt else [first[:4], first[4:]])
    assert talker.request(Kind.INFER) == b"good"
    assert (talker.counts.retries, talker.counts.timeouts) == (1, 0)
    for name, value in counted.items():
        assert getattr(talker.counts, name) == value
    assert stream.now < 0.1


def test_both_halves_of_a_request_that_a_flag_cut_are_refused_before_it_is_repeated():
    # 8 bytes of 0.1 seconds; the second half ends when all of it is out.
    refused = reply(Code.BAD_CHECKSUM)
    talker, stream = client(lambda attempt: [0.9, GOOD] if attempt else [0.3, refused, 0.5, refused], byte_s=0.1)
    assert talker.request(Kind.INFER) == b"good"
    assert (talker.counts.retries, talker.counts.timeouts) == (1, 0)
    assert talker.counts.refused == {Code.BAD_CHECKSUM: 2}
    assert len(stream.sent) == 2
    assert stream.now == pytest.approx(0.8 + 0.05 + 0.9, abs=0.01)


def test_an_answer_that_comes_behind_a_damaged_packet_is_taken():
    talker, stream = client(lambda attempt: [DAMAGED, GOOD])
    assert talker.request(Kind.INFER) == b"good"
    assert len(stream.sent) == 1


def test_answers_to_other_requests_are_ignored():
    old = [reply(number=NUMBER - 1, payload=b"old"), reply(Code.IDENTITY), reply(Code.BUSY, NUMBER - 1)]
    talker, stream = client(lambda attempt: [*old, GOOD])
    assert talker.request(Kind.INFER) == b"good"
    assert (talker.counts.stale, talker.counts.retries, talker.counts.refused) == (3, 0, {})
    assert len(stream.sent) == 1


def test_a_second_answer_changes_nothing():
    answers = [[], [GOOD, GOOD], [GOOD, reply(number=NUMBER + 1, payload=b"next")]]
    talker, _ = client(lambda attempt: answers[attempt])
    assert [talker.request(Kind.INFER), talker.request(Kind.INFER)] == [b"good", b"next"]
    # One that was read already, and one more.
    assert talker.counts.stale == 2


def test_what_was_there_before_is_forgotten():
    stream = Stream(lambda attempt: [GOOD])
    stream.waiting = [reply(payload=b"old")]
    assert Client(stream, 1.0, first_number=NUMBER, clock=stream.clock).request(Kind.INFER) == b"good"


def test_a_device_is_reset_once_and_then_given_up():
    talker, stream = client(lambda attempt: [])
    with pytest.raises(DeviceError, match="the device gave no answer that is whole in 4 attempts"):
        talker.request(Kind.INFER)
    assert (len(stream.sent), stream.breaks, talker.counts.breaks) == (4, 1, 1)


@pytest.mark.parametrize(("code", "what"), [(Code.UNKNOWN_TYPE, "type"), (Code.WRONG_LENGTH, "length")])
def test_a_refusal_that_will_not_change_is_not_repeated(code: Code, what: str):
    talker, stream = client(lambda attempt: [reply(code)])
    with pytest.raises(DeviceError, match=f"refuses a request of this {what}"):
        talker.request(Kind.INFER)
    assert len(stream.sent) == 1


def test_a_device_of_another_version_is_told():
    talker, _ = client(lambda attempt: [protocol.packet(0xA0, NUMBER)])
    with pytest.raises(VersionError, match="version 2"):
        talker.request(Kind.IDENTIFY)


def test_the_time_on_the_line():
    # Flags, header and checksum, every byte with an escape.
    assert reply_time_s(100, 0, 1) == pytest.approx(10 * (14 + 16) / 100)


def graph() -> Graph:
    builder = GraphBuilder("g")
    return builder.build(builder.add(Dense(np.arange(8).reshape(4, 2)), builder.input((4,), IntType(6, False))))


def identity(**changes: int | bytes) -> Identity:
    made = graph()
    width = -(-made.output.type.bits // 8)
    about = {"input_bytes": 4, "output_bytes": 2 * width, "input_lanes": 1, "output_lanes": 1}
    return Identity(**{**about, "digest": protocol.short_digest(ir.digest(made)), **changes})


def test_frames_travel_by_the_lanes_that_the_device_tells():
    entering, leaving = packings(graph(), identity(input_lanes=2))
    assert (entering.lanes, entering.frame_bytes, leaving.lanes) == (2, 4, 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": bytes(8)}, "the digest of its graph begins with 0000000000000000, not with"),
        ({"input_lanes": 3}, "impossible identity"),
        ({"output_lanes": 0}, "impossible identity"),
        ({"input_bytes": 5}, "takes frames of 5 and answers"),
        ({"input_lanes": 4}, "takes frames of 4 and answers"),
    ],
)
def test_another_device_is_refused(changes: dict[str, int | bytes], said: str):
    with pytest.raises(WrongDeviceError, match=said):
        packings(graph(), identity(**changes))


def test_measuring_counts_what_differs_and_times_the_exchanges_alone():
    made = graph()
    x = np.random.default_rng(1).integers(0, 64, (5, 4))
    ticks = iter([0.0, 0.1, 5.0, 5.2, 9.0, 9.4, 10.0, 10.2, 20.0, 20.1])

    class Board:
        def run(self, frame: np.ndarray) -> np.ndarray:
            (found,) = golden.run(made, frame[None])
            return found + np.array([0, 7]) if np.array_equal(frame, x[3]) else found

    found = measure(Board(), made, x, np.full(5, 1), lambda outputs: outputs.argmax(axis=1), clock=lambda: next(ticks))
    assert (found.images, found.integers, found.differences) == (5, 10, 1)
    expected = int(golden.run(made, x)[3, 1])
    assert found.first_difference == {"image": 3, "element": [1], "expected": expected, "found": expected + 7}
    assert found.frames_per_second == pytest.approx(5 / 1.0)
    assert found.latency_us == pytest.approx(0.2e6)
    assert found.accuracy == 100.0
