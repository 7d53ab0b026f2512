"""What joins words of different sizes."""

from __future__ import annotations

import itertools

from codesign import folding
from codesign.backends.rtl.timing import Every, Narrow, Timing
from codesign.backends.rtl.unit import Block
from codesign.ir import Graph


def input_lanes(graph: Graph, edge: str) -> int:
    """Return the elements in a word of a graph input: a pixel, or one feature."""
    shape = graph.edges[edge].shape
    return shape[-1] if len(shape) == 3 else 1


def adapters(bits: int, lanes: int, wanted: int) -> tuple[Block, ...]:
    """Return what makes words of `wanted` elements out of words of `lanes`, over their common divisor if need be."""
    return tuple(
        Block("lane_adapter", {"BITS": bits, "IN": a, "OUT": b}, b * bits, _adapting(a, b))
        for a, b in itertools.pairwise(folding.join(lanes, wanted))
    )


def _adapting(lanes: int, wanted: int) -> Timing:
    if lanes > wanted:
        return Narrow(lanes // wanted)
    return Every(wanted // lanes, 1)
