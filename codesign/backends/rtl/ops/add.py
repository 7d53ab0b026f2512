"""`add`: two streams, element by element."""

from __future__ import annotations

from codesign.backends.rtl import elementwise
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, Node


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of a sum."""
    (a, b), y = graph.input_edges(node), graph.edges[node.name]
    parameters: dict[str, int | bool | str] = {
        "LANES": fold.pe,
        "A": a.type.bits,
        "A_SIGNED": a.type.signed,
        "B": b.type.bits,
        "B_SIGNED": b.type.signed,
        "Y": y.type.bits,
    }
    words = elementwise.words(node, graph, fold)
    block = Block("add", parameters, fold.pe * y.type.bits, Every(1, 1), ("a", "b"))
    return Unit([block], (fold.pe, fold.pe), fold.pe, words)
