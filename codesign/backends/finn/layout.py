"""All layers of a network with their folds: what FINN's configuration files say."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from codesign import folding
from codesign.backends.finn import ops
from codesign.backends.finn.order import Step, numbering
from codesign.backends.finn.place import FinnPlace
from codesign.backends.finn.units import BASE_LUTS, Layer, Unit, per_lane
from codesign.backends.qonnx.document import Document
from codesign.errors import UserError
from codesign.folding import Candidate, Chosen, Edge, Problem
from codesign.ir import Graph

BLOCK_LUTS = 200.0
"""What a block memory is worth in LUTs, as long as there are some."""
DSP_LUTS = 40.0
"""What a DSP block is worth in LUTs, as long as there are some."""
FOLDED = ("MVAU", "VVAU", "Thresholding")
"""Layers whose folds a user may give."""
_INPUT = "input"


@dataclass(frozen=True)
class Placed:
    """A unit in its place.

    Parameters
    ----------
    name : str
        "u3".
    node : str
        Node of the graph that it belongs to; for a fork, the edge.
    unit : Unit
    sources : tuple of str
        Units, or the input, that its operands come from.
    """

    name: str
    node: str
    unit: Unit
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Named:
    """A layer under the name that FINN gives it.

    Parameters
    ----------
    name, plain : str
        With and without the suffix of the style: "MVAU_hls_3", "MVAU_5".
    layer : Layer
    node : str
        Of the graph.
    fold : mapping
        Attributes.
    cycles : int
        Clocks of a frame, of its unit.
    """

    name: str
    plain: str
    layer: Layer
    node: str
    fold: Mapping[str, int]
    cycles: int


@dataclass(frozen=True)
class Layout:
    """A network laid out.

    Parameters
    ----------
    layers : tuple of Named
        In FINN's order.
    cycles : int
        Clocks of a frame: those of the slowest layer or joint.
    cost : mapping of str to float
        Estimated, by resource.
    """

    layers: tuple[Named, ...]
    cycles: int
    cost: Mapping[str, float]


def placed(graph: Graph) -> list[Placed]:
    """Return the units of a graph, each after those that it reads, forks included."""
    found: list[Placed] = []
    streams: dict[str, str] = {}
    readers = {edge: len(nodes) + graph.outputs.count(edge) for edge, nodes in graph.consumers().items()}
    bits: dict[str, int] = {}

    def put(node: str, unit: Unit, sources: tuple[str, ...]) -> str:
        found.append(Placed(f"u{len(found)}", node, unit, sources))
        return found[-1].name

    def fork(edge: str) -> None:
        if readers[edge] > 1:
            tensor = graph.edges[edge]
            attributes = {"NumChannels": tensor.channels, "NumOutputStreams": readers[edge]}
            pixels = tensor.size // tensor.channels
            both = bits[edge], bits[edge]
            unit = per_lane("DuplicateStreams", "hls", attributes, tensor.channels, pixels, both, bits[edge] / 2)
            streams[edge] = put(edge, unit, (streams[edge],))

    operators = ops.by_name()
    for edge in graph.inputs:
        streams[edge], bits[edge] = _INPUT, graph.edges[edge].type.bits
        fork(edge)
    document = Document()
    for node in graph.nodes:
        place = FinnPlace(document, graph, node)
        sources = tuple(streams[edge] for edge in node.inputs)
        for unit in operators[node.op.name].units(place):
            sources = (put(node.name, unit, sources),)
        streams[node.name] = sources[0]
        bits[node.name] = place.bits_out
        fork(node.name)
    return found


def lay_out(
    graph: Graph, cycles: int | None, limits: Mapping[str, float], given: Mapping[str, Mapping[str, int]] | None = None
) -> Layout:
    """Return the cheapest folds with which a frame takes at most `cycles` clocks, by estimate.

    Parameters
    ----------
    graph : Graph
        Of operators that FINN has layers for.
    cycles : int or None
        None for as few as fit.
    limits : mapping of str to float
        The most that all may take, by resource. Left aside where nothing keeps to them.
    given : mapping of str to mapping, optional
        Folds that are not to be chosen, by node: "PE" and "SIMD" of its product or its thresholds.

    Raises
    ------
    UserError
        When a node cannot have the fold that is given for it.
    """
    units = [_restricted(one, (given or {}).get(one.node)) for one in placed(graph)]
    folded = {one.node for one in units if one.unit.layers[-1].kind in FOLDED}
    if unknown := sorted(set(given or {}) - folded):
        raise UserError(f"folds are given for {', '.join(unknown)}, which have no PE and SIMD in FINN.")
    chosen = _solve(_problem(graph, units, limits), cycles)
    return Layout(tuple(_named(units, chosen)), chosen.cycles, chosen.cost)


def _restricted(one: Placed, given: Mapping[str, int] | None) -> Placed:
    """Return a unit with the folds that have the given attributes."""
    if given is None or one.unit.layers[-1].kind not in FOLDED:
        return one
    kept = tuple(c for c in one.unit.candidates if given.items() <= dict(c.fold[-1]).items())
    if not kept:
        told = ", ".join(f"{name} = {value}" for name, value in given.items())
        raise UserError(f"{one.node} has no layer of FINN with {told}; PE divides its outputs, SIMD its inputs.")
    return replace(one, unit=replace(one.unit, candidates=kept))


def _problem(graph: Graph, units: list[Placed], limits: Mapping[str, float]) -> Problem:
    by_name = {placed.name: placed for placed in units}
    entering = graph.input.type.bits
    edges = []
    for one in units:
        for operand, source in enumerate(one.sources):
            width = entering if source == _INPUT else by_name[source].unit.bits
            joint = functools.partial(_joint, width)
            edges.append(Edge(source, one.name, operand, one.unit.sizes[operand], joint))
    candidates = {one.name: one.unit.candidates for one in units}
    # FINN brings the input to whatever the first layer reads.
    inputs = {_INPUT: 1}
    objective = {"lut": 1.0, "dsp": DSP_LUTS, "bram36": BLOCK_LUTS}
    return Problem(candidates, [edge for edge in edges if edge.source != _INPUT], inputs, limits, objective)


def _solve(asked: Problem, cycles: int | None) -> Chosen:
    free = replace(asked, limits={})
    if cycles is None:
        found = folding.fastest(asked) or folding.solve(free, 1 << 62)
    else:
        found = folding.solve(asked, cycles) or folding.solve(free, cycles) or folding.fastest(free)
    if found is None:  # pragma: no cover - without limits there is always a choice
        raise AssertionError("no folds at all")
    return found


def _joint(bits: int, lanes: int, wanted: int) -> dict[str, float]:
    """Return what joins words of different sizes: FINN's width converter, and a short FIFO."""
    fifo = BASE_LUTS / 2 + bits * lanes / 2
    if lanes == wanted:
        return {"lut": fifo}
    return {"lut": fifo + BASE_LUTS / 2 + bits * math.lcm(lanes, wanted)}


def _named(units: list[Placed], chosen: Chosen) -> list[Named]:
    """Return the layers under FINN's names: numbered kind by kind, in FINN's order."""
    steps: list[Step] = []
    last = {_INPUT: -1}
    rows: list[tuple[Layer, Placed, Mapping[str, int], Candidate]] = []
    for one in units:
        candidate = chosen.candidates[one.name]
        sources = tuple(last[source] for source in one.sources)
        for layer, fold in zip(one.unit.layers, candidate.fold, strict=True):
            steps.append(Step(layer.kind, sources))
            rows.append((layer, one, fold, candidate))
            sources = (len(steps) - 1,)
        last[one.name] = sources[0]
    plain: Counter[str] = Counter()
    styled: Counter[str] = Counter()
    found = []
    for index in numbering(steps):
        layer, one, fold, candidate = rows[index]
        kind = f"{layer.kind}_{layer.style}"
        names = f"{kind}_{styled[kind]}", f"{layer.kind}_{plain[layer.kind]}"
        plain[layer.kind] += 1
        styled[kind] += 1
        found.append(Named(*names, layer, one.node, fold, candidate.cycles))
    return found


def nodes(graph: Graph, cycles: int | None, limits: Mapping[str, float]) -> dict[str, str]:
    """Return the nodes of a graph by FINN's names of their layers; none where FINN lacks a layer for an operator.

    Parameters
    ----------
    graph : Graph
    cycles : int or None
    limits : mapping of str to float
        See `lay_out`.
    """
    if not {node.op.name for node in graph} <= ops.by_name().keys():
        return {}
    return {each.name: each.node for each in lay_out(graph, cycles, limits).layers}


def files(layout: Layout) -> dict[str, Any]:
    """Return what FINN's configuration files say, by name, and ``layers.json``."""
    return {
        "folding_config.json": {"Defaults": {}, **{each.name: dict(each.fold) for each in layout.layers}},
        "specialize_layers_config.json": {
            "Defaults": {},
            **{each.plain: {"preferred_impl_style": each.layer.style} for each in layout.layers},
        },
        "layers.json": [
            {"name": each.name, "node": each.node, "attributes": dict(each.layer.attributes)} for each in layout.layers
        ],
    }
