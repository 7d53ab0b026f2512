"""`threshold`: all comparisons at once."""

from __future__ import annotations

from typing import cast

from codesign.backends.rtl import elementwise, tables
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, Node
from codesign.ir.ops import Threshold


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of thresholds."""
    op, (x,), y = cast(Threshold, node.op), graph.input_edges(node), graph.edges[node.name]
    parameters, files = tables.thresholds(op.thresholds[None], op.offset, x, y, fold.pe)
    width = fold.pe * y.type.bits
    block = Block("threshold", parameters, width, Every(1, 3), files=files, ties={"entry": "1'b0"})
    return Unit([block], (fold.pe,), fold.pe, elementwise.words(node, graph, fold))
