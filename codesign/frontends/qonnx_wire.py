"""Counting the fields of an ONNX file before it is parsed, so that a few bytes cannot ask for much memory.

A protocol buffer of two bytes per message becomes some hundred bytes per message once it is parsed. Here the wire
format is walked without building anything; what has more fields than a network has is refused.
"""

from __future__ import annotations

from codesign.errors import UserError

MAX_FIELDS = 400_000
"""Fields in all; a network of 5000 nodes has half as many."""

MAX_DEPTH = 16
"""Messages inside one another."""

# Messages inside messages, by field number, as onnx.proto defines them. Fields without an entry are skipped whole.
_SHAPE: dict[int, str] = {1: "leaf"}
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "leaf", 14: "leaf", 20: "leaf", 25: "function"},
    "function": {7: "node", 9: "leaf", 11: "attribute", 12: "value_info", 14: "leaf"},
    "graph": {
        1: "node", 5: "tensor", 11: "value_info", 12: "value_info", 13: "value_info", 14: "annotation", 15: "sparse",
        16: "leaf",
    },
    "node": {5: "attribute", 9: "leaf", 10: "leaf"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 14: "type", 15: "type", 22: "sparse", 23: "sparse",
    },
    "tensor": {3: "leaf", 13: "leaf", 16: "leaf"},
    "sparse": {1: "tensor", 2: "tensor"},
    "annotation": {2: "leaf"},
    "value_info": {2: "type", 4: "leaf"},
    "type": {1: "tensor_type", 4: "wrapped", 5: "wrapped", 8: "tensor_type", 9: "wrapped"},
    "wrapped": {1: "type", 2: "type"},
    "tensor_type": {2: "shape"},
    "shape": _SHAPE,
    "leaf": {},
}  # fmt: skip
_PACKED = (7, 8)
"""Lists of floats and integers of an attribute, of which a parser takes many in one field, too."""


def check(data: bytes, source: str) -> None:
    """Walk a serialised `ModelProto`.

    Parameters
    ----------
    data : bytes
    source : str
        Name of the file, for the message.

    Raises
    ------
    UserError
        When it is no protocol buffer, or has more fields or deeper nesting than a network needs.
    """
    left = MAX_FIELDS
    # Messages that wait: kind, first byte, end, depth.
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        kind, place, end, depth = waiting.pop()
        inside = _MESSAGES[kind]
        if depth > MAX_DEPTH:
            raise UserError(f"{source} nests messages deeper than a network does; export it again.")
        while place < end:
            left -= 1
            if left < 0:
                raise _many(source)
            key, place = _varint(data, place, end, source)
            match key & 7:
                case 0:
                    _, place = _varint(data, place, end, source)
                case 1:
                    place += 8
                case 2:
                    size, place = _varint(data, place, end, source)
                    if kind == "attribute" and key >> 3 in _PACKED:
                        left -= size // 4  # numbers, each of which takes eight bytes or more once it is parsed
                    if (nested := inside.get(key >> 3)) is not None and place + size <= end:
                        waiting.append((nested, place, place + size, depth + 1))
                    place += size
                case 5:
                    place += 4
                case _:
                    raise _damaged(source)
        if place != end:
            raise _damaged(source)
    if left < 0:
        raise _many(source)


def _varint(data: bytes, place: int, end: int, source: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            raise _damaged(source)
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _damaged(source)


def _many(source: str) -> UserError:
    return UserError(f"{source} has more than {MAX_FIELDS:,} fields, more than a network has; export it again.")


def _damaged(source: str) -> UserError:
    return UserError(f"{source} is damaged or no ONNX file; export it again.")
