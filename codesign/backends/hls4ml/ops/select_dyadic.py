"""Dyadic re-quantisation by index: constants from small memories (`hw/hls/select_dyadic.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.backends.hls4ml.ops import dyadic
from codesign.ir.ops import SelectDyadic

READ_ORDER = (1, 0)
"""The index of a frame is read before the frame."""


def kernel(place: Place) -> Kernel:
    """Return the kernel of a dyadic operator with an index."""
    op = cast("SelectDyadic", place.node.op)
    return dyadic.multipliers(place, "select_dyadic", op, {"entries": op.entries})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack, ascending."""
    return dyadic.reuse_factors(place)


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one, and the index before the first."""
    return [*dyadic.needed(place), np.ones(place.x.size // place.pack, dtype=np.int64)]
