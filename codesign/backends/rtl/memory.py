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
    digits = -(-fields.shape[1] * bits // 4)
    return "".join(f"{packed(row, bits):0{digits}x}\n" for row in fields.tolist())


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
