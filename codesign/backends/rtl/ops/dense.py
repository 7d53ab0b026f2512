"""`dense`: a matrix-vector unit behind a buffer of the features."""

from __future__ import annotations

from collections.abc import Iterator

from codesign.backends.rtl import mac
from codesign.backends.rtl.unit import Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Graph, Node
from codesign.ir.ops import Dense


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold."""
    op = node.op
    assert isinstance(op, Dense)
    yield from mac.folds(*op.weight.shape, 1, 1)


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of a fully connected layer: a frame of one pixel."""
    op, (x,), y = node.op, graph.input_edges(node), graph.edges[node.name]
    assert isinstance(op, Dense)
    return mac.unit(op.values()[None, None], op.bias, x, y, 1, Window(1, 1, 1, 1), fold)
