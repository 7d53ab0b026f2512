"""Reading the reports of the synthesis tools.

The texts below are shortened copies of the structure that Vitis HLS and Vivado write, with numbers of ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign import boards
from codesign.errors import UserError
from codesign.toolchain.synth_report import read_csynth, read_project, read_utilization

CSYNTH = """<?xml version="1.0" encoding="UTF-8" ?>
<profile>
  <ReportVersion><Version>2023.2</Version></ReportVersion>
  <UserAssignments>
    <unit>ns</unit>
    <ProductFamily>zynq</ProductFamily>
    <Part>xc7z020-clg400-1</Part>
    <TopModelName>top</TopModelName>
    <TargetClockPeriod>10.00</TargetClockPeriod>
    <ClockUncertainty>2.70</ClockUncertainty>
  </UserAssignments>
  <PerformanceEstimates>
    <PipelineType>dataflow</PipelineType>
    <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>6.912</EstimatedClockPeriod></SummaryOfTimingAnalysis>
    <SummaryOfOverallLatency>
      <unit>clock cycles</unit>
      <Best-caseLatency>41000</Best-caseLatency>
      <Average-caseLatency>41500</Average-caseLatency>
      <Worst-caseLatency>42123</Worst-caseLatency>
      <Interval-min>36864</Interval-min>
      <Interval-max>36870</Interval-max>
    </SummaryOfOverallLatency>
  </PerformanceEstimates>
  <AreaEstimates>
    <Resources><BRAM_18K>41</BRAM_18K><DSP>7</DSP><FF>20111</FF><LUT>31222</LUT><URAM>0</URAM></Resources>
    <AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF><LUT>53200</LUT></AvailableResources>
  </AreaEstimates>
</profile>
"""

UTILIZATION = """
| Tool Version : Vivado v.2023.2
1. Slice Logic
--------------
+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| {lut} |  9817 |     0 |          0 |     53200 | 18.45 |
|   LUT as Logic             |  9001 |     0 |          0 |     53200 | 16.92 |
| {ff}            | 12345 |     0 |          0 |    106400 | 11.60 |
+----------------------------+-------+-------+------------+-----------+-------+
2. Memory
| Block RAM Tile             |  17.5 |     0 |          0 |       140 | 12.50 |
|   RAMB36/FIFO*             |    16 |     0 |          0 |       140 | 11.43 |
3. DSP
| DSPs                       |     5 |     0 |          0 |       220 |  2.27 |
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    reports = tmp_path / "top_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    (reports / "csynth.xml").write_text(CSYNTH)
    (reports / "inner_csynth.xml").write_text(CSYNTH.replace("31222", "1"))
    return tmp_path


def test_high_level_synthesis_is_read(project: Path):
    report = read_project(project)
    assert report is not None
    assert (report.lut, report.ff, report.bram36, report.dsp, report.uram) == (31222, 20111, 20.5, 7, 0)
    assert (report.latency_cycles, report.cycles_per_frame) == (42123, 36870)
    assert report.clock_mhz == pytest.approx(100.0)
    assert report.fmax_mhz == pytest.approx(1000 / 6.912, abs=1e-3)
    assert (report.tool, report.stage) == ("Vitis HLS 2023.2", "high-level synthesis")


def test_logic_synthesis_replaces_the_estimates(project: Path):
    (project / "vivado_synth.rpt").write_text(UTILIZATION.format(lut="Slice LUTs*", ff="Slice Registers"))
    report = read_project(project)
    assert report is not None
    assert (report.lut, report.ff, report.bram36, report.dsp) == (9817, 12345, 17.5, 5)
    assert (report.stage, report.latency_cycles) == ("logic synthesis", 42123)


def test_ultrascale_reports_use_other_row_titles(tmp_path: Path):
    path = tmp_path / "rpt"
    path.write_text(UTILIZATION.format(lut="CLB LUTs*", ff="CLB Registers"))
    assert read_utilization(path) == {"lut": 9817, "ff": 12345, "bram36": 17.5, "dsp": 5}


def test_older_releases_name_the_multipliers_dsp48e(tmp_path: Path):
    path = tmp_path / "csynth.xml"
    path.write_text(CSYNTH.replace("<DSP>7</DSP>", "<DSP48E>9</DSP48E>"))
    assert read_csynth(path).dsp == 9


def test_an_unknown_latency_stays_unknown(tmp_path: Path):
    path = tmp_path / "csynth.xml"
    path.write_text(CSYNTH.replace("42123", "undef").replace("36870", "?"))
    assert (read_csynth(path).latency_cycles, read_csynth(path).cycles_per_frame) == (None, None)


def test_no_report_is_none_and_a_wrong_one_is_told(tmp_path: Path):
    assert read_project(tmp_path) is None
    path = tmp_path / "csynth.xml"
    for text in ("<profile>", "<other/>"):
        path.write_text(text)
        with pytest.raises(UserError, match=r"csynth\.xml"):
            read_csynth(path)
    path.write_text("nothing here")
    with pytest.raises(UserError, match="no utilization report"):
        read_utilization(path)


def test_a_design_larger_than_the_board_is_named(project: Path):
    report = read_project(project)
    assert report is not None
    assert report.exceeds(boards.load("pynq-z2").resources()) == []
    assert report.exceeds({"lut": 31221, "bram18": 40, "dsp": 7}) == ["lut", "bram18"]
