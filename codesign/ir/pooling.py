"""What the pooling operators share: window arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.ir.operator import Operator, int_pair, require


@dataclass(frozen=True, eq=False)
class Pool(Operator):
    """Base of the pooling operators: rows and columns that do not fill a window are dropped.

    Parameters
    ----------
    kernel, stride : int or (int, int)
        Window height and width, and their steps; the stride is the kernel by default.
    """

    kernel: tuple[int, int] | int
    stride: tuple[int, int] | int | None = None

    def __post_init__(self) -> None:
        kernel = int_pair(self.kernel, "kernel", 1)
        object.__setattr__(self, "kernel", kernel)
        object.__setattr__(self, "stride", kernel if self.stride is None else int_pair(self.stride, "stride", 1))


def pooled_shape(shape: tuple[int, ...], kernel: Any, stride: Any, name: str) -> tuple[int, ...]:
    """Return the frame shape after pooling (height, width, channels) without padding."""
    require(len(shape) == 3, f"{name} needs (height, width, channels), found {shape}")
    require(
        kernel[0] <= shape[0] and kernel[1] <= shape[1],
        f"the {name} window {kernel} exceeds the frame {shape}",
    )
    return (shape[0] - kernel[0]) // stride[0] + 1, (shape[1] - kernel[1]) // stride[1] + 1, shape[2]


def tap_views(x: np.ndarray, kernel: Any, stride: Any) -> Iterator[np.ndarray]:
    """Yield, for every position inside the window, the view of `x` (frames, rows, columns, channels) it reads."""
    rows, columns, _ = pooled_shape(x.shape[1:], kernel, stride, "pooling")
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            yield x[
                :,
                u : u + (rows - 1) * stride[0] + 1 : stride[0],
                v : v + (columns - 1) * stride[1] + 1 : stride[1],
            ]
