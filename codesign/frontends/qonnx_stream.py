"""An integer edge of a QONNX network: its exact meaning, the executor's float32 number for it, and its axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_constants import power_of_two, powers_of_two
from codesign.frontends.qonnx_float32 import DOUBLE, SINGLE, Precision, Step, run
from codesign.frontends.qonnx_windows import Window
from codesign.frontends.requantize import Affine
from codesign.frontends.values import Value
from codesign.ir.types import IntType

MAX_DIGITS = 1 << 13
"""Longest numerator or denominator of a meaning: a few hundred operations on constants in a row."""

MAX_STEPS = 200
"""Most elementwise operations in a row."""

MAX_SHIFT = 900
"""Most fraction bits of a grid: far from where float64 has fewer digits."""

MAX_ENUMERATED = 1 << 18
"""Numbers that are looked at one by one to find what float32 makes of an edge; beyond it errors are bounded."""


class LayoutError(UserError):
    """An operator that finds the axes of its input in another order than it needs."""


@dataclass(frozen=True, eq=False)
class Root:
    """The executor's number before the elementwise steps: scale·integer + offset, missed by at most `error`.

    Parameters
    ----------
    scale, offset, error : ndarray of float64, each of shape (1,) or (channels,)
        Where the error is 0, the number is that float exactly.
    precision : Precision
        The float that carries it.
    """

    scale: np.ndarray
    offset: np.ndarray
    error: np.ndarray
    precision: Precision = SINGLE

    def bounds(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the greatest float that integers of shape (..., channels) may stand for."""
        dtype = self.precision.dtype
        with np.errstate(all="ignore"):
            real = self.scale * integers + self.offset
            exact = self.error == 0
            slack = self.error + 2.0**-50 * np.abs(real)
            low = np.nextafter((real - slack).astype(dtype), dtype(-np.inf))
            high = np.nextafter((real + slack).astype(dtype), dtype(np.inf))
            nearest = real.astype(dtype)
        return np.where(exact, nearest, low), np.where(exact, nearest, high)

    def carried(self, precision: Precision) -> Root:
        """Return the root carried in another float that holds it, too."""
        return dataclasses.replace(self, precision=precision)

    def mapped(self, change: Callable[[np.ndarray], np.ndarray]) -> Root:
        """Return the root with each of its parts changed."""
        return Root(change(self.scale), change(self.offset), change(self.error), self.precision)


NO_PADDING = (0, 0, 0, 0)

INTEGERS = Root(np.ones(1), np.zeros(1), np.zeros(1))
"""Numbers that are the integers themselves."""


@dataclass(frozen=True)
class Actual:
    """What is known of the executor's numbers on an edge, over all its integers.

    Parameters
    ----------
    least, greatest : ndarray of float64, shape (1,) or (channels,)
        Bounds of them.
    error : ndarray of float64, same shape
        Farthest from the exact meaning.
    unit : float
        Power of two of which all numbers are multiples, 0 when unknown.
    """

    least: np.ndarray
    greatest: np.ndarray
    error: np.ndarray
    unit: float

    @property
    def largest(self) -> np.ndarray:
        """Greatest magnitude."""
        return np.maximum(np.abs(self.least), np.abs(self.greatest))


@dataclass(frozen=True, eq=False)
class Reach:
    """Integers of an edge: from `least` to `greatest`, ndarrays of int64 of shape (channels,)."""

    edge: str
    least: np.ndarray
    greatest: np.ndarray


@dataclass(frozen=True, eq=False)
class Stream:
    """A tensor that depends on the input.

    Parameters
    ----------
    edge : str
        Of the integer graph, channels last.
    affines : tuple of Affine
        Exact meaning per channel.
    root : Root
    steps : tuple of Step
        What the executor has computed, element by element, since the root.
    axes : str
        One letter per axis of the ONNX tensor: "NCHW", "NHWC" or another order of these; "NF" for features.
    order : ndarray of int64 or None
        Of features: place in the ONNX tensor of each feature of the edge.
    padding : (int, int, int, int)
        Rows and columns of zeros around the edge (top, bottom, left, right) that no operator has added yet.
    reach : Reach or None
        What of its type the edge takes, where that is known.
    window : Window or None
        Of a tensor of windows (Im2Col), which only a product with weights may read.
    """

    edge: str
    affines: tuple[Affine, ...]
    root: Root
    steps: tuple[Step, ...]
    axes: str
    order: np.ndarray | None = None
    padding: tuple[int, int, int, int] = NO_PADDING
    reach: Reach | None = None
    window: Window | None = None

    @property
    def value(self) -> Value:
        """The edge with its exact meaning, as `Lowering` wants it."""
        return Value(self.edge, self.affines)

    @property
    def precision(self) -> Precision:
        """The float that carries the executor's numbers."""
        found = self.root.precision
        for step in self.steps:
            found = step.precision(found)
        return found

    @property
    def linear(self) -> bool:
        """Whether no channel is clamped."""
        return all(affine.linear for affine in self.affines)

    @property
    def channel_axis(self) -> int:
        """Place of channels or features in the ONNX tensor."""
        return self.axes.index("F" if "F" in self.axes else "C")

    def shape(self, edge_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the ONNX tensor of one frame, from that of the edge."""
        extents = {"N": 1, **dict(zip("HWC" if len(edge_shape) == 3 else "F", edge_shape, strict=True))}
        return tuple(extents[axis] for axis in self.axes)

    def with_step(self, step: Step, affines: Sequence[Affine], label: str) -> Stream:
        """Return the stream behind one more elementwise operation."""
        for affine in affines[:1] if len(set(affines)) == 1 else affines:
            for part in (affine.scale, affine.offset):
                if max(part.numerator.bit_length(), part.denominator.bit_length()) > MAX_DIGITS:
                    raise _too_many(label)
        if len(self.steps) >= MAX_STEPS:
            raise _too_many(label)
        return dataclasses.replace(self, affines=tuple(affines), steps=(*self.steps, step))

    def rerooted(self, value: Value, error: np.ndarray, *, steps: tuple[Step, ...] = (), **changes: object) -> Stream:
        """Return a stream whose numbers begin anew at another edge, missing its meaning by at most `error`."""
        scale = np.array([float(affine.scale) for affine in value.affines])
        offset = np.array([float(affine.offset) for affine in value.affines])
        root = Root(scale, offset, np.broadcast_to(error, scale.shape), self.precision)
        changed = {"edge": value.edge, "affines": value.affines, "root": root, "steps": steps, **changes}
        return dataclasses.replace(self, **changed)  # type: ignore[arg-type]

    def numbers(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and greatest float of integers (..., channels), through all steps."""
        low, high = self.root.bounds(integers)
        if np.array_equal(low, high):
            made = run(self.steps, low)
            return made, made
        one, other = run(self.steps, low), run(self.steps, high)
        return np.minimum(one, other), np.maximum(one, other)

    def actual(self, type: IntType) -> Actual:
        """Return what is known of the executor's numbers over all integers of the edge's type."""
        channels = 1 if self.uniform else len(self.affines)
        affines = self.affines[:channels]
        ends = np.array([[type.min], [type.max]], dtype=np.int64)
        if self.reach is not None and self.reach.edge == self.edge:
            ends = np.stack([np.maximum(self.reach.least, type.min), np.minimum(self.reach.greatest, type.max)])
            ends = np.stack([ends[0].min(keepdims=True), ends[1].max(keepdims=True)]) if self.uniform else ends
        first, last = int(ends.min()), int(ends.max())
        count = last - first + 1
        if count * channels <= MAX_ENUMERATED:
            integers = np.clip(np.arange(first, last + 1, dtype=np.int64)[:, None], *ends)
            low, high = (side.astype(np.float64) for side in self.numbers(integers))
            scale, offset = (
                np.array([float(getattr(affine, part)) for affine in affines]) for part in ("scale", "offset")
            )
            exact = scale * integers + offset
            exact = np.clip(exact, *(_bounds(affines, end) for end in ("low", "high")))
            error = np.maximum(np.abs(low - exact), np.abs(high - exact)).max(axis=0)
            if binary_grid(affines, type) is None:
                error = error + 2.0**-50 * np.abs(exact).max(axis=0)
            known = np.array_equal(low, high)
            return Actual(low.min(axis=0), high.max(axis=0), error, power_of_two(low) if known else 0.0)
        return self._bounded(ends)

    def _bounded(self, ends: np.ndarray) -> Actual:
        """Bound the errors step by step, for edges of many integers."""
        low, high = self.root.bounds(ends)
        error, precision = self.root.error, self.root.precision
        unit = np.minimum(powers_of_two(self.root.scale), powers_of_two(self.root.offset))
        unit = np.where(error > 0, 0.0, unit)
        for step in self.steps:
            largest = np.maximum(np.abs(low), np.abs(high)).max(axis=0).astype(np.float64)
            low, high = run((step,), low), run((step,), high)
            leaving = np.maximum(np.abs(low), np.abs(high)).max(axis=0).astype(np.float64)
            precision, unit = step.precision(precision), step.unit(unit)
            # Multiples of a power of two that the float holds round nowhere.
            exact = (unit > 0) & precision.holds(leaving, unit)
            error = np.where(exact, error, step.error(error, largest, leaving, precision))
            unit = np.where(exact, unit, 0.0)
        least, greatest = low.min(axis=0).astype(np.float64), high.max(axis=0).astype(np.float64)
        common = float(unit.min())
        return Actual(least, greatest, np.asarray(error, dtype=np.float64), common if np.isfinite(common) else 0.0)

    @property
    def uniform(self) -> bool:
        """Whether all channels are computed alike."""
        if any(affine != self.affines[0] for affine in self.affines):
            return False
        parts = [self.root.scale, self.root.offset, self.root.error, *(c for s in self.steps for c in s.constants)]
        return all(part.size == 1 or bool((part == part.reshape(-1)[0]).all()) for part in parts)

    def first_channel(self) -> Stream:
        """Return the first channel alone, for numbers of a stream whose channels are all alike."""

        def first(values: np.ndarray) -> np.ndarray:
            return values if values.ndim == 0 else values[:1]

        root = self.root.mapped(first)
        steps = tuple(step.mapped(first) for step in self.steps)
        return dataclasses.replace(self, affines=self.affines[:1], root=root, steps=steps)

    def spread(self, value: Value, times: int, axes: str, order: np.ndarray | None) -> Stream:
        """Return the stream read as one vector: channels `times` over."""

        def over(values: np.ndarray) -> np.ndarray:
            return values if values.size == 1 else np.tile(values, times)

        root = self.root.mapped(over)
        steps = tuple(step.mapped(over) for step in self.steps)
        return Stream(value.edge, value.affines, root, steps, axes, order)

    def negated(self, value: Value, falling: np.ndarray) -> Stream:
        """Return the stream on an edge whose `falling` channels carry the negated integers."""
        signs = np.where(falling, -1.0, 1.0)
        root = self.root.mapped(lambda part: part * np.ones(len(signs)))
        root = dataclasses.replace(root, scale=root.scale * signs)
        return dataclasses.replace(self, edge=value.edge, affines=value.affines, root=root)


def _too_many(label: str) -> UserError:
    return UserError(f"node {label!r} ends a row of too many operations on constants; fold them into one.")


def binary_grid(affines: Sequence[Affine], type: IntType) -> int | None:
    """Return n where meanings of all integers are multiples of 2^-n that float64 holds; None without such."""
    parts = [part for affine in affines for part in (affine.scale, affine.offset)]
    shift = max(part.denominator.bit_length() - 1 for part in parts)
    if any(part.denominator & (part.denominator - 1) for part in parts) or shift > MAX_SHIFT:
        return None
    integer = max(-type.min, type.max)
    return shift if max(abs(a.scale) * integer + abs(a.offset) for a in affines) * 2**shift <= DOUBLE.steps else None


def _bounds(affines: Sequence[Affine], end: str) -> np.ndarray:
    """Return the clamps of meanings at one end, infinite where there is none."""
    none = -np.inf if end == "low" else np.inf
    return np.array([none if (bound := getattr(affine, end)) is None else float(bound) for affine in affines])


def inexact_sum(terms: np.ndarray | int, total: np.ndarray, precision: Precision) -> np.ndarray:
    """Bound the error of a float sum of products in any order, from the sum of their magnitudes."""
    return np.asarray((np.asarray(terms) + 2) * precision.ulp * 1.01 * total, dtype=np.float64)
