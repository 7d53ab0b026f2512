"""`arg_max`: one feature in a clock."""

from __future__ import annotations

from collections.abc import Iterator

from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, Node


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield the only fold."""
    yield Fold()


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of the index of the greatest."""
    (x,), y = graph.input_edges(node), graph.edges[node.name]
    parameters: dict[str, int | bool | str] = {
        "X": x.type.bits,
        "X_SIGNED": x.type.signed,
        "FEATURES": x.size,
        "Y": y.type.bits,
    }
    block = Block("arg_max", parameters, y.type.bits, Every(x.size, 1))
    return Unit([block], (1,), 1, x.size)
