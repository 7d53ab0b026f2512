"""What convolutions and dense layers share: window and matrix-vector unit, with multipliers or by lookup of sums."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from codesign.backends.rtl import binary, distributed, lanes, memory, packed, powers
from codesign.backends.rtl.divisors import divisors
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Function, Parameter, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import IntType, Tensor
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.types import weight_bits

STEP = 2
"""Levels of adders between registers."""
PRODUCT_LUTS = 1.0
"""LUTs of a multiplier per bit of one operand and bit of the other, `benchmarks/lut_per_mac`."""
NARROW_PRODUCT_LUTS = 2.0
"""The same in tables of four inputs; products alone took 1 to 4.5 by width and family. Only where blocks are free."""
BINARY_BLOCK_BITS = 1024
"""Bits of one-bit weights from which block memory is the better place."""
COUNTED_LUTS = 1.8
"""LUTs of a product of one bit by one and its addition, `benchmarks/lut_per_mac`."""
DSP_BITS = packed.DSP_BITS
DSP_LUTS = 60.0
"""What such a block is worth."""
BLOCK_LUTS = 0.5
"""What a bit of the width of a block memory is worth."""


def folds(group_in: int, group_out: int, groups: int, taps: int, bits: int) -> Iterator[Fold]:
    """Yield every fold of a kernel.

    Parameters
    ----------
    group_in, group_out : int
        Inputs and outputs of a group.
    groups : int
    taps : int
        Places of the kernel.
    bits : int
        Of an input.
    """
    for pe in divisors(group_out):
        for simd in divisors(group_in):
            words = taps * (group_in // simd) * groups * (group_out // pe)
            yield Fold(pe, simd)
            if length := packed.chain(simd, bits):
                yield Fold(pe, simd, chain=length)
            if packed.shares(pe, bits):
                yield Fold(pe, simd, shared=True)
            if words <= distributed.MOST_WORDS:
                yield from (Fold(pe, simd, planes=planes) for planes in divisors(bits))
            # All taps at once: a window is repeated, or comes in parts, but not both.
            if taps > 1 and groups == 1:
                if pe == group_out or simd == group_in:
                    yield Fold(pe, simd, window=True)
                    if length := packed.chain(taps * simd, bits):
                        yield Fold(pe, simd, window=True, chain=length)
                    if packed.shares(pe, bits):
                        yield Fold(pe, simd, window=True, shared=True)
                if words // taps <= distributed.MOST_WORDS:
                    for planes in divisors(bits):
                        if simd == group_in or (pe == group_out and planes == bits):
                            yield Fold(pe, simd, window=True, planes=planes)


def unit(op: Conv2d | Dense, x: Tensor, y: Tensor, window: Window, fold: Fold) -> Unit:
    """Return window and matrix-vector unit.

    Parameters
    ----------
    op : Conv2d or Dense
    x, y : Tensor
        Edges.
    window : Window
    fold : Fold
        Its PE divides the outputs of a group, its SIMD the inputs, its planes the bits of an input.
    """
    values, groups = op.values(), op.groups if isinstance(op, Conv2d) else 1
    lower, found = (None, None) if fold.planes or fold.chain or fold.shared else _narrow(op)
    weight = values if values.ndim == 4 else values[None, None]
    height, width, group_in, outputs = weight.shape
    taps, pe = height * width, fold.pe
    turns = x.type.bits // fold.planes if fold.planes else 1
    # How often a window is sent: for the next outputs, and for the next bits.
    repeat, parts = outputs // groups // pe, group_in // fold.simd
    sent = repeat * turns
    # (tap, part, channel of the part, group, repeat, PE)
    table = weight.reshape(taps, parts, fold.simd, groups, repeat, pe)
    blocks = []
    if fold.window:
        walk, cycles = window.parallel(fold.simd * x.type.bits, parts, sent)
        blocks.append(walk)
        simd, fold_in = taps * fold.simd, parts
        # Words (repeat, part) of (PE, tap, channel).
        table = table.transpose(3, 4, 1, 5, 0, 2)
    else:
        simd, fold_in = fold.simd, taps * parts
        # Words (group, repeat, tap, part) of (PE, channel).
        table = table.transpose(3, 4, 0, 1, 5, 2)
        # With padding there are more pixels than come.
        whole = (window.rows_in, window.columns_in) == (window.rows_out, window.columns_out)
        direct = window.kernel == (1, 1) and window.stride == (1, 1) and whole and sent == 1
        cycles = window.rows_in * window.columns_in * parts * groups
        if not direct:
            walk, cycles = window.serial(simd * x.type.bits, parts * groups, groups, sent)
            blocks.append(walk)
    table = table.reshape(-1, pe, simd)
    bias = None if op.bias is None else op.bias.reshape(-1, pe)
    if fold.planes:
        block, luts = _distributed(table, bias, x, y, fold_in, fold)
    elif fold.chain:
        block, luts = _packed(table, bias, x, y, fold_in, fold.chain)
    elif fold.shared:
        block, luts = _shared(table, bias, x, y, fold_in, fold.port)
    elif lower is not None:
        block, luts = _binary(table, lower, bias, x, y, fold_in)
    else:
        # Weights that only happen to be narrow in some lanes are no reason to treat lanes apart.
        widths = lanes.widths(op, pe) if op.mixed_widths else (weight_bits(table),) * pe
        block, luts = _multiplied(table, widths, bias, x, y, fold_in, fold)
        takes_blocks = fold.dsp and x.type.bits + max(widths) >= DSP_BITS
        # Products by two bits are as small as a shift, and their weights smaller than its codes.
        small = max(widths) <= 2
        if not takes_blocks and not small and (shifted := _shifted(table, found, bias, x, y, fold_in)) is not None:
            block, luts = min((block, luts), shifted, key=lambda made: made[1])
    # A parallel window is a register and a zero for padding, for each bit.
    luts += simd * x.type.bits if fold.window else 0
    return Unit([*blocks, block], (fold.simd,), pe, cycles, luts=luts)


@functools.lru_cache(maxsize=64)
def _narrow(op: Conv2d | Dense) -> tuple[int | None, powers.Powers | None]:
    """Return what weights of one bit or of powers of two are made of; the same for every fold."""
    values = op.values()
    return binary.low(values), powers.powers(values)


def fits(hardware: Unit) -> bool:
    """Return whether outputs that share multiplier blocks have room in them, at least two side by side."""
    parameters = hardware.blocks[-1].parameters
    # Yosys makes no block of a product by one bit.
    narrow = parameters["X"] == 1 and parameters["X_SIGNED"]
    return parameters["GROUPS"] != parameters["PE"] and not narrow


def _common(table: np.ndarray, x: Tensor, y: Tensor, fold_in: int, style: str) -> dict[str, Parameter]:
    """Return the parameters that units with weights in a memory have in common."""
    words, pe, simd = table.shape
    return {
        "PE": pe,
        "SIMD": simd,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "ACC": y.type.bits,
        "FOLD_IN": fold_in,
        "FOLD_OUT": words // fold_in,
        "STEP": STEP,
        "WEIGHTS": "weights",
        "STYLE": style,
    }


def _biases(bias: np.ndarray | None, y: Tensor) -> tuple[dict[str, Parameter], dict[str, Callable[[], str]]]:
    """Return the parameters about biases, shape (outputs of a lane, PE), and their file."""
    if bias is None:
        return {"BIAS": False, "BIASES": ""}, {}
    return {"BIAS": True, "BIASES": "biases"}, {"biases": functools.partial(memory.words, bias, y.type.bits)}


def _multiplied(
    table: np.ndarray,
    widths: tuple[int, ...],
    bias: np.ndarray | None,
    x: Tensor,
    y: Tensor,
    fold_in: int,
    fold: Fold,
) -> tuple[Block, float]:
    """Return the unit with multipliers for words (words, PE, SIMD) of weights, and its LUTs.

    Lanes of one width are those of `mvau`, lanes of several those of `mvau_lanes`.
    """
    words, pe, simd = table.shape
    apart = len(set(widths)) > 1
    # The accumulators of lanes, which are as wide as the outputs where all weights are.
    sums = lanes.sum_bits(table, bias, x, y, fold_in) if apart else (y.type.bits,) * pe
    own: dict[str, Parameter] = {"W": lanes.vector(widths), "SUMS": lanes.vector(sums)} if apart else {"W": widths[0]}
    style = rom_style(words, simd * sum(widths))
    about, files = _biases(bias, y)
    parameters = {**_common(table, x, y, fold_in, style), **own, **about}
    latency = 3 + (simd - 1).bit_length() // STEP
    memory_luts = _memory_luts(style, words)
    luts, per_bit = 0.0, NARROW_PRODUCT_LUTS if fold.port else PRODUCT_LUTS
    for (bits, acc), count in sorted(Counter(zip(widths, sums, strict=True)).items()):
        product = x.type.bits + bits
        each = DSP_LUTS if fold.dsp and product >= DSP_BITS else per_bit * x.type.bits * bits
        if bits:
            luts += count * simd * (each + product + 1 + bits * memory_luts)
        luts += 2 * count * acc
    module = "mvau_lanes" if apart else "mvau"
    files = {"weights": lanes.packed(table, widths), **files}
    return Block(module, parameters, pe * y.type.bits, Every(fold_in, latency), files=files), luts


def _binary(
    table: np.ndarray, low: int, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int
) -> tuple[Block, float]:
    """Return the unit for weights of one bit, `low` and 1, for words (words, PE, SIMD), and its LUTs."""
    words, pe, simd = table.shape
    # Small memories of so narrow weights would take more LUTs than what reads them.
    style = "block" if words > 64 and words * pe * simd > BINARY_BLOCK_BITS else rom_style(words, pe * simd)
    about, files = _biases(binary.starts(table, low, bias, x, fold_in), y)
    parameters = {**_common(table, x, y, fold_in, style), "XNOR": low < 0, **about}
    counted = x.type.bits == 1 and not x.type.signed and simd > 3
    terms = -(-simd // 3) if counted else simd
    latency = 3 + (terms - 1).bit_length() // STEP
    each = COUNTED_LUTS if counted else 2 * x.type.bits + 1
    luts = pe * simd * (each + _memory_luts(style, words)) + 2 * pe * y.type.bits
    files = {"weights": lanes.packed((table > 0).astype(np.int64), (1,) * pe), **files}
    return Block("mvau_binary", parameters, pe * y.type.bits, Every(fold_in, latency), files=files), luts


def _shifted(
    table: np.ndarray, found: powers.Powers | None, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int
) -> tuple[Block, float] | None:
    """Return the unit that shifts instead of multiplying, for words (words, PE, SIMD), and its LUTs.

    None where weights are not powers of two times one or two constants.
    """
    sums = None if found is None else powers.sums(found, table, bias, x, fold_in)
    if found is None or sums is None:
        return None
    words, pe, simd = table.shape
    code = found.bits + 2
    style = rom_style(words, pe * simd * code)
    two = len(found.factors) == 2
    wide = sums.bits if two else (*sums.bits, 1)
    starts = sums.starts if two else np.concatenate([sums.starts, np.zeros_like(sums.starts)], axis=2)
    parameters = {
        **_common(table, x, y, fold_in, style),
        "K": found.bits,
        "MOST_A": found.most[0],
        "MOST_B": found.most[1] if two else -1,
        "ZERO": found.zero,
        "FIRST": found.factors[0],
        "SECOND": found.factors[1] if two else 1,
        "SUM_A": wide[0],
        "SUM_B": wide[1],
        "STARTS": "starts",
    }
    codes = functools.partial(memory.words, found.codes(table).reshape(words, -1), code)
    files = {"weights": codes, "starts": functools.partial(powers.pairs, starts, wide)}
    latency = 4 + (simd - 1).bit_length() // STEP
    luts = pe * simd * (powers.product_luts(found, x.type.bits) + code * _memory_luts(style, words))
    luts += pe * (2 * sum(wide) + powers.result_luts(found, y.type.bits))
    return Block("mvau_shift", parameters, pe * y.type.bits, Every(fold_in, latency), files=files), luts


def _packed(
    table: np.ndarray, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int, chain: int
) -> tuple[Block, float]:
    """Return the unit with several products in a multiplier block for words (words, PE, SIMD), and its LUTs."""
    words, pe, simd = table.shape
    inner = simd == 1
    if inner:
        # Fields are two's complement, outputs need not be. A bias with its highest bit set is then read too low by
        # 2^ACC, which changes nothing below: such an output is unsigned, and its field one bit wider.
        whole = Tensor(y.shape, IntType(y.type.bits + (not y.type.signed), signed=True))
        field = max(lanes.sum_bits(table, bias, x, whole, fold_in))
    else:
        field = packed.field_bits(table, x, chain)
    packing = packed.pack(table, field)
    columns = simd // chain
    style = rom_style(words, pe * simd * packing.bits)
    about, files = _biases(bias, y)
    parameters = {
        **_common(table, x, y, fold_in, style),
        "W": packing.bits,
        "GROUPS": packing.groups,
        "FIELD": packing.field,
        "CHAIN": chain,
        "INNER": inner,
        **about,
    }
    latency = 3 if inner else 4 + (columns - 1).bit_length() // STEP
    blocks = packed.blocks(pe, packing.groups, packing.field, packing.bits, x.type)
    luts = pe * simd * packing.bits * _memory_luts(style, words) + DSP_LUTS * blocks * simd
    # A product alone that is too small for a block is made of tables, and so is what adds it up.
    small = (packing.groups - blocks) * simd
    luts += small * (PRODUCT_LUTS * x.type.bits * packing.bits + packing.field)
    if not inner:
        luts += pe * (columns - 1) * (packing.field + 1) + 2 * pe * y.type.bits
    files = {"weights": lanes.packed(packing.digits, (packing.bits,) * pe), **files}
    return Block("mvau_packed", parameters, pe * y.type.bits, Every(fold_in, latency), files=files), luts


def _shared(
    table: np.ndarray, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int, port: int
) -> tuple[Block, float]:
    """Return the unit whose outputs share multiplier blocks, for words (words, PE, SIMD), and its LUTs."""
    words, pe, simd = table.shape
    packing = packed.pack(table, packed.product_bits(table, x), port)
    style = rom_style(words, pe * simd * packing.bits)
    about, files = _biases(bias, y)
    parameters = {
        **_common(table, x, y, fold_in, style),
        "W": packing.bits,
        "GROUPS": packing.groups,
        "FIELD": packing.field,
        **about,
    }
    latency = 3 + (simd - 1).bit_length() // STEP
    # An adder for each product, and a place more for the carry into it.
    luts = pe * simd * (packing.field + 2 + packing.bits * _memory_luts(style, words)) + 2 * pe * y.type.bits
    luts += DSP_LUTS * packing.groups * simd
    files = {"weights": lanes.packed(packing.digits, (packing.bits,) * pe), **files}
    return Block("mvau_shared", parameters, pe * y.type.bits, Every(fold_in, latency), files=files), luts


def _distributed(
    table: np.ndarray, bias: np.ndarray | None, x: Tensor, y: Tensor, fold_in: int, fold: Fold
) -> tuple[Block, float]:
    """Return the unit that looks sums up for words (words, PE, SIMD) of weights, and its LUTs."""
    words, pe, simd = table.shape
    planes, turns = fold.planes, x.type.bits // fold.planes
    sums = distributed.Sums(table, fold.lookup)
    # What the tables and the inverted sign bits leave out.
    total = np.tile(sums.offset * fold_in * ((1 << x.type.bits) - 1), (words // fold_in, 1))
    if x.type.signed:
        total -= table.reshape(-1, fold_in, pe, simd).sum((1, 3)) << (x.type.bits - 1)
    if bias is not None:
        total += bias
    constants = distributed.constants(total, planes, turns, y.type.bits)
    parameters: dict[str, Parameter] = {
        "PE": pe,
        "SIMD": simd,
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "PLANES": planes,
        "ACC": y.type.bits,
        "FOLD_IN": fold_in,
        "FOLD_OUT": words // fold_in,
        "SUM": sums.bits,
        "DELAY": sums.delay,
        "CONSTANTS": "constants",
    }
    function = Function("sums", sums.write, planes, max(1, sums.address), simd, pe * sums.bits, lambda: sums.made)
    latency = sums.delay + (3 if planes > 1 else 2)
    block = Block(
        "mvau_planes",
        parameters,
        pe * y.type.bits,
        Every(fold_in * turns, latency),
        files={"constants": functools.partial(memory.words, constants, y.type.bits)},
        function=function,
    )
    choices = simd * planes * (turns - 1) / 2
    return block, planes * sums.luts + choices + pe * (2 * y.type.bits + (planes - 1) * sums.bits)


def _memory_luts(style: str, words: int) -> float:
    """Return the LUTs of a bit of a memory's width; a LUT holds 64 words of it."""
    return BLOCK_LUTS if style == "block" else max(1.0, words / 64)


def rom_style(words: int, width: int) -> str:
    """Return where constants are best kept: deep and large ones in block memory, short ones in the logic."""
    if words <= 32:
        return "logic"
    return "block" if words * width > 4096 else "distributed"
