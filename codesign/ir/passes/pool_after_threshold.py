"""Pool narrow values instead of wide ones."""

from __future__ import annotations

from codesign.ir.graph import Graph, rebuild
from codesign.ir.operator import Operator
from codesign.ir.ops import MaxPool, Threshold


def pool_after_threshold(graph: Graph) -> Graph:
    """Return the graph with the first `MaxPool` → `Threshold` pair swapped.

    Thresholds rise, so the maximum commutes with them; behind them the pool compares a few bits instead of an
    accumulator. The pair stays where something else reads the pooled accumulators.
    """
    by_name = {node.name: node for node in graph.nodes}
    consumers = graph.consumers()
    for node in graph.nodes:
        pool = by_name.get(node.inputs[0])
        if not isinstance(node.op, Threshold) or pool is None or not isinstance(pool.op, MaxPool):
            continue
        if pool.name in graph.outputs or len(consumers[pool.name]) != 1:
            continue
        keep: list[tuple[str, Operator, tuple[str, ...], str]] = []
        for n in graph.nodes:
            if n is pool:
                continue
            if n is node:
                keep.append((f"{n.name}.early", node.op, pool.inputs, node.label))
                keep.append((n.name, pool.op, (f"{n.name}.early",), pool.label))
            else:
                keep.append((n.name, n.op, n.inputs, n.label))
        return rebuild(graph, keep, {})
    return graph
