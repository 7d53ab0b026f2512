"""Sum over windows: average pooling without its division."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from codesign.ir.pooling import Pool, pooled_shape, tap_views
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


class SumPool(Pool):
    """y[i, j, c] = Σ of x over a window; rows and columns that do not fill a window are dropped.

    The division of an average is a change of scale, which the next re-quantisation absorbs.

    Parameters
    ----------
    kernel, stride : int or (int, int)
        Window height and width, and their steps; the stride is the kernel by default.
    """

    name: ClassVar[str] = "sum_pool"

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        taps = self.kernel[0] * self.kernel[1]  # type: ignore[index]
        shape = pooled_shape(x.shape, self.kernel, self.stride, self.name)
        return Tensor(shape, IntType.for_range(min(0, taps * x.type.min), max(0, taps * x.type.max)))

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        taps = tap_views(x, self.kernel, self.stride)
        y = next(taps).copy()
        for tap in taps:
            y += tap
        return y
