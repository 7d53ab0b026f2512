"""Reading QKeras quantizers: integer weights with their scales, and the grids of activations.

A weight is always what the layer's own quantizer object makes of it. It is then taken apart into an integer
and a scale, and put together again in float32, bit for bit. QKeras returns x + (q - x), so that gradients
pass; that float32 sum may miss the quantised value q by an ulp. What QKeras means, q, is what is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends.requantize import Grid, fraction, reaches
from codesign.ir.weights import MAX_WEIGHT_BITS

ULPS = 2.0**-22
"""Relative error that the straight-through sum of an activation quantizer may show, with a factor."""

DEFAULT_TERNARY_THRESHOLD = 0.33
"""Threshold of `ternary` when none is given."""


@dataclass(frozen=True)
class Weights:
    """Integer weights of a layer.

    Parameters
    ----------
    values : ndarray of int64, shape of the kernel, output channels last
        Integers, or codes into `codebook`.
    scale : ndarray of float64, shape (outputs,)
        real = scale · integer.
    bits : int or None
        Declared width; None with a codebook.
    codebook : ndarray of int64 or None
        Integer values of codes.
    """

    values: np.ndarray
    scale: np.ndarray
    bits: int | None
    codebook: np.ndarray | None = None

    def real(self) -> np.ndarray:
        """Return the weights as float64, exact for scales that are float32 numbers."""
        integers = self.values if self.codebook is None else self.codebook[self.values]
        return integers * self.scale


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


def is_quantizer(value: Any) -> bool:
    """Tell whether an object is a quantizer of QKeras itself or of a method of ours, not of a user's subclass."""
    return type(value).__module__ == "qkeras.quantizers" or is_method(value)


def is_method(value: Any) -> bool:
    """Tell whether an object is a quantizer of `codesign.quant.keras`."""
    return type(value).__module__.rpartition(".")[0] == "codesign.quant.keras"


def read_weights(quantizer: Any, kernel: np.ndarray, label: str, depthwise: bool = False) -> Weights:
    """Return the integer weights that a layer's quantizer makes of its float kernel.

    Parameters
    ----------
    quantizer : object
        Of `qkeras.quantizers`.
    kernel : ndarray of float32, (kh, kw, in, out) or (in, out)
        A depthwise kernel (kh, kw, channels, multiplier) becomes (kh, kw, 1, channels · multiplier).

    Raises
    ------
    UserError
        When there is no quantizer, or it does not make integers times a scale per output channel.
    """
    if quantizer is None:
        raise UserError(
            f"layer {label!r} has float weights; give it a quantizer, such as "
            f"{'depthwise' if depthwise else 'kernel'}_quantizer='quantized_bits(4, 0, alpha=1)'."
        )
    kernel = np.asarray(kernel, dtype=np.float32)
    if not np.isfinite(kernel).all():
        raise UserError(f"layer {label!r} holds weights that are not finite; train it again.")
    kind = _kind(quantizer)
    reader = _WEIGHT_READERS.get(kind)
    if is_method(quantizer) and hasattr(quantizer, "integer_scale"):
        reader = partial(_method_weights, kernel)
    if reader is None:
        raise UserError(
            f"layer {label!r} quantizes its weights by {kind}, which is not supported; "
            f"use one of {', '.join(sorted(_WEIGHT_READERS))}."
        )
    _deterministic(quantizer, label)
    actual = apply(quantizer, kernel, label)
    if actual.dtype != np.float32 or actual.shape != kernel.shape or not np.isfinite(actual).all():
        raise UserError(
            f"the weight quantizer of layer {label!r} does not make finite float32 values of its weights; "
            "choose other parameters (1-bit weights with an automatic scale are `binary`)."
        )
    integers, unit, scale, bits, codebook = reader(quantizer, actual, label)
    # Put together as QKeras does, the parts must be its weights to the last bit.
    means = (scale * (integers * unit).astype(np.float32)).astype(np.float32)
    straight = kernel + (means - kernel) if getattr(quantizer, "use_ste", True) else means
    if not np.array_equal(straight, actual):
        raise UserError(
            f"the weights of layer {label!r} are not integers times a scale, as {kind} promises; "
            "build the layer's quantizer anew with supported parameters."
        )
    step = np.broadcast_to(scale.astype(np.float64) * unit, kernel.shape)
    if depthwise:
        shape = (*kernel.shape[:2], 1, kernel.shape[2] * kernel.shape[3])
        integers, step = integers.reshape(shape), step.reshape(shape)
    step = step.reshape(-1, step.shape[-1])
    if (step != step[0]).any():
        raise UserError(
            f"the weight scales of layer {label!r} vary within an output channel (scale_axis); "
            "use one per tensor or per output channel."
        )
    # A channel of zeros may have scale 0; any other scale then says the same and keeps its accumulator's meaning.
    empty = (integers.reshape(-1, len(step[0])) == 0).all(axis=0) & (codebook is None)
    scales = np.where((step[0] == 0) & empty, 1.0, step[0])
    if codebook is not None:
        return Weights(np.searchsorted(codebook, integers), scales, None, codebook)
    return Weights(integers, scales, bits)


def _kind(quantizer: Any) -> str:
    """Return the name of the quantizer, with its module when it is not QKeras' own."""
    name = type(quantizer).__name__
    return name if is_quantizer(quantizer) else f"{type(quantizer).__module__}.{name}"


def _deterministic(quantizer: Any, label: str) -> None:
    if getattr(quantizer, "use_stochastic_rounding", False):
        raise UserError(
            f"the quantizer of layer {label!r} rounds at random; build the trained layer anew with "
            "use_stochastic_rounding=False, which is how it computes after training."
        )
    if float(getattr(quantizer, "qnoise_factor", 1.0)) != 1.0:
        raise UserError(
            f"the quantizer of layer {label!r} mixes float values in (qnoise_factor is not 1); "
            "call update_qnoise_factor(1.0) on it."
        )


def read_constants(quantizer: Any, values: np.ndarray, label: str) -> np.ndarray:
    """Return constants that need no integer form (bias, batch norm) as a quantizer makes them, float64."""
    if quantizer is None:
        return np.asarray(values, dtype=np.float64)
    if not is_quantizer(quantizer):
        raise UserError(
            f"layer {label!r} quantizes a constant by {_kind(quantizer)}, which is not a quantizer of QKeras."
        )
    _deterministic(quantizer, label)
    return apply(quantizer, values, label).astype(np.float64)


def apply(quantizer: Any, values: np.ndarray, label: str) -> np.ndarray:
    """Return what a quantizer object makes of float32 values."""
    import tensorflow as tf

    try:
        return np.asarray(quantizer(tf.constant(values, dtype=tf.float32)))
    except (tf.errors.OpError, AssertionError, TypeError, ValueError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the quantizer of layer {label!r} fails on its values ({detail}); build it with other parameters."
        ) from error


_Parts = tuple[np.ndarray, float, np.ndarray, int | None, np.ndarray | None]
"""Integers, a power of two and a float32 scale whose product they mean, declared width, codebook."""


def _integers(actual: np.ndarray, scale: np.ndarray, unit: float, low: int, high: int) -> np.ndarray:
    step = scale.astype(np.float64) * unit
    ratio = np.divide(actual, step, out=np.zeros(actual.shape), where=np.broadcast_to(step != 0, actual.shape))
    return np.clip(np.rint(ratio), low, high).astype(np.int64)


def _scale(quantizer: Any) -> np.ndarray:
    """Return the float32 scale that the last call of a quantizer used."""
    scale = quantizer.scale
    return np.asarray(1.0 if scale is None else scale, dtype=np.float32)


def _quantized_bits(quantizer: Any, actual: np.ndarray, label: str) -> _Parts:
    bits, signed = int(quantizer.bits), int(bool(quantizer.keep_negative))
    scale = _scale(quantizer)
    if bits - signed == 0:
        return _signs(actual, scale)
    unit = 2.0 ** (int(quantizer.integer) - (bits - signed))
    limit = 1 << bits
    integers = _integers(actual, scale, unit, -limit, limit)
    # Weights are stored in two's complement, so unsigned ones take a bit more.
    needed = bits if signed or isinstance(quantizer.alpha, str) else bits + 1
    if needed > MAX_WEIGHT_BITS:
        raise UserError(f"layer {label!r} has {bits}-bit weights; use at most {MAX_WEIGHT_BITS} bits.")
    return integers, unit, scale, needed, None


def _signs(actual: np.ndarray, scale: np.ndarray) -> _Parts:
    # The sum with which gradients pass may round, but it never changes a sign.
    signs = np.sign(actual * np.where(scale < 0, -1, 1)).astype(np.int64)
    return signs, 1.0, scale, None, np.array([-1, 1], dtype=np.int64)


def _binary(quantizer: Any, actual: np.ndarray, label: str) -> _Parts:
    scale = _scale(quantizer)
    if not quantizer.use_01:
        return _signs(actual, scale)
    return _integers(actual, scale, 1.0, 0, 1), 1.0, scale, None, np.array([0, 1], dtype=np.int64)


def _ternary(quantizer: Any, actual: np.ndarray, label: str) -> _Parts:
    scale = _scale(quantizer)
    return _integers(actual, scale, 1.0, -1, 1), 1.0, scale, 2, None


def _quantized_po2(quantizer: Any, actual: np.ndarray, label: str) -> _Parts:
    # Beside a huge float weight the straight-through sum may lose a small power of two altogether.
    exponents = np.rint(np.log2(np.where(actual == 0, 1.0, np.abs(actual)))).astype(np.int64)
    low, high = int(exponents.min()), int(exponents.max())
    if high - low > MAX_WEIGHT_BITS - 2:
        raise UserError(
            f"the powers of two of layer {label!r} span 2^{low} to 2^{high}, too far for integer weights; "
            "give quantized_po2 fewer bits."
        )
    integers = np.sign(actual).astype(np.int64) * np.left_shift(1, exponents - low)
    return integers, 2.0**low, np.ones((), np.float32), None, np.unique(integers)


def _method_weights(kernel: np.ndarray, quantizer: Any, actual: np.ndarray, label: str) -> _Parts:
    scale = np.asarray(quantizer.integer_scale(kernel), dtype=np.float32)
    integers = np.rint(actual.astype(np.float64) / scale).astype(np.int64)
    codebook = np.array(getattr(quantizer, "codebook", (-1, 1) if quantizer.bits == 1 else (0,)), dtype=np.int64)
    # Ternary levels are plain integers.
    if (np.diff(codebook) != 1).any():
        return integers, 1.0, scale, None, codebook
    return integers, 1.0, scale, quantizer.integer_bits, None


_WEIGHT_READERS = {
    "quantized_bits": _quantized_bits,
    "binary": _binary,
    "ternary": _ternary,
    "quantized_po2": _quantized_po2,
}


def read_activation(quantizer: Any, label: str) -> Activation:
    """Return the grid of an activation quantizer, after checking it on real values.

    Raises
    ------
    UserError
        When it is not supported or behaves differently from what it declares.
    """
    if is_method(quantizer):
        return _method_activation(quantizer, label)
    kind = _kind(quantizer)
    reader = _ACTIVATION_READERS.get(kind)
    if reader is None:
        raise UserError(
            f"layer {label!r} applies {kind}, which has no exact integer form here; "
            f"use one of {', '.join(sorted(_ACTIVATION_READERS))}."
        )
    _deterministic(quantizer, label)
    activation = reader(quantizer, label)
    x = probes(activation.grid)
    found = apply(quantizer, x, label).astype(np.float64)
    expected = levels(activation.grid, x.astype(np.float64)) * float(activation.grid.scale * activation.factor)
    if (np.abs(found - expected) > ULPS * (np.abs(x) + np.abs(expected))).any():
        raise UserError(
            f"the quantizer of layer {label!r} does not round as {kind} promises; build it anew with "
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


_ACTIVATION_READERS = {
    "quantized_bits": _bits_activation,
    "quantized_relu": _relu_activation,
    "binary": _binary_activation,
    "ternary": _ternary_activation,
}
