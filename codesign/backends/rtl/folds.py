"""Folds that a user gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from codesign.backends.rtl import ops
from codesign.backends.rtl.unit import Fold
from codesign.errors import UserError
from codesign.ir import Graph, Node

SIX_INPUTS = 6
"""Multiplier blocks in which several products have room go with lookup tables of so many inputs."""
_FIELDS = {"pe", "simd", "window", "planes", "chain", "shared", "search", "dsp"}


def require_operator(node: Node) -> None:
    """Raise `UserError` when the backend does not have the operator of a node."""
    if node.op.name not in ops.names():
        raise UserError(f"the rtl backend has no operator {node.op.name} ({node.name}); use the hls4ml backend.")


def require_ends(graph: Graph) -> None:
    """Raise `UserError` when a graph has several inputs or outputs."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise UserError("the rtl backend writes networks with one input and one output; split the graph.")


def available(node: Node, graph: Graph, lookup: int, port: int) -> Iterator[Fold]:
    """Yield every fold of a node that a family has.

    Parameters
    ----------
    node : Node
    graph : Graph
    lookup : int
        Inputs of a LUT of the family.
    port : int
        Bits of an operand of multiplier blocks that outputs may share; 0 where they may not.
    """
    for fold in ops.module(node.op.name).folds(node, graph):
        if (lookup >= SIX_INPUTS or not fold.chain) and (port or not fold.shared):
            yield replace(fold, lookup=lookup, port=port)


def fixed(node: Node, graph: Graph, fields: Mapping[str, Any], lookup: int = 6, port: int = 0) -> Fold:
    """Return the fold of a node that has these fields; `lookup` and `port` are those of `available`.

    Raises
    ------
    UserError
        When it cannot have them.
    """
    require_operator(node)
    dsp = fields.get("dsp", True)
    if fields.keys() <= _FIELDS and isinstance(dsp, bool):
        own = {name: value for name, value in fields.items() if name != "dsp"}
        for fold in available(node, graph, lookup, port):
            if fold == replace(fold, **own) and (dsp or not (fold.chain or fold.shared)):
                return replace(fold, dsp=dsp)
    told = ", ".join(f"{name} = {value}" for name, value in fields.items())
    raise UserError(
        f"{node.name} ({node.op.name}) has no fold with {told}; PE divides its outputs, SIMD its inputs, planes the "
        "bits of an input; chain is the greatest of 4, 3 and 2 that divides the inputs in parallel, or 1 for one "
        "input, with multiplier blocks and on boards with LUTs of six inputs; shared goes with --dsp, several outputs "
        "and boards with LUTs of four; fields are pe, simd, window, planes, chain, shared, search and dsp."
    )


def require_folds(graph: Graph, given: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise `UserError` when folds are given for a node that does not exist."""
    if unknown := set(given) - {node.name for node in graph}:
        raise UserError(f"folds are given for {', '.join(sorted(unknown))}, which the graph does not have.")


def words(about: Mapping[str, Any]) -> str:
    """Return in words how far a node is laid out in parallel."""
    words = [f"PE {about['pe']}"]
    if about["simd"] > 1 or about["window"]:
        words.append(f"SIMD {about['simd']}{' x window' * about['window']}")
    if about["planes"]:
        words.append(f"{about['planes']} bit{'s' * (about['planes'] > 1)} at a time")
    if about.get("chain") or about.get("shared"):
        words.append("products packed in multiplier blocks")
    if about["search"]:
        words.append("search")
    return ", ".join(words)
