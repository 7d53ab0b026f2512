"""The emitted hls4ml project: its files, its compiler, its C simulation, its synthesis."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from codesign import backends, boards
from codesign.backends import base, hls4ml
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Add, ArgMax, Conv2d, Dense, Dyadic, Flatten, Threshold

BOARD = boards.load("pynq-z2")
EVIL = '"; system("rm -rf /")\n#include </etc/passwd>\n*/ $(touch pwned) [exec touch pwned] \\'


def small_graph(label: str = "", name: str = "small", seed: int = 0) -> Graph:
    rng = np.random.default_rng(seed)
    builder = GraphBuilder(name)
    x = builder.input((4, 4, 2), IntType(4, signed=False))
    conv = builder.add(Conv2d(rng.integers(-4, 4, (3, 3, 2, 3)), padding=1), x, label=label)
    low = builder.add(Threshold(np.sort(rng.integers(-20, 20, (3, 3)), axis=1)), conv, label=label)
    flat = builder.add(Flatten(), low, label=label)
    return builder.build(builder.add(Dense(rng.integers(-4, 4, (48, 5))), flat, label=label))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "build" not in path.relative_to(folder).parts
    }


def frames(graph: Graph, count: int = 5) -> np.ndarray:
    type = graph.input.type
    return np.random.default_rng(1).integers(type.min, type.max + 1, size=(count, *graph.input.shape))


def test_the_backend_keeps_the_protocol(tmp_path):
    backend = backends.load("hls4ml")
    assert isinstance(backend, base.Backend)
    assert isinstance(backend.emit(small_graph(), BOARD, tmp_path / "p"), base.Project)
    assert "hls4ml" in backends.names()
    with pytest.raises(UserError, match="did you mean hls4ml"):
        backends.load("hls4m")


def test_the_same_graph_makes_the_same_bytes(tmp_path):
    for io_type in ("io_stream", "io_parallel"):
        one = hls4ml.emit(small_graph(), BOARD, tmp_path / io_type / "one", io_type=io_type)
        two = hls4ml.emit(small_graph(), BOARD, tmp_path / "elsewhere" / io_type / "two", io_type=io_type)
        assert contents(one.folder) == contents(two.folder)
        for path, data in contents(one.folder).items():
            assert str(tmp_path).encode() not in data, path
    other = hls4ml.emit(small_graph(seed=1), BOARD, tmp_path / "three")
    assert contents(other.folder) != contents(two.folder)


def test_the_folder_holds_what_an_hls4ml_user_expects(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p", clock_mhz=125.0)
    names = set(contents(project.folder))
    assert {
        "build_prj.tcl",
        "build.tcl",
        "project.tcl",
        "build_lib.sh",
        "hls4ml_config.yml",
        "firmware/network.cpp",
        "firmware/network.h",
        "firmware/parameters.h",
        "firmware/defines.h",
        "firmware/weights/n0_weight.h",
        "firmware/nnet_utils/conv2d.h",
        "firmware/ap_types/ap_int.h",
        "network_test.cpp",
        "network_bridge.cpp",
        "tb_data/tb_input_features.dat",
        "tb_data/tb_output_predictions.dat",
    } <= names
    settings = (project.folder / "project.tcl").read_text()
    assert f'set part "{BOARD.part}"' in settings
    assert "set clock_period 8.0" in settings
    assert 'set backend "vitis"' in settings


def test_labels_reach_no_generated_code(tmp_path):
    clean = contents(hls4ml.emit(small_graph(), BOARD, tmp_path / "clean").folder)
    dirty = contents(hls4ml.emit(small_graph(EVIL, name=EVIL), BOARD, tmp_path / "dirty").folder)
    differing = {path for path in clean if clean[path] != dirty[path]}
    assert clean.keys() == dirty.keys()
    no_code = {"graph.cdg", "map.json", "files.sha256"}
    assert differing <= no_code
    assert not any(b"pwned" in data for path, data in dirty.items() if path not in no_code)


def test_a_failed_emission_leaves_the_old_project(tmp_path, monkeypatch):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    before = contents(project.folder)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("codesign.ir.save", full)
    with pytest.raises(UserError, match="No space left"):
        hls4ml.emit(small_graph(seed=3), BOARD, tmp_path / "p")
    assert contents(project.folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"io_type": "io_serial"}, "io_stream or io_parallel"),
        ({"strategy": "Fast"}, "Resource or Latency"),
        ({"reuse_factor": 0}, "from 1 on"),
        ({"reuse_factor": {"n99": 4}}, "no node 'n99'"),
        ({"clock_mhz": 0.0}, "1 to 1000 MHz"),
        ({"colour": "red"}, "no option 'colour'"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path, options, words):
    with pytest.raises(UserError, match=re.escape(words)):
        hls4ml.emit(small_graph(), BOARD, tmp_path / "p", **options)
    assert not (tmp_path / "p").exists()


def test_a_graph_without_operators_is_refused(tmp_path):
    builder = GraphBuilder()
    x = builder.input((3,), IntType(3, signed=False))
    with pytest.raises(UserError, match="at least one operator"):
        hls4ml.emit(builder.build(x), BOARD, tmp_path / "p")


def test_run_equals_golden_with_and_without_trace(tmp_path):
    graph = small_graph()
    project = hls4ml.emit(graph, BOARD, tmp_path / "p")
    x = frames(graph, 37)
    assert np.array_equal(project.run(x, workers=1), golden.run(graph, x))
    assert np.array_equal(project.run(x, workers=2), golden.run(graph, x))
    traced, expected = project.run(x, trace=True), golden.run(graph, x, trace=True)
    assert traced.keys() == expected.keys()
    assert all(np.array_equal(traced[edge], expected[edge]) for edge in expected)
    again = hls4ml.open_project(project.folder)
    assert np.array_equal(again.run(x[:1]), golden.run(graph, x[:1]))
    assert project.run(x[:0]).shape == (0, 5)


def test_the_same_sources_are_compiled_once(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    binary = project.compile(optimise=False)
    stamp = binary.stat().st_mtime_ns
    assert project.compile(optimise=False) == binary
    assert binary.stat().st_mtime_ns == stamp
    header = project.folder / "firmware" / "weights" / "n0_weight.h"
    header.write_text(header.read_text() + "// changed\n")
    assert project.compile(optimise=False) != binary


def test_an_optimised_binary_survives_emitting_the_same_again(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    binary = project.compile()
    hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    assert binary.is_file()
    hls4ml.emit(small_graph(seed=1), BOARD, tmp_path / "p")
    assert not binary.is_file()


def test_refused_sources_name_the_log(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    (project.folder / "firmware" / "parameters.h").write_text("#error broken\n")
    with pytest.raises(UserError, match=r"see .*compile\.log"):
        project.compile()
    assert "broken" in (project.folder / "build" / "compile.log").read_text()


def test_a_missing_compiler_is_named(tmp_path, monkeypatch):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="needs g\\+\\+"):
        project.compile()


def test_a_folder_without_project_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot read"):
        hls4ml.open_project(tmp_path)
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    (project.folder / "build_csim.sh").unlink()
    with pytest.raises(UserError, match="emit it again"):
        project.compile()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("data.read();", "data.read(); abort();", "ended with code -6"),
        ("res.write(out);", "res.write(out); res.write(out);", "contains leftover data"),
        ("pixel = data.read();", "{ data.read(); pixel = data.read(); }", "is read while empty"),
    ],
)
def test_crashes_and_unbalanced_streams_are_errors(tmp_path, old, new, words):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    header = project.folder / "firmware" / "nnet_utils" / "conv2d.h"
    assert old in header.read_text()
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(UserError, match=words):
        project.run(frames(project.graph), optimise=False)


def test_a_simulation_that_hangs_is_stopped(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    header = project.folder / "firmware" / "nnet_utils" / "dense.h"
    header.write_text(header.read_text().replace("Gather:", "while (true) {}\nGather:"))
    project.compile(optimise=False)
    with pytest.raises(UserError, match="did not finish within 1 s"):
        project.run(frames(project.graph), optimise=False, timeout_s=1.0)


def compiled_test_bench(project: hls4ml.Hls4mlProject) -> subprocess.CompletedProcess:
    """Do what Vitis HLS does for C simulation: compile test bench and design as C++11, run in the project."""
    subprocess.run(
        ["g++", "-std=c++0x", "-w", "-Ifirmware/ap_types", "network_test.cpp", "firmware/network.cpp", "-o", "bench"],
        cwd=project.folder,
        check=True,
    )
    return subprocess.run(["./bench"], cwd=project.folder, capture_output=True, text=True, check=False)


def test_the_test_bench_passes_and_fails_on_a_wrong_integer(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p", vectors=3)
    done = compiled_test_bench(project)
    assert (done.returncode, done.stdout) == (0, "3 frames, 0 differing integers\n")
    predictions = project.folder / "tb_data" / "tb_output_predictions.dat"
    assert (project.folder / "tb_data" / "csim_results.log").read_text() == predictions.read_text()
    values = predictions.read_text().split(" ", 1)
    predictions.write_text(f"{int(values[0]) + 1} {values[1]}")
    done = subprocess.run([project.folder / "bench"], cwd=project.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "frame 0 output 0" in done.stderr


@pytest.mark.slow
def test_hls4ml_builds_its_own_library_from_the_folder(tmp_path):
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    subprocess.run(["bash", "build_lib.sh"], cwd=project.folder, check=True)
    assert list((project.folder / "firmware").glob("network-*.so"))


def test_synth_without_the_tool_says_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XILINX_HLS", raising=False)
    monkeypatch.delenv("XILINX_VITIS", raising=False)
    folder = tmp_path / "with space" / "p"
    result = hls4ml.emit(small_graph(), BOARD, folder).synth()
    assert result.status == "tool-missing"
    assert result.tool == "Vitis HLS"
    assert result.command == f"cd '{folder}' && vitis-run --mode hls --tcl build.tcl"


REPORT = """<profile><ReportVersion><Version>2024.1</Version></ReportVersion>
<UserAssignments><TargetClockPeriod>10.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>7.3</EstimatedClockPeriod>
</SummaryOfTimingAnalysis><SummaryOfOverallLatency><Worst-caseLatency>321</Worst-caseLatency>
<Interval-max>300</Interval-max></SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>3</BRAM_18K><DSP>2</DSP><FF>900</FF><LUT>1234</LUT></Resources></AreaEstimates>
</profile>"""


def test_synth_runs_the_tool_and_reads_its_report(tmp_path, monkeypatch):
    """A stand-in for Vitis HLS that checks how it is called and leaves a report of the real format."""
    tool = tmp_path / "bin" / "vitis-run"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -version ] && { echo 2024.1; exit 0; }\n'
        '[ "$*" = "--mode hls --tcl build.tcl" ] && [ -f build.tcl ] || exit 3\n'
        "mkdir -p network_prj/solution1/syn/report\n"
        f"cat > network_prj/solution1/syn/report/csynth.xml <<'END'\n{REPORT}\nEND\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("XILINX_HLS", str(tmp_path))
    result = hls4ml.emit(small_graph(), BOARD, tmp_path / "p").synth()
    assert result.status == "done"
    assert result.report is not None
    assert (result.report.lut, result.report.dsp, result.report.cycles_per_frame) == (1234, 2, 300)


@pytest.mark.skipif(shutil.which("tclsh") is None, reason="needs tclsh")
def test_the_script_runs_in_tcl(tmp_path):
    """The commands of Vitis HLS are replaced by ones that write down their arguments."""
    project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p")
    stub = "proc unknown args { puts $args }\n"
    (tmp_path / "main.tcl").write_text(f"{stub}source p/build.tcl\n")
    done = subprocess.run(["tclsh", "main.tcl"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "set_top network" in done.stdout
    assert f"set_part {BOARD.part}" in done.stdout
    assert "csynth_design" in done.stdout
    assert project.folder.is_dir()


def test_reuse_factors_are_chosen_for_the_board_and_rounded(tmp_path):
    import yaml

    def factors(**options) -> dict[str, int]:
        project = hls4ml.emit(small_graph(), BOARD, tmp_path / "p", **options)
        config = yaml.safe_load((project.folder / "hls4ml_config.yml").read_text())
        return {name: layer["ReuseFactor"] for name, layer in config["HLSConfig"]["LayerName"].items()}

    assert set(factors(strategy="Latency").values()) == {1}
    # 18 inputs and 3 outputs: divisors of both; 10 lies nearest to 9.
    assert factors(reuse_factor={"n0": 10})["n0"] == 9
    assert factors(reuse_factor=10**9)["n3"] == 48 * 5


def test_many_readers_of_one_edge(tmp_path):
    builder = GraphBuilder()
    x = builder.input((3,), IntType(2, signed=True))
    total = builder.add(Dense(np.eye(3, dtype=np.int64)), x)
    for _ in range(9):
        total = builder.add(Add(), total, x)
    wide = builder.add(Dyadic(np.array([3]), np.array([1]), np.array([1]), IntType(9, True)), total)
    graph = builder.build(builder.add(ArgMax(), wide))
    project = hls4ml.emit(graph, BOARD, tmp_path / "p")
    x = frames(graph, 20)
    traced, expected = project.run(x, trace=True, optimise=False), golden.run(graph, x, trace=True)
    assert all(np.array_equal(traced[edge], expected[edge]) for edge in expected)


def test_a_board_of_another_vendor_is_refused(tmp_path):
    with pytest.raises(UserError, match="ulx3s-85f has a Lattice part"):
        hls4ml.emit(small_graph(), boards.load("ulx3s-85f"), tmp_path / "project")
    assert not (tmp_path / "project").exists()
