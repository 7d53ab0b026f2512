"""Elementwise sum: one adder per element of a pack (`hw/hls/add.h`)."""

from __future__ import annotations

from codesign.backends.hls4ml.kernels import Kernel, Place


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return Kernel("add", {"size": place.x.size})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack: there is nothing to fold."""
    return [1]
