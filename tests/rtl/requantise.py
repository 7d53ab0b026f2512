"""Re-quantisation by thresholds or by a multiply and a shift, with one set of constants or several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from streams import integers, packed

from codesign.backends.rtl import memory
from codesign.ir import IntType


class Table(NamedTuple):
    """Parameters of a module, its memory files, and what it computes.

    Parameters
    ----------
    parameters : mapping of str to int, bool or str
    files : mapping of str to str
    x : ndarray of int, shape (words, lanes)
    entry : ndarray of int, shape (words,)
        Set of constants of each word.
    y : ndarray of int, shape (words, lanes)
    """

    parameters: Mapping[str, int | bool | str]
    files: Mapping[str, str]
    x: np.ndarray
    entry: np.ndarray
    y: np.ndarray

    @property
    def entering(self) -> tuple[list[int], int]:
        """Words of the input, and their bits."""
        bits = int(self.parameters["X"])
        return packed(self.x, bits), self.x.shape[1] * bits

    @property
    def leaving(self) -> tuple[list[int], int]:
        """Words of the output, and their bits."""
        bits = int(self.parameters["Y"])
        return packed(self.y, bits), self.x.shape[1] * bits


def _inputs(
    rng: np.random.Generator, lanes: int, x: IntType, frame: int, entries: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return words and their entries, the same for `frame` words."""
    words = integers(rng, x.bits, x.signed, (max(4, 150 // frame) * frame, lanes))
    return words, np.repeat(rng.integers(0, entries, len(words) // frame), frame)


def thresholds(
    lanes: int,
    x: IntType,
    count: int,
    offset: int,
    y: int,
    fold: int = 1,
    entries: int = 1,
    style: str = "logic",
    frame: int = 1,
) -> Table:
    """Return the table of `threshold`: rows of every word's lanes, some thresholds at the ends of the range."""
    rng = np.random.default_rng(count + fold)
    t = IntType.for_range(min(x.min, -1), x.max + 1)
    rows = np.sort(rng.integers(x.min, x.max + 2, (entries, fold, lanes, count)), axis=-1)
    words, entry = _inputs(rng, lanes, x, frame, entries)
    chosen = rows[entry, np.arange(len(words)) % fold]
    result = offset + (words[:, :, None] >= chosen).sum(axis=-1)
    parameters: dict[str, Any] = {
        "LANES": lanes,
        "X": x.bits,
        "X_SIGNED": x.signed,
        "T": t.bits,
        "COUNT": count,
        "OFFSET": offset,
        "Y": y,
        "FOLD": fold,
        "ENTRIES": entries,
        "THRESHOLDS": "thresholds",
        "STYLE": style,
    }
    return Table(
        parameters, {"thresholds": memory.words(rows.reshape(entries * fold, -1), t.bits)}, words, entry, result
    )


def dyadics(
    lanes: int,
    x: IntType,
    m: int,
    shifts: tuple[int, int],
    y: IntType,
    fold: int = 1,
    entries: int = 1,
    style: str = "logic",
    frame: int = 1,
) -> Table:
    """Return the table of `dyadic`; `shifts` is the range of the shifts."""
    rng = np.random.default_rng(m + fold)
    shape = (entries, fold, lanes)
    multiplier = integers(rng, m, True, shape)
    shift = rng.integers(shifts[0], shifts[1] + 1, shape)
    scale = 1 << (m + x.bits - 2)
    constant = rng.integers(-scale, scale, shape) + (1 << shift >> 1)
    words, entry = _inputs(rng, lanes, x, frame, entries)
    place = entry, np.arange(len(words)) % fold
    wide = words * multiplier[place] + constant[place]
    result = np.clip(wide >> shift[place], y.min, y.max)
    c = IntType.for_range(min(int(constant.min()), -1), int(constant.max())).bits
    s = max(1, shifts[1].bit_length())
    low, high = min(int(wide.min()), y.min, -1), max(int(wide.max()), y.max)
    # Every product, not only those of these words.
    bits = max(IntType.for_range(low, high).bits, m + x.bits + 1, c + 1)
    fields = [_bits(multiplier, m), _bits(constant, c), _bits(shift, s)]
    parameters: dict[str, Any] = {
        "LANES": lanes,
        "X": x.bits,
        "X_SIGNED": x.signed,
        "M": m,
        "C": c,
        "S": s,
        "WIDE": bits,
        "Y": y.bits,
        "LOW": y.min,
        "HIGH": y.max,
        "FOLD": fold,
        "ENTRIES": entries,
        "CONSTANTS": "constants",
        "STYLE": style,
    }
    table = np.concatenate(fields, axis=-1).reshape(entries * fold, -1)
    return Table(parameters, {"constants": memory.words(table, 1)}, words, entry, result)


def _bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the lowest bits of values, the lowest first, on a new last axis."""
    return (values[..., None] >> np.arange(bits)) & 1
