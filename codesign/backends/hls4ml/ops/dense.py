"""Fully connected layer: folded multiply-accumulates (`hw/hls/dense.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml import mac
from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.ir.ops import Dense


def kernel(place: Place) -> Kernel:
    """Return the kernel of a dense layer."""
    return mac.kernel(place, "dense", 1, {})


def reuse_factors(place: Place) -> list[int]:
    """Return the legal steps per frame, ascending."""
    op = cast("Dense", place.node.op)
    return sorted(mac.legal_folds(op.weight.shape[0], op.weight.shape[1], 1))


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when the only token is written: all."""
    return [np.array([place.x.size // place.pack])]
