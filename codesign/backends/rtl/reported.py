"""Which lines of a vendor's report are which nodes of a network, and what was estimated of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codesign.backends.rtl.estimation import Estimate
from codesign.backends.rtl.verilog import TOP
from codesign.errors import UserError
from codesign.estimate import Model, corrections
from codesign.estimate.corrections import Report, Tool
from codesign.estimate.model import RESOURCES
from codesign.toolchain.vendor_reports import VendorReport
from codesign.toolchain.vendor_reports.usage import Usage

_UNIT = re.compile(r"(n\d+)_unit0?")
"""Instances and modules of the rtl design."""
_CONFIG = re.compile(r"(?:.*_)?config_(n\d+)(?:_s)?")
"""Functions of the hls4ml design, by the configuration that they are instances of."""


@dataclass(frozen=True)
class Asked:
    """A design that reports are of.

    Parameters
    ----------
    model, board, options : str
        As they are kept with the numbers.
    estimate : Estimate
    layers : callable
        Returns the nodes by FINN's names of layers; it is called for reports of FINN alone.
    """

    model: str
    board: str
    options: str
    estimate: Estimate
    layers: Callable[[], Mapping[str, str]]


def matched(path: Path, report: VendorReport, asked: Asked, model: Model) -> tuple[Tool, Report]:
    """Return whose report a file is, and what it says beside the estimate.

    Parameters
    ----------
    path : Path
    report : VendorReport
        What was read from it.
    asked : Asked
    model : Model
        Of the estimate.

    Raises
    ------
    UserError
        When the report is of another network, or far off the estimate.
    """
    tool, nodes = _nodes(path, report, asked)
    estimated = {operator.node: operator.amount for operator in asked.estimate.operators if operator.node in nodes}
    if nodes:
        told = [name for name in RESOURCES if all(name in usage for usage in nodes.values())]
        measured = {name: [nodes[node][name] for node in nodes] for name in told}
        beside = {name: [round(float(getattr(estimated[node], name)), 2) for node in nodes] for name in told}
    else:
        total = next((usage for name, usage in report.parts if name == TOP), report.total)
        told = [name for name in RESOURCES if name in total]
        measured = {name: [total[name]] for name in told}
        beside = {name: [round(float(getattr(asked.estimate.amount, name)), 2)] for name in told}
    if "lut" not in told:
        raise UserError(f"{path} tells no LUTs of the design or of its nodes; give another report of the same run.")
    for name in told:
        took, least = sum(measured[name]), corrections.LEAST[name]
        ratio = took / max(least, sum(beside[name]))
        few = sum(beside[name]) >= least and ratio < 1 / corrections.FARTHEST
        # Other hardware may have no multiplier blocks or many, which then correct nothing.
        if (few or ratio > corrections.FARTHEST) and (name == "lut" or tool == corrections.SAME_DESIGN):
            raise UserError(
                f"{path} has {took:,.0f} {name.upper()} where {sum(beside[name]):,.0f} are estimated; check that it is "
                f"of {asked.model} for {asked.board} with the same options."
            )
    return tool, Report(
        file=path.name,
        sha256=report.sha256,
        release=report.release,
        stage=report.stage,
        model=asked.model,
        board=asked.board,
        options=asked.options,
        fit=corrections.digest(model.fit),
        nodes=list(nodes),
        measured=measured,
        estimated=beside,
    )


def _nodes(path: Path, report: VendorReport, asked: Asked) -> tuple[Tool, dict[str, Usage]]:
    """Return whose report it is, by the names in it, and what nodes take, in the order of the network."""
    tool: Tool = report.tool  # type: ignore[assignment]
    found: dict[str, Usage] = {}
    foreign = set()
    known = {operator.node for operator in asked.estimate.operators}
    for name, usage in report.parts:
        if tool == "vitis-hls":
            match = _CONFIG.fullmatch(name)
        elif tool == "vivado":
            match = _UNIT.fullmatch(name)
        else:
            match = None
        if match is None:
            continue
        node = match[1]
        if node not in known:
            foreign.add(node)
        # A function that was split has parts under longer names, which its own line counts too.
        elif node not in found or usage.get("lut", 0) > found[node].get("lut", 0):
            found[node] = usage
    if foreign:
        raise UserError(
            f"{path} has {', '.join(sorted(foreign)[:3])}, which {asked.model} has not; "
            "give --model the network that the report is of."
        )
    if not found and tool != "vitis-hls":
        found = _layers(report, asked)
        if found and tool == "vivado":
            # FINN keeps the report of Vivado.
            tool = "finn"
    order = [operator.node for operator in asked.estimate.operators]
    return tool, {node: found[node] for node in order if node in found}


def _layers(report: VendorReport, asked: Asked) -> dict[str, Usage]:
    """Return what nodes take in FINN, each the sum of its layers; those of which a layer is missing are left out."""
    wanted: dict[str, set[str]] = {}
    for layer, node in asked.layers().items():
        wanted.setdefault(node, set()).add(layer)
    told = dict(report.parts)
    sums: dict[str, Usage] = {}
    for node, layers in wanted.items():
        if layers <= told.keys():
            resources = set.intersection(*(set(told[layer]) for layer in layers))
            sums[node] = {name: sum(told[layer][name] for layer in layers) for name in resources}
    return sums
