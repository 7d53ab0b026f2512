"""Reading the quantisers of a QONNX graph: Quant, BipolarQuant, Trunc, MultiThreshold and Sign.

A quantiser is a rising function from real numbers to integers. It is kept twice: as the executor computes it in
float32, and as the exact real positions of its steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codesign.errors import UserError
from codesign.frontends import qonnx_float32 as float32
from codesign.frontends.qonnx_constants import Constant
from codesign.frontends.qonnx_file import Node
from codesign.frontends.qonnx_float32 import Step
from codesign.frontends.requantize import Affine, Grid, reaches

Reach = tuple[Fraction, bool]
"""Where a level is reached: from this real number on, or above it when True."""

Levels = Callable[[np.ndarray], np.ndarray]
"""float32 (..., channels) to integers as float32."""

MAX_ACTIVATION_BITS = 16

WHOLE = Fraction(1, 1 << 22)
"""Relative distance at which a multiple of a scale, rounded to float32, may lie from it."""


@dataclass(frozen=True, eq=False)
class Quantizer:
    """A rising step function.

    Parameters
    ----------
    low, high : int
        Least and greatest integer.
    levels : callable
        float32 (..., channels) to the integers that the executor gives, as float32.
    reaches : callable
        Channel to the exact places where low + 1, ..., high are reached.
    affines : tuple of Affine, one or one per channel
        What the integers mean.
    steps : tuple of Step
        How the executor makes float32 numbers of the integers.
    grid : Grid or None
        Where all channels are one uniform grid without a zero point.
    alike : bool
        Whether all channels have the same levels.
    """

    low: int
    high: int
    levels: Levels
    reaches: Callable[[int], Sequence[Reach]]
    affines: tuple[Affine, ...]
    steps: tuple[Step, ...]
    grid: Grid | None = None
    alike: bool = True


@dataclass(frozen=True)
class QuantParameters:
    """What a Quant node says.

    Parameters
    ----------
    scale, zero : ndarray of float32
        In the shape of the file.
    bits, low, high : int
        Width, and range of the codes.
    signed : bool
    rounding : str
        A name in `qonnx_float32.ROUNDINGS`, or "sign" for codes of -1 and 1.
    """

    scale: np.ndarray
    zero: np.ndarray
    bits: int
    low: int
    high: int
    signed: bool
    rounding: str


def read_quant(node: Node, parameters: Sequence[Constant | None]) -> QuantParameters:
    """Read the scale, zero point, width and attributes of a Quant node.

    Raises
    ------
    UserError
        When one is missing, not constant, or makes no sense.
    """
    where = f"node {node.label!r} ({node.op})"
    given = _all(parameters, 3, where)
    scale = _single(given[0], where, _power_of_two)
    zero = _single(given[1], where, lambda values: values == 0)
    width = _single(given[2], where, lambda values: (values >= 1) & (values <= 32) & (values == np.rint(values)))
    bits = _bits(width, where)
    for name in ("signed", "narrow"):
        if node.attribute(name, -1) not in (0, 1):
            raise UserError(f"{where} needs the attribute {name!r}, 0 or 1.")
    signed, narrow = bool(node.attributes["signed"]), bool(node.attributes["narrow"])
    _positive(scale, where)
    if (zero != np.rint(zero)).any() or np.abs(zero).max() >= 1 << 20:
        raise UserError(f"{where} has a zero point that is no integer of up to 20 bits; use one that is.")
    rounding = _rounding(node, "ROUND", where)
    if signed and bits == 1:
        return QuantParameters(scale, zero, bits, -1, 1, signed, "sign")
    if signed:
        low, high = -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    else:
        low, high = 0, (1 << bits) - 1 - narrow
    if low >= high:
        raise UserError(f"{where} has a single level; give it more bits or narrow=0.")
    return QuantParameters(scale, zero, bits, low, high, signed, rounding)


def quant(node: Node, p: QuantParameters, spread: Callable[[np.ndarray], np.ndarray]) -> Quantizer:
    """Return the function of a Quant node on activations; `spread` brings constants to the channels of the edge."""
    where = f"node {node.label!r} ({node.op})"
    scale, zero = spread(p.scale), spread(p.zero)
    if zero.size > 1 and (zero == zero[0]).all():
        zero = zero[:1].reshape(())
    if zero.size > 1:
        raise UserError(f"{where} has a zero point per channel; use one for the tensor.")
    if p.bits > MAX_ACTIVATION_BITS:
        raise UserError(f"{where} makes activations of {p.bits} bits; use at most {MAX_ACTIVATION_BITS}.")
    offset = int(zero.reshape(-1)[0])
    low, high = p.low - offset, p.high - offset

    def levels(x: np.ndarray) -> np.ndarray:
        if p.rounding == "sign":
            with np.errstate(all="ignore"):
                return np.where(x / scale + zero >= 0, np.float32(high), np.float32(low))
        return float32.quantize(x, scale, zero, p.low, p.high, p.rounding) - zero

    scales = [Fraction(float(s)) for s in scale.reshape(-1)]
    codes = [reaches(_code_grid(p), code) for code in range(p.low + 1, p.high + 1)]

    def reached(channel: int) -> list[Reach]:
        s = scales[channel % len(scales)]
        return [((t - offset) * s, strict) for t, strict in codes]

    affines = tuple(Affine(s) for s in scales)
    # Offsets of the codes move ties: only without them is the grid one of `requantize`.
    plain = len(set(scales)) == 1 and offset == 0 and p.rounding != "sign"
    grid = Grid(scales[0], p.low, p.high, p.rounding) if plain else None
    return Quantizer(low, high, levels, reached, affines, (Step("mul", (scale,)),), grid, scale.size == 1)


def _code_grid(p: QuantParameters) -> Grid:
    return Grid(Fraction(1), p.low, p.high, p.rounding)


def bipolar(node: Node, scale: Constant | None, spread: Callable[[np.ndarray], np.ndarray]) -> Quantizer:
    """Return the function of a BipolarQuant node: -1 below 0, +1 from 0 on."""
    factor = spread(bipolar_scale(node, scale))

    def levels(x: np.ndarray) -> np.ndarray:
        return np.where(x >= 0, np.float32(1), np.float32(-1))

    affines = tuple(Affine(Fraction(float(s))) for s in factor.reshape(-1))
    return Quantizer(-1, 1, levels, lambda _: [(Fraction(0), False)] * 2, affines, (Step("mul", (factor,)),))


def bipolar_scale(node: Node, scale: Constant | None) -> np.ndarray:
    """Return the scale of a BipolarQuant node."""
    where = f"node {node.label!r} ({node.op})"
    (factor,) = (_floats(parameter, where) for parameter in _all([scale], 1, where))
    _positive(factor, where)
    return factor


def sign() -> Quantizer:
    """Return the function of a Sign node: -1, 0 or 1."""
    steps = [(Fraction(0), False), (Fraction(0), True)]
    return Quantizer(-1, 1, np.sign, lambda _: steps, (Affine(Fraction(1)),), ())


def multi_threshold(
    node: Node, thresholds: Constant | None, features: Callable[[np.ndarray], np.ndarray], dtype: type = np.float32
) -> Quantizer:
    """Return the function of a MultiThreshold node on tensors of a type.

    `features` brings rows of thresholds to the order of the edge.
    """
    where = f"node {node.label!r} ({node.op})"
    (table,) = (_floats(parameter, where, dtype) for parameter in _all([thresholds], 1, where))
    if table.ndim != 2 or table.shape[1] >= 1 << MAX_ACTIVATION_BITS:
        raise UserError(f"{where} needs thresholds of the shape (channels, levels - 1), not {table.shape}.")
    rows = np.sort(features(table), axis=1)  # the count does not depend on their order
    scale, bias = np.float32(node.attribute("out_scale", 1.0)), np.float32(node.attribute("out_bias", 0.0))
    if not (np.isfinite(bias) and np.isfinite(scale) and scale > 0):
        raise UserError(f"{where} needs a positive out_scale and a finite out_bias.")
    count = rows.shape[1]
    # A bias of whole steps, as near as float32 has it, goes into the integers, so that integer 0 is real 0.
    ratio = Fraction(float(bias)) / Fraction(float(scale))
    whole = round(ratio)
    shift = whole if abs(ratio - whole) <= abs(ratio) * WHOLE and abs(whole) < 1 << 20 else 0

    def levels(x: np.ndarray) -> np.ndarray:
        found = np.empty(x.shape, dtype=np.float32)
        for channel in range(x.shape[-1]):
            found[..., channel] = np.searchsorted(rows[channel % len(rows)], x[..., channel], side="right")
        return found + np.float32(shift)

    def reached(channel: int) -> list[Reach]:
        return [(Fraction(float(t)), False) for t in rows[channel % len(rows)]]

    offset = Fraction(0) if shift else Fraction(float(bias))
    affine = Affine(Fraction(float(scale)), offset)
    steps = (
        Step("add", (np.asarray(np.float32(-shift)),)),
        Step("mul", (np.asarray(scale),)),
        Step("add", (np.asarray(bias),)),
    )
    return Quantizer(shift, shift + count, levels, reached, (affine,), steps, None, len(rows) == 1)


def trunc(node: Node, parameters: Sequence[Constant | None], ends: Callable[[Levels], tuple[int, int]]) -> Quantizer:
    """Return the function of a Trunc node.

    Parameters
    ----------
    node : Node
    parameters : sequence of Constant
        All but the tensor itself.
    ends : callable
        From a function of levels to the least and greatest that the edge reaches; the first version does not clamp.

    Raises
    ------
    UserError
        When its parameters are not one number each, or make no sense.
    """
    where = f"node {node.label!r} ({node.op})"
    clamped = node.version >= 2
    found = [_floats(parameter, where) for parameter in _all(parameters, 5 if clamped else 4, where)]
    if any(parameter.size != 1 for parameter in found):
        raise UserError(f"{where} has a parameter per channel; use one for the tensor.")
    scale, zero, width, *rest = (parameter.reshape(()) for parameter in found)
    bits_in, bits_out = _bits(width, where), _bits(rest[-1], where)
    _positive(scale, where)
    rounding = _rounding(node, "FLOOR", where)
    low, high, scale_out = None, None, scale
    shift = bits_in - bits_out
    if clamped:
        scale_out = rest[0]
        _positive(scale_out, where)
        with np.errstate(all="ignore"):
            exponent = np.log2(scale_out / scale)
        shift = int(np.rint(exponent)) if np.isfinite(exponent) else -1
        signed, narrow = bool(node.attribute("signed", 1)), bool(node.attribute("narrow", 0))
        low = -(1 << (bits_out - 1)) + narrow if signed else 0
        high = (1 << (bits_out - 1)) - 1 if signed else (1 << bits_out) - 1 - narrow
    zero_out = Fraction(float(zero)) / (1 << max(shift, 0) if clamped else 1)
    if not 0 <= shift <= 31 or zero_out.denominator != 1 or abs(zero_out) >= 1 << 20:
        raise UserError(f"{where} adds bits, or has a zero point that is no integer; use neither.")
    offset = int(zero_out)
    divisor = np.float32(2.0**shift)

    def levels(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            y = np.rint(x / scale + zero) / divisor
        if low is not None:
            y = np.clip(y, np.float32(low), np.float32(high))
        return float32.ROUNDINGS[rounding](y) - np.float32(offset)

    least, greatest = ends(levels) if low is None or high is None else (low - offset, high - offset)
    if greatest - least >= 1 << MAX_ACTIVATION_BITS:
        raise UserError(f"{where} makes activations of more than {MAX_ACTIVATION_BITS} bits; truncate further.")
    greatest = max(greatest, least + 1)
    outer, inner = Grid(Fraction(1), least + offset, greatest + offset, rounding), Grid(Fraction(1), -1, 1)
    places = []
    for code in range(least + offset + 1, greatest + offset + 1):
        t, strict = reaches(outer, code)
        first = math.floor(t * (1 << shift)) + 1 if strict else math.ceil(t * (1 << shift))
        place, strict = reaches(inner, first)
        places.append(((place - Fraction(float(zero))) * Fraction(float(scale)), strict))
    affine = Affine(Fraction(float(scale_out)))
    return Quantizer(least, greatest, levels, lambda _: places, (affine,), (Step("mul", (np.asarray(scale_out),)),))


def _all(parameters: Sequence[Constant | None], count: int, where: str) -> list[Constant]:
    found = [parameter for parameter in parameters if parameter is not None]
    if len(found) != count or len(parameters) != count:
        raise UserError(f"{where} needs {count} constant parameters beside its input; export the network again.")
    return found


def _single(parameter: Constant, where: str, allowed: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return the numbers of a constant as float32; those of float64 and int64 too where they are what is allowed.

    QKeras exports have such. Dividing by a power of two is exact in both, and so is adding 0.
    """
    values = parameter.values
    if values.dtype in (np.float64, np.int64) and values.size and allowed(values).all():
        return values.astype(np.float32)
    return _floats(parameter, where)


def _power_of_two(values: np.ndarray) -> np.ndarray:
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return (mantissa == 0.5) & (np.abs(exponent) <= 100)


def _floats(parameter: Constant, where: str, dtype: type = np.float32) -> np.ndarray:
    values = parameter.values
    if values.dtype != dtype or values.size == 0:
        raise UserError(
            f"{where} has a parameter of type {values.dtype} and shape {values.shape}; use {np.dtype(dtype)}"
            + (", or scales that are powers of two." if values.dtype == np.float64 else ".")
        )
    return values


def _bits(width: np.ndarray, where: str) -> int:
    if width.size != 1 or width.reshape(-1)[0] != np.rint(width.reshape(-1)[0]) or not 1 <= width.reshape(-1)[0] <= 32:
        raise UserError(f"{where} needs one whole number of bits, 1 to 32.")
    return int(width.reshape(-1)[0])


def _positive(scale: np.ndarray, where: str) -> None:
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise UserError(f"{where} has a scale that is not positive; train the network again or mend the file.")


def _rounding(node: Node, default: str, where: str) -> str:
    name = node.attribute("rounding_mode", default).upper()
    if name not in float32.ROUNDING_NAMES:
        raise UserError(f"{where} rounds by {name[:20]!r}; use one of {', '.join(float32.ROUNDING_NAMES)}.")
    return float32.ROUNDING_NAMES[name]
