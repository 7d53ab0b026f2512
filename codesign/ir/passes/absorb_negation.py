"""Move a change of sign into the weights before it."""

from __future__ import annotations

import dataclasses

import numpy as np

from codesign.ir.graph import Graph, rebuild
from codesign.ir.ops import Conv2d, Dense, Dyadic
from codesign.ir.types import weight_bits
from codesign.ir.weights import MAX_WEIGHT_BITS


def absorb_negation(graph: Graph) -> Graph:
    """Return the graph with the first `Dyadic` that only changes signs folded into the linear operator before it.

    A negative batch norm gain makes such a `Dyadic`; negated weights compute the same without it. It stays
    where the accumulator has another reader, where it clamps, or where a codebook lacks the negated value.
    """
    consumers = graph.consumers()
    by_name = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        if not isinstance(node.op, Dyadic) or not _only_signs(node.op):
            continue
        producer = by_name.get(node.inputs[0])
        if producer is None or producer.name in graph.outputs or len(consumers[producer.name]) != 1:
            continue
        if not isinstance(producer.op, (Conv2d, Dense)):
            continue
        signs = np.broadcast_to(node.op.multiplier, (graph.edges[node.name].channels,))
        negated = _negated(producer.op, signs)
        if negated is None:
            continue
        (x,) = graph.input_edges(producer)
        if not all(node.op.type.holds(ends) for ends in negated.accumulator_range(x)):
            continue  # the clamp of the `Dyadic` is at work
        keep = [(n.name, negated if n is producer else n.op, n.inputs, n.label) for n in graph.nodes if n is not node]
        return rebuild(graph, keep, {node.name: producer.name})
    return graph


def _only_signs(op: Dyadic) -> bool:
    return bool((np.abs(op.multiplier) == 1).all() and (op.bias == 0).all() and (op.shift == 0).all()) and bool(
        (op.multiplier == -1).any()
    )


def _negated(op: Conv2d | Dense, signs: np.ndarray) -> Conv2d | Dense | None:
    """Return the operator with some output channels negated, or None when its codebook has no such weights."""
    bias = None if op.bias is None else op.bias * signs
    values = op.values() * signs
    if op.codebook is None:
        declared = op.channel_bits
        # -(-2^(b-1)) needs one bit more.
        widths = tuple(max(have, weight_bits(values[..., c])) for c, have in enumerate(declared))
        if max(widths) > MAX_WEIGHT_BITS:
            return None
        return dataclasses.replace(op, weight=values, weight_bits=widths, bias=bias)
    code_of = {int(value): code for code, value in enumerate(op.codebook)}
    if not set(np.unique(values).tolist()) <= set(code_of):
        return None
    codes = np.vectorize(code_of.__getitem__, otypes=[np.int64])(values)
    return dataclasses.replace(op, weight=codes, bias=bias)
