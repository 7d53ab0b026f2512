"""Thresholds: comparators per channel (`hw/hls/threshold.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml.kernels import Kernel, Place, Table, bits_of, divisors, nearest, number, stored
from codesign.ir.ops import Threshold


def kernel(place: Place) -> Kernel:
    """Return the kernel of a threshold operator."""
    op = cast("Threshold", place.node.op)
    return comparators(place, "threshold", op.thresholds, op.offset, {})


def comparators(
    place: Place, function: str, thresholds: np.ndarray, offset: int, extra: dict[str, int | str]
) -> Kernel:
    """Return the kernel of a threshold operator with or without an index.

    Parameters
    ----------
    place : Place
    function : str
        Kernel of `hw/hls`.
    thresholds : ndarray of int64, shape (…, rows, count)
    offset : int
    extra : dict
        More members of the configuration struct.
    """
    low, high = place.x.type.min, place.x.type.max
    # A threshold outside the reach of the input is always or never met, and so is the nearest one inside.
    thresholds = np.clip(thresholds, low, high + 1)
    type = bits_of(thresholds)
    rows, count = thresholds.shape[-2:]
    fold = nearest(place.reuse_factor, reuse_factors(place))
    name = place.node.name
    config: dict[str, int | str] = {
        **extra,
        "size": place.x.size,
        "rows": rows,
        "count": count,
        "top_half": 1 << (count.bit_length() - 1),
        "pe": place.pack // fold,
        "threshold_t": number(type),
        "store_t": stored(type),
    }
    axes = "[channel][level]" if thresholds.ndim == 2 else "[index][channel][level]"
    table = Table(f"{name}_threshold", thresholds, type, f"{name}: ascending thresholds of each channel, {axes}")
    return Kernel(function, config, (table,), f"static const long long offset = {offset};", fold)


def reuse_factors(place: Place) -> list[int]:
    """Return the legal cycles per pack, ascending."""
    return divisors(place.pack)


def needed(place: Place) -> list[np.ndarray]:
    """Return the tokens read when each token is written: one for one."""
    return [np.arange(1, place.x.size // place.pack + 1)]
