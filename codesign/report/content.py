"""What a report says, as one plain structure: the content of `report.json`."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from codesign.boards import Board
from codesign.ir import Graph
from codesign.report.layers import describe, totals
from codesign.toolchain.synth_report import SynthReport

FORMAT = 1


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison that was made, or that was not.

    Attributes
    ----------
    name : str
        What was compared with what.
    kind : {"csim", "rtl", "netlist", "float64", "qonnx", "finn", "hls4ml-stock"}
        What was compared: the C simulation of the hardware, that of its RTL or its netlist, the model in float64, the
        QONNX file in its executor, FINN's hardware layers in Python, or what hls4ml's own converter makes.
    done : bool
    vectors, tensors, differences : int or None
        Test vectors sent, edges compared, integers that differed; None when not done.
    first_difference : dict or None
        Operator, element, expected and found value.
    how : str
        Seed, source of the vectors; or, when not done, why and what to type.
    """

    name: str
    kind: Literal["csim", "rtl", "netlist", "float64", "qonnx", "finn", "hls4ml-stock"]
    done: bool
    vectors: int | None = None
    tensors: int | None = None
    differences: int | None = None
    first_difference: Mapping[str, Any] | None = None
    how: str = ""


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the trained model.

    Attributes
    ----------
    name, title, framework, dataset, topology : str
    accuracy, float_accuracy : float or None
        Top-1 in percent of the integers and of the float model.
    images : int or None
        Test images behind the accuracy.
    facts : dict of str to str
        Anything else worth a line: widths, method, recipe, checkpoint.
    """

    name: str
    title: str = ""
    framework: str = ""
    dataset: str = ""
    topology: str = ""
    accuracy: float | None = None
    float_accuracy: float | None = None
    images: int | None = None
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)


def collect(
    graph: Graph,
    board: Board,
    model: ModelFacts,
    *,
    checks: Sequence[Check],
    synthesis: SynthReport | None,
    synthesis_note: str,
    tools: Mapping[str, str],
    commands: Sequence[str],
    now: datetime.datetime | None = None,
) -> dict[str, Any]:
    """Return the content of a report.

    Parameters
    ----------
    graph : Graph
    board : Board
    model : ModelFacts
    checks : sequence of Check
    synthesis : SynthReport or None
    synthesis_note : str
        One sentence for the case that there is no synthesis report: why, and what to type.
    tools : mapping of str to str
        Versions by name.
    commands : sequence of str
        What to type to make everything again.
    now : datetime, optional
    """
    layers = describe(graph)
    made = now or datetime.datetime.now(datetime.UTC)
    return {
        "format": FORMAT,
        "made": made.strftime("%Y-%m-%d %H:%M UTC"),
        "model": msgspec.to_builtins(model),
        "board": msgspec.to_builtins(board),
        "totals": totals(graph, layers),
        "layers": [msgspec.to_builtins(layer) for layer in layers],
        "checks": [msgspec.to_builtins(check) for check in checks],
        "synthesis": None if synthesis is None else msgspec.to_builtins(synthesis),
        "synthesis_note": synthesis_note,
        "fits": None if synthesis is None else not synthesis.exceeds(board.resources()),
        "tools": dict(tools),
        "commands": list(commands),
    }
