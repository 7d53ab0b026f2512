"""What each operator of a graph stores and computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from codesign.ir import Graph, Node
from codesign.ir.ops import Conv2d, Dense, Dyadic, SelectDyadic, SelectThreshold, Threshold
from codesign.ir.tensor import Tensor

_HISTOGRAM_BINS = 17


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one node.

    Attributes
    ----------
    node, operator, label : str
    shape : str
        What is particular to the operator: kernel, stride, groups, number of levels.
    inputs : tuple of str
        Edges read.
    input_shape, output_shape : tuple of int
        One frame, without the batch.
    input_type, output_type : str
        Such as ``uint3``.
    weights : int
        Stored weights.
    weight_bits : tuple of int
        Narrowest and widest weight, in bits; empty without weights.
    weight_memory_bits : int
        Bits that all weights take, width by width.
    zero_weights : float
        Share of weights that are 0, 0 to 1.
    histogram : tuple of (int, int)
        Weight value (or the lower end of its bin) and how often it occurs.
    macs : int
        Multiply-accumulates per frame.
    bit_operations : int
        Σ weight bits · input bits over the multiply-accumulates of a frame.
    accumulator_bits : int or None
        Width of the exact accumulator, derived from the actual weights.
    constants : int
        Thresholds, or dyadic multipliers, biases and shifts.
    """

    node: str
    operator: str
    label: str
    shape: str
    inputs: tuple[str, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    input_type: str
    output_type: str
    weights: int = 0
    weight_bits: tuple[int, ...] = ()
    weight_memory_bits: int = 0
    zero_weights: float = 0.0
    histogram: tuple[tuple[int, int], ...] = ()
    macs: int = 0
    bit_operations: int = 0
    accumulator_bits: int | None = None
    constants: int = 0


def describe(graph: Graph) -> list[Layer]:
    """Return the facts of every node, in execution order."""
    return [_layer(graph, node) for node in graph.nodes]


def totals(graph: Graph, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the sums over all layers.

    Returns
    -------
    dict
        ``operators``, ``weights``, ``weight_memory_bits``, ``float32_memory_bits`` (the same weights as
        float32), ``macs``, ``bit_operations``, ``constants``, ``widest_accumulator_bits``,
        ``widest_activation_bits`` (over the edges that cross from one layer to the next).
    """
    weights = sum(layer.weights for layer in layers)
    accumulators = [layer.accumulator_bits for layer in layers if layer.accumulator_bits is not None]
    return {
        "operators": len(layers),
        "weights": weights,
        "weight_memory_bits": sum(layer.weight_memory_bits for layer in layers),
        "float32_memory_bits": 32 * weights,
        "macs": sum(layer.macs for layer in layers),
        "bit_operations": sum(layer.bit_operations for layer in layers),
        "constants": sum(layer.constants for layer in layers),
        "widest_accumulator_bits": max(accumulators, default=None),
        "input_bits": graph.edges[graph.inputs[0]].type.bits,
    }


def _layer(graph: Graph, node: Node) -> Layer:
    source, result = graph.input_edges(node)[0], graph.edges[node.name]
    facts: dict[str, Any] = {}
    op = node.op
    if isinstance(op, Conv2d | Dense):
        facts = _weighted(op, source, result)
    elif isinstance(op, Threshold | SelectThreshold):
        facts = {"constants": int(op.thresholds.size)}
    elif isinstance(op, Dyadic | SelectDyadic):
        facts = {"constants": int(op.multiplier.size + op.bias.size + op.shift.size)}
    return Layer(
        node=node.name,
        operator=op.name,
        label=node.label,
        shape=_shape(node),
        inputs=node.inputs,
        input_shape=source.shape,
        output_shape=result.shape,
        input_type=str(source.type),
        output_type=str(result.type),
        **facts,
    )


def _weighted(op: Conv2d | Dense, source: Tensor, result: Tensor) -> dict[str, Any]:
    values = op.values()
    channels = values.shape[-1]
    positions = result.size // channels
    per_channel = values.size // channels
    widths = tuple(int(bits) for bits in op.weight_bits)  # type: ignore[union-attr]
    return {
        "weights": int(values.size),
        "weight_bits": (min(widths), max(widths)),
        "weight_memory_bits": per_channel * sum(widths),
        "zero_weights": float(np.mean(values == 0)),
        "histogram": _histogram(values),
        "macs": positions * int(values.size),
        "bit_operations": positions * per_channel * sum(widths) * source.type.bits,
        "accumulator_bits": result.type.bits,
        "constants": 0 if op.bias is None else int(op.bias.size),
    }


def _histogram(values: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Count weight values, in bins of equal integer width when there are many."""
    low, high = int(values.min()), int(values.max())
    width = -(-(high - low + 1) // _HISTOGRAM_BINS)
    counts = np.bincount((values.ravel() - low) // width)
    return tuple((low + index * width, int(count)) for index, count in enumerate(counts))


def _shape(node: Node) -> str:
    """What sets this operator apart, in few words."""
    facts = node.op.attributes()
    words = []
    if isinstance(node.op, Conv2d):
        words.append("×".join(map(str, node.op.kernel)))
    elif (kernel := facts.get("kernel")) is not None:
        words.append("×".join(map(str, kernel)))
    if (stride := facts.get("stride")) not in (None, (1, 1)) and stride != facts.get("kernel"):
        words.append(f"stride {stride[0]}" if stride[0] == stride[1] else f"stride {stride[0]}×{stride[1]}")
    if isinstance(node.op, Conv2d) and node.op.groups > 1:
        words.append("depthwise" if node.op.depthwise else f"{node.op.groups} groups")
    if isinstance(node.op, SelectThreshold | SelectDyadic):
        words.append(f"{node.op.entries} entries")
    if isinstance(node.op, Threshold | SelectThreshold):
        words.append(f"{node.op.levels} levels")
    if facts.get("codebook") is not None:
        words.append(f"codebook of {len(facts['codebook'])}")
    return ", ".join(words)
