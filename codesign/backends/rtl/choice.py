"""The folds of all nodes together: the folding problem of a graph, with what FIFOs and adapters take."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codesign import folding
from codesign.backends.rtl import cost, mac, ops
from codesign.backends.rtl.folds import available, fixed, require_folds, require_operator
from codesign.backends.rtl.joints import adapters, input_lanes
from codesign.backends.rtl.unit import Fold
from codesign.errors import UserError
from codesign.folding import Candidate, Chosen, Edge, Problem
from codesign.ir import Graph, Node

MEMORY_LUTS = 72 * mac.BLOCK_LUTS
"""What a block memory of 36 Kib, whose words have 72 bits, is worth in LUTs, as long as there are some."""
SMALL_MEMORY_LUTS = 16 * mac.BLOCK_LUTS
"""The same for one of 4 Kib, whose words have 16 bits."""


def problem(
    graph: Graph,
    given: Mapping[str, Mapping[str, Any]],
    lookup: int,
    limits: Mapping[str, float],
    dsp_luts: float = mac.DSP_LUTS,
    port: int = 0,
    known: Callable[[Node, Callable[[], list[Candidate]]], list[Candidate]] | None = None,
) -> Problem:
    """Return the folding problem of a graph.

    Parameters
    ----------
    graph : Graph
    given : mapping of str to mapping
        Fields of `Fold` by node, where the fold is not to be chosen.
    lookup : int
        Inputs of a LUT of the family.
    limits : mapping of str to float
        The most that all may take, by resource: "lut", "dsp", "bram36" or "bram4" (block memories of 4 Kib).
    dsp_luts : float
        What a multiplier block is worth in LUTs, as long as there are some.
    port : int
        Bits of an operand of multiplier blocks that outputs may share; 0 where they may not.
    known : callable, optional
        Told a node and what works its candidates out, returns them; for what asks many times.

    Raises
    ------
    UserError
        When the backend does not have an operator, or a node cannot have the fold that is given for it.
    """
    require_folds(graph, given)
    candidates, small = {}, "bram4" in limits
    for node in graph:
        make = functools.partial(_candidates, node, graph, given.get(node.name), lookup, port, small)
        candidates[node.name] = make() if known is None else known(node, make)
    edges = []
    for node in graph:
        for operand, edge in enumerate(node.inputs):
            tensor = graph.edges[edge]
            kept = tensor.size if operand else _kept(node, graph, candidates[node.name][0].fold, edge)
            joint = functools.partial(_joint, tensor.type.bits)
            edges.append(Edge(edge, node.name, operand, kept, joint))
    lanes = {edge: input_lanes(graph, edge) for edge in graph.inputs}
    memory = {"bram4": SMALL_MEMORY_LUTS} if small else {"bram36": MEMORY_LUTS}
    objective = {"lut": 1.0, "dsp": dsp_luts, **memory}
    return Problem(candidates, edges, lanes, limits, objective)


def choose(
    graph: Graph,
    cycles: int | None,
    given: Mapping[str, Mapping[str, Any]],
    lookup: int,
    limits: Mapping[str, float],
    dsp_luts: float = mac.DSP_LUTS,
    port: int = 0,
) -> Chosen:
    """Return the cheapest folds with which a frame takes at most `cycles` clocks within the limits.

    FIFOs count as two words: how deep they are is known afterwards. Where there are no such folds, the limit of lookup
    tables and then that of block memories are left aside, since estimates are no synthesis; where there are none even
    so, the fastest within the limits are taken. Where nothing fits, what is to be the fastest is the smallest.

    Parameters
    ----------
    graph, given, lookup, limits, dsp_luts, port
        As for `problem`.
    cycles : int or None
        None for the fewest clocks with which the limits are kept.

    Raises
    ------
    UserError
        As `problem`, and when given folds need more multiplier blocks than there may be.
    """
    return solve(problem(graph, given, lookup, limits, dsp_luts, port), cycles)


def solve(asked: Problem, cycles: int | None, near: int | None = None) -> Chosen:
    """Return the folds of a problem, as `choose` does; `near` are clocks for `folding.fastest` to try first."""
    # Multiplier blocks can be done without; the other limits are left aside, one after the other, where nothing keeps
    # to them.
    free = [relaxed(asked, aside) for aside in _ASIDE if any(name in asked.limits for name in aside)]
    if cycles is None:
        attempts = [functools.partial(folding.fastest, asked, near)]
        attempts += [functools.partial(folding.solve, each, _SLOWEST) for each in free]
    else:
        attempts = [functools.partial(folding.solve, each, cycles) for each in (asked, *free)]
        attempts += [functools.partial(folding.fastest, each) for each in (asked, *free)]
    for attempt in attempts:
        if (found := attempt()) is not None:
            return found
    raise UserError(
        "the folds that are given take more multiplier blocks than there may be; give others, or more --dsp."
    )


def relaxed(asked: Problem, aside: Sequence[str] = ("lut",)) -> Problem:
    """Return a problem without some limits, in which few lookup tables are what counts: blocks are as good as free."""
    limits = {name: limit for name, limit in asked.limits.items() if name not in aside}
    return replace(asked, limits=limits, objective={**asked.objective, "dsp": min(asked.objective["dsp"], 1.0)})


_ASIDE = ("lut",), ("lut", "bram36", "bram4")
"""Limits that are left aside where nothing keeps to them all."""
_SLOWEST = 1 << 62


def _candidates(
    node: Node, graph: Graph, given: Mapping[str, Any] | None, lookup: int, port: int, small: bool
) -> list[Candidate]:
    require_operator(node)
    module = ops.module(node.op.name)
    folds = available(node, graph, lookup, port) if given is None else [fixed(node, graph, given, lookup, port)]
    found = []
    for fold in folds:
        hardware = module.unit(node, graph, fold)
        about = tuple(hardware.lanes_in), hardware.lanes_out, hardware.cycles
        taken = cost.unit(hardware, fold.dsp, small)
        if fold.chain and given is None and not taken.get("dsp"):
            continue
        if fold.shared and not mac.fits(hardware):
            if given is None:
                continue
            raise UserError(
                f"{node.name} ({node.op.name}) has no room for two outputs side by side in a multiplier of {port} by "
                f"{port} bits; leave shared out."
            )
        found.append(Candidate(*about, taken, fold))
        if taken.get("dsp") and not (fold.chain or fold.shared) and "dsp" not in (given or {}):
            bare = replace(fold, dsp=False)
            found.append(Candidate(*about, cost.unit(module.unit(node, graph, bare), False, small), bare))
    return found


def _kept(node: Node, graph: Graph, fold: Fold, edge: str) -> int:
    """Return the elements of a frame that reach a node: all but those between strides, which are dropped."""
    hardware = ops.module(node.op.name).unit(node, graph, fold)
    size = graph.edges[edge].size
    if hardware.sieve is None:
        return size
    pixels = size // graph.edges[edge].channels
    left = hardware.sieve(graph.edges[edge].channels).timing.run(np.zeros(pixels, dtype=np.int64), 1)[1]
    return len(left) * graph.edges[edge].channels


def _joint(bits: int, lanes: int, wanted: int) -> dict[str, float]:
    between = adapters(bits, lanes, wanted)
    # Words become narrow before the FIFO where they can.
    width = min(lanes, between[0].width // bits) * bits if between else lanes * bits
    fifo = cost.stream_fifo({"WIDTH": width})
    return cost.added([fifo, *(cost.block(adapter) for adapter in between)])
