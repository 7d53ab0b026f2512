"""Index of the largest feature: one comparator (`hw/hls/arg_max.h`)."""

from __future__ import annotations

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return Kernel("arg_max", {"size": place.x.size})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack: there is nothing to fold."""
    return [1]


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when the only token is written: all."""
    return [np.array([place.x.size // place.pack])]
