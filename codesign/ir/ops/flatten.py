"""Frame to feature vector."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator
from codesign.ir.tensor import Tensor


class Flatten(Operator):
    """Read (height, width, channels) as one vector, channels fastest: no hardware, only a change of shape."""

    name: ClassVar[str] = "flatten"

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return Tensor((x.size,), x.type)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        return x.reshape(len(x), math.prod(x.shape[1:]))
