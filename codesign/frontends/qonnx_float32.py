"""What the qonnx executor computes element by element, in its own float32, operation by operation.

QONNX leaves rounding to float32; where a value lies within a rounding of a step, the order of operations decides.
These are the operations that qonnx 1.0 runs in NumPy and ONNX Runtime on x86-64, each rounded as there. Every one of
them rises or falls with its input, as rounding does, and so does any chain of them.

References
----------
QONNX operators Quant, Trunc and MultiThreshold as in github.com/fastmachinelearning/qonnx, docs/qonnx-custom-ops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.frontends.qonnx_constants import powers_of_two


@dataclass(frozen=True)
class Precision:
    """A float that tensors are carried in.

    Parameters
    ----------
    dtype : type
        NumPy's.
    ulp : float
        Largest relative error of one rounding.
    steps : int
        Every multiple of a power of two, up to this many times, is held exactly.
    smallest, largest : float
        Powers of two between which that power lies.
    """

    dtype: type
    ulp: float
    steps: int
    smallest: float
    largest: float

    def holds(self, magnitudes: np.ndarray, unit: np.ndarray | float) -> np.ndarray:
        """Tell which multiples of `unit`, a power of two or 0 where unknown, of these magnitudes are exact."""
        within = magnitudes <= np.minimum(self.steps * np.asarray(unit), self.largest)
        found: np.ndarray = (magnitudes == 0) | (within & (unit >= self.smallest))
        return found


SINGLE = Precision(np.float32, 2.0**-24, 1 << 24, 2.0**-126, 2.0**126)
DOUBLE = Precision(np.float64, 2.0**-53, 1 << 52, 2.0**-1000, 2.0**1000)
"""Half of what float64 holds: the magnitudes themselves are sums in float64."""

Rounding = Callable[[np.ndarray], np.ndarray]

ROUNDINGS: dict[str, Rounding] = {
    "half_even": np.rint,
    "half_away": lambda x: np.sign(x) * np.floor(np.abs(x) + np.float32(0.5)),
    "half_zero": lambda x: np.sign(x) * np.ceil(np.abs(x) - np.float32(0.5)),
    "away": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "toward_zero": np.trunc,
    "ceil": np.ceil,
    "floor": np.floor,
}
"""Roundings of float32 to integers."""

ROUNDING_NAMES = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "HALF_UP": "half_away",
    "HALF_DOWN": "half_zero",
    "UP": "away",
    "DOWN": "toward_zero",
    "ROUND_TO_ZERO": "toward_zero",
    "CEIL": "ceil",
    "FLOOR": "floor",
}
"""QONNX names of them; its "up" is away from zero and its "down" towards zero."""


@dataclass(frozen=True, eq=False)
class Step:
    """One elementwise operation with constants.

    Parameters
    ----------
    kind : str
        "add", "mul", "div" (x / c), "rsub" (c - x), "max", "min", or "affine" (x·c + d, both rounded); "single" and
        "double" carry on in another float.
    constants : tuple of ndarray of float32 or float64, each of shape () or (channels,)
    """

    kind: str
    constants: tuple[np.ndarray, ...]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the result for x of shape (..., channels), in the float of x or the one cast to."""
        if self.kind in _CASTS:
            return x.astype(_CASTS[self.kind].dtype)
        c = self.constants[0]
        match self.kind:
            case "add":
                return x + c
            case "mul":
                return x * c
            case "div":
                return x / c
            case "rsub":
                return c - x
            case "max":
                return np.maximum(x, c)
            case "min":
                return np.minimum(x, c)
            case "affine":
                return x * c + self.constants[1]
        raise ValueError(f"unknown step {self.kind}")

    def mapped(self, spread: Callable[[np.ndarray], np.ndarray]) -> Step:
        """Return the step with each constant per channel replaced by `spread` of it."""
        return Step(self.kind, tuple(spread(c) if c.ndim else c for c in self.constants))

    def precision(self, entering: Precision) -> Precision:
        """Return the float of the result."""
        return _CASTS.get(self.kind, entering)

    def unit(self, entering: np.ndarray) -> np.ndarray:
        """Return powers of two of which exact results are multiples where inputs are of `entering`; 0 where unknown."""
        if self.kind in _CASTS:
            return entering
        c = self.constants[0]
        powers = powers_of_two(c)
        match self.kind:
            case "add" | "rsub" | "max" | "min":
                return np.minimum(entering, powers)
            case "mul":
                return entering * np.where(c == 0, 1.0, powers)
            case "div":
                return np.where(powers == np.abs(c), entering / powers, 0.0)
        return np.zeros_like(entering)

    def error(self, entering: np.ndarray, largest: np.ndarray, leaving: np.ndarray, precision: Precision) -> np.ndarray:
        """Bound how far the result is from the real one.

        Parameters
        ----------
        entering : ndarray of float64
            The same bound for the input.
        largest, leaving : ndarray of float64
            Largest magnitude of input and result.
        precision : Precision
            Of the result.
        """
        ulp = precision.ulp
        if self.kind in _CASTS:
            return entering + ulp * leaving if precision is SINGLE else entering
        c = np.abs(self.constants[0].astype(np.float64))
        match self.kind:
            case "add" | "rsub":
                return entering + ulp * leaving
            case "mul":
                return entering * c + ulp * leaving
            case "div":
                return entering / c + ulp * leaving
            case "affine":
                # The constants come from float32 arithmetic themselves: a few roundings each.
                d = np.abs(self.constants[1].astype(np.float64))
                return entering * c + 8 * ulp * (c * largest + d + leaving)
        return entering


_CASTS = {"single": SINGLE, "double": DOUBLE}


def run(steps: Sequence[Step], x: np.ndarray) -> np.ndarray:
    """Apply steps in order to x of shape (..., channels)."""
    with np.errstate(all="ignore"):
        for step in steps:
            x = step.apply(x)
    return x


def batch_norm(
    gain: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return factor and shift of a BatchNormalization as ONNX Runtime computes them in float32."""
    with np.errstate(all="ignore"):
        factor = gain * (np.float32(1) / np.sqrt(variance + np.float32(epsilon)))
        return factor, bias - mean * factor


def quantize(x: np.ndarray, scale: np.ndarray, zero: np.ndarray, low: int, high: int, rounding: str) -> np.ndarray:
    """Return the codes (float32) of a Quant before its zero point is taken off again."""
    with np.errstate(all="ignore"):
        y = x / scale + zero
        return ROUNDINGS[rounding](np.clip(y, np.float32(low), np.float32(high)))
