"""Maximum over windows."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codesign.ir.pooling import Pool, pooled_shape, tap_views
from codesign.ir.tensor import Tensor


class MaxPool(Pool):
    """y[i, j, c] = max of x over a window; rows and columns that do not fill a window are dropped.

    Parameters
    ----------
    kernel, stride : int or (int, int)
        Window height and width, and their steps; the stride is the kernel by default.
    """

    name: ClassVar[str] = "max_pool"

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        return Tensor(pooled_shape(x.shape, self.kernel, self.stride, self.name), x.type)

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        taps = tap_views(x, self.kernel, self.stride)
        y = next(taps).copy()
        for tap in taps:
            np.maximum(y, tap, out=y)
        return y
