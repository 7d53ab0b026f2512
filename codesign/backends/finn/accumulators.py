"""What FINN's products hold: without the bias, and as a count of equal bits where weights and inputs are binary.

FINN multiplies binary inputs with binary weights as popcount(xnor), in which an input bit 0 stands for -1 and so does
a pixel of padding. With inputs y in {0, 1} and weights w in {-1, 1}, Σ w·y = P - N: P is that count and N the number of
weights -1. Such an offset per channel, like a bias, is left to the thresholds that read the sum.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from codesign.backends.qonnx import staircase
from codesign.ir import Graph, IntType, Node
from codesign.ir.ops import Conv2d, Dense, Dyadic, Flatten, MaxPool, Threshold

BIT = IntType(1, signed=False)


@dataclass(frozen=True)
class Accumulator:
    """What is on the stream of an edge: value = stream + offset.

    Parameters
    ----------
    offset : ndarray of int, shape (channels,), or None
    type : IntType
        Of the stream.
    """

    offset: np.ndarray | None
    type: IntType


def is_xnor(graph: Graph, node: Node) -> bool:
    """Tell whether a layer is a popcount: binary inputs, written as such, and weights all -1 or 1, of one group."""
    return node.name in _xnor_nodes(graph)


@functools.lru_cache(maxsize=4)
def _xnor_nodes(graph: Graph) -> frozenset[str]:
    wide = _wide_sources(graph)
    return frozenset(
        node.name for node in graph.nodes if _all_binary(graph, node) and _source(graph, node.inputs[0]) not in wide
    )


@functools.lru_cache(maxsize=4)
def _wide_sources(graph: Graph) -> frozenset[str]:
    """Return the sources of the binary edges that some layer reads whose weights are not all -1 or 1."""
    return frozenset(
        _source(graph, node.inputs[0])
        for node in graph.nodes
        if isinstance(node.op, Conv2d | Dense)
        and graph.edges[node.inputs[0]].type == BIT
        and not _all_binary(graph, node)
    )


def _source(graph: Graph, edge: str) -> str:
    """Return the edge that pools and flattening, which keep the type of a stream in FINN, have made an edge of."""
    while edge not in graph.inputs and isinstance(graph.node(edge).op, MaxPool | Flatten):
        edge = graph.node(edge).inputs[0]
    return edge


def _all_binary(graph: Graph, node: Node) -> bool:
    op = node.op
    if not isinstance(op, Conv2d | Dense) or graph.edges[node.inputs[0]].type != BIT:
        return False
    return bool((np.abs(op.values()) == 1).all()) and (isinstance(op, Dense) or op.groups == 1)


def own_offset(graph: Graph, node: Node) -> np.ndarray | None:
    """Return what is to be added to the product of a layer, per channel."""
    op = node.op
    if not isinstance(op, Conv2d | Dense):
        return None
    offset = None if op.bias is None else op.bias
    if is_xnor(graph, node):
        negative = (op.values() < 0).reshape(-1, op.values().shape[-1]).sum(axis=0)
        offset = -negative if offset is None else offset - negative
    return offset


def product_type(graph: Graph, node: Node) -> IntType:
    """Return the type of the product of a layer, before anything is added."""
    op, x = node.op, graph.edges[node.inputs[0]]
    if not isinstance(op, Conv2d | Dense):
        raise TypeError(op.name)
    if is_xnor(graph, node):
        return IntType.for_range(0, int(np.prod(op.values().shape[:-1])))
    return replace(op, bias=None).infer(x).type


def of(graph: Graph, edge: str) -> Accumulator:
    """Return what the stream of an edge holds."""
    tensor = graph.edges[edge]
    if edge in graph.inputs:
        return Accumulator(None, tensor.type)
    node = graph.node(edge)
    offset = own_offset(graph, node)
    if offset is None:
        return Accumulator(None, tensor.type)
    readers = graph.consumers()[edge]
    left = edge not in graph.outputs and all(
        isinstance(reader.op, Threshold) or (isinstance(reader.op, Dyadic) and staircase.is_staircase(reader.op))
        for reader in readers
    )
    return Accumulator(offset, product_type(graph, node)) if left else Accumulator(None, tensor.type)


@functools.lru_cache(maxsize=4)
def wide_bits(graph: Graph) -> frozenset[str]:
    """Return the binary edges that are written with two bits, as a layer without xnor reads them.

    FINN has no product of bits 0 and 1 with other weights than -1 and 1.
    """
    wide = _wide_sources(graph)
    return frozenset(
        edge for edge, tensor in graph.edges.items() if tensor.type == BIT and _source(graph, edge) in wide
    )
