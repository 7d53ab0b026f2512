"""Reading QKeras activation quantizers: the grids that they round to, checked on real values."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qkeras_quantizers import apply, is_method, kind, require_deterministic
from codesign.frontends.requantize import Grid, fraction, reaches

ULPS = 2.0**-22
"""Relative error that the straight-through sum of an activation quantizer may show, with a factor."""

DEFAULT_TERNARY_THRESHOLD = 0.33
"""Threshold of `ternary` when none is given."""


@dataclass(frozen=True)
class Activation:
    """An activation quantizer: real output = factor · grid.scale · integer.

    Parameters
    ----------
    grid : Grid
    factor : Fraction
        The quantizer's alpha.
    """

    grid: Grid
    factor: Fraction = Fraction(1)


def read_activation(quantizer: Any, label: str) -> Activation:
    """Return the grid of an activation quantizer, after checking it on real values.

    Raises
    ------
    UserError
        When it is not supported or behaves differently from what it declares.
    """
    if is_method(quantizer):
        return _method_activation(quantizer, label)
    name = kind(quantizer)
    reader = _READERS.get(name)
    if reader is None:
        raise UserError(
            f"layer {label!r} applies {name}, which has no exact integer form here; "
            f"use one of {', '.join(sorted(_READERS))}."
        )
    require_deterministic(quantizer, label)
    activation = reader(quantizer, label)
    x = probes(activation.grid)
    found = apply(quantizer, x, label).astype(np.float64)
    expected = levels(activation.grid, x.astype(np.float64)) * float(activation.grid.scale * activation.factor)
    if (np.abs(found - expected) > ULPS * (np.abs(x) + np.abs(expected))).any():
        raise UserError(
            f"the quantizer of layer {label!r} does not round as {name} promises; build it anew with "
            "supported parameters."
        )
    return activation


def probes(grid: Grid) -> np.ndarray:
    """Return float32 values at and next to every step of a grid, and beyond its ends."""
    span = range(grid.low + 1, grid.high + 1)
    wanted = span if len(span) <= 512 else [*span[:256], *span[-256:]]
    steps = np.array([float(reaches(grid, k)[0] * grid.scale) for k in wanted], dtype=np.float32)
    beyond = np.array([grid.low, grid.high, 2 * grid.low - 1, 2 * grid.high + 1, 0, 0.3, -0.3]) * float(grid.scale)
    # Next to 0, TensorFlow takes numbers that are not normal for 0.
    tiny = np.finfo(np.float32).tiny
    above, below = (np.nextafter(steps, np.float32(end)) for end in (np.inf, -np.inf))
    around = [steps, np.where(steps == 0, tiny, above), np.where(steps == 0, -tiny, below)]
    return np.concatenate([*around, beyond]).astype(np.float32)


def levels(grid: Grid, x: np.ndarray) -> np.ndarray:
    """Return the integers (as float64) of a grid for real values, by the quantizers' own formulas."""
    v = x / float(grid.scale)
    match grid.rounding:
        case "half_even":
            return np.clip(np.rint(v), grid.low, grid.high)
        case "sign":
            return np.where(v >= 0, float(grid.high), float(grid.low))
        case "dead_zone":
            return np.where(np.abs(v) >= float(grid.threshold), np.sign(v), 0.0)
        case _:
            raise ValueError(f"QKeras has no rounding {grid.rounding}")


def _alpha(quantizer: Any, label: str) -> Fraction:
    alpha = quantizer.alpha
    if isinstance(alpha, str):
        raise UserError(
            f"the activation quantizer of layer {label!r} finds its scale anew in every batch "
            f"(alpha={alpha!r}); give it a fixed alpha, such as 1."
        )
    if alpha is None:
        return Fraction(1)
    if np.size(alpha) != 1:
        raise UserError(f"the activation quantizer of layer {label!r} has a scale per channel; give it one alpha.")
    # TensorFlow multiplies by the float32 nearest to alpha.
    value = fraction(float(np.float32(np.ravel(alpha)[0])))
    if value == 0:
        raise UserError(f"the activation quantizer of layer {label!r} has alpha=0; give it a positive alpha.")
    return value


def _bits_activation(quantizer: Any, label: str) -> Activation:
    bits, signed = int(quantizer.bits), int(bool(quantizer.keep_negative))
    alpha = _alpha(quantizer, label)
    if bits - signed == 0:
        return Activation(Grid(Fraction(1), -1, 1, "sign"), alpha)
    magnitude = 1 << (bits - signed)
    low = signed * (-magnitude + int(quantizer.symmetric))
    return Activation(Grid(Fraction(2) ** int(quantizer.integer) / magnitude, low, magnitude - 1), alpha)


def _relu_activation(quantizer: Any, label: str) -> Activation:
    if quantizer.use_sigmoid or quantizer.negative_slope:
        raise UserError(
            f"the quantized_relu of layer {label!r} uses a sigmoid or a negative slope, which has no exact "
            "integer form here; leave use_sigmoid and negative_slope at 0."
        )
    top = 1 << int(quantizer.bits)
    scale = Fraction(2) ** int(quantizer.integer) / top
    high = top - 1
    bound = quantizer.relu_upper_bound
    if bound and not quantizer.is_quantized_clip:
        ratio = fraction(float(np.float32(bound))) / scale
        if ratio.denominator != 1 and ratio < high:
            raise UserError(
                f"the relu_upper_bound={bound} of layer {label!r} lies between two levels; use a multiple of "
                f"{float(scale)}."
            )
        high = min(high, int(ratio))
    return Activation(Grid(scale, 0, high))


def _binary_activation(quantizer: Any, label: str) -> Activation:
    return Activation(Grid(Fraction(1), 0 if quantizer.use_01 else -1, 1, "sign"), _alpha(quantizer, label))


def _ternary_activation(quantizer: Any, label: str) -> Activation:
    threshold = DEFAULT_TERNARY_THRESHOLD if quantizer.threshold is None else quantizer.threshold
    if isinstance(threshold, str) or np.size(threshold) != 1 or float(threshold) <= 0:
        raise UserError(
            f"the ternary activation of layer {label!r} needs one positive number as threshold; give it one."
        )
    exact = fraction(float(np.float32(threshold)))
    return Activation(Grid(Fraction(1), -1, 1, "dead_zone", exact), _alpha(quantizer, label))


def _method_activation(quantizer: Any, label: str) -> Activation:
    if hasattr(quantizer, "integer_scale"):
        raise UserError(
            f"the activation of layer {label!r} is {type(quantizer).__name__}, a quantizer for weights; "
            "give it one for activations."
        )
    if not hasattr(quantizer, "grid_scale"):
        return Activation(Grid(Fraction(1), 0, 1, "sign"))
    scale = fraction(quantizer.grid_scale(), f"the quantizer of layer {label!r}")
    if scale == 0:
        raise UserError(f"the quantizer of layer {label!r} has no step yet; train the network first.")
    return Activation(Grid(scale, quantizer.low, quantizer.high))


_READERS = {
    "quantized_bits": _bits_activation,
    "quantized_relu": _relu_activation,
    "binary": _binary_activation,
    "ternary": _ternary_activation,
}
