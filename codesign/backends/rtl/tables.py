"""Parameters and memory files of re-quantisations: one set of constants, or one for each value of an index."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from codesign.backends.rtl import elementwise, mac, memory
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block
from codesign.ir import IntType, Tensor
from codesign.ir.ops import Dyadic
from codesign.ir.types import weight_bits

Parameters = dict[str, int | bool | str]


def thresholds(
    table: np.ndarray, offset: int, x: Tensor, y: Tensor, lanes: int
) -> tuple[Parameters, dict[str, Callable[[], str]], float]:
    """Return those of `threshold`, and about how many LUTs it takes.

    Parameters
    ----------
    table : ndarray of int, shape (entries, rows, levels - 1)
        One row serves all channels.
    offset : int
    x, y : Tensor
    lanes : int
    """
    words, bits = _by_word(table, x, lanes)
    parameters = _common(x, y, lanes, len(table), len(words)) | {
        "T": bits,
        "COUNT": table.shape[2],
        "OFFSET": offset,
        "THRESHOLDS": "thresholds",
        "STYLE": mac.rom_style(len(words), lanes * table.shape[2] * bits),
    }
    # A comparison takes a LUT for a bit, and so does counting.
    luts = lanes * table.shape[2] * (bits * (1 + _rom_luts(len(words))) + 1)
    return parameters, {"thresholds": functools.partial(memory.words, words.reshape(len(words), -1), bits)}, luts


def searched(table: np.ndarray, offset: int, x: Tensor, y: Tensor, lanes: int) -> tuple[list[Block], float]:
    """Return the row of `threshold_stage` that finds the same by binary search, and about how many LUTs it takes.

    Parameters
    ----------
    table : ndarray of int, shape (rows, levels - 1)
        One row serves all channels.
    offset : int
    x, y : Tensor
    lanes : int
    """
    words, bits = _by_word(np.sort(table, axis=1)[None], x, lanes)
    fold, _, count = words.shape
    stages = count.bit_length()
    # As many as a number of so many bits counts; those that are added are never reached.
    full = np.full((fold, 1 << (lanes - 1).bit_length(), (1 << stages) - 1), x.type.max + 1, dtype=np.int64)
    full[:, :lanes, :count] = words
    blocks, luts = [], 0.0
    for stage in range(stages):
        last, step = stage == stages - 1, 1 << (stages - stage)
        chosen = full[:, :, step // 2 - 1 :: step].reshape(-1, 1)
        parameters: Parameters = {
            "LANES": lanes,
            "X": x.type.bits,
            "X_SIGNED": x.type.signed,
            "T": bits,
            "STAGE": stage,
            "LAST": last,
            "OFFSET": offset,
            "Y": y.type.bits,
            "FOLD": fold,
            "THRESHOLDS": f"thresholds{stage}",
            # Each lane reads a part of the file, which only logic leaves out.
            "STYLE": mac.rom_style(fold << stage, bits)
            if lanes == 1
            else "logic"
            if fold << stage <= 32
            else "distributed",
        }
        width = lanes * (y.type.bits if last else x.type.bits + stage + 1)
        files = {f"thresholds{stage}": functools.partial(memory.words, chosen, bits)}
        blocks.append(Block("threshold_stage", parameters, width, Every(1, 1), files=files))
        luts += lanes * bits * (1 + _rom_luts(fold << stage))
    # What is known of a number travels along, and so does the value.
    return blocks, luts + lanes * stages * x.type.bits / 2


def _by_word(table: np.ndarray, x: Tensor, lanes: int) -> tuple[np.ndarray, int]:
    """Return thresholds (entries * words, lanes, levels - 1), and their bits."""
    # Beyond the input's range all thresholds are alike: always reached, or never.
    table = np.clip(table, x.type.min, x.type.max + 1)
    bits = IntType.for_range(min(x.type.min, -1), x.type.max + 1).bits
    return np.concatenate([elementwise.by_word(rows, lanes) for rows in table]), bits


def _rom_luts(words: int) -> float:
    """Return the LUTs for a bit of a table; the address of a few words goes into the LUT that uses the bit."""
    return 0.0 if words <= 16 else math.ceil(words / 64)


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
