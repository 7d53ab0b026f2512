"""Thresholds by index: comparators per channel behind small memories (`hw/hls/select_threshold.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.backends.hls4ml.ops import threshold
from codesign.ir.ops import SelectThreshold

READ_ORDER = (1, 0)
"""The index of a frame is read before the frame."""


def kernel(place: Place) -> Kernel:
    """Return the kernel of a threshold operator with an index."""
    op = cast("SelectThreshold", place.node.op)
    return threshold.comparators(place, "select_threshold", op.thresholds, op.offset, {"entries": op.entries})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack, ascending."""
    return threshold.reuse_factors(place)


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one, and the index before the first."""
    return [*threshold.needed(place), np.ones(place.x.size // place.pack, dtype=np.int64)]
