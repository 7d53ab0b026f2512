"""Random integer graphs for differential tests: every operator, odd shapes, widths 1 to 8, forks, adaptive steps."""

from __future__ import annotations

import numpy as np

from codesign.ir import Graph, GraphBuilder, IntType, Operator, Tensor
from codesign.ir.ops import (
    Add,
    ArgMax,
    Conv2d,
    Dense,
    Dyadic,
    Flatten,
    FrameBuffer,
    MaxPool,
    SelectDyadic,
    SelectThreshold,
    SumPool,
    Threshold,
)

FRAMES = 16
"""Sample frames that travel along while a graph grows, so that constants fall where the values are."""
WIDE = 20
"""Edges wider than this are re-quantised before they are multiplied again."""


def random_graph(seed: int) -> Graph:
    """Return a graph that is legal, small, and the same for the same seed.

    Parameters
    ----------
    seed : int

    Notes
    -----
    Image or flat input of 1 to 8 bits; plain, grouped and depthwise convolutions with asymmetric padding and
    stride, weights of 1 to 8 bits per channel, codebooks, also of powers of two with a factor, binary weights;
    thresholds and dyadic constants per channel or shared, set to the range that sample frames take; pooling with
    overlap and rest; residual blocks with one or two convolutions in a branch; activations whose step an index
    chooses that is computed from the same frame, and later operators that read that index again; sometimes an
    arg_max at the end.
    """
    return _Growth(seed).grow()


class _Growth:
    """A graph under construction, with sample values of every edge."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = GraphBuilder(f"random {seed}")
        self.samples: dict[str, np.ndarray] = {}
        self.indices: list[str] = []

    def grow(self) -> Graph:
        image = self.chance(0.8)
        type = IntType(self.whole(1, 8), signed=self.chance(0.4))
        shape = (self.whole(1, 9), self.whole(1, 9), self.whole(1, 5)) if image else (self.whole(1, 24),)
        edge = self.builder.input(shape, type)
        self.samples[edge] = self.rng.integers(type.min, type.max + 1, size=(FRAMES, *shape), dtype=np.int64)
        for _ in range(self.whole(1, 4)):
            edge = self.step(edge)
        if self.chance(0.7):
            if len(self.tensor(edge).shape) == 3:
                edge = self.add(Flatten(), edge)
            if self.tensor(edge).type.bits > WIDE or self.tensor(edge).size > 400:
                edge = self.requantise(edge, 4)
            edge = self.add(self.dense(self.tensor(edge)), edge)
            if self.chance(0.3):
                edge = self.requantise(edge, self.whole(1, 8))
            if self.chance(0.3):
                edge = self.add(ArgMax(), edge)
        return self.builder.build(edge)

    def step(self, edge: str) -> str:
        """Add one block: a layer with or without re-quantisation, a pooling, or a residual block."""
        tensor = self.tensor(edge)
        if tensor.type.bits > WIDE:
            edge = self.requantise(edge, self.whole(1, 8))
            tensor = self.tensor(edge)
        kind = self.rng.random()
        if kind > 0.8:
            return self.adaptive(edge)
        if len(tensor.shape) == 3:
            if kind < 0.25 and max(tensor.shape[:2]) > 1:
                return self.add(self.pooling(tensor), edge)
            if kind < 0.55:
                return self.residual(edge)
            edge = self.add(self.conv(tensor), edge)
        elif kind < 0.3:
            return self.residual(edge)
        else:
            edge = self.add(self.dense(tensor), edge)
        return self.requantise(edge, self.whole(1, 8)) if self.chance(0.8) else edge

    def adaptive(self, edge: str) -> str:
        """Add an activation whose step follows the frame: an index from its sums picks constants for it."""
        if self.tensor(edge).type.bits > 8:
            edge = self.requantise(edge, self.whole(2, 8))
        features = edge
        if len(self.tensor(edge).shape) == 3:
            height, width, _ = self.tensor(edge).shape
            features = self.add(Flatten(), self.add(SumPool((height, width)), edge))
        for outputs in [1] if self.chance(0.5) else [self.whole(1, 4), 1]:
            if self.tensor(features).type.bits > WIDE:
                features = self.requantise(features, 8)
            features = self.add(self.dense(self.tensor(features), outputs), features)
        levels = self.rng.choice(self.samples[features].ravel(), size=(1, self.whole(1, 7)))
        index = self.add(Threshold(np.sort(levels, axis=1)), features)
        self.indices.append(index)
        held = self.add(FrameBuffer(), edge) if self.chance(0.8) else edge
        return self.requantise(held, self.whole(1, 8), index)

    def residual(self, edge: str) -> str:
        """Add a fork and its join: a branch of one or two layers, beside the edge or another branch."""
        left = self.branch(edge)
        if self.tensor(left).shape != self.tensor(edge).shape or self.chance(0.3):
            right = self.branch(edge, outputs=self.tensor(left).channels)
        else:
            right = edge
        edge = self.add(Add(), left, right)
        if self.chance(0.2):
            edge = self.add(Add(), edge, left)
        return self.requantise(edge, self.whole(1, 8)) if self.chance(0.7) else edge

    def branch(self, edge: str, outputs: int | None = None) -> str:
        """Add one or two layers that keep height and width."""
        for last in [True] if self.chance(0.6) else [False, True]:
            tensor = self.tensor(edge)
            channels = outputs if last and outputs else self.whole(1, 6)
            flat = len(tensor.shape) == 1
            op = self.dense(tensor, channels) if flat else self.conv(tensor, channels, same=True)
            edge = self.requantise(self.add(op, edge), self.whole(1, 8))
        return edge

    def requantise(self, edge: str, bits: int, index: str | None = None) -> str:
        """Add a threshold or a dyadic operator with outputs of about `bits` bits, with or without an index."""
        if index is None and self.indices and self.chance(0.4):
            index = str(self.rng.choice(self.indices))
        sets = 1 if index is None else self.tensor(index).type.max + 1 + self.whole(0, 2)
        tensor, values = self.tensor(edge), self.samples[edge]
        size = (sets, tensor.channels if self.chance(0.7) else 1)
        low, high = int(values.min()), int(values.max())
        if (bits <= 4 and self.chance(0.7)) or self.chance(0.15):
            levels = self.whole(1, 2**bits - 1)
            thresholds = np.sort(self.rng.integers(low - 2, high + 3, size=(*size, levels)), axis=2)
            offset = int(self.rng.choice([0, 0, -1, -(levels + 1) // 2, 3]))
            if index is None:
                return self.add(Threshold(thresholds[0], offset), edge)
            return self.add(SelectThreshold(thresholds, offset), edge, index)
        shift = self.rng.integers(0, 18, size=size)
        scale = 2.0**bits / max(1, high - low)
        multiplier = np.maximum(1, np.round(scale * 2.0**shift * self.rng.uniform(0.5, 1.5, size=size)))
        multiplier = (multiplier * self.rng.choice([1, 1, 1, -1], size=size)).astype(np.int64)
        bias = self.rng.integers(-2, 3, size=size) * (1 << shift)
        type = IntType(bits, signed=self.chance(0.5))
        if index is None:
            return self.add(Dyadic(multiplier[0], bias[0], shift[0], type), edge)
        return self.add(SelectDyadic(multiplier, bias, shift, type), edge, index)

    def conv(self, x: Tensor, outputs: int | None = None, same: bool = False) -> Operator:
        """Return a convolution; with `same` it keeps height and width."""
        height, width, channels = x.shape
        if same:
            taps_high, taps_wide = self.whole(1, 4), self.whole(1, 4)
            top, left = self.whole(0, taps_high - 1), self.whole(0, taps_wide - 1)
            padding = (top, taps_high - 1 - top, left, taps_wide - 1 - left)
            stride = (1, 1)
        else:
            padding = tuple(self.whole(0, 2) for _ in range(4))  # type: ignore[assignment]
            taps_high = self.whole(1, min(4, height + padding[0] + padding[1]))
            taps_wide = self.whole(1, min(4, width + padding[2] + padding[3]))
            stride = (self.whole(1, 3), self.whole(1, 3))
        divisors = [d for d in range(1, channels + 1) if channels % d == 0]
        groups = int(self.rng.choice(divisors)) if self.chance(0.3) else 1
        if outputs is None:
            outputs = groups * self.whole(1, max(1, 8 // groups))
        elif outputs % groups:
            groups = 1
        shape = (taps_high, taps_wide, channels // groups, outputs)
        weight, bits, codebook = self.weights(shape, x)
        bias = self.rng.integers(-40, 41, size=outputs) if self.chance(0.4) else None
        return Conv2d(weight, bits, stride, padding, groups, bias, codebook)

    def dense(self, x: Tensor, outputs: int | None = None) -> Operator:
        """Return a fully connected layer."""
        outputs = outputs or self.whole(1, 10)
        weight, bits, codebook = self.weights((x.size, outputs), x)
        bias = self.rng.integers(-40, 41, size=outputs) if self.chance(0.4) else None
        return Dense(weight, bits, bias, codebook)

    def weights(
        self, shape: tuple[int, ...], x: Tensor
    ) -> tuple[np.ndarray, tuple[int, ...] | None, np.ndarray | None]:
        """Return weights, declared widths and a codebook: a width per channel, binary, powers of two, or codes."""
        kind = self.rng.random()
        binary = 0.5 if x.type == IntType(1, signed=False) else 0.1
        if kind < binary:
            codebook = np.array([-1, 1]) if self.chance(0.5) else np.array([1, -1])
            return self.rng.integers(0, 2, size=shape), None, codebook
        if kind < binary + 0.1:
            factor, most = int(self.rng.choice([3, 5, 181])), self.whole(0, 3)
            powers = np.array([c << k for k in range(most + 1) for c in (1, factor)])
            span = np.concatenate([[0], powers, -powers]) << self.whole(0, 2)
            codebook = self.rng.choice(span, size=self.whole(2, len(span)), replace=False)
            return self.rng.integers(0, len(codebook), size=shape), None, codebook
        if kind < binary + 0.3:
            bits = self.whole(2, 8)
            entries = self.whole(2, min(16, 2**bits))
            codebook = self.rng.choice(np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)), size=entries, replace=False)
            return self.rng.integers(0, entries, size=shape), None, codebook
        widths = self.rng.integers(1, 9, size=shape[-1])
        weight = self.rng.integers(-(1 << (widths - 1)), 1 << (widths - 1), size=shape)
        return weight, tuple(int(w) for w in widths), None

    def pooling(self, x: Tensor) -> Operator:
        """Return a pooling whose window fits the frame."""
        kernel = (self.whole(1, min(4, x.shape[0])), self.whole(1, min(4, x.shape[1])))
        stride = (self.whole(1, 4), self.whole(1, 4)) if self.chance(0.6) else None
        return MaxPool(kernel, stride) if self.chance(0.5) else SumPool(kernel, stride)

    def add(self, op: Operator, *edges: str) -> str:
        """Add a node and compute its samples."""
        name = self.builder.add(op, *edges)
        self.samples[name] = op.execute(*(self.samples[edge] for edge in edges))
        return name

    def tensor(self, edge: str) -> Tensor:
        return self.builder.edge(edge)

    def whole(self, low: int, high: int) -> int:
        """Return a random integer from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)
