"""Reading the timing summary of Vivado. The reports are written by hand in the format of real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.errors import UserError
from codesign.toolchain import vivado

UTILIZATION = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved. Copyright 2022-2023 Advanced Micro Devices, Inc.
---------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2023.2 (lin64) Build 4029153 Fri Oct 13 20:13:54 MDT 2023
| Command      : report_utilization -file utilization.rpt
| Design       : system_wrapper
| Device       : xc7z020clg400-1
| Design State : Routed
---------------------------------------------------------------------------------------------

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs                 |  9817 |     0 |          0 |     53200 | 18.45 |
|   LUT as Logic             |  9001 |     0 |          0 |     53200 | 16.92 |
| Slice Registers            | 12345 |     0 |          0 |    106400 | 11.60 |
+----------------------------+-------+-------+------------+-----------+-------+

| Block RAM Tile             |  17.5 |     0 |          0 |       140 | 12.50 |
| DSPs                       |     5 |     0 |          0 |       220 |  2.27 |
"""
TIMING = """
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  \
THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  
    -------      -------  ---------------------  -------------------      -------      -------  \
---------------------  -------------------     --------     --------  ----------------------  --------------------  
      {setup}        0.000                      0                 8953        {hold}        0.000  \
                    0                 8951        {pulse}        0.000                       0                  3629  


{verdict}


------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

Clock       Waveform(ns)       Period(ns)      Frequency(MHz)
-----       ------------       ----------      --------------
clk_fpga_0  {{0.000 5.000}}      10.000          100.000         


------------------------------------------------------------------------------------------------
| Intra Clock Table
"""  # noqa: W291 - as Vivado pads its rows
MET = "All user specified timing constraints are met."
MISSED = "Timing constraints are not met."


def timing(setup: str = "0.512", hold: str = "0.031", pulse: str = "3.750", verdict: str = MET) -> str:
    return TIMING.format(setup=setup, hold=hold, pulse=pulse, verdict=verdict)


def test_timing_is_read(tmp_path: Path):
    path = tmp_path / "timing.rpt"
    path.write_text(timing("-1.500", "0.020", "3.750", MISSED))
    found = vivado.read_timing(path)
    assert found == vivado.Timing(-1.5, 0.02, 3.75, 10.0)
    assert (found.met, found.fmax_mhz) == (False, round(1000 / 11.5, 3))
    path.write_text(timing(pulse="-0.100", verdict=MISSED))
    assert not vivado.read_timing(path).met
    # Of several clocks the fastest counts.
    row = "clk_fpga_0  {0.000 5.000}      10.000          100.000"
    path.write_text(timing().replace(row, f"{row}\n  half      {{0.000 2.500}}       5.000          200.000"))
    assert vivado.read_timing(path).period_ns == 5.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no timing summary of Vivado"),
        (
            timing().split("| Clock Summary")[0],
            "no timing summary of Vivado: it has no table of slacks or none of clocks",
        ),
        (timing().replace("Total Endpoints", "Endpoints").split("-------")[0], "no timing summary"),
        (timing("NA", "NA", "NA"), r"tells no slack \(NA, NA, NA\): no path has a clock"),
        (timing("0.5x"), "tells no slack"),
        (timing().replace("8953", ""), "no timing summary|tells no slack"),
    ],
)
def test_a_garbled_timing_report_is_told(tmp_path: Path, text: str, sentence: str):
    path = tmp_path / "timing.rpt"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        vivado.read_timing(path)
