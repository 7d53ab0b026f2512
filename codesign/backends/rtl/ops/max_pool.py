"""`max_pool`."""

from __future__ import annotations

from codesign.backends.rtl import pooling
from codesign.backends.rtl.elementwise import folds as folds
from codesign.backends.rtl.unit import Fold, Unit
from codesign.ir import Graph, Node


def unit(node: Node, graph: Graph, fold: Fold) -> Unit:
    """Return the hardware of the pooling."""
    return pooling.unit(node, graph, fold, greatest=True)
