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


def folds(group_in: int, group_out: int) -> Iterator[Fold]:
    """Yield every fold of a matrix of `group_in` inputs and `group_out` outputs per group."""
    for pe in divisors(group_out):
        for simd in divisors(group_in):
            yield Fold(pe, simd)


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
    group_out = outputs // groups
    taps, pe, simd = height * width, fold.pe, fold.simd
    repeat, fold_in = group_out // pe, taps * group_in // simd
    pixel_fold = group_in * groups // simd
    bits = weight_bits(weight)
    blocks = []
    direct = window.kernel == (1, 1) and window.stride == (1, 1) and repeat == 1
    if not direct:
        bits_held = (window.rows_held() + 1) * window.columns_in * pixel_fold * simd * x.type.bits
        style = "block" if window.columns_in * pixel_fold > 256 and bits_held > 8192 else "distributed"
        blocks.append(window.block(simd * x.type.bits, pixel_fold, groups, repeat, style))
    # (group, fold of outputs, PE, tap, fold of inputs, SIMD), words in the order of the window.
    table = weight.reshape(taps, group_in // simd, simd, groups, repeat, pe).transpose(3, 4, 0, 1, 5, 2)
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
    return Unit(blocks, (simd,), pe, window.words(pixel_fold, repeat))


def rom_style(words: int, width: int) -> str:
    """Return where constants are best kept: deep and large ones in block memory, short ones in the logic."""
    if words <= 32:
        return "logic"
    return "block" if words * width > 4096 else "distributed"
