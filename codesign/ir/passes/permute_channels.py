"""Bring channels whose weights are of like width into the same lanes of folded hardware."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from codesign.ir.channels import Component, components, is_tied, spread
from codesign.ir.graph import Graph, Node, rebuild
from codesign.ir.operator import Operator
from codesign.ir.ops import Conv2d, Dense, Dyadic, SelectDyadic, SelectThreshold, Threshold

Orders = dict[str, np.ndarray]
"""By edge: channel i is the one that was channel order[i]. Edges that keep their order are not in it."""


def permute_channels(graph: Graph, lanes: Mapping[str, int] | None = None) -> Graph:
    """Return the graph with its inner channels in another order; outputs stay as they are, integer by integer.

    Hardware that computes PE outputs of a layer at a time has outputs p, p + PE, p + 2 PE … in lane p, which is as
    wide as the widest of them. Here each lane gets outputs of like width.

    Parameters
    ----------
    graph : Graph
    lanes : mapping of str to int, optional
        PE of `Conv2d` and `Dense` nodes. Without it, the order is one that serves many: where the channels are a
        power of two, every PE.
    """
    return reordered(graph, channel_orders(graph, lanes))


def channel_orders(graph: Graph, lanes: Mapping[str, int] | None = None) -> Orders:
    """Return the orders of `permute_channels`.

    Notes
    -----
    A layer takes part when its weights have several widths, see `Conv2d.mixed_widths`; a depthwise one does not.
    Where several such layers share the order of their outputs, as before a residual sum, some ways to sort are
    compared by the bits of weights that lanes would hold in all of these layers. Channels as they come are one of
    the ways.
    """
    orders: Orders = {}
    for component in components(graph):
        layers = [] if component.fixed else _layers(graph, component, lanes)
        if not layers:
            continue
        order = _settled(component, layers)
        if not np.array_equal(order, np.arange(len(order))):
            orders |= {edge: spread(order, graph.edges[edge].channels) for edge in component.edges}
    return orders


def reordered(graph: Graph, orders: Mapping[str, np.ndarray]) -> Graph:
    """Return the graph with the channels of its edges in given orders, names and types of edges unchanged.

    Parameters
    ----------
    graph : Graph
    orders : mapping of str to ndarray
        Such as `channel_orders` returns.
    """
    if not orders:
        return graph

    def order(edge: str) -> np.ndarray:
        return orders.get(edge, np.arange(graph.edges[edge].channels))

    keep = [(n.name, _moved(n.op, order(n.inputs[0]), order(n.name)), n.inputs, n.label) for n in graph]
    return rebuild(graph, keep, {})


def _moved(op: Operator, reads: np.ndarray, makes: np.ndarray) -> Operator:
    """Return an operator for channels in other orders."""
    match op:
        case Conv2d():
            weight = op.weight[..., makes]
            if not is_tied(op):
                group_in, group_out = weight.shape[2], weight.shape[3] // op.groups
                # The inputs of each output, counted within its group.
                inputs = (reads.reshape(op.groups, group_in) % group_in).repeat(group_out, axis=0)
                weight = np.take_along_axis(weight, inputs.T[None, None], axis=2)
            return _linear(op, weight, makes)
        case Dense():
            return _linear(op, op.weight[np.ix_(reads, makes)], makes)
        case Threshold() if len(op.thresholds) > 1:
            return dataclasses.replace(op, thresholds=op.thresholds[makes])
        case SelectThreshold() if op.thresholds.shape[1] > 1:
            return dataclasses.replace(op, thresholds=op.thresholds[:, makes])
        case Dyadic() | SelectDyadic() if op.multiplier.shape[-1] > 1:
            constants = {name: getattr(op, name)[..., makes] for name in ("multiplier", "bias", "shift")}
            return dataclasses.replace(op, **constants)
    return op


def _linear(op: Conv2d | Dense, weight: np.ndarray, makes: np.ndarray) -> Conv2d | Dense:
    widths = tuple(op.channel_bits[channel] for channel in makes.tolist())
    bias = None if op.bias is None else op.bias[makes]
    return dataclasses.replace(op, weight=weight, weight_bits=widths, bias=bias)


@dataclass(frozen=True, eq=False)
class _Layer:
    """One that writes to a component.

    Parameters
    ----------
    widths : ndarray of int
        Bits of the weights of each output.
    terms : int
        Weights of an output.
    lanes : tuple of int
        The PE that count.
    """

    widths: np.ndarray
    terms: int
    lanes: tuple[int, ...]

    def bits(self, order: np.ndarray) -> int:
        """Return the bits of all weights, each as wide as its lane, for an order of the component."""
        widths = self.widths[spread(order, len(self.widths))]
        return sum(self.terms * len(widths) // pe * int(widths.reshape(-1, pe).max(0).sum()) for pe in self.lanes)

    def key(self, channels: int) -> np.ndarray:
        """Return the width of each channel of the component."""
        return np.asarray(self.widths.reshape(-1, channels).sum(0))


def _layers(graph: Graph, component: Component, lanes: Mapping[str, int] | None) -> list[_Layer]:
    """Return the layers of several widths that write to a component, that with the most weights first."""
    edges = set(component.edges)
    found = []
    for node in graph:
        if node.name in edges and _counts(node):
            op: Conv2d | Dense = node.op  # type: ignore[assignment]
            served = _prime_steps(component.channels) if lanes is None else [lanes.get(node.name, 1)]
            found.append(_Layer(op.used_widths, op.weight.size // len(op.used_widths), tuple(served)))
    return sorted(found, key=lambda layer: -layer.terms * len(layer.widths))


def _counts(node: Node) -> bool:
    # The lanes of a depthwise convolution have one width, whatever the order.
    return (
        isinstance(node.op, Dense | Conv2d)
        and node.op.mixed_widths
        and not (isinstance(node.op, Conv2d) and is_tied(node.op))
    )


def _settled(component: Component, layers: Sequence[_Layer]) -> np.ndarray:
    """Return the order of fewest bits that sorting comes to; the one that there is where none has fewer."""
    order = np.arange(component.channels)
    slots = _slots(component.channels, layers)
    fewest = sum(layer.bits(order) for layer in layers)
    # Sorting again, ties as they have come to lie, may find better; at the end nothing is left to find, so that
    # the pass leaves alone what it has made.
    while True:
        ways = [_sorted(component.labels, slots, order, keys) for keys in _keys(component, layers)]
        costs = [sum(layer.bits(way) for layer in layers) for way in ways]
        best = int(np.argmin(costs))
        if costs[best] >= fewest:
            return order
        order, fewest = ways[best], costs[best]


def _keys(component: Component, layers: Sequence[_Layer]) -> Iterator[list[np.ndarray]]:
    """Yield ways to sort: by the widths of one layer, those of the others behind it, for each; by all at once.

    With a few widths the first separate every combination of them; with many, a sum keeps all of them close.
    """
    widths = [layer.key(component.channels) for layer in layers]
    for first in range(len(layers)):
        yield [widths[first], *widths[:first], *widths[first + 1 :]]
    yield [np.sum([layer.terms * key for layer, key in zip(layers, widths, strict=True)], axis=0)]


def _sorted(labels: np.ndarray, slots: np.ndarray, order: np.ndarray, keys: Sequence[np.ndarray]) -> np.ndarray:
    """Return channels sorted by keys and dealt to the slots in their sequence, each to one of its own label."""
    sequence = np.empty_like(order)
    sequence[order[slots]] = np.arange(len(order))
    result = np.empty_like(order)
    for label in np.unique(labels):
        places = slots[labels[slots] == label]
        channels = order[places]
        # The last key of a lexical sort is the first that counts.
        by = [sequence[channels], *(key[channels] for key in reversed(keys))]
        result[places] = channels[np.lexsort(by)]
    return result


def _slots(channels: int, layers: Sequence[_Layer]) -> np.ndarray:
    """Return the places of channels lane by lane: those of one lane of any PE served follow one another."""
    chain: list[int] = []
    for pe in [pe for layer in layers for pe in layer.lanes]:
        # Where the lanes of a layer are not parts of those of others, the layer with more weights has its way.
        if channels % pe == 0 and all(pe % other == 0 or other % pe == 0 for other in chain):
            chain.append(pe)
    place = np.arange(channels)
    return np.lexsort([place, *(place % pe for pe in sorted(set(chain), reverse=True))])


def _prime_steps(number: int) -> list[int]:
    """Return divisors of a number up to itself, each the one before times a prime: 2, 4, 12 of 12."""
    steps, left, prime = [], number, 2
    while left > 1:
        if left % prime:
            prime += 1
            continue
        left //= prime
        steps.append(number // left)
    return steps or [1]
