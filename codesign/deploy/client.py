"""Requests and their replies over a stream of bytes that may damage or lose any of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from codesign.deploy import protocol
from codesign.deploy.protocol import Code, Deframer, Kind, PacketError, Reply
from codesign.errors import UserError

ATTEMPTS = 6
"""Times that a request is sent at most."""

SETTLE_S = 0.05
"""Silence, in seconds, after which a damaged or refused exchange is over: more than a USB adapter holds bytes back."""


class ByteStream(Protocol):
    """What a client talks over."""

    def read(self, timeout_s: float) -> bytes:
        """Return what has come, at least one byte unless nothing comes for `timeout_s` seconds."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def discard_input(self) -> None:
        """Forget what has come and was not read."""

    def send_break(self) -> None:
        """Hold the line at 0 for longer than any byte does."""


class DeviceError(UserError):
    """A device that does not answer, or refuses what was asked."""


@dataclass
class Counts:
    """What happened on the line.

    Parameters
    ----------
    requests : int
        That were answered.
    retries : int
        Times that a request was sent again.
    timeouts : int
        Attempts without a reply.
    damaged : int
        Packets from the device that were not whole or had a wrong checksum.
    refused : dict of Code to int
        Replies that say an error.
    stale : int
        Replies to other requests, which are ignored.
    breaks : int
        Times that the device was reset.
    """

    requests: int = 0
    retries: int = 0
    timeouts: int = 0
    damaged: int = 0
    refused: dict[Code, int] = field(default_factory=dict)
    stale: int = 0
    breaks: int = 0


class Client:
    """Sends one request after the other, each until its reply has come whole.

    A request is repeated with the number it had: the device keeps nothing of a request, so that a second answer is
    the same as the first, and whichever comes first is taken. What comes later has an old number and is ignored.

    Parameters
    ----------
    stream : ByteStream
    timeout_s : float
        For a reply; `reply_time_s` says what the line takes.
    byte_s : float
        Seconds that a byte takes on the line: what was written is out only then, and a part of it may be refused
        before.
    attempts : int
        Times that a request is sent at most. Before the last one the device is reset by a break.
    first_number : int, optional
        Of the first request, 0 to 255; by default of the clock, so that an answer to an earlier program's request is
        not taken for one to ours.
    clock : callable
        Seconds, never running backwards.
    """

    def __init__(
        self,
        stream: ByteStream,
        timeout_s: float,
        byte_s: float = 0.0,
        attempts: int = ATTEMPTS,
        first_number: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        self.timeout_s = timeout_s
        self._byte_s = byte_s
        self._stream = stream
        self._attempts = attempts
        self._clock = clock
        self._number = (int(clock() * 1000) if first_number is None else first_number) & 0xFF
        self._deframer = Deframer()
        stream.discard_input()

    def request(self, kind: Kind, payload: bytes = b"") -> bytes:
        """Send a request and return the payload of its reply.

        Raises
        ------
        DeviceError
            When no whole reply comes in all attempts, or the device says that it does not know such a request.
        VersionError
            When the device speaks another version of the protocol.
        """
        number = self._number
        self._number = (number + 1) & 0xFF
        packet = protocol.request(kind, number, payload)
        for attempt in range(self._attempts):
            if attempt:
                self.counts.retries += 1
                if attempt == self._attempts - 1:
                    self._reset()
            self._stream.write(packet)
            found = self._reply(Code(kind), number, self._clock() + len(packet) * self._byte_s)
            if found is not None:
                self.counts.requests += 1
                return found
        raise DeviceError(f"the device gave no answer that is whole in {self._attempts} attempts")

    def _reset(self) -> None:
        self.counts.breaks += 1
        self._stream.send_break()
        self._stream.discard_input()

    def _reply(self, wanted: Code, number: int, out: float) -> bytes | None:
        """Return the payload of the reply to one attempt, or None when it must be repeated.

        An attempt that was refused or damaged goes on until it is `out`, by the clock, and the line is silent: what
        was sent and received by halves is then over, and the next attempt is not taken for a part of it.
        """
        end = limit = self._clock() + self.timeout_s
        failed, answer = False, None
        while (left := end - self._clock()) > 0:
            data = self._stream.read(left)
            for body in self._deframer.feed(data):
                try:
                    reply = protocol.read_reply(body)
                except PacketError:
                    self.counts.damaged += 1
                    failed = True
                    continue
                if reply.code == wanted and reply.number == number and answer is None:
                    answer = reply.payload
                else:
                    failed |= self._refused(reply, number)
            if answer is not None:
                return answer
            if failed and data:
                end = min(limit, max(out, self._clock()) + SETTLE_S)
        self.counts.timeouts += not failed
        return None

    def _refused(self, reply: Reply, number: int) -> bool:
        """Count a reply that is not the answer; return whether it says that the request failed."""
        # The number of a request with a wrong checksum may be wrong itself.
        if reply.code < Code.BAD_CHECKSUM or (reply.number != number and reply.code != Code.BAD_CHECKSUM):
            self.counts.stale += 1
            return False
        self.counts.refused[reply.code] = self.counts.refused.get(reply.code, 0) + 1
        if reply.code in (Code.UNKNOWN_TYPE, Code.WRONG_LENGTH):
            what = "type" if reply.code == Code.UNKNOWN_TYPE else "length"
            raise DeviceError(f"the device refuses a request of this {what}")
        return True


def reply_time_s(baud: int, request_bytes: int, reply_bytes: int) -> float:
    """Return the seconds that a request and its reply take on the line at most.

    Parameters
    ----------
    baud : int
        Bits per second.
    request_bytes, reply_bytes : int
        Of the payloads; every byte may need an escape.
    """
    packets = [2 * (payload + protocol.OVERHEAD) + 2 for payload in (request_bytes, reply_bytes)]
    return 10 * sum(packets) / baud
