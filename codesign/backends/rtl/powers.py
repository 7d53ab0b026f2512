"""Weights that are powers of two times one or two constants: codes of shifts, and what sums of shifted inputs need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from codesign.backends.rtl import memory
from codesign.ir import IntType, Tensor


@dataclass(frozen=True)
class Powers:
    """The values of weights: 0, and ± a factor times 2^shift.

    Parameters
    ----------
    factors : tuple of int
        One or two, above 0.
    most : tuple of int
        Greatest shift of each.
    """

    factors: tuple[int, ...]
    most: tuple[int, ...]

    @property
    def bits(self) -> int:
        """Bits of a shift; the greatest number of them is no shift of the last factor."""
        free = max(self.most[:-1], default=0), self.most[-1] + 1
        return max(1, max(free).bit_length())

    @property
    def zero(self) -> int:
        """The code of the weight 0: the last factor and a shift that it has not."""
        return (len(self.factors) << self.bits) - 1

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the codes of weights, {negative, which factor, shift} in `bits` + 2 bits."""
        magnitude = np.abs(values)
        found = np.full(values.shape, self.zero)
        for which, (factor, most) in enumerate(zip(self.factors, self.most, strict=True)):
            for shift in range(most + 1):
                found[magnitude == factor << shift] = (which << self.bits) + shift
        return np.asarray(found + ((values < 0).astype(np.int64) << (self.bits + 1)))


def powers(values: np.ndarray) -> Powers | None:
    """Return what weights are made of; None where that is not powers of two and at most two constants."""
    shifts: dict[int, list[int]] = {}
    for magnitude in sorted(set(np.abs(values).reshape(-1).tolist()) - {0}):
        low = magnitude & -magnitude
        shifts.setdefault(magnitude // low, []).append(low.bit_length() - 1)
    if not 1 <= len(shifts) <= 2:
        return None
    # Odd parts from the smallest on; what is shifted by least in each goes into its factor.
    parts = sorted(shifts.items())
    factors = tuple(odd << min(exponents) for odd, exponents in parts)
    return Powers(factors, tuple(max(exponents) - min(exponents) for _, exponents in parts))


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums of shifted inputs, one for each factor.

    Parameters
    ----------
    bits : tuple of int
        Two's complement.
    starts : ndarray of int, shape (outputs of a lane, PE, factors)
    """

    bits: tuple[int, ...]
    starts: np.ndarray


def sums(found: Powers, table: np.ndarray, bias: np.ndarray | None, x: Tensor, fold_in: int) -> Sums | None:
    """Return what the sums start with, and their bits; None where a bias is no sum of multiples of the factors.

    Parameters
    ----------
    found : Powers
    table : ndarray of int, shape (words, PE, SIMD)
        Weights.
    bias : ndarray of int, shape (outputs of a lane, PE), or None
    x : Tensor
        Edge of the inputs.
    fold_in : int
        Words of an output.
    """
    shape = len(table) // fold_in, table.shape[1]
    shares = _shares(np.zeros(shape, dtype=np.int64) if bias is None else bias, found.factors)
    if shares is None:
        return None
    # Padding sends zeros.
    low, high = min(0, x.type.min), max(0, x.type.max)
    weights = table.reshape(-1, fold_in, *table.shape[1:])
    magnitude, bits, starts = np.abs(weights), [], []
    for factor, most, share in zip(found.factors, found.most, shares, strict=True):
        mine = np.isin(magnitude, [factor << shift for shift in range(most + 1)])
        own = np.where(mine, weights // factor, 0)
        positive, negative = (part.sum((1, 3)) for part in (np.maximum(own, 0), np.minimum(own, 0)))
        least, greatest = positive * low + negative * high + share, positive * high + negative * low + share
        bits.append(IntType.for_range(min(int(least.min()), -1), max(int(greatest.max()), 0)).bits)
        # An input enters as the complement of its shifted value for a negative weight: this much too high.
        excess = -1 if x.type.signed else (1 << (x.type.bits + most)) - 1
        starts.append(share - excess * (own < 0).sum((1, 3)))
    return Sums(tuple(bits), np.stack(starts, axis=-1))


def _shares(bias: np.ndarray, factors: Sequence[int]) -> list[np.ndarray] | None:
    """Return integers whose sum of products with the factors is the bias, all but the first of them small."""
    if len(factors) == 1:
        return [bias // factors[0]] if not (bias % factors[0]).any() else None
    first, second = factors
    small = next((np.asarray(n) for n in [_inverse(bias, first, second)] if n is not None), None)
    return None if small is None else [(bias - second * small) // first, small]


def _inverse(bias: np.ndarray, first: int, second: int) -> np.ndarray | None:
    """Return n from 0 to first - 1 with bias - second * n a multiple of first."""
    try:
        return np.asarray(bias * pow(second, -1, first) % first)
    except ValueError:
        return None if bias.any() else np.zeros_like(bias)


def pairs(starts: np.ndarray, bits: Sequence[int]) -> str:
    """Return the memory file of starts, shape (words, PE, 2): the first sum's in the lower bits of a pair."""
    words, pe, _ = starts.shape
    each = [(starts[:, :, which, None] >> np.arange(width)) & 1 for which, width in enumerate(bits)]
    return memory.words(np.concatenate(each, axis=2).reshape(words, pe * sum(bits)), 1)


def product_luts(found: Powers, bits: int) -> float:
    """Return about how many LUTs of six inputs a product of an input of `bits` bits and its addition take."""
    total = 0.0
    # One shifter serves both sums.
    widest = max(found.most)
    for place in range(bits + widest):
        reaching = sum(0 <= place - shift < bits for shift in range(widest + 1))
        # A LUT chooses among four bits.
        total += -(-reaching // 4)
    for most in found.most:
        # Sign and mask, and an adder one bit wider.
        total += 2 * (bits + most) + 1
    return total


def result_luts(found: Powers, bits: int) -> float:
    """Return about how many LUTs an output of `bits` bits takes: the multiples of its sums, added."""
    adders = sum(factor.bit_count() - 1 for factor in found.factors) + len(found.factors) - 1
    return float(bits * adders)
