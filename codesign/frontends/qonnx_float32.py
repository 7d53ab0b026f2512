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

ULP = 2.0**-24
"""Largest relative error of one rounding to float32."""

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
        "add", "mul", "div" (x / c), "rsub" (c - x), "max", "min", or "affine" (x·c + d, both rounded).
    constants : tuple of ndarray of float32, each of shape () or (channels,)
    """

    kind: str
    constants: tuple[np.ndarray, ...]

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the float32 result for x of shape (..., channels)."""
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

    def error(self, entering: np.ndarray, largest: np.ndarray, leaving: np.ndarray) -> np.ndarray:
        """Bound how far the float32 result is from the real one.

        Parameters
        ----------
        entering : ndarray of float64
            The same bound for the input.
        largest, leaving : ndarray of float64
            Largest magnitude of input and result.
        """
        c = np.abs(self.constants[0].astype(np.float64))
        match self.kind:
            case "add" | "rsub":
                return entering + ULP * leaving
            case "mul":
                return entering * c + ULP * leaving
            case "div":
                return entering / c + ULP * leaving
            case "affine":
                # The constants come from float32 arithmetic themselves: a few roundings each.
                d = np.abs(self.constants[1].astype(np.float64))
                return entering * c + 8 * ULP * (c * largest + d + leaving)
        return entering


def run(steps: Sequence[Step], x: np.ndarray) -> np.ndarray:
    """Apply steps in order to float32 x of shape (..., channels)."""
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
