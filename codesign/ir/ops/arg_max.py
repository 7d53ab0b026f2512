"""Index of the largest logit."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, require
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


class ArgMax(Operator):
    """y = index of the largest of the input features, the lowest index on a tie; output shape (1,)."""

    name: ClassVar[str] = "arg_max"

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        require(len(x.shape) == 1, f"arg_max needs flat features, found {x.shape}; put a flatten before it")
        return Tensor((1,), IntType.for_range(0, x.shape[0] - 1))

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        return x.argmax(axis=1, keepdims=True).astype(np.int64)
