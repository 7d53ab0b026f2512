"""Convolution: a sliding window in front of folded multiply-accumulates (`hw/hls/conv2d.h`)."""

from __future__ import annotations

from typing import cast

import numpy as np

from codesign.backends.hls4ml import mac, windows
from codesign.backends.hls4ml.kernels import Kernel, Place
from codesign.ir.ops import Conv2d


def kernel(place: Place) -> Kernel:
    """Return the kernel of a convolution."""
    op = cast("Conv2d", place.node.op)
    height, width, channels = place.x.shape
    top, bottom, left, right = op.padding  # type: ignore[misc]
    extra: dict[str, int | str] = {
        "in_height": height,
        "in_width": width,
        "in_channels": channels,
        "out_height": place.y.shape[0],
        "out_width": place.y.shape[1],
        "out_channels": place.y.shape[2],
        "kernel_height": op.kernel[0],
        "kernel_width": op.kernel[1],
        "stride_height": op.stride[0],  # type: ignore[index]
        "stride_width": op.stride[1],  # type: ignore[index]
        "top": top,
        "bottom": bottom,
        "left": left,
        "right": right,
    }
    return mac.kernel(place, "conv2d", op.groups, extra)


def reuse_factors(place: Place) -> list[int]:
    """Return the legal steps per pixel, ascending."""
    op = cast("Conv2d", place.node.op)
    height, width, group_channels, n_out = op.weight.shape
    return sorted(mac.legal_folds(height * width * group_channels, n_out, op.groups))


def needed(place: Place) -> list[np.ndarray]:
    """Return the pixels read when each pixel is written: up to the lower right corner of its window."""
    op = cast("Conv2d", place.node.op)
    top, _, left, _ = op.padding  # type: ignore[misc]
    return [windows.pixels_read(place, op.kernel, op.stride, top, left)]  # type: ignore[arg-type]
