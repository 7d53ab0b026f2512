"""What the frontends share: real-valued layers lowered to integer operators.

A `Value` is an integer edge with its real meaning per channel. Linear layers and pooling act on the integers,
batch norm and ReLU only change the meaning, and a quantiser turns the meaning into a `Threshold` or `Dyadic`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from codesign.errors import UserError
from codesign.frontends.logits import with_logits
from codesign.frontends.requantize import Affine, Grid, fraction, requantizer
from codesign.frontends.selected import Selector, selected_requantizer
from codesign.frontends.values import ALIGNING_BITS, Requantization, Value, common_divisor
from codesign.ir.graph import Graph, GraphBuilder
from codesign.ir.operator import Operator, OperatorError
from codesign.ir.ops import Add, Conv2d, Dense, Dyadic, Flatten, MaxPool, SumPool
from codesign.ir.passes import simplify
from codesign.ir.types import IntType


class Lowering:
    """Builds an integer graph from real-valued layers, refusing by name what has no exact integer form.

    Parameters
    ----------
    name : str
        Name of the graph, for people.
    """

    def __init__(self, name: str) -> None:
        self.builder = GraphBuilder(name)
        self.requantizations: dict[str, Requantization] = {}
        self.entry = ""
        self._pruned: dict[str, np.ndarray] = {}

    def input(self, shape: Sequence[int], type: IntType, scale: Sequence[float], offset: Sequence[float]) -> Value:
        """Add the graph input; real = scale[c]·integer + offset[c], each given once or per channel."""
        edge = self.entry = self.builder.input(shape, type, float(scale[0]))
        channels = self.builder.edge(edge).channels
        scales, offsets = (
            _per_channel(scale, channels, "input scale"),
            _per_channel(offset, channels, "input offset"),
        )
        return Value(edge, tuple(Affine(fraction(s), fraction(o)) for s, o in zip(scales, offsets, strict=True)))

    def conv2d(
        self,
        x: Value,
        weight: np.ndarray,
        weight_scale: Sequence[float],
        label: str,
        *,
        bias: np.ndarray | None = None,
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int, int, int] = (0, 0, 0, 0),
        groups: int = 1,
        weight_bits: Sequence[int] | int | None = None,
        codebook: np.ndarray | None = None,
    ) -> Value:
        """Add a convolution of integer weights (kh, kw, in/groups, out) that mean weight_scale[o]·integer."""
        op = self._named(lambda: Conv2d(weight, _widths(weight_bits), stride, padding, groups, None, codebook), label)
        if any(padding) and any(a.offset != 0 for a in x.affines):
            raise UserError(
                f"layer {label!r} pads an input whose zero is not integer 0 (its quantiser or normalisation has an "
                "offset); train without the offset, so that padding means 0, or without padding."
            )
        return self._linear(x, op, op.values().sum(axis=(0, 1)), weight_scale, bias, label, groups)

    def dense(
        self,
        x: Value,
        weight: np.ndarray,
        weight_scale: Sequence[float],
        label: str,
        *,
        bias: np.ndarray | None = None,
        weight_bits: Sequence[int] | int | None = None,
        codebook: np.ndarray | None = None,
    ) -> Value:
        """Add a dense layer of integer weights (in, out) that mean weight_scale[o]·integer."""
        op = self._named(lambda: Dense(weight, _widths(weight_bits), None, codebook), label)
        return self._linear(x, op, op.values(), weight_scale, bias, label, groups=1)

    def _linear(
        self,
        x: Value,
        op: Conv2d | Dense,
        sums: np.ndarray,
        weight_scale: Sequence[float],
        bias: np.ndarray | None,
        label: str,
        groups: int,
    ) -> Value:
        """Add a linear operator; `sums` (in per group, out) are its weights summed over the window."""
        if not all(a.linear for a in x.affines):
            raise UserError(
                f"layer {label!r} reads an activation that is not quantised; "
                "put a QuantReLU or QuantIdentity before it."
            )
        edge = self.add_operator(op, x.edge, label=label)
        outputs = self.builder.edge(edge).channels
        self._pruned[edge] = np.asarray(~op.values().reshape(-1, outputs).any(axis=0))
        scales = [
            fraction(s, f"layer {label!r}") for s in _per_channel(weight_scale, outputs, f"weight scale of {label!r}")
        ]
        biases = (
            [Fraction(0)] * outputs
            if bias is None
            else [fraction(b, f"layer {label!r}") for b in np.asarray(bias).ravel()]
        )
        if len(biases) != outputs:
            raise UserError(f"layer {label!r} has {len(biases)} biases for {outputs} outputs.")
        affines = []
        for o in range(outputs):
            group_inputs, first = len(sums), o * groups // outputs * len(sums)
            inputs = x.affines[first : first + group_inputs]
            if any(a.scale != inputs[0].scale for a in inputs):
                raise UserError(
                    f"layer {label!r} reads channels of different scales, which cannot be summed as integers; "
                    "use one scale per tensor for the activation before it."
                )
            offset = biases[o]
            if any(a.offset != 0 for a in inputs):
                # Without padding, every output sees every weight once: the input's offset is a constant.
                offset += scales[o] * sum(
                    (int(w) * a.offset for w, a in zip(sums[:, o], inputs, strict=True)), Fraction(0)
                )
            affines.append(Affine(inputs[0].scale * scales[o], offset))
        return Value(edge, tuple(affines), x.selector)

    def scale_shift(
        self, x: Value, factor: Sequence[float | Fraction], shift: Sequence[float | Fraction], label: str
    ) -> Value:
        """Apply factor[c]·x + shift[c] (batch norm in evaluation); no operator, only another meaning."""
        channels = len(x.affines)
        where = f"layer {label!r}"
        factors, shifts = (
            [fraction(v, where) for v in _per_channel(values, channels, where)] for values in (factor, shift)
        )
        affines = tuple(a.then(f, s) for a, f, s in zip(x.affines, factors, shifts, strict=True))
        return dataclasses.replace(x, affines=affines)

    def clamp(self, x: Value, low: float | None, high: float | None) -> Value:
        """Apply min(max(x, low), high), ReLU being low = 0; no operator, only another meaning."""
        lo = None if low is None else fraction(low)
        hi = None if high is None else fraction(high)
        return dataclasses.replace(x, affines=tuple(a.clamped(lo, hi) for a in x.affines))

    def quantize(self, x: Value, grid: Grid, label: str, key: str | None = None) -> Value:
        """Round to a grid: adds a `Threshold` or `Dyadic`, or nothing if the edge is on the grid already.

        Parameters
        ----------
        key : str, optional
            Under which the frozen constants are kept in `requantizations`.
        """
        edge_in, affines = x.edge, x.affines
        tensor = self.builder.edge(edge_in)
        on_grid = x.scale == grid.scale and grid.low <= tensor.type.min and tensor.type.max <= grid.high
        if on_grid and grid.keeps_levels:
            return x
        if x.selector is not None:
            return self.quantize_selected(x, x.selector, grid, label, key)
        if any(a.scale < 0 for a in affines):
            edge_in, affines = self.positive(x, label)
        meanings = self._settled(edge_in, affines)
        op = self._named(lambda: requantizer(meanings, grid, self.builder.edge(edge_in).type), label)
        edge = self.add_operator(op, edge_in, label=label)
        if key is not None:
            self.requantizations[key] = Requantization(edge_in, edge, affines, grid, op)
        return Value(edge, (Affine(grid.scale),) * len(affines))

    def _settled(self, edge: str, affines: tuple[Affine, ...]) -> tuple[Affine, ...]:
        """Leave out the scales of pruned channels, which are always 0: their steps are anything, and so wide constants.

        A scale of 0 means the same there.
        """
        pruned = self._pruned.get(edge)
        if pruned is None:
            return affines
        return tuple(
            dataclasses.replace(each, scale=Fraction(0)) if gone else each
            for each, gone in zip(affines, pruned.tolist(), strict=True)
        )

    def quantize_selected(self, x: Value, selector: Selector, grid: Grid, label: str, key: str | None = None) -> Value:
        """Round to a grid by constants that `selector` picks for each frame.

        Where the factor belongs to the edge (`x.selector`), the result means the same in every frame; where
        it does not yet, it belongs to the grid, and so to the meaning of the result.
        """
        edge_in, affines = x.edge, x.affines
        factors = selector.factors
        if any(a.scale < 0 for a in affines):
            edge_in, affines = self.positive(x, label)
        if x.selector is None:
            if not all(a.linear and a.offset == 0 for a in affines):
                raise UserError(f"the adaptive step of layer {label!r} needs a quantised input without an offset.")
            # The edge in units of a step that is `factor` times as large.
            factors = tuple(1 / factor for factor in factors)
        tensor = self.builder.edge(edge_in)
        # A table has an entry for every value of the index's type.
        spare = self.builder.edge(selector.edge).type.max + 1 - len(factors)
        entries = factors + factors[-1:] * spare
        op = self._named(lambda: selected_requantizer(affines, entries, grid, tensor.type), label)
        edge = self.add_operator(op, edge_in, selector.edge, label=label)
        if key is not None:
            kept = Selector(selector.edge, factors)
            self.requantizations[key] = Requantization(edge_in, edge, affines, grid, op, kept)
        return Value(edge, (Affine(grid.scale),) * len(affines), selector if x.selector is None else None)

    def add_operator(self, op: Operator, *edges: str, label: str) -> str:
        """Add an operator as it is and return the edge it makes."""
        return str(self._named(lambda: self.builder.add(op, *edges, label=label), label))

    def positive(self, x: Value, label: str) -> tuple[str, tuple[Affine, ...]]:
        """Negate the channels whose integers fall as their meaning rises (negative batch norm gain)."""
        signs = np.array([-1 if a.scale < 0 else 1 for a in x.affines], dtype=np.int64)
        zeros = np.zeros_like(signs)
        tensor = self.builder.edge(x.edge)
        flipped = IntType.for_range(min(tensor.type.min, -tensor.type.max), max(tensor.type.max, -tensor.type.min))
        edge = self.add_operator(Dyadic(signs, zeros, zeros, flipped), x.edge, label=label)
        if x.edge in self._pruned:
            self._pruned[edge] = self._pruned[x.edge]
        affines = tuple(dataclasses.replace(a, scale=abs(a.scale)) for a in x.affines)
        return edge, affines

    def add(self, a: Value, b: Value, label: str) -> Value:
        """Add two values, first bringing them to a common grid where their scales are small multiples of one."""
        if not all(v.linear for v in (*a.affines, *b.affines)):
            raise UserError(
                f"the addition {label!r} reads an activation that is not quantised; quantise both operands."
            )
        if a.selector is not None or b.selector is not None:
            raise UserError(
                f"the addition {label!r} reads an activation with an adaptive step, whose scale changes from frame "
                "to frame; put a QuantIdentity with a fixed step on both operands."
            )
        if len(a.affines) != len(b.affines):
            raise UserError(f"the addition {label!r} broadcasts, which is not supported; give both operands one shape.")
        if any(v.scale != w.scale for v, w in zip(a.affines, b.affines, strict=True)):
            a, b = self._aligned(a, b, label)
        edge = self.add_operator(Add(), a.edge, b.edge, label=label)
        return Value(
            edge,
            tuple(Affine(v.scale, v.offset + w.offset) for v, w in zip(a.affines, b.affines, strict=True)),
        )

    def _aligned(self, a: Value, b: Value, label: str) -> tuple[Value, Value]:
        """Multiply both operands by integers that bring them to a common scale per channel."""
        # Two constants (scale 0) meet on any grid.
        grids = [common_divisor(v.scale, w.scale) or Fraction(1) for v, w in zip(a.affines, b.affines, strict=True)]
        aligned = []
        for value in (a, b):
            factors = [v.scale / g for v, g in zip(value.affines, grids, strict=True)]
            if any(abs(f) >= 1 << ALIGNING_BITS for f in factors):
                raise UserError(
                    f"the operands of the addition {label!r} have unrelated scales; quantise both with one shared "
                    "QuantIdentity (or with scales that are powers of two)."
                )
            multiplier = np.array([int(f) for f in factors], dtype=np.int64)
            tensor = self.builder.edge(value.edge)
            ends = np.outer(multiplier, [tensor.type.min, tensor.type.max])
            output = IntType.for_range(int(ends.min()), int(ends.max()))
            zeros = np.zeros_like(multiplier)
            edge = self.add_operator(Dyadic(multiplier, zeros, zeros, output), value.edge, label=label)
            aligned.append(Value(edge, tuple(Affine(g, v.offset) for v, g in zip(value.affines, grids, strict=True))))
        return aligned[0], aligned[1]

    def max_pool(self, x: Value, kernel: tuple[int, int], stride: tuple[int, int], label: str) -> Value:
        """Add max pooling, which commutes with every rising meaning."""
        edge, affines = self.positive(x, label) if any(a.scale < 0 for a in x.affines) else (x.edge, x.affines)
        return Value(self.add_operator(MaxPool(kernel, stride), edge, label=label), affines, x.selector)

    def average_pool(self, x: Value, kernel: tuple[int, int], stride: tuple[int, int], label: str) -> Value:
        """Add a sum over windows; the division becomes a change of scale."""
        if not all(a.linear for a in x.affines):
            raise UserError(
                f"the average pooling {label!r} reads an activation that is not quantised; quantise it first."
            )
        edge = self.add_operator(SumPool(kernel, stride), x.edge, label=label)
        taps = kernel[0] * kernel[1]
        return Value(edge, tuple(Affine(a.scale / taps, a.offset) for a in x.affines), x.selector)

    def flatten(self, x: Value, label: str) -> Value:
        """Read a frame as one vector, channels fastest."""
        tensor = self.builder.edge(x.edge)
        if len(tensor.shape) == 1:
            return x
        affines = x.affines * (tensor.size // tensor.channels)
        return Value(self.add_operator(Flatten(), x.edge, label=label), affines, x.selector)

    def finish(self, x: Value, label: str) -> Graph:
        """Return the simplified graph whose output is `x` as logits, see `logits.with_logits`."""
        if not all(a.linear for a in x.affines):
            raise UserError(
                f"the network ends in {label!r}, an activation that is not quantised; quantise it or drop it."
            )
        if x.selector is not None:
            raise UserError(
                f"the network ends in {label!r}, whose scale an adaptive step changes from frame to frame; give the "
                "last layer an input with a fixed step."
            )
        if x.edge == self.entry:
            raise UserError("the network has no layer that computes anything.")
        if all(a.scale == 0 for a in x.affines):
            raise UserError(f"the network ends in {label!r}, which is constant; train it first.")
        return simplify(self._named(lambda: with_logits(self.builder, x, label), label))

    def unsimplified(self) -> Graph:
        """Return the graph as lowered so far, ending in the newest edge: what `requantizations` name."""
        return self.builder.build(self.builder.newest)

    def _named(self, action, label):  # type: ignore[no-untyped-def]
        try:
            return action()
        except OperatorError as error:
            raise UserError(f"layer {label!r} cannot be expressed in integers: {error}.") from error


def _per_channel(values: Sequence[float | Fraction], channels: int, what: str) -> list[float | Fraction]:
    flat = [v if isinstance(v, Fraction) else float(v) for v in np.asarray(values).ravel()]
    if len(flat) == 1:
        return flat * channels
    if len(flat) != channels:
        raise UserError(f"{what} has {len(flat)} entries for {channels} channels.")
    return flat


def _widths(widths: Sequence[int] | int | None) -> tuple[int, ...] | int | None:
    return widths if widths is None or isinstance(widths, int) else tuple(widths)
