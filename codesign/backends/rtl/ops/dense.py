"""`dense`: a matrix-vector unit behind a buffer of the features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from codesign.backends.rtl import mac
from codesign.backends.rtl.unit import Fold, Unit
from codesign.backends.rtl.windows import Window
from codesign.ir import Graph, Node
from codesign.ir.ops import Dense


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold."""
    op = cast(Dense, node.op)
    inputs, outputs = op.weight.shape
    (x,) = graph.input_edges(node)
    yield from mac.folds(inputs, outputs, 1, 1, x.type.bits)


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of a fully connected layer: a frame of one pixel."""
    op, (x,), y = cast(Dense, node.op), graph.input_edges(node), graph.edges[node.name]
    return mac.unit(op, x, y, Window(1, 1, 1, 1, spare=fold.spare), fold)
