"""The packets that travel between a host and the serial shell of a board, as ``hw/shell/README.md`` specifies them.

Pure functions from bytes to bytes; nothing here waits or retries.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from codesign.errors import UserError

VERSION = 1
"""Of the protocol; part of the first byte of every packet."""

MOST_PAYLOAD = 0xFFFF
"""Bytes: the length has 16 bits."""

OVERHEAD = 6
"""Bytes of a packet beside its payload: header and checksum, without flags and escapes."""

FLAG, ESCAPE, TOGGLE = 0x7E, 0x7D, 0x20
_REPLY = 0x80
_IDENTITY = struct.Struct("<HHHH8s")


class Kind(enum.IntEnum):
    """What a request asks for."""

    IDENTIFY = 0
    INFER = 1


class Code(enum.IntEnum):
    """What a reply says; those below 8 carry what was asked for, and equal the kind of the request."""

    IDENTITY = 0
    ANSWER = 1
    BAD_CHECKSUM = 8
    UNKNOWN_TYPE = 9
    WRONG_LENGTH = 10
    BUSY = 11


class PacketError(ValueError):
    """Bytes that are no reply: damaged on the line, or not of this protocol."""


class VersionError(UserError):
    """A device that speaks another version of the protocol."""


@dataclass(frozen=True)
class Reply:
    """A reply whose checksum was right.

    Parameters
    ----------
    code : Code
    number : int
        Of the request, 0 to 255; not to be relied on where the checksum of the request was wrong.
    payload : bytes
    """

    code: Code
    number: int
    payload: bytes = b""


@dataclass(frozen=True)
class Identity:
    """What a device says of itself.

    Parameters
    ----------
    input_bytes, output_bytes : int
        Payload of a request for an inference, and of its answer.
    input_lanes, output_lanes : int
        Elements in a word.
    digest : bytes
        First 8 bytes of the SHA-256 of the graph, see `short_digest`.
    """

    input_bytes: int
    output_bytes: int
    input_lanes: int
    output_lanes: int
    digest: bytes

    def to_bytes(self) -> bytes:
        """Return the payload of the reply."""
        return _IDENTITY.pack(self.input_bytes, self.output_bytes, self.input_lanes, self.output_lanes, self.digest)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Identity:
        """Read the payload of the reply.

        Raises
        ------
        PacketError
            When it is not as long as an identity.
        """
        if len(payload) != _IDENTITY.size:
            raise PacketError(f"an identity has {_IDENTITY.size} bytes, not {len(payload)}")
        return cls(*_IDENTITY.unpack(payload))


def short_digest(graph_sha256: str) -> bytes:
    """Return what a device tells of the digest of its graph.

    Parameters
    ----------
    graph_sha256 : str
        In hexadecimal digits, from `codesign.ir.digest`.
    """
    return bytes.fromhex(graph_sha256)[:8]


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0x8408 if value & 1 else value >> 1
        table.append(value)
    return table


_TABLE = _table()


def checksum(data: bytes) -> int:
    """Return the FCS-16 of RFC 1662, also known as CRC-16/X.25."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF


def packet(first: int, number: int, payload: bytes = b"") -> bytes:
    """Return a packet as it goes on the line: flag, header, payload, checksum, flag, with escapes inside.

    Parameters
    ----------
    first : int
        First byte: version and type.
    number : int
        0 to 255.
    payload : bytes
        At most `MOST_PAYLOAD`.
    """
    return framed(struct.pack("<BBH", first, number, len(payload)) + payload)


def framed(body: bytes) -> bytes:
    """Return bytes as they go on the line: their checksum behind them, escapes inside, a flag at both ends."""
    body += struct.pack("<H", checksum(body))
    stuffed = body.replace(bytes([ESCAPE]), bytes([ESCAPE, ESCAPE ^ TOGGLE]))
    stuffed = stuffed.replace(bytes([FLAG]), bytes([ESCAPE, FLAG ^ TOGGLE]))
    return bytes([FLAG]) + stuffed + bytes([FLAG])


def request(kind: Kind, number: int, payload: bytes = b"") -> bytes:
    """Return a request as it goes on the line."""
    return packet(VERSION << 4 | kind, number, payload)


def reply(answer: Reply) -> bytes:
    """Return a reply as a device sends it."""
    return packet(_REPLY | VERSION << 4 | answer.code, answer.number, answer.payload)


class Deframer:
    """Cuts what comes over the line into packets, and takes the escapes out.

    What comes before the first flag belongs to no packet.
    """

    def __init__(self) -> None:
        self._body: bytearray | None = None
        self._escaped = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """Take bytes of the line.

        Returns
        -------
        list of bytes or None
            Packets that have ended, with their checksums, which nobody has looked at; None for one that broke off
            in an escape.
        """
        ended: list[bytes | None] = []
        for byte in data:
            if byte == FLAG:
                if self._escaped:
                    ended.append(None)
                elif self._body:
                    ended.append(bytes(self._body))
                self._body, self._escaped = bytearray(), False
            elif self._body is not None and byte == ESCAPE and not self._escaped:
                self._escaped = True
            elif self._body is not None:
                self._body.append(byte ^ TOGGLE * self._escaped)
                self._escaped = False
        return ended


def read_reply(body: bytes | None) -> Reply:
    """Read what `Deframer` cut out.

    Raises
    ------
    PacketError
        When it was damaged on the line, or is no reply.
    VersionError
        When it is a reply of another version of the protocol.
    """
    if body is None or len(body) < OVERHEAD:
        raise PacketError("a packet broke off")
    first, number, length = struct.unpack_from("<BBH", body)
    (sent,) = struct.unpack_from("<H", body, len(body) - 2)
    if checksum(body[:-2]) != sent:
        raise PacketError("a checksum is wrong")
    if not first & _REPLY:
        raise PacketError("a request came instead of a reply")
    if (version := first >> 4 & 7) != VERSION:
        raise VersionError(
            f"the device speaks version {version} of the protocol and this codesign version {VERSION}; "
            "program it with a bitstream that this codesign makes."
        )
    if length != len(body) - OVERHEAD:
        raise PacketError("a packet has another length than it says")
    try:
        code = Code(first & 15)
    except ValueError as error:
        raise PacketError(f"a reply has the unknown code {first & 15}") from error
    return Reply(code, number, body[4:-2])
