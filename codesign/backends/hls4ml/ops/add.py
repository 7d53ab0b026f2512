"""Elementwise sum: one adder per element of a pack (`hw/hls/add.h`)."""

from __future__ import annotations

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return Kernel("add", {"size": place.x.size})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack: there is nothing to fold."""
    return [1]


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one, or all where the tokens differ in size."""
    sizes = [place.packs[edge] for edge in place.node.inputs]
    tokens = place.y.size // max(sizes)
    if sizes[0] == sizes[1]:
        return [np.arange(1, tokens + 1)] * 2
    return [np.full(tokens, place.y.size // size) for size in sizes]
