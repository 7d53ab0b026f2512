"""Sum over windows, without line buffers (`hw/hls/sum_pool.h`)."""

from __future__ import annotations

from codesign.backends.hls4ml import pooling
from codesign.backends.hls4ml.kernels import Kernel, Place


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return pooling.kernel(place, "sum_pool")


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pixel: there is nothing to fold."""
    return [1]
