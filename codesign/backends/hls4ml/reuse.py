"""Choosing reuse factors: the fastest network whose arithmetic fits the board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from codesign.backends.hls4ml import ops
from codesign.backends.hls4ml.kernels import Place, nearest
from codesign.backends.hls4ml.options import Options
from codesign.boards import Board
from codesign.errors import UserError
from codesign.ir import Graph
from codesign.ir.ops import Conv2d, Dense, Dyadic, SelectDyadic, SelectThreshold, Threshold

LUT_SHARE = 0.6
"""Part of the lookup tables that arithmetic may take: the rest is for windows, streams and control."""


@dataclass(frozen=True)
class _Load:
    """What a node costs at a reuse factor.

    Parameters
    ----------
    place : Place
    factors : list of int
        Legal ones, ascending.
    outputs : int
        Times per frame that the steps are run through.
    fixed : int
        Cycles per frame besides.
    lookup_tables : float
        Of the arithmetic with all of it in parallel.
    """

    place: Place
    factors: list[int]
    outputs: int
    fixed: int
    lookup_tables: float

    def cycles(self, factor: int) -> int:
        return self.fixed + self.outputs * factor

    def slowest_within(self, cycles: int) -> int:
        """Return the largest factor that keeps a frame within these cycles, the smallest where none does."""
        return max((f for f in self.factors if self.cycles(f) <= cycles), default=self.factors[0])


def choose(graph: Graph, board: Board, options: Options, packs: Mapping[str, int]) -> dict[str, int]:
    """Return the reuse factor of every node.

    Parameters
    ----------
    graph : Graph
    board : Board
    options : Options
    packs : mapping of str to int
        Elements in a token, by edge.

    Raises
    ------
    UserError
        When `options.reuse_factor` names a node that is not there.

    Notes
    -----
    The slowest operator sets the frame rate of a pipeline. All operators therefore share one limit of cycles
    per frame; the smallest limit is taken at which the arithmetic fits `LUT_SHARE` of the board. The cost of
    a product is the usual first estimate, one lookup table per pair of bits.
    """
    known = ops.by_name()
    places = {node.name: Place(node, graph, options.io_type, 1, packs) for node in graph}
    factors = {name: known[place.node.op.name].reuse_factors(place) for name, place in places.items()}
    wished = options.reuse_factor
    if isinstance(wished, int):
        return {name: nearest(wished, legal) for name, legal in factors.items()}
    chosen = dict.fromkeys(places, 1)
    if options.strategy == "Resource":
        loads = {name: _load(place, factors[name]) for name, place in places.items()}
        limit = _cycles_that_fit(list(loads.values()), LUT_SHARE * board.lut)
        chosen = {name: load.slowest_within(limit) for name, load in loads.items()}
    for name, factor in (wished or {}).items():
        if name not in factors:
            raise UserError(f"there is no node {name!r} to set a reuse factor for; see map.json for the names.")
        chosen[name] = nearest(factor, factors[name])
    return chosen


def _cycles_that_fit(loads: list[_Load], lookup_tables: float) -> int:
    """Return the smallest limit of cycles per frame at which the arithmetic fits, else the largest."""
    limits = sorted({load.cycles(factor) for load in loads for factor in load.factors})
    low, high = 0, len(limits) - 1
    while low < high:
        middle = (low + high) // 2
        used = sum(load.lookup_tables / load.slowest_within(limits[middle]) for load in loads)
        if used <= lookup_tables:
            high = middle
        else:
            low = middle + 1
    return limits[low] if limits else 1


def _load(place: Place, factors: list[int]) -> _Load:
    op, x, y = place.node.op, place.x, place.y
    packs = x.size // place.pack
    if isinstance(op, Conv2d):
        top, bottom, left, right = op.padding  # type: ignore[misc]
        pixels = (x.shape[0] + top + bottom) * (x.shape[1] + left + right)
        outputs = y.shape[0] * y.shape[1]
        products = op.weight.size * (x.type.bits * max(op.weight_bits) + y.type.bits / 2)  # type: ignore[arg-type]
        return _Load(place, factors, outputs, pixels - outputs, products)
    if isinstance(op, Dense):
        products = op.weight.size * (x.type.bits * max(op.weight_bits) + y.type.bits / 2)  # type: ignore[arg-type]
        return _Load(place, factors, 1, packs, products)
    if isinstance(op, Threshold | SelectThreshold):
        comparators = min(op.levels - 1, y.type.bits if op.levels > 16 else op.levels - 1)
        return _Load(place, factors, packs, 0, place.pack * comparators * x.type.bits / 2)
    if isinstance(op, Dyadic | SelectDyadic):
        bits = int(abs(op.multiplier).max()).bit_length()
        return _Load(place, factors, packs, 0, place.pack * x.type.bits * bits)
    return _Load(place, factors, packs, 0, place.pack * y.type.bits)
