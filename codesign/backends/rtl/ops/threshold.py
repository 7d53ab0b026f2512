"""`threshold`: all comparisons at once, or a binary search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from codesign.backends.rtl import elementwise, tables
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, Node
from codesign.ir.ops import Threshold


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold: any divisor of the channels, both ways."""
    for fold in elementwise.folds(node, graph):
        yield fold
        if cast(Threshold, node.op).thresholds.shape[1] > 1:
            yield replace(fold, search=True)


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of thresholds."""
    op, (x,), y = cast(Threshold, node.op), graph.input_edges(node), graph.edges[node.name]
    words = elementwise.words(node, graph, fold)
    if fold.search:
        blocks, luts = tables.searched(op.thresholds, op.offset, x, y, fold.pe)
        return Unit(blocks, (fold.pe,), fold.pe, words, luts=luts)
    parameters, files, luts = tables.thresholds(op.thresholds[None], op.offset, x, y, fold.pe)
    width = fold.pe * y.type.bits
    block = Block("threshold", parameters, width, Every(1, 3), files=files, ties={"entry": "1'b0"})
    return Unit([block], (fold.pe,), fold.pe, words, luts=luts)
