"""`codesign synth --tool vivado`, with the stand-in for Vivado of tests/unit; nothing is simulated here."""

from __future__ import annotations

from pathlib import Path

import pytest

from codesign.backends import rtl
from codesign.backends.rtl import axi_stream
from codesign.cli.work import Work
from codesign.toolchain import vivado
from codesign.verify.compare import VerifyResult

from ..unit.test_vivado import report
from ..unit.test_vivado import stub as stub
from ..unit.test_vivado_reports import MISSED, timing
from .conftest import CommandLine

COMMAND = ("synth", "toy_w3", "--backend", "rtl", "--vectors", "2", "--tool")


@pytest.fixture(autouse=True)
def no_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    equal = VerifyResult(differences=0, vectors=2, tensors=1, integers=9, first_difference=None)
    monkeypatch.setattr(rtl.RtlProject, "compile", lambda *_: None)
    monkeypatch.setattr(Work, "verify", lambda *_: equal)


def test_without_vivado_its_command_is_told(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(vivado, "locate", lambda: None)
    found = codesign(*COMMAND, "vivado", "--json")
    told = found.json
    assert found.code == 0
    assert (told["status"], told["tool"], told["bitstream"]) == ("tool-missing", "Vivado", None)
    assert told["command"].endswith("/rtl && vivado -mode batch -source build/vivado/build.tcl")
    place = codesign.folder / told["folder"] / "build" / "vivado"
    assert {"build.tcl", "build_settings.tcl", "network_axi_stream.v"} <= {path.name for path in place.iterdir()}


def test_the_bitstream_is_told(codesign: CommandLine, stub: pytest.MonkeyPatch):
    told = codesign(*COMMAND, "vivado", "--json").json
    assert (told["status"], told["tool"], told["exceeds"]) == ("done", "Vivado 2023.2", [])
    assert (told["lut"], told["ff"], told["bram36"], told["dsp"]) == (9817, 12345, 17.5, 5)
    assert told["frames_per_second"] == round(1e6 * told["fmax_mhz"] / told["cycles_per_frame"], 1)
    assert (codesign.folder / told["bitstream"]).name == "network.bit"
    assert "Bitstream for TUL PYNQ-Z2, clocked at 100 MHz: " in codesign(*COMMAND, "vivado").out


def test_a_clock_that_is_too_fast_is_told(codesign: CommandLine, stub: pytest.MonkeyPatch, tmp_path: Path):
    report(tmp_path, stub, timing("-1.000", verdict=MISSED))
    stub.setenv("SETUP", "-1.000")
    found = codesign(*COMMAND, "vivado", "--json")
    assert (found.code, found.json["status"], found.json["exceeds"]) == (1, "does-not-fit", ["clock_mhz"])
    assert found.json["bitstream"] is None
    assert "is clocked at 100 MHz, which is too fast for this design." in codesign(*COMMAND, "vivado").out


def test_the_network_alone_has_no_bitstream(codesign: CommandLine, stub: pytest.MonkeyPatch):
    told = codesign(*COMMAND, "vivado-ooc", "--board", "kv260", "--json").json
    assert (told["status"], told["lut"], told["bitstream"]) == ("done", 9817, None)


def test_a_word_that_is_too_wide_is_told_before_the_simulation(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch):
    compiled = []
    monkeypatch.setattr(rtl.RtlProject, "compile", lambda project: compiled.append(project))
    monkeypatch.setattr(axi_stream, "WIDEST", 4)
    told = codesign(*COMMAND, "vivado")
    assert (told.code, compiled) == (2, [])
    assert "is wider than the 4 of AXI DMA; a larger --cycles makes it narrower." in told.err
    # Out of context there is no AXI stream.
    assert codesign(*COMMAND, "vivado-ooc").code == 0
    assert len(compiled) == 1
