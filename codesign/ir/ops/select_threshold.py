"""Re-quantisation by thresholds that an index chooses for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from codesign.ir.operator import Operator, int_array, integer, require
from codesign.ir.ops.threshold import Threshold
from codesign.ir.selection import check_index, execute_selected
from codesign.ir.tensor import Tensor
from codesign.ir.types import IntType


@dataclass(frozen=True, eq=False)
class SelectThreshold(Operator):
    """y = offset + Σ_k [x ≥ thresholds[index, c, k]]: a `Threshold` for each value of an index.

    The edges are x, of any shape (…, channels), and the index, of shape (1,): one unsigned integer per frame,
    whose type stays below the number of entries.

    Parameters
    ----------
    thresholds : ndarray of int, shape (entries, channels, levels - 1) or (entries, 1, levels - 1)
        Ascending along the third axis (equal neighbours skip a level); one row serves all channels.
    offset : int
        Output when no threshold is reached, the same for all entries.

    Notes
    -----
    The step of an activation that adapts to each sample (adaptive step size quantisation, arXiv 2504.17263)
    takes a few values; each of them is an entry.
    """

    name: ClassVar[str] = "select_threshold"
    arity: ClassVar[int] = 2

    thresholds: np.ndarray
    offset: int = 0

    def __post_init__(self) -> None:
        thresholds = int_array(self.thresholds, 3, "thresholds")
        ascending = thresholds[..., 1:] >= thresholds[..., :-1]  # a difference of extremes would wrap around
        require(bool(ascending.all()), "thresholds must ascend within each channel")
        object.__setattr__(self, "thresholds", thresholds)
        object.__setattr__(self, "offset", integer(self.offset, "offset"))

    @property
    def entries(self) -> int:
        """Number of sets of thresholds."""
        return self.thresholds.shape[0]

    @property
    def levels(self) -> int:
        """Number of output levels."""
        return self.thresholds.shape[2] + 1

    @cached_property
    def choices(self) -> tuple[Threshold, ...]:
        """The operator that each value of the index stands for."""
        return tuple(Threshold(rows, self.offset) for rows in self.thresholds)

    def infer(self, *inputs: Tensor) -> Tensor:
        x, index = inputs
        require(
            self.thresholds.shape[1] in (1, x.channels),
            f"select_threshold has {self.thresholds.shape[1]} rows for {x.channels} channels",
        )
        check_index(index, self.entries, self.name)
        return Tensor(x.shape, IntType.for_range(self.offset, self.offset + self.levels - 1))

    def execute(self, *inputs: np.ndarray) -> np.ndarray:
        x, index = inputs
        return execute_selected(self.choices, x, index)
