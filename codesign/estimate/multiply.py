"""Multiplications: which take a multiplier block in Yosys, and what the others are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from codesign.estimate.census import CHAIN, Block, Census, Product
from codesign.estimate.technology import Technology

LUT: Mapping[str, float] = {
    "sign": 1.0,
    "mask": 0.7,
    "small": 1.2,
    "looked_up": 1.0,
    "compressor": 2.0,
    "carry": 1.0,
}
"""Of a product in lookup tables: by one bit, of one bit, by two bits, of six bits together, and of more: full adders
that make two rows of all, two tables each, and the adder of the last two."""
FIXED: Mapping[str, float] = {"fixed_compressor": 1.6, "fixed_carry": 0.8}
"""Of a product by a constant, which has a row for each 1 in it."""


def takes_block(block: Block, x: int, signed: bool, w: int, kept: int | None = None) -> bool:
    """Return whether a product takes a multiplier block.

    Parameters
    ----------
    block : Block
    x : int
        Bits of the input.
    signed : bool
        Whether it is two's complement.
    w : int
        Bits of the weight, which is.
    kept : int, optional
        Bits of the product that are used, all unless given.
    """
    products = block.technology.free_products if block.free else block.technology.products
    return block.dsp and products.take(x, signed, w, kept)


def pipelined(block: Block, hard: bool) -> bool:
    """Return whether registers around a product go into its block, while adders do not.

    Parameters
    ----------
    block : Block
    hard : bool
        Whether the product takes one.
    """
    return hard and block.free and block.technology.pipelined


def blocks(technology: Technology, a: int, b: int) -> int:
    """Return the multiplier blocks of a product of `a` bits by `b`."""
    large, small = technology.multiplier
    return _pieces(max(a, b), large, technology.piece) * _pieces(min(a, b), small, technology.piece)


def into_blocks(found: Census, count: int, a: int, b: int, shared: bool = False) -> None:
    """Count so many products of `a` bits by `b` in multiplier blocks; see `Product` for `shared`."""
    large, small = found.technology.multiplier
    takes = -(-max(a, b) // large) * -(-min(a, b) // small)
    one = Product(shared, a * b, count, takes, blocks(found.technology, a, b))
    found.products.append(one)
    found.dsp += count * one.blocks


def _pieces(bits: int, most: int, piece: int) -> int:
    """Return the operands of blocks that Yosys makes of one (`mul2dsp`)."""
    if bits <= most:
        return 1
    if piece:
        return 1 + math.ceil((bits - most) / piece)
    # A single bit that is left over takes none.
    whole, rest = divmod(bits, most)
    return whole + (rest > 1)


def luts(x: int, w: int, technology: Technology, count: int = 1) -> dict[str, float]:
    """Return the amounts of `LUT` of so many products of `x` bits by `w`, and their carry chains."""
    small, large = sorted((x, w))
    if small == 1:
        return {"sign" if w == 1 else "mask": float(count * (large + 1))}
    if small == 2:
        return {"small": float(count * (large + 1)), **_chains(technology, large + 1, count)}
    if x + w <= technology.lookup:
        # Each bit of the product is one function of all bits of its operands.
        return {"looked_up": float(count * (x + w))}
    return {**_rows(small, large, count, ""), **_chains(technology, x + w, count)}


def prefixed(amounts: Mapping[str, float], prefix: str) -> dict[str, float]:
    """Return amounts under other names, but for carry chains, which are the same everywhere."""
    return {name if name == CHAIN else prefix + name: amount for name, amount in amounts.items()}


def fixed(x: int, ones: Iterable[int], technology: Technology) -> dict[str, float]:
    """Return the amounts of `FIXED` of products of `x` bits by constants with so many ones each, and their chains."""
    found: dict[str, float] = dict.fromkeys(FIXED, 0.0)
    for count in ones:
        if count > 1:
            small, large = sorted((x, count))
            for name, amount in _rows(small, large, 1, "fixed_").items():
                found[name] += amount
            for name, amount in _chains(technology, x + count, 1).items():
                found[name] = found.get(name, 0.0) + amount
    return found


def _chains(technology: Technology, bits: int, count: int) -> dict[str, float]:
    """Return the carry chains of so many sums of `bits` bits, where they count."""
    return {CHAIN: float(count)} if technology.chain and bits >= technology.shortest else {}


def _rows(rows: int, bits: int, count: int, prefix: str) -> dict[str, float]:
    compressor, carry = max(0, rows - 2) * (bits + rows / 2), rows + bits
    return {f"{prefix}compressor": float(count * compressor), f"{prefix}carry": float(count * carry)}
