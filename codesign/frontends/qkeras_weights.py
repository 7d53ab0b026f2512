"""Reading QKeras weight quantizers: the integer weights of a layer with their scales.

A weight is always what the layer's own quantizer object makes of it. It is then taken apart into an integer
and a scale, and put together again in float32, bit for bit. QKeras returns x + (q - x), so that gradients
pass; that float32 sum may miss the quantised value q by an ulp. What QKeras means, q, is what is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qkeras_quantizers import apply, is_method, kind, require_deterministic
from codesign.ir.weights import MAX_WEIGHT_BITS


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
    name = kind(quantizer)
    reader = _READERS.get(name)
    if is_method(quantizer) and hasattr(quantizer, "integer_scale"):
        reader = partial(_method_weights, kernel)
    if reader is None:
        raise UserError(
            f"layer {label!r} quantizes its weights by {name}, which is not supported; "
            f"use one of {', '.join(sorted(_READERS))}."
        )
    require_deterministic(quantizer, label)
    if getattr(quantizer, "under_way", False):
        raise UserError(
            f"layer {label!r} is in the middle of a BiTAT training, so that its weights need not be binary; train to "
            "the end, or call codesign.quant.keras.bitat.companion(network).finish()."
        )
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
            f"the weights of layer {label!r} are not integers times a scale, as {name} promises; "
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


_READERS = {
    "quantized_bits": _quantized_bits,
    "binary": _binary,
    "ternary": _ternary,
    "quantized_po2": _quantized_po2,
}
