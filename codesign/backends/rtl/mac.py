"""What convolutions and dense layers share: window, matrix-vector unit and its memory files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codesign.backends.rtl import memory
from codesign.backends.rtl.divisors import divisors
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Tensor
from codesign.ir.types import weight_bits

STEP = 2
"""Levels of adders between registers."""


def folds(group_in: int, group_out: int, groups: int, taps: int) -> Iterator[Fold]:
    """Yield every fold of a kernel of `taps` places, `group_in` inputs and `group_out` outputs per group."""
    for pe in divisors(group_out):
        for simd in divisors(group_in):
            yield Fold(pe, simd)
            # All taps at once: a window is repeated, or comes in parts, but not both.
            if taps > 1 and groups == 1 and (pe == group_out or simd == group_in):
                yield Fold(pe, simd, window=True)


def unit(
    weight: np.ndarray, bias: np.ndarray | None, x: Tensor, y: Tensor, groups: int, window: Window, fold: Fold
) -> Unit:
    """Return window and matrix-vector unit.

    Parameters
    ----------
    weight : ndarray of int, shape (kernel height, kernel width, inputs of a group, outputs)
    bias : ndarray of int, shape (outputs,), or None
    x, y : Tensor
        Edges.
    groups : int
    window : Window
    fold : Fold
        Its PE divides the outputs of a group, its SIMD the inputs.
    """
    height, width, group_in, outputs = weight.shape
    taps, pe = height * width, fold.pe
    repeat, parts = outputs // groups // pe, group_in // fold.simd
    bits = weight_bits(weight)
    # (tap, part, channel of the part, group, repeat, PE)
    table = weight.reshape(taps, parts, fold.simd, groups, repeat, pe)
    blocks = []
    if fold.window:
        walk, cycles = window.parallel(fold.simd * x.type.bits, parts, repeat)
        blocks.append(walk)
        simd, fold_in = taps * fold.simd, parts
        # Words (repeat, part) of (PE, tap, channel).
        table = table.transpose(3, 4, 1, 5, 0, 2)
    else:
        simd, fold_in = fold.simd, taps * parts
        # Words (group, repeat, tap, part) of (PE, channel).
        table = table.transpose(3, 4, 0, 1, 5, 2)
        direct = window.kernel == (1, 1) and window.stride == (1, 1) and repeat == 1
        cycles = window.rows_in * window.columns_in * parts * groups
        if not direct:
            walk, cycles = window.serial(simd * x.type.bits, parts * groups, groups, repeat)
            blocks.append(walk)
    files = {"weights": memory.words(table.reshape(-1, pe * simd), bits)}
    if bias is not None:
        files["biases"] = memory.words(bias.reshape(-1, pe), y.type.bits)
    parameters: dict[str, int | bool | str] = {
        "PE": pe,
        "SIMD": simd,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "W": bits,
        "ACC": y.type.bits,
        "FOLD_IN": fold_in,
        "FOLD_OUT": groups * repeat,
        "BIAS": bias is not None,
        "STEP": STEP,
        "WEIGHTS": "weights",
        "BIASES": "biases" if bias is not None else "",
        "STYLE": rom_style(fold_in * groups * repeat, pe * simd * bits),
    }
    latency = 3 + (simd - 1).bit_length() // STEP
    blocks.append(Block("mvau", parameters, pe * y.type.bits, Every(fold_in, latency), files=files))
    return Unit(blocks, (fold.simd,), pe, cycles)


def rom_style(words: int, width: int) -> str:
    """Return where constants are best kept: deep and large ones in block memory, short ones in the logic."""
    if words <= 32:
        return "logic"
    return "block" if words * width > 4096 else "distributed"
