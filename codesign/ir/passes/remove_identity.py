"""Drop operators that change nothing."""

from __future__ import annotations

from codesign.ir.graph import Graph, Node, rebuild
from codesign.ir.ops import Dyadic, Flatten, MaxPool, SumPool


def remove_identity(graph: Graph) -> Graph:
    """Return the graph without operators whose output equals their input in every value and in its type.

    One that makes a graph output stays if it reads a graph input or another output: the two may have different
    scales, and an edge has one. A `FrameBuffer` stays too: it is there for when values leave, not for the values.
    """
    ends = {*graph.inputs, *graph.outputs}
    identities = [
        node
        for node in graph.nodes
        if _is_identity(graph, node) and not (node.name in graph.outputs and node.inputs[0] in ends)
    ]
    if not identities:
        return graph
    gone = {node.name: node.inputs[0] for node in identities}
    return rebuild(graph, [(n.name, n.op, n.inputs, n.label) for n in graph.nodes if n.name not in gone], gone)


def _is_identity(graph: Graph, node: Node) -> bool:
    if graph.edges[node.name] != graph.edges[node.inputs[0]]:
        return False
    match node.op:
        case Dyadic() as op:
            return bool((op.multiplier == 1).all() and (op.bias == 0).all() and (op.shift == 0).all())
        case Flatten():
            return True
        case MaxPool() | SumPool() as op:
            return op.kernel == (1, 1) and op.stride == (1, 1)
    return False
