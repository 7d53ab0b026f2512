"""Memory files: words of packed fields in hexadecimal digits, as `$readmemh` takes them."""

from __future__ import annotations

import numpy as np


def words(fields: np.ndarray, bits: int) -> str:
    """Return one line per word.

    Parameters
    ----------
    fields : ndarray of int, shape (words, fields)
        Field i of a word takes its bits [i * bits, (i + 1) * bits), in two's complement.
    bits : int
        Of a field.
    """
    count, width = fields.shape[0], fields.shape[1] * bits
    digits = -(-width // 4)
    # Bytes hold two digits; where the number of digits is odd, the first one is cut off again.
    field = np.zeros((count, (digits + digits % 2) * 4), dtype=np.uint8)
    field[:, :width] = ((fields[:, :, None] >> np.arange(bits)) & 1).reshape(count, width)
    lines = np.packbits(field, axis=1, bitorder="little")[:, ::-1].tobytes().hex()
    each = digits + digits % 2
    return "".join(f"{lines[at + digits % 2 : at + each]}\n" for at in range(0, count * each, each))


def packed(values: list[int], bits: int) -> int:
    """Return integers as one, the first in the lowest bits, each cut to its two's complement."""
    mask = (1 << bits) - 1
    # Joining strings of digits is linear, shifting a growing integer is not.
    return int("".join(f"{value & mask:0{bits}b}" for value in reversed(values)), 2)


def unpacked(word: int, count: int, bits: int, signed: bool) -> list[int]:
    """Return the fields of a word, the opposite of `packed`."""
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    fields = [(word >> (i * bits)) & mask for i in range(count)]
    return [value - (mask + 1) if signed and value & sign else value for value in fields]
