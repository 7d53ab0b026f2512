"""The order of channels with which a graph takes the fewest LUTs, where its layers have weights of several widths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codesign.backends.rtl import layout, ops
from codesign.backends.rtl.unit import Fold
from codesign.ir import Graph
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.passes.permute_channels import Orders, channel_orders, reordered

_ROUNDS = 4
"""Folds and orders that are tried one after the other."""


def cheapest(graph: Graph, cycles: int, folds: Mapping[str, Mapping[str, Any]], lookup: int) -> Orders:
    """Return the cheapest order of the channels of a graph that is found.

    An order is good for certain folds, and which folds are the cheapest depends on the order. So there are several
    attempts: as channels come, an order that serves many folds, and orders for the folds of the best attempt so far.
    Estimates decide; the order stays as it is unless another one takes fewer LUTs.

    Parameters
    ----------
    graph : Graph
    cycles, folds, lookup
        As for `layout.lay_out`.
    """
    if not any(isinstance(node.op, Conv2d | Dense) and node.op.mixed_widths for node in graph):
        return {}
    choice = _Choice(graph, cycles, folds, lookup)
    fewest, chosen = choice.of({})
    best: Orders = {}
    lanes: Mapping[str, int] | None = None
    for _ in range(_ROUNDS):
        orders = channel_orders(graph, lanes)
        luts, found = choice.of(orders)
        if luts < fewest:
            fewest, best, chosen = luts, orders, found
        elif lanes is not None:
            break
        lanes = {name: fold.pe for name, fold in chosen.items()}
    return best


class _Choice:
    """Folds and LUTs of the layers of a graph for orders of its channels."""

    def __init__(self, graph: Graph, cycles: int, folds: Mapping[str, Mapping[str, Any]], lookup: int) -> None:
        self.graph, self.cycles, self.folds, self.lookup = graph, cycles, folds, lookup
        self.known: dict[tuple[str, bytes, bytes], tuple[float, Fold]] = {}

    def of(self, orders: Orders) -> tuple[float, dict[str, Fold]]:
        """Return the LUTs of all layers, and their folds."""
        moved = reordered(self.graph, orders)
        total, chosen = 0.0, {}
        for node in moved:
            if not isinstance(node.op, Conv2d | Dense):
                continue
            ends = [orders[edge].tobytes() if edge in orders else b"" for edge in (node.inputs[0], node.name)]
            key = (node.name, ends[0], ends[1])
            if key not in self.known:
                fold = layout.fold(node, moved, self.cycles, self.folds, self.lookup)
                self.known[key] = ops.module(node.op.name).unit(node, moved, fold).luts, fold
            luts, chosen[node.name] = self.known[key]
            total += luts
        return total, chosen
