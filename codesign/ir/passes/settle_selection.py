"""Choose at compile time where every index would choose the same."""

from __future__ import annotations

from codesign.ir.graph import Graph, rebuild
from codesign.ir.ops import SelectDyadic, SelectThreshold


def settle_selection(graph: Graph) -> Graph:
    """Return the graph with selecting operators whose entries are all equal replaced by their plain form.

    The plain operator no longer reads the index. A `FrameBuffer` before it stays: what it says about time does
    not depend on who reads it.
    """
    keep = []
    for node in graph.nodes:
        op, inputs = node.op, node.inputs
        if isinstance(op, SelectDyadic | SelectThreshold):
            first, *others = op.choices
            if all(other.same_as(first) for other in others):
                op, inputs = first, inputs[:1]
        keep.append((node.name, op, inputs, node.label))
    if all(op is node.op for (_, op, _, _), node in zip(keep, graph.nodes, strict=True)):
        return graph
    return rebuild(graph, keep, {})
