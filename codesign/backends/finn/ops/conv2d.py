"""Convolution: a sliding window and a product, as FINN lowers it; of one pixel, the product alone."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn.place import FinnPlace
from codesign.ir.ops import Conv2d


def write(place: FinnPlace) -> None:
    """Add the nodes."""
    op: Conv2d = place.op
    if is_pointwise(op):
        x = place.read(np.float32)
    else:
        x = place.windows(op.kernel, op.stride, op.padding, is_vector(op))
    place.end(place.product(x, matrix(op), op.kernel if is_vector(op) else None))


def is_pointwise(op: Conv2d) -> bool:
    """Tell whether a convolution needs no window."""
    return op.kernel == (1, 1) and op.stride == (1, 1) and not any(op.padding)  # type: ignore[arg-type]


def is_vector(op: Conv2d) -> bool:
    """Tell whether a convolution is depthwise with one output for each channel, which FINN has a unit of its own for."""
    return op.depthwise and op.weight.shape[3] == op.groups and not is_pointwise(op)


def matrix(op: Conv2d) -> np.ndarray:
    """Return the weights as a matrix (taps · channels, outputs), zero between groups."""
    values = op.values()
    height, width, group_in, outputs = values.shape
    group_out = outputs // op.groups
    full = np.zeros((height, width, op.groups, group_in, outputs), dtype=np.int64)
    for group in range(op.groups):
        columns = slice(group * group_out, (group + 1) * group_out)
        full[:, :, group, :, columns] = values[:, :, :, columns]
    return full.reshape(height * width * op.groups * group_in, outputs)
