"""Reads what nextpnr wrote of a routed design: cells as they lie on the part, pins and clock buffers among them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TOP = "top"
"""Name of the module that nextpnr writes."""

FAMILIES = ("ice40", "ecp5")
"""Those whose placed cells are modelled, in ``cells/`` or by Yosys."""

Cell = dict[str, Any]

_UNDRIVEN = {
    "ICESTORM_LC": {"CEN"},
    "SB_RAM40_4K": {"RCLKE", "WCLKE"},
    "SB_MAC16": {"CE"},
    "TRELLIS_COMB": {"A", "B", "C", "D"},
    "TRELLIS_FF": {"CE"},
    "TRELLIS_RAMW": {"A0", "B0", "C0", "D0", "A1", "B1", "C1", "D1"},
    "DCCA": {"CE"},
}
"""Inputs that are 1 where nothing drives them, the others of these cells being 0: both families pull enables up, an
ECP5 the inputs of its tables."""

_BLOCKS = {"ICESTORM_RAM": "SB_RAM40_4K", "ICESTORM_DSP": "SB_MAC16"}
"""Cells that Yosys models under their name before placement, when buses were not yet taken apart."""


def read(text: str) -> dict[str, Any]:
    """Return a design in Yosys' JSON in which inputs are driven and a pin of the part has one direction.

    Parameters
    ----------
    text : str
        What ``nextpnr --write`` wrote.
    """
    design: dict[str, Any] = json.loads(text)
    for cell in design["modules"][TOP]["cells"].values():
        cell["connections"] = {port: wires for port, wires in cell["connections"].items() if wires}
        if cell["type"] in ("SB_IO", "TRELLIS_IO"):
            _set_direction(cell)
            continue
        kind = _BLOCKS.get(cell["type"], cell["type"])
        if kind == "TRELLIS_COMB" and "FXA" in cell["connections"]:
            # Which of the two multiplexers there is follows from its place alone, which the text does not tell.
            cell["parameters"]["IS_Z1"] = "1"
        if (ones := _UNDRIVEN.get(kind)) is not None:
            for port, direction in cell["port_directions"].items():
                if direction == "input":
                    cell["connections"].setdefault(port, ["1" if port in ones else "0"])
        if cell["type"] in _BLOCKS:
            cell["type"] = kind
            _join_buses(cell)
        if kind in ("DP16KD", "MULT18X18D"):
            _tie(cell)
    return design


def _set_direction(cell: Cell) -> None:
    """Make a pin of the part one that has a direction, and nothing else to choose."""
    about = cell["parameters"]
    direction = {"000001": "INPUT", "011001": "OUTPUT"}[about["PIN_TYPE"][-6:]] if "PIN_TYPE" in about else about["DIR"]
    cell["type"] += f"_{direction.strip()}"
    cell["parameters"] = {}


def _join_buses(cell: Cell) -> None:
    """Make one port of A_0, A_1 and so on."""
    buses: dict[str, dict[int, Any]] = {}
    for port, (wire,) in cell["connections"].items():
        found = re.fullmatch(r"(\w+?)_(\d+)", port)
        name, bit = (found[1], int(found[2])) if found else (port, 0)
        buses.setdefault(name, {})[bit] = wire
    # An output that nobody reads has no wire.
    cell["connections"] = {name: [bus.get(bit, "x") for bit in range(max(bus) + 1)] for name, bus in buses.items()}
    cell["port_directions"] = {
        name: cell["port_directions"].get(name) or cell["port_directions"][f"{name}_0"] for name in buses
    }
    for edge in ("NEG_CLK_R", "NEG_CLK_W"):
        assert int(cell["parameters"].pop(edge, "0"), 2) == 0, edge


def _tie(cell: Cell) -> None:
    """Drive the inputs of a block of an ECP5 that nothing drives by what its multiplexers, ``A0MUX`` and so on, say.

    Such an input is 1, or 0 where it is inverted.
    """
    for name in [name for name in cell["parameters"] if name.removesuffix("MUX") in cell["port_directions"]]:
        port, mux = name.removesuffix("MUX"), cell["parameters"].pop(name).strip()
        if port in cell["connections"]:
            assert mux == port, f"{name} of {cell['type']} is {mux}"
        else:
            cell["connections"][port] = ["0" if mux in ("0", "INV") else "1"]


def models(family: str) -> list[Path]:
    """Return the models of placed cells of a family."""
    return sorted((Path(__file__).parent / "cells" / family).glob("*.sv"))
