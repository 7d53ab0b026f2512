"""Emitting over a project: results of the tool and edits by hand outlive it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from codesign import boards
from codesign.backends import hls4ml
from codesign.errors import UserError
from codesign.ir import Graph

from .test_hls4ml_project import BOARD, REPORT, contents, small_graph

RESULT = "network_prj/solution1/syn/report/csynth.xml"


@pytest.fixture
def graph() -> Graph:
    return small_graph()


@pytest.fixture
def synthesised(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An emitted project with the report of a run by hand, where the tool itself is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("XILINX_HLS", raising=False)
    monkeypatch.delenv("XILINX_VITIS", raising=False)
    folder = hls4ml.emit(graph, BOARD, tmp_path / "p").folder
    (folder / RESULT).parent.mkdir(parents=True)
    (folder / RESULT).write_text(REPORT)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


def test_the_list_of_files_is_complete_and_true(graph: Graph, tmp_path: Path):
    folder = hls4ml.emit(graph, BOARD, tmp_path / "p").folder
    emitted = contents(folder)
    lines = emitted.pop("files.sha256").decode().splitlines()
    assert dict(reversed(line.split("  ")) for line in lines) == {
        name: hashlib.sha256(data).hexdigest() for name, data in emitted.items()
    }


def test_the_same_emission_keeps_the_folder(graph: Graph, synthesised: Path):
    (synthesised / "build").mkdir()
    (synthesised / "build" / "compile.log").write_text("kept")
    before, inode = contents(synthesised), synthesised.stat().st_ino
    assert hls4ml.emit(graph, BOARD, synthesised).retired is None
    assert contents(synthesised) == before
    assert RESULT in before
    assert synthesised.stat().st_ino == inode
    assert (synthesised / "build" / "compile.log").read_text() == "kept"
    assert names(synthesised) == ["p"]


def test_another_emission_keeps_results_beside(graph: Graph, synthesised: Path):
    project = hls4ml.emit(graph, BOARD, synthesised, clock_mhz=50.0)
    assert project.retired == synthesised.with_name("p.old-1")
    assert (project.retired / RESULT).read_text() == REPORT
    assert not (synthesised / RESULT).exists()
    # Nothing but emitted files is replaced without a trace.
    assert hls4ml.emit(graph, BOARD, synthesised).retired is None
    assert names(synthesised) == ["p", "p.old-1"]


def test_an_edit_by_hand_is_kept_beside(graph: Graph, tmp_path: Path):
    folder = hls4ml.emit(graph, BOARD, tmp_path / "p").folder
    for number in (1, 2):
        (folder / "build_opt.tcl").write_text(f"# mine, {number}\n")
        project = hls4ml.emit(graph, BOARD, folder)
        assert project.retired == folder.with_name(f"p.old-{number}")
        assert (project.retired / "build_opt.tcl").read_text() == f"# mine, {number}\n"
        assert "mine" not in (folder / "build_opt.tcl").read_text()


def test_a_failed_swap_puts_the_old_folder_back(graph: Graph, synthesised: Path, monkeypatch: pytest.MonkeyPatch):
    before, replace = contents(synthesised), os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target) == synthesised and Path(source).name.startswith(".p."):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UserError, match="No space left"):
        hls4ml.emit(graph, BOARD, synthesised, clock_mhz=50.0)
    assert contents(synthesised) == before
    assert names(synthesised) == ["p"]


def test_reports_of_a_run_by_hand_are_read(graph: Graph, synthesised: Path):
    result = hls4ml.emit(graph, BOARD, synthesised).synth()
    assert (result.status, result.found) == ("done", True)
    assert result.report is not None
    assert result.report.lut == 1234
    # Not those of sources that were edited since, nor of another board.
    (synthesised / "firmware" / "defines.h").write_text("// mine\n")
    assert hls4ml.open_project(synthesised).synth().status == "tool-missing"
    assert hls4ml.emit(graph, boards.load("zcu104"), synthesised).synth().status == "tool-missing"
