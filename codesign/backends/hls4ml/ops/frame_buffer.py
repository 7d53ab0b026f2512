"""A frame at rest: two frames of memory, one word per token (`hw/hls/frame_buffer.h`)."""

from __future__ import annotations

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place

FRAMES_HELD = 2
"""One is filled while the other is emptied."""


def kernel(place: Place) -> Kernel:
    """Return the kernel."""
    return Kernel("frame_buffer", {"size": place.x.size})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack: there is nothing to fold."""
    return [1]


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: all."""
    tokens = place.x.size // place.pack
    return [np.full(tokens, tokens)]
