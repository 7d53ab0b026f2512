"""`frame_buffer`: the FIFO in front of its reader, which is as deep as the frame waits."""

from __future__ import annotations

from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.unit import Fold, Unit
from codesign.ir import Graph, Node


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return nothing but the words' lanes: whoever needs the index of the frame holds up its words."""
    return Unit([], (fold.pe,), fold.pe, graph.edges[node.name].size // fold.pe)
