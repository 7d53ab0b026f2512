"""Re-quantisation to wide outputs by an integer multiply and a shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, int_array, require
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class Dyadic(Operator):
    """y = clamp((x·multiplier[c] + bias[c] + half[c]) >> shift[c]) with half = 2^(shift-1): round half up.

    Parameters
    ----------
    multiplier, bias, shift : ndarray of int, shape (channels,) or (1,)
        One entry serves all channels. Shifts are 0 to 62; half is 0 where the shift is 0. The bias carries
        the fraction bits of the product, that is, it is added before the shift.
    type : IntType
        Output type; values outside are clamped, so an unsigned type is also a ReLU.

    Notes
    -----
    Dyadic requantisation as in HAWQ-V3 (Yao et al., ICML 2021), ties rounded up as hardware does.
    """

    name: ClassVar[str] = "dyadic"

    multiplier: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    type: IntType

    def __post_init__(self) -> None:
        for field in ("multiplier", "bias", "shift"):
            object.__setattr__(self, field, int_array(getattr(self, field), 1, field))
        require(
            len({len(self.multiplier), len(self.bias), len(self.shift)}) == 1,
            "multiplier, bias and shift need the same length",
        )
        require(bool((self.shift >= 0).all() and (self.shift <= 62).all()), "shifts must be 0 to 62")
        require(isinstance(self.type, IntType), "dyadic needs an output type")

    @property
    def half(self) -> np.ndarray:
        """Rounding constant per channel: 2^(shift-1), or 0 without a shift."""
        return np.where(self.shift > 0, np.left_shift(1, np.maximum(self.shift - 1, 0)), 0)

    def intermediate_type(self, x: Tensor) -> IntType:
        """Return the type that holds x·multiplier + bias + half for every x, before the shift.

        Raises
        ------
        OperatorError
            When it does not fit 62 bits.
        """
        low = high = 0
        for m, b, h in zip(self.multiplier, self.bias, self.half, strict=True):
            ends = (x.type.min * int(m), x.type.max * int(m))
            total = int(b) + int(h)
            low = min(low, *ends, min(ends) + total)
            high = max(high, *ends, max(ends) + total)
        require(low >= -(1 << 61) and high < 1 << 61, "the dyadic product needs more than 62 bits")
        return IntType.for_range(low, high)

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        require(
            len(self.multiplier) in (1, x.channels),
            f"dyadic has {len(self.multiplier)} constants for {x.channels} channels",
        )
        self.intermediate_type(x)
        return Tensor(x.shape, self.type)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        y = x * self.multiplier
        y += self.bias + self.half
        y >>= self.shift
        return np.clip(y, self.type.min, self.type.max, out=y)
