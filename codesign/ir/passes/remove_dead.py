"""Drop nodes that no output depends on."""

from __future__ import annotations

from codesign.ir.graph import Graph, rebuild


def remove_dead(graph: Graph) -> Graph:
    """Return the graph without nodes that no output reads, directly or through others."""
    alive = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in alive:
            alive.update(node.inputs)
    if all(node.name in alive for node in graph.nodes):
        return graph
    return rebuild(graph, [(n.name, n.op, n.inputs, n.label) for n in graph.nodes if n.name in alive], {})
