"""Convolution: weights are split where a float32 would not hold the sums, as ONNX Runtime convolves no others."""

from __future__ import annotations

from typing import Any

import numpy as np

from codesign.backends.qonnx import datatypes
from codesign.backends.qonnx.place import Place
from codesign.ir.exact import FLOAT32_EXACT
from codesign.ir.ops import Conv2d

DIGIT = 8
"""Most bits that are split off at a time."""


def write(place: Place) -> None:
    """Add the nodes: a convolution for each digit of the weights, their sum, and the bias."""
    op: Conv2d = place.op
    if datatypes.magnitude(place.x.type) > FLOAT32_EXACT:
        place.refuse(f"ONNX Runtime convolves float32, which does not hold {place.x.type}; re-quantise before it")
    digits = _digits(place, op.values())
    smallest, largest = op.accumulator_range(place.x)
    bound = max(_bound(place, op.values()) + _most(op.bias), *map(abs, map(int, (*smallest, *largest))))
    dtype: Any = np.float32 if len(digits) == 1 and bound <= FLOAT32_EXACT else np.float64
    place.carrier(bound, "its sum")
    shape = place.shape(place.y)
    total = ""
    for weights, shift in digits:
        part = place.cast(_convolution(place, op, weights), dtype)
        if shift:
            part = place.add("Mul", [part, place.constant(np.array(1 << shift), dtype)], shape, dtype)
        total = place.add("Add", [total, part], shape, dtype) if total else part
    if op.bias is not None:
        bias = place.constant(op.bias.reshape(-1, 1, 1), dtype, datatypes.of_values(op.bias))
        total = place.add("Add", [total, bias], shape, dtype)
    place.finish(total)


def _convolution(place: Place, op: Conv2d, weights: np.ndarray) -> str:
    top, bottom, left, right = op.padding  # type: ignore[misc]
    kernel = place.constant(weights.transpose(3, 2, 0, 1), np.float32, datatypes.of_weights(weights))
    return place.add(
        "Conv",
        [place.read(np.float32), kernel],
        place.shape(place.y),
        np.float32,
        group=op.groups,
        kernel_shape=list(op.kernel),
        strides=list(op.stride),  # type: ignore[arg-type]
        pads=[top, left, bottom, right],
        dilations=[1, 1],
    )


def _digits(place: Place, weights: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Return weights, each with a shift, whose shifted sum are the given ones and whose convolutions are exact."""
    found = []
    shift = 0
    ones = _bound(place, np.ones_like(weights))
    digit = next((bits for bits in range(DIGIT, 0, -1) if ones << (bits - 1) <= FLOAT32_EXACT), 0)
    while _bound(place, weights) > FLOAT32_EXACT:
        if not digit:
            place.refuse("its window has too many terms for float32; narrow its input")
        half = 1 << (digit - 1)
        low = ((weights + half) & (2 * half - 1)) - half
        if low.any():
            found.append((low, shift))
        weights = (weights - low) >> digit
        shift += digit
    return [*found, (weights, shift)] if weights.any() or not found else found


def _bound(place: Place, weights: np.ndarray) -> int:
    sums = np.abs(weights).reshape(-1, weights.shape[-1]).sum(axis=0)
    return int(sums.max()) * datatypes.magnitude(place.x.type)


def _most(bias: np.ndarray | None) -> int:
    return 0 if bias is None else max(abs(int(b)) for b in bias)
