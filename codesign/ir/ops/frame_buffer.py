"""A whole frame at rest, until something that depends on all of it is known."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator
from codesign.ir.tensor import Tensor


class FrameBuffer(Operator):
    """y = x, but the whole frame is stored before its first element leaves: a statement about time, not values.

    It stands in front of a `SelectThreshold` or `SelectDyadic` whose index is computed from the same frame.
    Without it a stream in front of that operator would have to hold the frame. No pass removes it.
    """

    name: ClassVar[str] = "frame_buffer"

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return x

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        return x
