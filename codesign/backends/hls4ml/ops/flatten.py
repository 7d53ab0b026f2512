"""Frame to vector: the elements arrive in this order already (`hw/hls/flatten.h`)."""

from __future__ import annotations

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return Kernel("flatten", {"size": place.x.size})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack: there is nothing to fold."""
    return [1]


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one."""
    return [np.arange(1, place.x.size // place.pack + 1)]
