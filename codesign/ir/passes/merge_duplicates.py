"""Compute once what several nodes compute alike."""

from __future__ import annotations

from codesign.ir.graph import Graph, rebuild


def merge_duplicates(graph: Graph) -> Graph:
    """Return the graph with one node in place of those with equal operators and inputs (common subexpressions)."""
    gone: dict[str, str] = {}
    for position, node in enumerate(graph.nodes):
        for earlier in graph.nodes[:position]:
            if earlier.inputs == node.inputs and earlier.op.same_as(node.op):
                gone[node.name] = earlier.name
                break
    if not gone:
        return graph
    return rebuild(graph, [(n.name, n.op, n.inputs, n.label) for n in graph.nodes if n.name not in gone], gone)
