"""Vivado: the scripts under an interpreter with stand-ins for its commands, and `RtlProject.synth`.

No real Vivado took part: `vivado_stub.tcl` says what it checks.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import vivado as backend
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Dense
from codesign.toolchain import inventory, vivado

from .test_hls4ml_project import EVIL
from .test_rtl_project import small_graph
from .test_vivado_reports import MET, MISSED, UTILIZATION, timing


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A `vivado` that is `vivado_stub.tcl`; its behaviour is set by variables of the environment."""
    if shutil.which("tclsh") is None:
        pytest.skip("needs tclsh")
    program = tmp_path / "vivado" / "bin" / "vivado"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec tclsh {Path(__file__).with_name("vivado_stub.tcl")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("XILINX_VIVADO", str(program.parent.parent))
    report(tmp_path, monkeypatch, timing())
    return monkeypatch


def report(folder: Path, patch: pytest.MonkeyPatch, summary: str, utilization: str = UTILIZATION) -> None:
    """Set what the reports of the stub say."""
    for name, text in {"UTILIZATION": utilization, "TIMING": summary}.items():
        (folder / name).write_text(text)
        patch.setenv(name, str(folder / name))


@pytest.fixture
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XILINX_VIVADO", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))


def emitted(tmp_path: Path, board: str = "pynq-z2", graph: Graph | None = None) -> rtl.RtlProject:
    return rtl.emit(graph or small_graph(), boards.load(board), tmp_path / "p", cycles=100)


def calls(log: Path) -> list[str]:
    return [line.removeprefix("CALL ") for line in log.read_text().splitlines() if line.startswith("CALL ")]


def test_a_bitstream_is_built_step_by_step(tmp_path: Path, stub: pytest.MonkeyPatch):
    project = emitted(tmp_path)
    result = project.synth(tool="vivado")
    made = calls(result.log)
    names = [call.split()[0] for call in made]
    order = [
        "create_project",
        "add_files",
        "create_bd_design",
        "validate_bd_design",
        "save_bd_design",
        "generate_target",
        "make_wrapper",
        "launch_runs",
        "open_run",
        "report_timing_summary",
        "write_bitstream",
    ]
    assert [names.index(name) for name in order] == sorted(names.index(name) for name in order)
    assert "create_bd_cell -type module -reference network_axi_stream network" in made
    assert made[0].startswith("create_project -force -part xc7z020clg400-1 network build/vivado/build-")
    (dma,) = (call for call in made if call.startswith("set_property") and "c_include_sg" in call)
    settings = dict(re.findall(r"CONFIG\.(\w+) (\w+)", dma))
    # Words of one element of 3 bits, and of 2 bits.
    assert (settings["c_m_axis_mm2s_tdata_width"], settings["c_s_axis_s2mm_tdata_width"]) == ("8", "8")
    assert (settings["c_m_axi_mm2s_data_width"], settings["c_include_sg"]) == ("64", "0")
    (ps7,) = (call for call in made if call.startswith("set_property") and "PCW_" in call)
    for words in (
        "PCW_FPGA0_PERIPHERAL_FREQMHZ 100",
        "PCW_CRYSTAL_PERIPHERAL_FREQMHZ 50",
        "PCW_UIPARAM_DDR_PARTNO {MT41J256M16 RE-125}",
        "PCW_UIPARAM_DDR_BUS_WIDTH {16 Bit}",
        "PCW_UIPARAM_DDR_DQS_TO_CLK_DELAY_3 -0.033",
        "PCW_USE_S_AXI_HP0 1",
    ):
        assert words in ps7
    (sources,) = (call for call in made if call.startswith("add_files") and "network.sv" in call)
    assert "bench.sv" not in sources
    assert "n1_thresholds0.mem" in sources
    assert "set_property STEPS.SYNTH_DESIGN.ARGS.MAX_DSP 220 synth_1" in made
    # Every step was told.
    assert "codesign: clock of the network: 100000000 Hz, wanted 100 MHz" in result.log.read_text()


def test_the_result_is_read_and_kept(tmp_path: Path, stub: pytest.MonkeyPatch):
    project = emitted(tmp_path)
    result = project.synth(tool="vivado")
    found = result.report
    assert (result.status, found.tool, found.stage) == ("done", "Vivado 2023.2", "place and route")
    assert (found.lut, found.ff, found.bram36, found.dsp) == (9817, 12345, 17.5, 5)
    assert (found.clock_mhz, found.fmax_mhz) == (100.0, round(1000 / 9.488, 3))
    assert found.cycles_per_frame == project.cycles_per_frame
    assert result.bitstream.read_text() == "bits"
    assert result.bitstream.with_suffix(".hwh").read_text() == "handoff"
    stamp = result.log.stat().st_mtime_ns
    assert project.synth(tool="vivado") == result
    assert result.log.stat().st_mtime_ns == stamp
    # Another release builds anew.
    stub.setenv("VERSION", "2024.1")
    project.synth(tool="vivado")
    assert result.log.stat().st_mtime_ns != stamp
    # So do other constants.
    thresholds = project.folder / "n1_thresholds0.mem"
    thresholds.write_text(thresholds.read_text().replace("1", "2"))
    assert project.synth(tool="vivado").bitstream.parent != result.bitstream.parent


def test_the_network_alone_is_placed_out_of_context(tmp_path: Path, stub: pytest.MonkeyPatch):
    for board, part in (("zcu104", "xczu7ev-ffvc1156-2-e"), ("arty-a7-100", "xc7a100tcsg324-1")):
        project = rtl.emit(small_graph(), boards.load(board), tmp_path / board, cycles=100)
        result = project.synth(tool="vivado-ooc")
        names = [call.split()[0] for call in calls(result.log)]
        flow = ["synth_design", "opt_design", "place_design", "phys_opt_design", "route_design", "write_checkpoint"]
        assert [name for name in names if name in flow] == flow
        assert (
            f"synth_design -top network -part {part} -mode out_of_context -max_dsp {boards.load(board).dsp}"
            in calls(result.log)
        )
        assert "write_bitstream" not in names
        assert (result.status, result.bitstream, result.report.lut) == ("done", None, 9817)
    assert (project.folder / backend.PLACE / "clock.xdc").read_text() == (
        "create_clock -name clk -period 10.000 [get_ports clk]\n"
    )


@pytest.mark.parametrize("tool", ["vivado", "vivado-ooc"])
@pytest.mark.parametrize(
    ("slacks", "sentence"),
    [
        ({"SETUP": "-0.250"}, "timing is not met: worst slack of setup -0.250 ns, of hold 0.031 ns"),
        ({"HOLD": "-0.001"}, "timing is not met: worst slack of setup 0.512 ns, of hold -0.001 ns"),
        ({"VERDICT": MISSED, "TIMING": ""}, "timing is not met: see "),
    ],
)
def test_missed_timing_ends_the_script_with_3(tmp_path, stub, tool: str, slacks: dict[str, str], sentence: str):
    for name, value in slacks.items():
        stub.setenv(name, value)
    project = emitted(tmp_path)
    design = backend.Design(project.folder, boards.load("pynq-z2"), PORTS, 6, tool)
    folder = project.folder / design.write()
    folder.mkdir()
    done = vivado.run([vivado.locate().path, *vivado.command(design.script)[1:]], folder=project.folder)
    assert done.returncode == vivado.TIMING_MISSED
    assert done.output.splitlines()[-1].startswith(f"codesign: stopped: {sentence}")
    assert not (folder / "network.bit").exists()
    assert (folder / "finished").exists()


PORTS = backend.Ports(3, 2, 4, 2, 3)


def test_a_clock_that_is_too_fast_is_a_report_without_bitstream(tmp_path: Path, stub: pytest.MonkeyPatch):
    stub.setenv("SETUP", "-0.250")
    report(tmp_path, stub, timing("-0.250", verdict=MISSED))
    result = emitted(tmp_path).synth(tool="vivado")
    assert (result.status, result.bitstream) == ("done", None)
    assert result.report.fmax_mhz == round(1000 / 10.25, 3)


def test_a_missed_hold_time_is_told(tmp_path: Path, stub: pytest.MonkeyPatch):
    stub.setenv("HOLD", "-0.250")
    report(tmp_path, stub, timing(hold="-0.250", verdict=MISSED))
    with pytest.raises(UserError, match=r"missed a hold time or a pulse width, .*; see .*timing\.rpt"):
        emitted(tmp_path).synth(tool="vivado")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"FAIL": "validate_bd_design"}, "validating the block design failed: ERROR: "),
        ({"FAIL": "write_bitstream"}, "writing the bitstream failed: "),
        ({"FAIL": "add_files"}, "making the project failed: "),
        ({"PROGRESS": "37%"}, "synthesis failed: place_design ERROR, see the log of synth_1"),
        ({"NO_CORE": "axi_dma"}, "making the block design failed: this Vivado has no core axi_dma"),
        ({"SETUP": ""}, "reports failed: no path has a clock"),
        ({"SETUP": "inf?"}, "reports failed: the slack is 'inf\\?', which is no number"),
    ],
)
def test_a_step_that_fails_is_named(tmp_path: Path, stub: pytest.MonkeyPatch, setting: dict[str, str], sentence: str):
    for name, value in setting.items():
        stub.setenv(name, value)
    project = emitted(tmp_path)
    with pytest.raises(UserError, match=rf"Vivado failed: {sentence}.*See .*vivado\.log\.$") as told:
        project.synth(tool="vivado")
    assert "\n" not in str(told.value)
    # Nothing is taken for a result.
    assert not list(project.folder.rglob("finished"))
    for name in setting:
        stub.delenv(name)
    assert project.synth(tool="vivado").bitstream is not None


@pytest.mark.parametrize(("tool", "step"), [("vivado-ooc", "place_design"), ("vivado", "close_design")])
def test_a_design_too_large_to_place_is_counted_and_kept(tmp_path, stub: pytest.MonkeyPatch, tool: str, step: str):
    report(tmp_path, stub, timing(), UTILIZATION.replace(" 9817 ", "99817 "))
    stub.setenv("FAIL", step)
    project = emitted(tmp_path)
    result = project.synth(tool=tool)
    assert (result.status, result.bitstream, result.report.stage) == ("done", None, "logic synthesis")
    assert result.report.exceeds(boards.load("pynq-z2").resources()) == ["lut"]
    stamp = result.log.stat().st_mtime_ns
    assert project.synth(tool=tool) == result
    assert result.log.stat().st_mtime_ns == stamp
    # It is found where Vivado is not, too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vivado, "locate", lambda: None)
        found = project.synth(tool=tool)
    assert (found.found, found.report) == (True, result.report)
    # Another release may make it smaller.
    stub.setenv("VERSION", "2024.1")
    project.synth(tool=tool)
    assert result.log.stat().st_mtime_ns != stamp


def test_a_result_that_is_not_read_is_made_anew(tmp_path: Path, stub: pytest.MonkeyPatch):
    project = emitted(tmp_path)
    result = project.synth(tool="vivado-ooc")
    (result.log.parent / "utilization.rpt").unlink()
    assert project.synth(tool="vivado-ooc") == result


def test_a_failure_of_a_design_that_fits_is_not_kept(tmp_path: Path, stub: pytest.MonkeyPatch):
    stub.setenv("FAIL", "place_design")
    project = emitted(tmp_path)
    with pytest.raises(UserError, match="Vivado failed: "):
        project.synth(tool="vivado-ooc")
    stub.delenv("FAIL")
    assert project.synth(tool="vivado-ooc").report.stage == "place and route"


def test_unknown_commands_options_and_pins_would_be_found(tmp_path: Path, stub: pytest.MonkeyPatch):
    project = emitted(tmp_path)
    design = backend.Design(project.folder, boards.load("pynq-z2"), PORTS, 6, "vivado")
    design.write()
    script = project.folder / design.script
    text = script.read_text()
    for old, new in (
        ("validate_bd_design", "validate_bd"),
        ("-norecurse", "-recursive"),
        ("wire ps7/FCLK_RESET0_N reset/ext_reset_in", ""),
        ("dma/mm2s_introut", "dma/mm2s_interrupt"),
        ("bus memory/M00_AXI ps7/S_AXI_HP0", ""),
        ("CONFIG.c_include_sg", "CONFIG.c_has_sg"),
    ):
        assert old in text
        script.write_text(text.replace(old, new))
        done = vivado.run([vivado.locate().path, *vivado.command(design.script)[1:]], folder=project.folder)
        assert done.returncode == 1, new
        assert "codesign: stopped: " in done.output


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(("tool", "script"), [("vivado", "build"), ("vivado-ooc", "out_of_context")])
def test_without_vivado_everything_is_written_and_the_command_told(tmp_path: Path, tool: str, script: str):
    project = rtl.emit(small_graph(), boards.load("pynq-z2"), tmp_path / "it's a project", cycles=100)
    result = project.synth(tool=tool)
    assert (result.status, result.tool, result.report) == ("tool-missing", "Vivado", None)
    assert result.command.endswith(f"project' && vivado -mode batch -source build/vivado/{script}.tcl")
    assert {f"{script}.tcl", "common.tcl", f"{script}_settings.tcl"} <= {
        path.name for path in (project.folder / backend.PLACE).iterdir()
    }
    first = {path.name: path.read_bytes() for path in (project.folder / backend.PLACE).iterdir()}
    other = rtl.emit(small_graph(), boards.load("pynq-z2"), tmp_path / "other", cycles=100)
    other.synth(tool=tool)
    assert first == {path.name: path.read_bytes() for path in (other.folder / backend.PLACE).iterdir()}


def test_a_run_by_hand_is_found(tmp_path: Path, stub: pytest.MonkeyPatch):
    project = emitted(tmp_path)
    stub_tool = vivado.locate()
    stub.setattr(vivado, "locate", lambda: None)
    assert project.synth(tool="vivado").status == "tool-missing"
    vivado.run([stub_tool.path, "-mode", "batch", "-source", "build/vivado/build.tcl"], folder=project.folder)
    result = project.synth(tool="vivado")
    assert (result.status, result.found, result.report.lut) == ("done", True, 9817)
    assert result.bitstream.is_file()


def test_a_run_by_hand_of_a_design_too_large_is_found(tmp_path: Path, stub: pytest.MonkeyPatch):
    report(tmp_path, stub, timing(), UTILIZATION.replace(" 9817 ", "99817 "))
    project = emitted(tmp_path)
    stub_tool = vivado.locate()
    stub.setattr(vivado, "locate", lambda: None)
    project.synth(tool="vivado-ooc")
    stub.setenv("FAIL", "place_design")
    script = ["-mode", "batch", "-source", "build/vivado/out_of_context.tcl"]
    assert vivado.run([stub_tool.path, *script], folder=project.folder).returncode == 1
    result = project.synth(tool="vivado-ooc")
    assert (result.status, result.found, result.report.lut) == ("done", True, 99817)
    # One that ended otherwise is no result.
    report(tmp_path, stub, timing())
    assert vivado.run([stub_tool.path, *script], folder=project.folder).returncode == 1
    assert project.synth(tool="vivado-ooc").status == "tool-missing"


@pytest.mark.usefixtures("missing")
def test_names_of_users_reach_no_script(tmp_path: Path):
    clean, dirty = (
        rtl.emit(small_graph(label=label, name=name), boards.load("pynq-z2"), tmp_path / folder, cycles=100)
        for folder, label, name in (("clean", "", "n"), ("dirty", EVIL, EVIL))
    )
    for project in (clean, dirty):
        project.synth(tool="vivado")
    texts = [
        {path.name: path.read_text() for path in (project.folder / backend.PLACE).iterdir()}
        for project in (clean, dirty)
    ]
    assert texts[0] == texts[1]


@pytest.mark.usefixtures("missing")
def test_a_file_whose_name_tcl_would_read_is_refused(tmp_path: Path):
    project = emitted(tmp_path)
    (project.folder / "a}; exec touch pwned; {.sv").write_text("")
    with pytest.raises(UserError, match="cannot be given to Vivado; rename the file"):
        project.synth(tool="vivado")


@pytest.mark.parametrize(
    ("board", "tool", "sentence"),
    [
        ("ulx3s-85f", "vivado", "Vivado builds for parts of AMD; ulx3s-85f has a Lattice part: leave --tool out."),
        ("ulx3s-85f", "vivado-ooc", "ulx3s-85f has a Lattice part"),
        ("arty-a7-100", "vivado", "are made for zynq-7000 boards; arty-a7-100 is artix-7: --tool vivado-ooc builds"),
        ("kv260", "vivado", "kv260 is zynq-ultrascale+: --tool vivado-ooc builds the network alone."),
    ],
)
def test_boards_that_are_not_built_for_are_told(tmp_path: Path, board: str, tool: str, sentence: str):
    with pytest.raises(UserError, match=re.escape(sentence)):
        rtl.require_tool(boards.load(board), tool)
    with pytest.raises(UserError, match=re.escape(sentence)):
        emitted(tmp_path, board).synth(tool=tool)


def test_a_zynq_without_its_memory_is_told():
    board = msgspec.structs.replace(boards.load("pynq-z2"), processor=None)
    with pytest.raises(UserError, match=r"the board pynq-z2 has no table \[processor\]; add one, or --tool vivado-ooc"):
        rtl.require_tool(board, "vivado")
    rtl.require_tool(board, "vivado-ooc")
    rtl.require_tool(board, "yosys")


@pytest.mark.usefixtures("missing")
def test_a_word_wider_than_the_dma_is_told(tmp_path: Path):
    builder = GraphBuilder("wide")
    weights = np.random.default_rng(0).integers(-2, 2, (2, 200))
    graph = builder.build(builder.add(Dense(weights), builder.input((2,), IntType(4, signed=True))))
    project = rtl.emit(graph, boards.load("pynq-z2"), tmp_path / "p", cycles=1, folds={"n0": {"pe": 200}})
    assert json.loads((project.folder / "map.json").read_text())["output"]["lanes"] == 200
    with pytest.raises(UserError, match="wider than the 1024 of AXI DMA"):
        project.synth(tool="vivado")
    assert project.synth(tool="vivado-ooc").status == "tool-missing"


def test_missing_and_garbled_reports_are_told(tmp_path: Path, stub: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=r"cannot read the report .*timing\.rpt: No such file"):
        vivado.read_timing(tmp_path / "timing.rpt")
    with pytest.raises(UserError, match="cannot read the utilization report"):
        vivado.read_report(tmp_path / "none.rpt", None)
    report(tmp_path, stub, "\n" + MET, UTILIZATION)
    with pytest.raises(UserError, match=r"timing\.rpt is no timing summary of Vivado"):
        emitted(tmp_path).synth(tool="vivado")
    report(tmp_path, stub, timing(), "nothing")
    with pytest.raises(UserError, match="is no utilization report of Vivado"):
        rtl.emit(small_graph(1), boards.load("pynq-z2"), tmp_path / "q", cycles=100).synth(tool="vivado")


def test_the_doctor_finds_it(stub: pytest.MonkeyPatch):
    (found,) = (locate() for name, locate, _ in inventory._TOOLS if name == "Vivado")
    assert (found.name, found.version) == ("vivado", "2023.2")
