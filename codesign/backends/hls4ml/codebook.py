"""Products with the weights of a codebook, in shifts and adds instead of a multiplier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codesign.backends.hls4ml.kernels import number
from codesign.ir import IntType, Tensor
from codesign.ir.operator import accumulator_type, extreme_sums


def signed_digits(value: int) -> list[tuple[int, int]]:
    """Return a value in canonical signed digits: pairs (sign, power) whose sign · 2^power add up to it.

    No two neighbouring powers are both used, which makes the digits, and so the adders, the fewest.
    """
    digits = []
    power = 0
    while value:
        if value & 1:
            sign = 2 - (value & 3)
            digits.append((sign, power))
            value -= sign
        value >>= 1
        power += 1
    return digits


def product(x: Tensor, codebook: np.ndarray, code: IntType) -> str:
    """Return C++ that multiplies by a codebook entry with shifts and adds."""
    ends = [int(v) * bound for v in codebook for bound in (x.type.min, x.type.max)]
    type = IntType.for_range(min(0, *ends), max(0, *ends))
    lines = [
        "// The product of an input with a codebook entry, in canonical signed digits.",
        "struct product {",
        f"    static {number(type)} apply({number(x.type)} input, {number(code)} code) {{",
        "        #pragma HLS INLINE",
        f"        const {number(type)} x = input;",
        "        switch (code.to_uint()) {",
    ]
    for index, value in enumerate(codebook):
        lines.append(f"        case {index}: return {_shift_adds(int(value), type)}; // {int(value)}")
    lines += ["        default: return 0;", "        }", "    }", "};"]
    return "\n".join(lines)


@dataclass(frozen=True)
class Split:
    """A codebook of powers of two and of one odd factor times powers of two.

    Parameters
    ----------
    factor : int
        The odd one, above 1.
    even, odd : tuple of (int, int)
        For each code, sign and power of what it adds to the sum of plain powers and to the sum of the others;
        the sign is 0 where it adds nothing.
    even_shift, odd_shift : int
        Powers that all terms of a sum have in common; they are taken off the powers above.
    """

    factor: int
    even: tuple[tuple[int, int], ...]
    odd: tuple[tuple[int, int], ...]
    even_shift: int
    odd_shift: int


def split(codebook: np.ndarray) -> Split | None:
    """Return how a codebook divides into two sums of shifted inputs, or None where it does not.

    Powers of two alone do not: their products are single shifts already, and one sum is enough.
    """
    powers = [(abs(v) & -abs(v)).bit_length() - 1 if v else 0 for v in codebook.tolist()]
    factors = {abs(v) >> power for v, power in zip(codebook.tolist(), powers, strict=True) if v}
    above_one = factors - {1}
    if len(above_one) != 1:
        return None
    (factor,) = above_one
    signs = np.sign(codebook).tolist()
    belongs = [abs(v) >> power == factor for v, power in zip(codebook.tolist(), powers, strict=True)]

    def terms(odd: bool) -> tuple[tuple[tuple[int, int], ...], int]:
        mine = [sign != 0 and belong == odd for sign, belong in zip(signs, belongs, strict=True)]
        shift = min((power for power, is_mine in zip(powers, mine, strict=True) if is_mine), default=0)
        return tuple(
            (sign, power - shift) if is_mine else (0, 0)
            for sign, power, is_mine in zip(signs, powers, mine, strict=True)
        ), shift

    (even, even_shift), (odd, odd_shift) = terms(False), terms(True)
    return Split(factor, even, odd, even_shift, odd_shift)


def split_product(
    x: Tensor, split: Split, codes: np.ndarray, code: IntType, accumulator: IntType
) -> tuple[str, dict[str, int | str]]:
    """Return C++ that sorts shifted inputs into two sums, and the members of the configuration that go with it.

    Parameters
    ----------
    x : Tensor
    split : Split
    codes : ndarray of int64, shape (inputs, outputs)
    code : IntType
    accumulator : IntType
        Of the final sum.
    """
    config: dict[str, int | str] = {"even_shift": split.even_shift, "odd_shift": split.odd_shift}
    lines = [
        f"// Weights are 0, powers of two, or {split.factor} times powers of two: an input goes into one of two sums.",
        "struct product {",
    ]
    low, high = min(0, x.type.min), max(0, x.type.max)
    for name, terms in (("even", split.even), ("odd", split.odd)):
        values = np.array([sign << power if sign >= 0 else -(1 << power) for sign, power in terms])
        type = accumulator_type(*extreme_sums(values[codes], low, high))
        config[f"{name}_t"] = number(type)
        lines += [
            f"    static {number(type)} {name}({number(x.type)} input, {number(code)} code) {{",
            "        #pragma HLS INLINE",
            f"        const {number(type)} x = input;",
            "        switch (code.to_uint()) {",
        ]
        for index, (sign, power) in enumerate(terms):
            if sign:
                lines.append(f"        case {index}: return {'-' if sign < 0 else ''}({number(type)}(x << {power}));")
        lines += ["        default: return 0;", "        }", "    }"]
    lines += [
        f"    static {number(accumulator)} times({number(accumulator)} x) {{",
        "        #pragma HLS INLINE",
        f"        return {_shift_adds(split.factor, accumulator)}; // {split.factor}",
        "    }",
        "};",
    ]
    return "\n".join(lines), config


def _shift_adds(value: int, type: IntType) -> str:
    """Return C++ for `value` times x in canonical signed digits."""
    terms = "".join(
        f" {'+' if sign > 0 else '-'} ({number(type)}(x << {power}))" for sign, power in signed_digits(value)
    )
    return terms.removeprefix(" + ").strip() or "0"
