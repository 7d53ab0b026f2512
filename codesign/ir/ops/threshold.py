"""Re-quantisation to few levels by counting thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, int_array, integer, require
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class Threshold(Operator):
    """y = offset + Σ_k [x ≥ thresholds[c, k]]: any monotone activation with its bias and batch norm, exactly.

    Parameters
    ----------
    thresholds : ndarray of int, shape (channels, levels - 1) or (1, levels - 1)
        Ascending along the second axis (equal neighbours skip a level); one row serves all channels.
    offset : int
        Output when no threshold is reached.

    Notes
    -----
    This is FINN's MultiThreshold (Umuroglu et al., FPGA 2017) with integer thresholds. Two equal thresholds
    with offset -1 give the bipolar outputs {-1, +1}.
    """

    name: ClassVar[str] = "threshold"

    thresholds: np.ndarray
    offset: int = 0

    def __post_init__(self) -> None:
        thresholds = int_array(self.thresholds, 2, "thresholds")
        ascending = thresholds[:, 1:] >= thresholds[:, :-1]  # a difference of extremes would wrap around
        require(bool(ascending.all()), "thresholds must ascend within each channel")
        object.__setattr__(self, "thresholds", thresholds)
        object.__setattr__(self, "offset", integer(self.offset, "offset"))

    @property
    def levels(self) -> int:
        """Number of output levels."""
        return self.thresholds.shape[1] + 1

    def infer(self, *inputs: Tensor) -> Tensor:
        (x,) = inputs
        require(
            self.thresholds.shape[0] in (1, x.channels),
            f"threshold has {self.thresholds.shape[0]} rows for {x.channels} channels",
        )
        return Tensor(x.shape, IntType.for_range(self.offset, self.offset + self.levels - 1))

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        (x,) = inputs
        if self.levels <= 17:
            y = np.zeros(x.shape, dtype=np.int16)
            # Thresholds and values that fit 32 bits compare twice as fast there.
            narrow = np.dtype(np.int32 if _fits_int32(x) and _fits_int32(self.thresholds) else np.int64)
            x = x.astype(narrow, copy=False)
            for row in self.thresholds.T.astype(narrow):
                y += x >= row
        else:
            y = np.empty(x.shape, dtype=np.int64)
            for channel in range(x.shape[-1]):
                row = self.thresholds[channel % self.thresholds.shape[0]]
                y[..., channel] = np.searchsorted(row, x[..., channel], side="right")
        return y.astype(np.int64) + self.offset


def _fits_int32(values: np.ndarray) -> bool:
    return values.size == 0 or bool(values.min() >= -(1 << 31) and values.max() < 1 << 31)
