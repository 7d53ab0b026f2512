"""What operators on windows share: when a window is complete, and how pooling is configured."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.ir.ops import MaxPool, SumPool


def pixels_read(
    place: Place, kernel: tuple[int, int], stride: tuple[int, int], top: int = 0, left: int = 0
) -> np.ndarray:
    """Return how many pixels have been read when each window is complete, row by row.

    Parameters
    ----------
    place : Place
    kernel, stride : (int, int)
        Height and width of the window and of its steps.
    top, left : int
        Padding, which is not read.
    """
    height, width, _ = place.x.shape
    rows = np.arange(place.y.shape[0]) * stride[0] + kernel[0] - 1 - top
    columns = np.arange(place.y.shape[1]) * stride[1] + kernel[1] - 1 - left
    whole = np.clip(rows, 0, height) * width
    inside = (rows >= 0) & (rows < height)
    return (whole[:, None] + np.where(inside[:, None], np.clip(columns + 1, 0, width), 0)).ravel()


def pool_kernel(place: Place, function: str) -> Kernel:
    """Return the kernel of a pooling operator."""
    op = cast("MaxPool | SumPool", place.node.op)
    config: dict[str, int | str] = {
        "in_height": place.x.shape[0],
        "in_width": place.x.shape[1],
        "channels": place.x.shape[2],
        "out_height": place.y.shape[0],
        "out_width": place.y.shape[1],
        "kernel_height": op.kernel[0],  # type: ignore[index]
        "kernel_width": op.kernel[1],  # type: ignore[index]
        "stride_height": op.stride[0],  # type: ignore[index]
        "stride_width": op.stride[1],  # type: ignore[index]
    }
    return Kernel(function, config)
