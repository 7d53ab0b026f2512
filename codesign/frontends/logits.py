"""The output of a network being lowered: logits on one scale, so that their integers compare, and with their bias."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from codesign.frontends.values import ALIGNING_BITS, Value, common_divisor
from codesign.ir.graph import Graph, GraphBuilder, rebuild
from codesign.ir.operator import OperatorError
from codesign.ir.ops import Conv2d, Dense, Dyadic
from codesign.ir.types import IntType

OUTPUT_FRACTION_BITS = 16
"""Fraction bits of the multiplier that brings logits with unrelated scales per channel to a common scale."""

OUTPUT_BITS = 16
"""Resolution that logits get where their accumulator has less and their bias asks for more."""


def with_logits(builder: GraphBuilder, x: Value, label: str) -> Graph:
    """Return the graph whose output is `x`, brought to one scale and with its bias as integers.

    The bias of logits rounds to the accumulator's grid (half to even), an error of at most half a unit. An
    accumulator of few bits gets fraction bits for it first, up to `OUTPUT_BITS` in all: where logits are small
    integers, half a unit would change the decision.

    Parameters
    ----------
    builder : GraphBuilder
        Has made the edge of `x`.
    x : Value
        Linear, not all of scale 0, without a selector.
    label : str
        For people.

    Raises
    ------
    OperatorError
        When a constant is too wide.
    """
    scale = x.affines[0].scale
    if any(a.scale != scale for a in x.affines) or scale < 0 or _bias_bits(builder, x, scale):
        return _rescaled(builder, x, label)
    bias = [round(a.offset / scale) for a in x.affines]
    graph = builder.build(x.edge, scales={x.edge: float(scale)})
    return _biased(graph, _constants(bias)) if any(bias) else graph


def _rescaled(builder: GraphBuilder, x: Value, label: str) -> Graph:
    """Bring the channels to a common scale by a `Dyadic`."""
    # Scales that are small multiples of one, as powers of two are, need no rounding.
    scale = functools.reduce(common_divisor, (a.scale for a in x.affines), Fraction(0))
    if all(abs(a.scale / scale) < 1 << ALIGNING_BITS for a in x.affines):
        scale, fraction_bits = scale / (1 << _bias_bits(builder, x, scale)), 0
    else:
        scale = max(abs(a.scale) for a in x.affines)
        more = _spare_bits(builder, x, scale)
        scale, fraction_bits = scale / (1 << more), OUTPUT_FRACTION_BITS - more
    one = 1 << fraction_bits
    multiplier = np.array([round(a.scale / scale * one) for a in x.affines], dtype=np.int64)
    bias = _constants([round(a.offset / scale * one) for a in x.affines])
    shift = np.full(len(bias), fraction_bits, dtype=np.int64)
    tensor = builder.edge(x.edge)
    ends = np.stack([multiplier * tensor.type.min + bias, multiplier * tensor.type.max + bias])
    output = IntType.for_range(
        int(ends.min() >> fraction_bits), int(ends.max() >> fraction_bits) + min(fraction_bits, 1)
    )
    edge = builder.add(Dyadic(multiplier, bias, shift, output), x.edge, label=label)
    return builder.build(edge, scales={edge: float(scale)})


def _spare_bits(builder: GraphBuilder, x: Value, scale: Fraction) -> int:
    """Return how many bits the logits in units of `scale` leave of `OUTPUT_BITS`."""
    tensor = builder.edge(x.edge)
    largest = max(abs(a.scale) for a in x.affines) / scale * max(-tensor.type.min, tensor.type.max)
    return max(0, OUTPUT_BITS - 1 - math.ceil(largest).bit_length())


def _bias_bits(builder: GraphBuilder, x: Value, scale: Fraction) -> int:
    """Return the fraction bits that logits in units of `scale` need for their bias, at most the spare ones."""
    denominator = max((a.offset / scale).denominator for a in x.affines)
    return min((denominator - 1).bit_length(), _spare_bits(builder, x, scale))


def _biased(graph: Graph, bias: np.ndarray) -> Graph:
    """Add integers to the output: into the last linear operator, or by a `Dyadic` behind anything else."""
    output = graph.outputs[0]
    last = next((node for node in graph.nodes if node.name == output), None)
    keep = [(node.name, node.op, node.inputs, node.label) for node in graph.nodes]
    if last is not None and isinstance(last.op, (Conv2d, Dense)) and not graph.consumers()[output]:
        keep[-1 if graph.nodes[-1] is last else graph.nodes.index(last)] = (
            last.name, dataclasses.replace(last.op, bias=bias), last.inputs, last.label,
        )  # fmt: skip
        return rebuild(graph, keep, {})
    tensor = graph.edges[output]
    zeros, ones = np.zeros_like(bias), np.ones_like(bias)
    sums = IntType.for_range(tensor.type.min + min(0, int(bias.min())), tensor.type.max + max(0, int(bias.max())))
    keep.append(("output", Dyadic(ones, bias, zeros, sums), (output,), "output bias"))
    return rebuild(
        dataclasses.replace(graph, outputs=("output",), scales={**graph.scales, "output": graph.scales[output]}),
        keep,
        {},
    )


def _constants(values: Sequence[int]) -> np.ndarray:
    if any(abs(value) >= 1 << 61 for value in values):
        raise OperatorError("an output bias needs more than 62 bits")
    return np.array(values, dtype=np.int64)
