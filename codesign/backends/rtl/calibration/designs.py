"""Random networks to measure and to check estimates by: shapes, widths and folds as trained networks have them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.backends.rtl import cost, layout, ops
from codesign.backends.rtl.folds import available
from codesign.backends.rtl.layout import Layout
from codesign.backends.rtl.unit import Fold
from codesign.estimate.technology import XC7, Technology
from codesign.ir import Graph, GraphBuilder, IntType, Node, Operator, Tensor
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

FRAMES = 2
"""Sample frames that travel along, so that constants fall where the values are."""
SIDES = (1, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24, 28, 32)
PIXELS = (1, 1, 2, 3, 3, 4, 6, 8)
"""Channels of an image."""
CHANNELS = (1, 2, 3, 4, 4, 5, 6, 8, 8, 10, 12, 16, 16, 20, 24, 32, 32, 48, 64)
WIDE = 22
"""Edges wider than this are re-quantised before they are multiplied again."""
MOST_CYCLES = 40_000
TRIES = 60
"""Folds of a node that are tried."""


@dataclass(frozen=True)
class Size:
    """How large the nodes of a design may be.

    Parameters
    ----------
    luts : float
        Of a node by the estimate of `cost`.
    bits : int
        Of a word at either end of a node.
    among : int
        Of so many folds that are small enough the largest is taken.
    """

    luts: float
    bits: int
    among: int


SMALL = Size(luts=400.0, bits=96, among=1)
"""What Yosys maps in a second or two."""
LARGE = Size(luts=2000.0, bits=384, among=3)
"""As nodes of trained networks are that take much of a part: several seconds each."""


@dataclass(frozen=True)
class Design:
    """A network with the folds that were drawn for it.

    Parameters
    ----------
    seed : int
    graph : Graph
    folds : mapping of str to Fold
    dsp : bool
        Whether multiplications may take multiplier blocks; the same for all nodes.
    free : bool
        Whether blocks are as good as free, as after ``--dsp``, where outputs may share them.
    """

    seed: int
    graph: Graph
    folds: Mapping[str, Fold]
    dsp: bool
    free: bool = False

    def layout(self) -> Layout:
        """Return the hardware."""
        return layout.place(self.graph, self.folds)


def draw(seed: int, large: bool = False, technology: Technology = XC7) -> Design:
    """Return a random design, the same for the same arguments.

    Parameters
    ----------
    seed : int
    large : bool
        Nodes may be `LARGE` ones, or `SMALL` ones only.
    technology : Technology
        Cells of the family.
    """
    size = LARGE if large else SMALL
    for attempt in itertools.count():
        rng = np.random.default_rng([seed, attempt])
        graph = _Growth(rng, f"drawn {seed}").grow()
        dsp = bool(rng.random() < 0.65)
        # Families whose blocks add have none to draw.
        free = bool(technology.port) and dsp and bool(rng.random() < 0.5)
        port = technology.port if free else 0
        kinds = {node.name: _kinds(node, graph, technology.lookup, port, dsp) for node in graph}
        chosen = {node.name: _fold(rng, node, graph, kinds[node.name], dsp, size) for node in graph}
        if max(luts for _, luts in chosen.values()) <= 2 * size.luts:
            return Design(seed, graph, {node: fold for node, (fold, _) in chosen.items()}, dsp, free)
    raise AssertionError


def _kinds(node: Node, graph: Graph, lookup: int, port: int, dsp: bool) -> list[list[Fold]]:
    """Return the folds of a node by the kind of its hardware."""
    kinds: dict[tuple[bool, ...], list[Fold]] = {}
    for fold in available(node, graph, lookup, port):
        if fold.chain and not dsp:
            continue
        kind = fold.window, bool(fold.planes), bool(fold.chain), fold.shared, fold.search
        kinds.setdefault(kind, []).append(fold)
    return list(kinds.values())


def _fold(
    rng: np.random.Generator, node: Node, graph: Graph, groups: Sequence[Sequence[Fold]], dsp: bool, size: Size
) -> tuple[Fold, float]:
    """Return a fold of a node and about what it takes in LUTs, each kind of hardware as likely as the others."""
    module = ops.module(node.op.name)
    least, smallest = (Fold(), float("inf")), float("inf")
    fitting: list[tuple[Fold, float]] = []
    for _ in range(TRIES):
        group = groups[int(rng.integers(len(groups)))]
        fold = replace(group[int(rng.integers(len(group)))], dsp=dsp)
        hardware = module.unit(node, graph, fold)
        takes = cost.unit(hardware, dsp).get("lut", 0.0)
        lanes = zip((*node.inputs, node.name), (*hardware.lanes_in, hardware.lanes_out), strict=True)
        bits = max(graph.edges[edge].type.bits * each for edge, each in lanes)
        if takes <= size.luts and bits <= size.bits and hardware.cycles <= MOST_CYCLES:
            fitting.append((fold, takes))
            if len(fitting) == size.among:
                break
        elif (sum_of_all := takes + 4 * bits + hardware.cycles / 10) < smallest:
            least, smallest = (fold, takes), sum_of_all
    return max(fitting, key=lambda each: each[1], default=least)


class _Growth:
    """A graph under construction, with sample values of every edge."""

    def __init__(self, rng: np.random.Generator, name: str) -> None:
        self.rng = rng
        self.builder = GraphBuilder(name)
        self.samples: dict[str, np.ndarray] = {}
        self.indices: list[str] = []

    def grow(self) -> Graph:
        image = self.chance(0.85)
        kind = IntType(self.whole(1, 8), signed=self.chance(0.25))
        side = self.one(SIDES)
        shape: tuple[int, ...] = (side, side if self.chance(0.7) else self.one(SIDES), self.one(PIXELS))
        if not image:
            shape = (self.whole(4, 96),)
        while image and shape[0] * shape[1] * shape[2] > 12_000:
            shape = (shape[0], shape[1], max(1, shape[2] // 2))
        edge = self.builder.input(shape, kind)
        self.samples[edge] = self.rng.integers(kind.min, kind.max + 1, size=(FRAMES, *shape), dtype=np.int64)
        for _ in range(self.whole(2, 4)):
            edge = self.step(edge)
        if self.chance(0.6):
            if len(self.tensor(edge).shape) == 3:
                if self.tensor(edge).size > 256:
                    edge = self.add(SumPool(self.frame(edge)), self.narrow(edge))
                edge = self.add(Flatten(), edge)
            edge = self.narrow_to(edge)
            edge = self.add(self.dense(self.tensor(edge), self.whole(2, 20)), edge)
            if self.chance(0.3):
                edge = self.add(ArgMax(), edge)
        return self.builder.build(edge)

    def step(self, edge: str) -> str:
        """Add one block: a layer with its re-quantisation, a pooling, a residual block, or an adaptive step."""
        edge = self.narrow_to(edge)
        tensor = self.tensor(edge)
        kind = self.rng.random()
        if kind > 0.9:
            return self.adaptive(edge)
        if len(tensor.shape) == 1:
            return self.requantise(self.add(self.dense(tensor), edge))
        if kind < 0.1 and min(tensor.shape[:2]) > 1:
            return self.add(self.pooling(tensor), edge)
        if kind < 0.25:
            return self.residual(edge)
        return self.requantise(self.add(self.conv(tensor), edge))

    def adaptive(self, edge: str) -> str:
        """Add an activation whose step an index from the same frame chooses."""
        edge = self.narrow(edge)
        features = edge
        if len(self.tensor(edge).shape) == 3:
            features = self.add(Flatten(), self.add(SumPool(self.frame(edge)), edge))
        features = self.requantise(features, 8)
        features = self.add(self.dense(self.tensor(features), 1), features)
        levels = self.levels(features, 1, self.whole(1, 15))
        index = self.add(Threshold(levels), features)
        self.indices.append(index)
        held = self.add(FrameBuffer(), edge) if self.chance(0.8) else edge
        return self.requantise(held, None, index)

    def residual(self, edge: str) -> str:
        """Add a fork and its join."""
        left = self.branch(edge)
        same = self.tensor(left).shape == self.tensor(edge).shape
        right = edge if same else self.branch(edge, self.tensor(left).channels)
        if self.chance(0.4):
            right = self.requantise(right, 8)
        edge = self.add(Add(), left, right)
        return self.requantise(edge) if self.chance(0.8) else edge

    def branch(self, edge: str, outputs: int | None = None) -> str:
        """Add a layer that keeps height and width."""
        tensor = self.tensor(edge)
        channels = outputs or (tensor.channels if self.chance(0.6) else self.one(CHANNELS))
        flat = len(tensor.shape) == 1
        op = self.dense(tensor, channels) if flat else self.conv(tensor, channels, same=True)
        return self.requantise(self.add(op, edge))

    def narrow_to(self, edge: str) -> str:
        """Re-quantise an edge that is too wide to be multiplied."""
        return self.requantise(edge, self.whole(2, 8)) if self.tensor(edge).type.bits > WIDE else edge

    def narrow(self, edge: str) -> str:
        """Re-quantise an edge of more than eight bits."""
        return self.requantise(edge, self.whole(2, 8)) if self.tensor(edge).type.bits > 8 else edge

    def requantise(self, edge: str, bits: int | None = None, index: str | None = None) -> str:
        """Add thresholds or dyadic constants with or without an index."""
        bits = bits or int(self.rng.choice([1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 8]))
        if index is None and self.indices and self.chance(0.2):
            index = str(self.rng.choice(self.indices))
        sets = 1 if index is None else self.tensor(index).type.max + 1
        tensor = self.tensor(edge)
        rows = tensor.channels if self.chance(0.75) else 1
        if bits <= 4 and self.chance(0.75):
            levels = (1 << bits) - 1 if self.chance(0.8) else self.whole(1, (1 << bits) - 1)
            table = np.stack([self.levels(edge, rows, levels) for _ in range(sets)])
            offset = int(self.rng.choice([0, 0, 0, -(levels + 1) // 2]))
            if index is None:
                return self.add(Threshold(table[0], offset), edge)
            return self.add(SelectThreshold(table, offset), edge, index)
        size = (sets, rows)
        type = IntType(bits, signed=self.chance(0.4))
        spread = max(1.0, 3 * float(self.samples[edge].std()))
        step = 2.0**bits / (2 * spread) * np.exp(self.rng.normal(0, 0.3, size))
        precision = 17 if self.chance(0.8) else self.whole(1, 10)
        shift = np.clip(precision - 1 - np.floor(np.log2(step)), 0, 40).astype(np.int64)
        multiplier = np.maximum(1, np.round(step * 2.0**shift)).astype(np.int64)
        multiplier *= self.rng.choice([1, 1, 1, 1, 1, 1, -1], size=size)
        bias = np.round(self.rng.normal(0, spread / 3, size) * multiplier).astype(np.int64)
        if index is None:
            return self.add(Dyadic(multiplier[0], bias[0], shift[0], type), edge)
        return self.add(SelectDyadic(multiplier, bias, shift, type), edge, index)

    def levels(self, edge: str, rows: int, count: int) -> np.ndarray:
        """Return thresholds at even steps, each row with a step and a middle of its own."""
        values = self.samples[edge]
        spread, middle = max(1.0, float(values.std())), float(values.mean())
        step = 4 * spread / (count + 1) * np.exp(self.rng.normal(0, 0.3, (rows, 1)))
        place = np.arange(1, count + 1) - (count + 1) / 2
        centre = middle + self.rng.normal(0, 0.5, (rows, 1)) * spread
        return np.ceil(centre + step * place).astype(np.int64)

    def conv(self, x: Tensor, outputs: int | None = None, same: bool = False) -> Operator:
        """Return a convolution; with `same` it keeps height and width."""
        height, width, channels = x.shape
        kernel = self.one((1, 1, 2, 3, 3, 3, 3, 5))
        high, wide = (kernel, kernel) if self.chance(0.85) else (self.whole(1, 4), self.whole(1, 4))
        stride = (1, 1)
        if same:
            padding = ((high - 1) // 2, high // 2, (wide - 1) // 2, wide // 2)
        else:
            pad = self.chance(0.6)
            padding = ((high - 1) // 2 * pad,) * 2 + ((wide - 1) // 2 * pad,) * 2
            high, wide = min(high, height + 2 * padding[0]), min(wide, width + 2 * padding[2])
            stride = (1, 1) if self.chance(0.6) else (2, 2)
        groups = 1
        if self.chance(0.25):
            groups = channels if self.chance(0.7) else int(np.gcd(channels, self.whole(1, 4)))
        if outputs is None:
            outputs = groups if groups == channels and groups > 1 else groups * max(1, self.one(CHANNELS) // groups)
        elif outputs % groups:
            groups = 1
        weight, bits, codebook = self.weights((high, wide, channels // groups, outputs), x)
        return Conv2d(weight, bits, stride, padding, groups, self.bias(outputs), codebook)

    def dense(self, x: Tensor, outputs: int | None = None) -> Operator:
        """Return a fully connected layer."""
        outputs = outputs or self.one(CHANNELS)
        weight, bits, codebook = self.weights((x.size, outputs), x)
        return Dense(weight, bits, self.bias(outputs), codebook)

    def bias(self, outputs: int) -> np.ndarray | None:
        return self.rng.integers(-100, 101, size=outputs) if self.chance(0.25) else None

    def weights(
        self, shape: tuple[int, ...], x: Tensor
    ) -> tuple[np.ndarray, tuple[int, ...] | None, np.ndarray | None]:
        """Return weights, declared widths and a codebook."""
        kind = self.rng.random()
        binary = 0.4 if x.type == IntType(1, signed=False) else 0.13
        if kind < binary:
            codebook = np.array([-1, 1]) if self.chance(0.7) else np.array([0, 1])
            return self.rng.integers(0, 2, size=shape), None, codebook
        if kind < binary + 0.17:
            # Powers of two, or of its square root.
            bits = self.whole(3, 4)
            levels = (1 << (bits - 1)) - 1
            if self.chance(0.5):
                magnitudes = [1 << k for k in range(levels)]
            else:
                magnitudes = [(128, 181)[k % 2] << (k // 2) for k in range(levels)]
            codebook = np.array([0, *magnitudes, *(-m for m in magnitudes)])
            near = np.abs(self.rng.normal(0, 0.4, size=(*shape, 1)) * magnitudes[-1] - codebook)
            return near.argmin(-1), None, codebook
        if kind < binary + 0.22:
            bits = self.whole(3, 6)
            entries = self.whole(3, 1 << (bits - 1))
            codebook = self.rng.choice(np.arange(-(1 << (bits - 1)), 1 << (bits - 1)), size=entries, replace=False)
            return self.rng.integers(0, entries, size=shape), None, codebook
        if kind < binary + 0.47:
            widths = self.rng.choice([0, 1, 2, 3, 4, 5, 8], size=shape[-1], p=[0.08, 0.1, 0.24, 0.24, 0.2, 0.08, 0.06])
        else:
            widths = np.full(shape[-1], self.one((1, 2, 2, 3, 3, 4, 4, 5, 6, 8)))
        spread = self.one((0.3, 0.5, 1.0))
        limit = np.where(widths > 0, 1 << np.maximum(widths - 1, 0), 0)
        weight = np.round(self.rng.normal(0, spread, size=shape) * np.maximum(limit, 1)).astype(np.int64)
        weight = np.clip(weight, -limit, np.maximum(limit - 1, 0))
        if self.chance(0.1):
            weight *= self.rng.random(shape) < 0.5
        return weight, tuple(int(max(w, 1)) for w in widths), None

    def pooling(self, x: Tensor) -> Operator:
        """Return a pooling whose window fits the frame."""
        size = min(self.one((2, 2, 2, 3, 4)), *x.shape[:2])
        stride = (size, size) if self.chance(0.6) else (max(1, size - 1),) * 2
        return MaxPool((size, size), stride) if self.chance(0.6) else SumPool((size, size), stride)

    def add(self, op: Operator, *edges: str) -> str:
        """Add a node and compute its samples."""
        name = self.builder.add(op, *edges)
        self.samples[name] = op.execute(*(self.samples[edge] for edge in edges))
        return name

    def frame(self, edge: str) -> tuple[int, int]:
        """Return the height and width of an edge."""
        height, width, _ = self.tensor(edge).shape
        return height, width

    def tensor(self, edge: str) -> Tensor:
        return self.builder.edge(edge)

    def one(self, among: Sequence[Any]) -> Any:
        """Return one of several values, each as likely."""
        return among[int(self.rng.integers(len(among)))]

    def whole(self, low: int, high: int) -> int:
        """Return a random integer from `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)
