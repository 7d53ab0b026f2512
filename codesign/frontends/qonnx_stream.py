"""An integer edge of a QONNX network: its exact meaning, the executor's float32 number for it, and its axes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from codesign.errors import UserError
from codesign.frontends.qonnx_constants import power_of_two
from codesign.frontends.qonnx_float32 import ULP, Step, run
from codesign.frontends.requantize import Affine
from codesign.frontends.values import Value
from codesign.ir.types import IntType

MAX_DIGITS = 1 << 13
"""Longest numerator or denominator of a meaning: a few hundred operations on constants in a row."""

MAX_STEPS = 200
"""Most elementwise operations in a row."""

MAX_ENUMERATED = 1 << 18
"""Numbers that are looked at one by one to find what float32 makes of an edge; beyond it errors are bounded."""


@dataclass(frozen=True, eq=False)
class Root:
    """The executor's number before the elementwise steps: scale·integer + offset, missed by at most `error`.

    Parameters
    ----------
    scale, offset, error : ndarray of float64, each of shape (1,) or (channels,)
        Where the error is 0, the number is that float32 exactly.
    """

    scale: np.ndarray
    offset: np.ndarray
    error: np.ndarray

    def bounds(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the greatest float32 that integers of shape (..., channels) may stand for."""
        with np.errstate(all="ignore"):
            real = self.scale * integers + self.offset
            exact = self.error == 0
            slack = self.error + 2.0**-50 * np.abs(real)
            low = np.nextafter((real - slack).astype(np.float32), np.float32(-np.inf))
            high = np.nextafter((real + slack).astype(np.float32), np.float32(np.inf))
            nearest = real.astype(np.float32)
        return np.where(exact, nearest, low), np.where(exact, nearest, high)


NO_PADDING = (0, 0, 0, 0)

INTEGERS = Root(np.ones(1), np.zeros(1), np.zeros(1))
"""Numbers that are the integers themselves."""


@dataclass(frozen=True)
class Actual:
    """What is known of the executor's numbers on an edge, over all its integers.

    Parameters
    ----------
    largest : ndarray of float64, shape (1,) or (channels,)
        Greatest magnitude.
    error : ndarray of float64, same shape
        Farthest from the exact meaning.
    unit : float
        Power of two of which all numbers are multiples, 0 when unknown.
    """

    largest: np.ndarray
    error: np.ndarray
    unit: float


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
    """

    edge: str
    affines: tuple[Affine, ...]
    root: Root
    steps: tuple[Step, ...]
    axes: str
    order: np.ndarray | None = None
    padding: tuple[int, int, int, int] = NO_PADDING

    @property
    def value(self) -> Value:
        """The edge with its exact meaning, as `Lowering` wants it."""
        return Value(self.edge, self.affines)

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
        root = Root(scale, offset, np.broadcast_to(error, scale.shape))
        changed = {"edge": value.edge, "affines": value.affines, "root": root, "steps": steps, **changes}
        return dataclasses.replace(self, **changed)  # type: ignore[arg-type]

    def numbers(self, integers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and greatest float32 of integers (..., channels), through all steps."""
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
        count = type.max - type.min + 1
        if count * channels <= MAX_ENUMERATED:
            integers = np.arange(type.min, type.max + 1, dtype=np.int64)[:, None]
            low, high = (side.astype(np.float64) for side in self.numbers(integers))
            scale, offset = (
                np.array([float(getattr(affine, part)) for affine in affines]) for part in ("scale", "offset")
            )
            exact = scale * integers + offset
            rational = all(
                Fraction(float(part)) == part and _short(part) for a in affines for part in (a.scale, a.offset)
            )
            error = np.maximum(np.abs(low - exact), np.abs(high - exact)).max(axis=0)
            if not rational:
                error = error + 2.0**-50 * np.abs(exact).max(axis=0)
            largest = np.maximum(np.abs(low), np.abs(high)).max(axis=0)
            known = np.array_equal(low, high)
            return Actual(largest, error, power_of_two(low) if known else 0.0)
        return self._bounded(ends)

    def _bounded(self, ends: np.ndarray) -> Actual:
        """Bound the errors step by step, for edges of many integers."""
        low, high = self.root.bounds(ends)
        error = self.root.error
        for step in self.steps:
            largest = np.maximum(np.abs(low), np.abs(high)).max(axis=0).astype(np.float64)
            low, high = run((step,), low), run((step,), high)
            leaving = np.maximum(np.abs(low), np.abs(high)).max(axis=0).astype(np.float64)
            error = step.error(error, largest, leaving)
        largest = np.maximum(np.abs(low), np.abs(high)).max(axis=0).astype(np.float64)
        unit = 0.0
        if not self.steps and not self.root.error.any():
            unit = power_of_two(np.concatenate([self.root.scale, self.root.offset]))
        return Actual(largest, np.asarray(error, dtype=np.float64), unit)

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

        root = Root(*(first(part) for part in (self.root.scale, self.root.offset, self.root.error)))
        steps = tuple(step.mapped(first) for step in self.steps)
        return dataclasses.replace(self, affines=self.affines[:1], root=root, steps=steps)

    def spread(self, value: Value, times: int, axes: str, order: np.ndarray | None) -> Stream:
        """Return the stream read as one vector: channels `times` over."""

        def over(values: np.ndarray) -> np.ndarray:
            return values if values.size == 1 else np.tile(values, times)

        root = Root(over(self.root.scale), over(self.root.offset), over(self.root.error))
        steps = tuple(step.mapped(over) for step in self.steps)
        return Stream(value.edge, value.affines, root, steps, axes, order)

    def negated(self, value: Value, falling: np.ndarray) -> Stream:
        """Return the stream on an edge whose `falling` channels carry the negated integers."""
        signs = np.where(falling, -1.0, 1.0)
        root = Root(
            self.root.scale * signs, self.root.offset * np.ones(len(signs)), self.root.error * np.ones(len(signs))
        )
        return dataclasses.replace(self, edge=value.edge, affines=value.affines, root=root)


def _too_many(label: str) -> UserError:
    return UserError(f"node {label!r} ends a row of too many operations on constants; fold them into one.")


def _short(part: Fraction) -> bool:
    """Whether the product with an integer of up to 20 bits is a float64."""
    return part.numerator.bit_length() <= 32


def inexact_sum(terms: np.ndarray | int, total: np.ndarray) -> np.ndarray:
    """Bound the error of a float32 sum of products in any order, from the sum of their magnitudes."""
    return np.asarray((np.asarray(terms) + 2) * ULP * 1.01 * total, dtype=np.float64)
