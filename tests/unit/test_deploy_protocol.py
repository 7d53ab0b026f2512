"""Packets: random payloads come back, and damaged ones never do."""

from __future__ import annotations

import random

import pytest

from codesign.deploy import protocol
from codesign.deploy.protocol import Code, Deframer, Identity, Kind, PacketError, Reply, VersionError

IDENTITY = Identity(input_bytes=3072, output_bytes=30, input_lanes=3, output_lanes=1, digest=bytes(range(8)))


def bodies(line: bytes) -> list[bytes | None]:
    return Deframer().feed(line)


def replies(line: bytes) -> list[Reply]:
    """All packets on a line that are replies, the others left out."""
    found = []
    for body in bodies(line):
        try:
            found.append(protocol.read_reply(body))
        except (PacketError, VersionError):
            continue
    return found


def test_the_published_check_value():
    # RFC 1662 gives the polynomial; the catalogue of parametrised CRC algorithms the value, under CRC-16/IBM-SDLC.
    assert protocol.checksum(b"123456789") == 0x906E


def test_packets_are_these_bytes():
    assert protocol.request(Kind.IDENTIFY, 5).hex() == "7e10050000c2067e"
    # The payload 7E 7D goes as 7D 5E 7D 5D.
    assert protocol.request(Kind.INFER, 1, b"\x7e\x7d").hex() == "7e110102007d5e7d5d90417e"
    assert protocol.reply(Reply(Code.BUSY, 255)).hex() == "7e9bff0000f7147e"


@pytest.mark.parametrize("seed", range(20))
def test_random_payloads_come_back(seed: int):
    rng = random.Random(seed)
    sent = []
    for _ in range(10):
        data = rng.choice([rng.randbytes, lambda n: bytes(rng.choices([0x7E, 0x7D, 0x5E, 0x5D], k=n))])
        code = rng.choice(list(Code))
        sent.append(Reply(code, rng.randrange(256), data(rng.randrange(300))))
    line = rng.randbytes(5).replace(b"~", b"") + b"".join(map(protocol.reply, sent))
    assert replies(line) == sent
    # In pieces, as a serial port gives them.
    deframer, found, rest = Deframer(), [], line
    while rest:
        size = rng.randrange(1, 9)
        found += [protocol.read_reply(body) for body in deframer.feed(rest[:size])]
        rest = rest[size:]
    assert found == sent


def test_no_flag_or_escape_is_inside_a_packet():
    for value in range(256):
        line = protocol.packet(value, value, bytes([value]))
        assert 0x7E not in line[1:-1]
        for place, byte in enumerate(line):
            if byte == 0x7D:
                assert line[place + 1] in (0x5E, 0x5D)


def test_every_single_corrupted_byte_is_found():
    right = Reply(Code.ANSWER, 0x7E, b"\x00\x7d\x31")
    line = protocol.reply(right)
    following = protocol.reply(Reply(Code.ANSWER, 2, b"next"))
    for place in range(len(line)):
        for value in range(256):
            if value == line[place]:
                continue
            damaged = line[:place] + bytes([value]) + line[place + 1 :]
            # The next packet comes through whatever happened to this one; the flag between may be the next one's.
            assert [r for r in replies(damaged + following) if r != right] == [Reply(Code.ANSWER, 2, b"next")]
            if 0 < place < len(line) - 1:
                assert right not in replies(damaged + following), (place, value)


def test_every_lost_or_added_byte_is_found():
    right = Reply(Code.ANSWER, 3, bytes([0, 0, 0x7E, 9]))
    line = protocol.reply(right)
    for place in range(1, len(line) - 1):
        assert replies(line[:place] + line[place + 1 :]) == [], place
        for value in range(256):
            longer = replies(line[:place] + bytes([value]) + line[place:])
            # A flag beside a flag is no byte of a packet.
            assert longer == [right] if (place, value) == (1, 0x7E) else right not in longer, (place, value)


def test_a_truncated_packet_does_not_take_the_next_one_along():
    line = protocol.reply(Reply(Code.ANSWER, 3, b"long enough"))
    following = Reply(Code.BUSY, 4)
    for size in range(len(line)):
        assert following in replies(line[:size] + protocol.reply(following))


def test_requests_are_no_replies():
    (body,) = bodies(protocol.request(Kind.IDENTIFY, 5))
    with pytest.raises(PacketError, match="a request came instead"):
        protocol.read_reply(body)


def test_another_version_is_told():
    (body,) = bodies(protocol.packet(0xA0, 5))
    with pytest.raises(VersionError, match=r"version 2 of the protocol and this codesign version 1; program it"):
        protocol.read_reply(body)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"~\x91\x01~", "broke off"),
        (b"~\x91\x01\x00\x00}~", "broke off"),
        (protocol.packet(0x95, 1), "unknown code 5"),
        (protocol.framed(b"\x91\x01\x05\x00abc"), "another length"),
        (protocol.reply(Reply(Code.ANSWER, 1, b"abc")).replace(b"abc", b"abd"), "checksum"),
    ],
)
def test_what_is_wrong_is_said(line: bytes, said: str):
    (body,) = bodies(line)
    with pytest.raises(PacketError, match=said):
        protocol.read_reply(body)


def test_identity_comes_back():
    assert Identity.from_bytes(IDENTITY.to_bytes()) == IDENTITY
    assert IDENTITY.to_bytes().hex() == "000c1e00030001000001020304050607"
    with pytest.raises(PacketError, match="an identity has 16 bytes, not 15"):
        Identity.from_bytes(bytes(15))
