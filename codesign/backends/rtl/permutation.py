"""The order of channels with which a graph takes the fewest LUTs, where its layers have weights of several widths."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from codesign.backends.rtl import choice
from codesign.backends.rtl.mac import DSP_LUTS
from codesign.errors import UserError
from codesign.folding import Candidate
from codesign.ir import Graph, Node
from codesign.ir.ops import Conv2d, Dense
from codesign.ir.passes.permute_channels import Orders, channel_orders, reordered

_ROUNDS = 4
"""Folds and orders that are tried one after the other."""
_NEVER = True, 1 << 62, math.inf
"""Worse than what any order costs."""


def cheapest(
    graph: Graph,
    cycles: int | None,
    folds: Mapping[str, Mapping[str, Any]],
    lookup: int,
    limits: Mapping[str, float] | None = None,
    dsp_luts: float = DSP_LUTS,
    port: int = 0,
) -> Orders:
    """Return the cheapest order of the channels of a graph that is found.

    An order is good for certain folds, and which folds are the cheapest depends on the order. So there are several
    attempts: as channels come, an order that serves many folds, and orders for the folds of the best attempt so far.
    Estimates decide; the order stays as it is unless another one takes fewer LUTs.

    Parameters
    ----------
    graph : Graph
    cycles, folds, lookup, limits, dsp_luts, port
        As for `layout.lay_out`.
    """
    if not any(isinstance(node.op, Conv2d | Dense) and node.op.mixed_widths for node in graph):
        return {}
    attempts = _Attempts(graph, cycles, folds, lookup, limits or {}, dsp_luts, port)
    fewest, lanes_of = attempts.of({})
    best: Orders = {}
    lanes: Mapping[str, int] | None = None
    for _ in range(_ROUNDS):
        orders = channel_orders(graph, lanes)
        try:
            cost, found = attempts.of(orders)
        except UserError:
            # A fold that is given does not go with this order.
            cost, found = _NEVER, {}
        if cost < fewest:
            fewest, best, lanes_of = cost, orders, found
        elif lanes is not None:
            break
        lanes = lanes_of
    return best


class _Attempts:
    """Clocks, cost and lanes of a graph for orders of its channels."""

    def __init__(
        self,
        graph: Graph,
        cycles: int | None,
        folds: Mapping[str, Mapping[str, Any]],
        lookup: int,
        limits: Mapping[str, float],
        dsp_luts: float,
        port: int,
    ) -> None:
        self.graph, self.cycles, self.folds, self.lookup, self.limits = graph, cycles, folds, lookup, limits
        self.dsp_luts, self.port = dsp_luts, port
        self.known: dict[tuple[str | bytes, ...], list[Candidate]] = {}

    def of(self, orders: Orders) -> tuple[tuple[bool, int, float], dict[str, int]]:
        """Return what counts (limits exceeded, clocks where they are to be few, cost) and the lanes of the layers."""

        def candidates(node: Node, make: Callable[[], list[Candidate]]) -> list[Candidate]:
            # They depend on the order of the edges at the node, and on nothing else of the others.
            ends = [orders[edge].tobytes() if edge in orders else b"" for edge in (*node.inputs, node.name)]
            key: tuple[str | bytes, ...] = (node.name, *ends)
            if key not in self.known:
                self.known[key] = make()
            return self.known[key]

        moved = reordered(self.graph, orders)
        asked = choice.problem(moved, self.folds, self.lookup, self.limits, self.dsp_luts, self.port, candidates)
        found = choice.solve(asked, self.cycles)
        layers = [node.name for node in moved if isinstance(node.op, Conv2d | Dense)]
        clocks = found.cycles if self.cycles is None else 0
        cost = not found.fits(self.limits), clocks, asked.weighed(found.cost)
        return cost, {name: found.candidates[name].fold.pe for name in layers}
