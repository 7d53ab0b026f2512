"""Convolution: a sliding window and a product, as FINN lowers it; of one pixel, the product alone."""

from __future__ import annotations

import numpy as np

from codesign.backends.finn import accumulators
from codesign.backends.finn import units as units_
from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.products import matrix_units, offset_units
from codesign.backends.finn.units import Layer, Unit
from codesign.ir.ops import Conv2d
from codesign.ir.types import weight_bits


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
    """Tell whether a convolution has one output for each channel, which FINN has a unit of its own for."""
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


def units(place: FinnPlace) -> list[Unit]:
    """Return the layers."""
    op: Conv2d = place.op
    height, width, channels = place.x.shape
    top, bottom, left, right = op.padding  # type: ignore[misc]
    found: list[Unit] = []
    if any((top, bottom, left, right)):
        found.append(units_.padding((height, width, channels), (top, bottom, left, right), place.bits_in))
    padded = height + top + bottom, width + left + right, channels
    vectors = place.y.size // place.y.channels
    kernel, stride = op.kernel, op.stride
    if is_vector(op):
        values = op.values()
        sums = accumulators.product_type(place.graph, place.node).bits
        width_of_weight = 1 if bool((np.abs(values) == 1).all()) else max(2, weight_bits(values))
        layer = Layer("VVAU", "hls", {"Channels": channels, "Kernel": list(kernel)})
        lane = place.bits_in * width_of_weight * 1.3 + 2 * sums
        bits = place.bits_in, sums
        found.append(units_.windowed(padded, kernel, stride, bits, layer, lane, width_of_weight))  # type: ignore[arg-type]
        return [*found, *offset_units(place, channels, vectors, sums)]
    if not is_pointwise(op):
        found.append(units_.window(padded, kernel, stride, place.bits_in))  # type: ignore[arg-type]
    return [*found, *matrix_units(place, matrix(op), vectors)]
