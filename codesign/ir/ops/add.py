"""Elementwise sum of two edges."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, require
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


class Add(Operator):
    """y = a + b for two frames of the same shape: the join of a residual fork."""

    name: ClassVar[str] = "add"
    arity: ClassVar[int] = 2

    def infer(self, *inputs: Tensor) -> Tensor:
        a, b = inputs
        require(a.shape == b.shape, f"add needs equal shapes, found {a.shape} and {b.shape}")
        return Tensor(a.shape, IntType.for_range(a.type.min + b.type.min, a.type.max + b.type.max))

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        a, b = inputs
        return a + b
