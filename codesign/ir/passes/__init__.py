"""Rewrites of the integer graph, one per file, each a pure function graph to graph that keeps every output.

A pass returns the very graph it was given when it has nothing to do; `simplify` runs all of them until none
does anything. `permute_channels` is for hardware that shares lanes among channels, and not one of them: a backend asks
for it, and knows the orders of the inner edges.
"""

from __future__ import annotations

from collections.abc import Callable

from codesign.ir.graph import Graph
from codesign.ir.passes.absorb_negation import absorb_negation
from codesign.ir.passes.compose_dyadic_threshold import compose_dyadic_threshold
from codesign.ir.passes.merge_duplicates import merge_duplicates
from codesign.ir.passes.permute_channels import permute_channels
from codesign.ir.passes.pool_after_threshold import pool_after_threshold
from codesign.ir.passes.remove_dead import remove_dead
from codesign.ir.passes.remove_identity import remove_identity
from codesign.ir.passes.settle_selection import settle_selection

__all__ = [
    "absorb_negation",
    "compose_dyadic_threshold",
    "merge_duplicates",
    "permute_channels",
    "pool_after_threshold",
    "remove_dead",
    "remove_identity",
    "settle_selection",
    "simplify",
]

PASSES: tuple[Callable[[Graph], Graph], ...] = (
    remove_dead,
    remove_identity,
    merge_duplicates,
    settle_selection,
    absorb_negation,
    compose_dyadic_threshold,
    pool_after_threshold,
)

MAX_ROUNDS = 1000


def simplify(graph: Graph) -> Graph:
    """Run every pass until the graph no longer changes.

    Raises
    ------
    RuntimeError
        When the passes undo one another for ever, which would be a bug.
    """
    for _ in range(MAX_ROUNDS):
        before = graph
        for rewrite in PASSES:
            graph = rewrite(graph)
        if graph is before:
            return graph
    raise RuntimeError("the passes of the integer graph do not converge")
