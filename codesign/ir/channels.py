"""Which edges have their channels in one order, and which of these channels may change places."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from codesign.ir.graph import Graph, Node
from codesign.ir.ops import (
    Add,
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


@dataclass(frozen=True, eq=False)
class Component:
    """Edges whose channels keep one order: those of one edge move when, and as, those of the others do.

    Parameters
    ----------
    edges : tuple of str
        In the order of the graph.
    labels : ndarray of int, shape (channels,)
        Channels of the same label may change places. An edge that has more channels, such as one behind a
        `Flatten`, has them over and over: its channel r * channels + i moves as channel i does.
    """

    edges: tuple[str, ...]
    labels: np.ndarray

    @property
    def channels(self) -> int:
        """Channels whose order is one choice."""
        return len(self.labels)

    @property
    def fixed(self) -> bool:
        """Whether no channel may change its place."""
        return len(np.unique(self.labels)) == self.channels


def components(graph: Graph) -> list[Component]:
    """Return every edge of a graph, by components.

    Graph inputs and outputs keep their order, and so does what an operator reads whose result depends on the
    places of channels. Groups of a convolution keep their places; channels move within one.
    """
    found = _Found(graph)
    for edge in (*graph.inputs, *graph.outputs):
        found.fix(edge)
    for node in graph:
        _relate(found, graph, node)
    return found.components()


def spread(order: np.ndarray, channels: int) -> np.ndarray:
    """Return the order of an edge that has the channels of its component over and over, up to `channels`."""
    return (np.arange(0, channels, len(order))[:, None] + order).reshape(-1)


def is_tied(op: Conv2d) -> bool:
    """Whether every output of a convolution is made of one input of its own, so that both have one order."""
    return op.depthwise and op.weight.shape[3] == op.groups


def _relate(found: _Found, graph: Graph, node: Node) -> None:
    """Note what a node demands of the orders of its edges."""
    match node.op:
        case Dense():
            pass
        case Conv2d() as op if is_tied(op):
            found.join(node.inputs[0], node.name)
        case Conv2d() as op:
            for edge in (node.inputs[0], node.name):
                channels = graph.edges[edge].channels
                found.divide(edge, np.arange(channels) // (channels // op.groups))
        case Add():
            found.join(*node.inputs)
            found.join(node.inputs[0], node.name)
        case Threshold() | Dyadic() | SelectThreshold() | SelectDyadic() | FrameBuffer() | MaxPool() | SumPool():
            # The index of a selection has one element.
            found.join(node.inputs[0], node.name)
        case Flatten():
            found.join(node.inputs[0], node.name)
        case _:
            for edge in (*node.inputs, node.name):
                found.fix(edge)


class _Found:
    """Components so far: disjoint sets of edges, each with its labels at one of its edges."""

    def __init__(self, graph: Graph) -> None:
        self.parent = {edge: edge for edge in graph.edges}
        self.labels = {edge: np.zeros(t.channels, dtype=np.int64) for edge, t in graph.edges.items()}

    def root(self, edge: str) -> str:
        while self.parent[edge] != edge:
            edge = self.parent[edge]
        return edge

    def join(self, one: str, other: str) -> None:
        """Put two edges into one component."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return
        # What repeats at either distance repeats at their greatest common divisor.
        period = math.gcd(len(self.labels[a]), len(self.labels[b]))
        self.labels[a] = _alike(np.concatenate([self.labels[e].reshape(-1, period) for e in (a, b)]))
        del self.labels[b]
        self.parent[b] = a

    def divide(self, edge: str, labels: np.ndarray) -> None:
        """Let channels of an edge change places only where they have the same label."""
        root = self.root(edge)
        period = len(self.labels[root])
        self.labels[root] = _alike(np.concatenate([self.labels[root][None], labels.reshape(-1, period)]))

    def fix(self, edge: str) -> None:
        """Let the component of an edge keep its order."""
        root = self.root(edge)
        self.labels[root] = np.arange(len(self.labels[root]))

    def components(self) -> list[Component]:
        members: dict[str, list[str]] = {}
        for edge in self.parent:
            members.setdefault(self.root(edge), []).append(edge)
        return [Component(tuple(edges), self.labels[root]) for root, edges in members.items()]


def _alike(rows: np.ndarray) -> np.ndarray:
    """Return labels of columns, the same for equal ones: shape (rows, channels) to (channels,)."""
    return np.unique(rows, axis=1, return_inverse=True)[1].reshape(-1)
