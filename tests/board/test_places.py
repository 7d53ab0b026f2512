"""What is counted of a netlist is what nextpnr reports of it: for estimates, which are fitted to such counts."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from codesign import boards, zoo
from codesign.backends import rtl
from codesign.backends.rtl.families import FAMILIES
from codesign.toolchain import nextpnr, verilator, yosys

PINS = {"TRELLIS_IO", "SB_IO", "IBUF", "OBUF"}
"""Cells of pins, which are none of the fabric's."""


@pytest.mark.slow
@pytest.mark.parametrize(("board", "cycles"), [("ulx3s-12f", 2000), ("icebreaker", 20_000), ("tang-nano-20k", 2000)])
def test_cells_are_counted_as_nextpnr_reports_them(board: str, cycles: int, tmp_path: Path) -> None:
    own = boards.load(board)
    if yosys.locate() is None or verilator.locate() is None or shutil.which("g++") is None:
        pytest.skip("needs Yosys and Verilator, which come with the extra rtl, and g++")
    if nextpnr.locate(own.family) is None:
        pytest.skip("needs nextpnr, which comes with the extra rtl")
    result = rtl.emit(zoo.load("digits_cnn_w3").graph(), own, tmp_path / "p", cycles=cycles).synth()
    assert result.status == "done"
    (netlist,) = (tmp_path / "p" / "build").glob("netlist-*/netlist.json")
    cells = [
        cell
        for cell in json.loads(netlist.read_bytes())["modules"]["uart_shell"]["cells"].values()
        if cell["type"] not in PINS
    ]
    places = FAMILIES[own.family].places
    assert places is not None
    found = places(Counter(cell["type"] for cell in cells), cells)
    told = result.report
    # nextpnr adds a few for constants, and on Gowin where a flip-flop finds no place beside its carry.
    assert found.lut == pytest.approx(told.lut, rel=0.012 if own.family == "gowin" else 0.002)
    assert (found.bram36, found.dsp) == (pytest.approx(told.bram36, abs=1e-3), told.dsp)
    # For iCE40 nextpnr reports no flip-flops, so that those of a report are counted in the netlist.
    assert FAMILIES[own.family].ff is None or found.ff == told.ff
