"""Turn a multiply-and-shift followed by thresholds into thresholds alone."""

from __future__ import annotations

import numpy as np

from codesign.ir.graph import Graph, rebuild
from codesign.ir.ops import Dyadic, Threshold
from codesign.ir.tensor import Tensor


def compose_dyadic_threshold(graph: Graph) -> Graph:
    """Return the graph with the first `Threshold` behind a rising `Dyadic` rewritten to read the latter's input.

    The composition of two rising step functions is one, so thresholds on the input exist; they are exact. The
    `Dyadic` itself goes when nothing else reads it.
    """
    by_name = {node.name: node for node in graph.nodes}
    consumers = graph.consumers()
    for node in graph.nodes:
        producer = by_name.get(node.inputs[0])
        if not isinstance(node.op, Threshold) or producer is None or not isinstance(producer.op, Dyadic):
            continue
        if producer.name in graph.outputs or len(consumers[producer.name]) != 1:
            continue  # the wide value exists anyway, and its thresholds are narrower
        if not (producer.op.multiplier > 0).all():
            continue
        composed = _compose(producer.op, node.op, graph.edges[producer.inputs[0]])
        keep = [
            (n.name, composed, producer.inputs, n.label) if n is node else (n.name, n.op, n.inputs, n.label)
            for n in graph.nodes
            if n is not producer
        ]
        return rebuild(graph, keep, {})
    return graph


def _compose(dyadic: Dyadic, threshold: Threshold, x: Tensor) -> Threshold:
    rows = max(len(dyadic.multiplier), threshold.thresholds.shape[0])
    result = np.empty((rows, threshold.levels - 1), dtype=np.int64)
    for row in range(rows):
        source = row % len(dyadic.multiplier)
        m, n = int(dyadic.multiplier[source]), int(dyadic.shift[source])
        constant = int(dyadic.bias[source]) + int(dyadic.half[source])
        for k, t in enumerate(threshold.thresholds[row % threshold.thresholds.shape[0]]):
            level = int(t)
            if level <= dyadic.type.min:
                found = x.type.min
            elif level > dyadic.type.max:
                found = x.type.max + 1
            else:
                # (m·x + constant) >> n ≥ level  ⇔  m·x ≥ level·2^n - constant, rounded up
                found = -((constant - (level << n)) // m)
            result[row, k] = min(max(found, x.type.min), x.type.max + 1)
    return Threshold(result, threshold.offset)
