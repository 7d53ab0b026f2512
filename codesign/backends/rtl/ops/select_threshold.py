"""`select_threshold`: `threshold` with a set of constants for each value of an index."""

from __future__ import annotations

from typing import cast

from codesign.backends.rtl import elementwise, tables
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.timing import Every
from codesign.backends.rtl.unit import Block, Fold, Unit
from codesign.ir import Graph, Node
from codesign.ir.ops import SelectThreshold


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of thresholds that an index chooses."""
    op, (x, index), y = cast(SelectThreshold, node.op), graph.input_edges(node), graph.edges[node.name]
    words = elementwise.words(node, graph, fold)
    parameters, files, luts = tables.thresholds(op.thresholds, op.offset, x, y, fold.pe)
    parameters |= {"INDEX": index.type.bits, "WORDS": words}
    width = fold.pe * y.type.bits
    block = Block("select_threshold", parameters, width, Every(1, 3), ("in", "index"), files)
    # An index passes two registers, and takes two clocks even where its frame is one word.
    return Unit([block], (fold.pe, 1), fold.pe, max(words, 2), delays=(0, 2), luts=luts)
