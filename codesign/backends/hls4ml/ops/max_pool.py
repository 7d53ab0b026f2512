"""Maximum over windows, without line buffers (`hw/hls/max_pool.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml import windows
from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.ir.ops import MaxPool


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return windows.pool_kernel(place, "max_pool")


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pixel: there is nothing to fold."""
    return [1]


def needed(place: Place) -> list[np.ndarray]:
    """Return the pixels read when each pixel is written: up to the lower right corner of its window."""
    op = cast("MaxPool", place.node.op)
    return [windows.pixels_read(place, op.kernel, op.stride)]  # type: ignore[arg-type]
