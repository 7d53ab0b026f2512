"""Re-quantisation by a multiply and a shift that an index chooses for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, int_array, require
from codesign.ir.ops.dyadic import Dyadic
from codesign.ir.selection import check_index, execute_selected
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class SelectDyadic(Operator):
    """y = clamp((x·multiplier[j, c] + bias[j, c] + half[j, c]) >> shift[j, c]): a `Dyadic` for each index j.

    The edges are x, of any shape (…, channels), and the index, of shape (1,): one unsigned integer per frame,
    whose type stays below the number of entries.

    Parameters
    ----------
    multiplier, bias, shift : ndarray of int, shape (entries, channels) or (entries, 1)
        As in `Dyadic`, for each entry.
    type : IntType
        Output type of all entries; values outside are clamped.
    """

    name: ClassVar[str] = "select_dyadic"
    arity: ClassVar[int] = 2

    multiplier: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    type: IntType

    def __post_init__(self) -> None:
        for field in ("multiplier", "bias", "shift"):
            object.__setattr__(self, field, int_array(getattr(self, field), 2, field))
        require(
            self.multiplier.shape == self.bias.shape == self.shift.shape,
            "multiplier, bias and shift need the same shape",
        )
        require(bool((self.shift >= 0).all() and (self.shift <= 62).all()), "shifts must be 0 to 62")
        require(isinstance(self.type, IntType), "select_dyadic needs an output type")

    @property
    def entries(self) -> int:
        """Number of sets of constants."""
        return self.multiplier.shape[0]

    @cached_property
    def choices(self) -> tuple[Dyadic, ...]:
        """The operator that each value of the index stands for."""
        return tuple(Dyadic(m, b, n, self.type) for m, b, n in zip(self.multiplier, self.bias, self.shift, strict=True))

    @property
    def half(self) -> np.ndarray:
        """Rounding constants, shape (entries, rows): 2^(shift-1), or 0 without a shift."""
        return np.stack([choice.half for choice in self.choices])

    def intermediate_type(self, x: Tensor) -> IntType:
        """Return the type that holds x·multiplier + bias + half for every x and entry, before the shift.

        Raises
        ------
        OperatorError
            When it does not fit 62 bits.
        """
        types = [choice.intermediate_type(x) for choice in self.choices]
        return IntType.for_range(min(type.min for type in types), max(type.max for type in types))

    def infer(self, *inputs: Tensor) -> Tensor:
        x, index = inputs
        require(
            self.multiplier.shape[1] in (1, x.channels),
            f"select_dyadic has {self.multiplier.shape[1]} constants for {x.channels} channels",
        )
        check_index(index, self.entries, self.name)
        self.intermediate_type(x)
        return Tensor(x.shape, self.type)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        x, index = inputs
        return execute_selected(self.choices, x, index)
