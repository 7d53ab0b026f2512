"""`flatten`: no hardware, the stream goes on as it is."""

from __future__ import annotations

from collections.abc import Iterator

from codesign.backends.rtl.divisors import divisors
from codesign.backends.rtl.unit import Fold, Unit
from codesign.ir import Graph, Node


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold: any divisor of the channels of what it flattens."""
    (x,) = graph.input_edges(node)
    for lanes in divisors(x.channels):
        yield Fold(lanes)


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return nothing but the words' lanes."""
    return Unit([], (fold.pe,), fold.pe, graph.edges[node.name].size // fold.pe)
