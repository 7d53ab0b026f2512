"""Parameters and memory files of re-quantisations: one set of constants, or one for each value of an index."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from codesign.backends.rtl import elementwise, mac, memory
from codesign.ir import IntType, Tensor
from codesign.ir.ops import Dyadic
from codesign.ir.types import weight_bits

Parameters = dict[str, int | bool | str]


def thresholds(
    table: np.ndarray, offset: int, x: Tensor, y: Tensor, lanes: int
) -> tuple[Parameters, dict[str, Callable[[], str]]]:
    """Return those of `threshold`.

    Parameters
    ----------
    table : ndarray of int, shape (entries, rows, levels - 1)
        One row serves all channels.
    offset : int
    x, y : Tensor
    lanes : int
    """
    # Beyond the input's range all thresholds are alike: always reached, or never.
    table = np.clip(table, x.type.min, x.type.max + 1)
    bits = IntType.for_range(min(x.type.min, -1), x.type.max + 1).bits
    words = np.concatenate([elementwise.by_word(rows, lanes) for rows in table])
    parameters = _common(x, y, lanes, len(table), len(words)) | {
        "T": bits,
        "COUNT": table.shape[2],
        "OFFSET": offset,
        "THRESHOLDS": "thresholds",
        "STYLE": mac.rom_style(len(words), lanes * table.shape[2] * bits),
    }
    return parameters, {"thresholds": functools.partial(memory.words, words.reshape(len(words), -1), bits)}


def dyadics(
    choices: Sequence[Dyadic], wide: IntType, x: Tensor, y: Tensor, lanes: int
) -> tuple[Parameters, dict[str, Callable[[], str]]]:
    """Return those of `dyadic`.

    Parameters
    ----------
    choices : sequence of Dyadic
    wide : IntType
        Holds every product with its constant.
    x, y : Tensor
    lanes : int
    """
    m = weight_bits(np.concatenate([op.multiplier for op in choices]))
    c = weight_bits(np.concatenate([op.bias + op.half for op in choices]))
    s = max(1, max(int(op.shift.max()) for op in choices).bit_length())
    sets = []
    for op in choices:
        # {shift, constant, multiplier} may exceed 64 bits: a row of bits.
        rows = np.concatenate([_bits(op.multiplier, m), _bits(op.bias + op.half, c), _bits(op.shift, s)], axis=1)
        sets.append(elementwise.by_word(rows, lanes))
    words = np.concatenate(sets)
    # The clamp compares with both limits, which need not lie in the range of the sums.
    bits = IntType.for_range(min(wide.min, y.type.min, -1), max(wide.max, y.type.max)).bits
    parameters = _common(x, y, lanes, len(choices), len(words)) | {
        "M": m,
        "C": c,
        "S": s,
        "WIDE": bits,
        "LOW": y.type.min,
        "HIGH": y.type.max,
        "CONSTANTS": "constants",
        "STYLE": mac.rom_style(len(words), lanes * (m + c + s)),
    }
    return parameters, {"constants": functools.partial(memory.words, words.reshape(len(words), -1), 1)}


def _common(x: Tensor, y: Tensor, lanes: int, entries: int, words: int) -> Parameters:
    return {
        "LANES": lanes,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "Y": y.type.bits,
        "FOLD": words // entries,
        "ENTRIES": entries,
    }


def _bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Return the lowest bits of each value, the lowest first: shape (values, bits)."""
    return (values[:, None] >> np.arange(bits)) & 1
