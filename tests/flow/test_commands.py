"""Whole commands on a small model, as a user or a script types them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import CommandLine


def files(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` but the compiled simulation."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "build" not in path.relative_to(folder).parts
    }


def test_models_and_boards_are_listed(codesign: CommandLine):
    listed = {entry["name"]: entry for entry in codesign("models", "--json").json["models"]}
    keys = {
        "framework",
        "dataset",
        "weight_bits",
        "activation_bits",
        "accuracy",
        "float_accuracy",
        "parameters",
        "macs",
    }
    assert keys <= listed["toy_w3"].keys()
    assert (listed["toy_w3"]["weight_bits"], listed["toy_w3"]["trained"]) == (3, True)
    assert "toy_w3" in codesign("models").out
    boards = {entry["name"]: entry for entry in codesign("boards", "--json").json["boards"]}
    assert boards["pynq-z2"]["bram36"] == 140
    assert boards["ulx3s-85f"]["bram18"] == 208
    assert "xc7z020clg400-1" in codesign("boards").out


def test_doctor_tells_what_is_missing_and_what_it_would_give(codesign: CommandLine):
    items = {item["name"]: item for item in codesign("doctor", "--json").json["items"]}
    assert items["g++"]["found"]
    assert items["g++"]["version"][0].isdigit()
    assert all(item["gives"] for item in items.values())
    assert codesign("doctor").code == 0


def test_synth_goes_to_an_exact_simulation_and_says_what_is_missing(
    codesign: CommandLine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("XILINX_HLS", raising=False)
    monkeypatch.delenv("XILINX_VITIS", raising=False)
    if shutil.which("vitis-run") or shutil.which("vitis_hls"):
        pytest.skip("Vitis HLS is installed here")
    made = codesign("synth", "toy_w3", "--vectors", "6", "--json")
    assert made.code == 0
    result = made.json
    assert (result["status"], result["tool"]) == ("tool-missing", "Vitis HLS")
    assert (result["differences"], result["vectors"], result["bitstream"], result["lut"]) == (
        0,
        6,
        None,
        None,
    )
    folder = codesign.folder / result["folder"]
    assert folder == codesign.folder / "build" / "toy_w3" / "pynq-z2" / "hls4ml"
    assert "cd build/toy_w3/pynq-z2/hls4ml && vitis-run --mode hls --tcl build.tcl" in result["command"]
    assert (folder / "build.tcl").is_file()

    before = files(folder)
    again = codesign("synth", "toy_w3", "--vectors", "2")
    assert again.code == 0
    assert "is not installed here" in again.out
    assert files(folder) == before

    # The report knows what was verified, and of which graph.
    told = codesign("report", "toy_w3", "--json").json
    content = json.loads((codesign.folder / told["json"]).read_text())
    assert [check["differences"] for check in content["checks"]] == [0]
    assert "vitis-run" in content["synthesis_note"]
    # The second run sent fewer vectors and found nothing either.
    assert "no integer differs, 6 test vectors" in (codesign.folder / told["html"]).read_text()


def test_results_of_the_tool_outlive_every_command(prepared: CommandLine, monkeypatch: pytest.MonkeyPatch):
    from tests.unit.test_toolchain_report import CSYNTH

    monkeypatch.delenv("XILINX_HLS", raising=False)
    monkeypatch.delenv("XILINX_VITIS", raising=False)
    if shutil.which("vitis-run") or shutil.which("vitis_hls"):
        pytest.skip("Vitis HLS is installed here")
    folder = prepared.folder / "build" / "toy_w3" / "pynq-z2" / "hls4ml"
    result = folder / "network_prj" / "solution1" / "syn" / "report" / "csynth.xml"
    result.parent.mkdir(parents=True)
    result.write_text(CSYNTH)
    assert prepared("verify", "toy_w3", "--vectors", "2").code == 0
    read = prepared("synth", "toy_w3", "--vectors", "2", "--json").json
    assert (read["status"], read["report_found"], read["lut"]) == ("done", True, 31222)
    assert "read from the reports found in" in prepared("synth", "toy_w3", "--vectors", "2").out
    other = prepared("emit", "toy_w3", "--clock", "50")
    assert "is kept in build/toy_w3/pynq-z2/hls4ml.old-1" in other.err
    assert (folder.with_name("hls4ml.old-1") / result.relative_to(folder)).read_text() == CSYNTH


def test_synth_reads_the_reports_of_the_tool(prepared: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from tests.unit.test_toolchain_report import CSYNTH

    tool = tmp_path / "bin" / "vitis_hls"
    tool.parent.mkdir()
    (tmp_path / "csynth.xml").write_text(CSYNTH)
    tool.write_text(
        "#!/bin/sh\n"
        '[ "$1" = -version ] && { echo 2023.2; exit; }\n'
        "mkdir -p network_prj/solution1/syn/report\n"
        f"cp {tmp_path}/csynth.xml network_prj/solution1/syn/report/csynth.xml\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("XILINX_HLS", str(tmp_path))
    done = prepared("synth", "toy_w3", "--vectors", "2", "--json")
    assert done.code == 0
    assert done.json["status"] == "done"
    assert (done.json["lut"], done.json["dsp"], done.json["cycles_per_frame"]) == (31222, 7, 36870)

    (tmp_path / "csynth.xml").write_text(CSYNTH.replace("31222", "60000"))
    large = prepared("synth", "toy_w3", "--vectors", "2", "--json")
    assert (large.code, large.json["status"], large.json["exceeds"]) == (1, "does-not-fit", ["lut"])
    shown = prepared("synth", "toy_w3", "--vectors", "2")
    assert "60,000" in shown.out
    assert "too many" in shown.out
    content = json.loads((prepared.folder / prepared("report", "toy_w3", "--json").json["json"]).read_text())
    assert content["fits"] is False

    tool.write_text("#!/bin/sh\necho ERROR: no licence\nexit 1\n")
    failed = prepared("synth", "toy_w3", "--vectors", "2", "--json")
    assert failed.code == 2
    assert "vitis_hls.log" in failed.json["error"]


def test_verify_and_evaluate_agree_with_each_other(prepared: CommandLine):
    verified = prepared("verify", "toy_w3", "--vectors", "20", "--seed", "3", "--json").json
    assert (verified["differences"], verified["vectors"], verified["first_difference"]) == (0, 20, None)
    assert verified["tensors"] > 20
    golden = prepared("evaluate", "toy_w3", "--limit", "40", "--json").json
    simulated = prepared("evaluate", "toy_w3", "--limit", "40", "--backend", "csim", "--json").json
    assert golden["accuracy"] == simulated["accuracy"]
    assert (golden["images"], golden["dataset"]) == (40, "digits")
    assert golden["images_per_second"] > 0
    real = prepared("evaluate", "toy_w3", "--limit", "40", "--backend", "float", "--json").json
    assert abs(real["accuracy"] - golden["accuracy"]) <= 5
    assert real["equal_top1"] > 90

    # The report tells all of it.
    content = json.loads((prepared.folder / prepared("report", "toy_w3", "--json").json["json"]).read_text())
    (check,) = content["checks"]
    assert (check["vectors"], check["differences"], "seed 3" in check["how"]) == (20, 0, True)
    facts = content["model"]["facts"]
    assert "40 test images" in facts["evaluated, C simulation"]
    assert "decide alike" in facts["evaluated, float32 model"]


def test_the_model_in_float64_says_nothing_of_the_hardware(codesign: CommandLine):
    assert codesign("verify", "toy_w3", "--backend", "float64", "--vectors", "4").code == 0
    told = codesign("report", "toy_w3", "--json").json
    checks = json.loads((codesign.folder / told["json"]).read_text())["checks"]
    assert [(check["kind"], check["done"]) for check in checks] == [("csim", False), ("float64", True)]
    page = (codesign.folder / told["html"]).read_text()
    assert "Not verified in simulation yet" in page
    assert "no integer differs" not in page


@pytest.fixture
def broken_emission(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every emitted project has a wrong threshold."""
    from codesign.backends import hls4ml

    emit = hls4ml.emit

    def broken(*arguments: Any, **options: Any) -> Any:
        project = emit(*arguments, **options)
        header = project.folder / "firmware" / "weights" / "n1_threshold.h"
        lowest = re.search(r"\{(-?\d+),", header.read_text())
        assert lowest is not None
        header.write_text(header.read_text().replace(lowest[0], f"{{{int(lowest[1]) - 9},", 1))
        return project

    monkeypatch.setattr(hls4ml, "emit", broken)


@pytest.mark.usefixtures("broken_emission")
def test_a_broken_simulation_is_found_and_named(codesign: CommandLine):
    found = codesign("verify", "toy_w3", "--vectors", "30", "--json")
    assert found.code == 1
    assert found.json["differences"] > 0
    assert found.json["first_difference"]["operator"] == "threshold"
    refused = codesign("synth", "toy_w3", "--vectors", "30", "--json")
    assert (refused.code, refused.json["status"]) == (1, "differs")
    assert refused.json["differences"] > 0
    assert refused.json["first_difference"]["node"] == "n1"
    assert (refused.json["lut"], refused.json["bitstream"]) == (None, None)


@pytest.mark.usefixtures("broken_emission")
def test_vectors_that_a_broken_simulation_does_not_give_are_not_recorded(
    codesign: CommandLine, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = tmp_path / "own"
    shutil.copytree(models, own)
    monkeypatch.setenv("CODESIGN_MODELS", str(own))
    refused = codesign("csim", "toy_w3", "--update", "--json")
    assert (refused.code, refused.json["recorded"]) == (1, False)
    assert "C-simulation gives other integers, first at n1" in refused.json["changes"][0]
    assert not list(own.glob("*.vectors.json"))


def test_csim_records_and_checks_vectors(
    codesign: CommandLine, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = tmp_path / "own"
    shutil.copytree(models, own)
    monkeypatch.setenv("CODESIGN_MODELS", str(own))
    missing = codesign("csim", "toy_w3", "--json")
    assert missing.code == 2
    assert "--update" in missing.json["error"]
    assert "recorded 4 vectors" in codesign("csim", "toy_w3", "--update", "--count", "4").out
    assert codesign("csim", "toy_w3", "--check", "--json").json["changes"] == []

    # Another input scale is another network.
    toml = own / "toy_w3.toml"
    toml.write_text(toml.read_text().replace("0.0625", "0.125"))
    changed = codesign("csim", "toy_w3", "--check", "--json")
    assert changed.code == 1
    assert changed.json["changes"]
    renewed = codesign("csim", "toy_w3", "--update").out
    assert "recorded 4 vectors anew; what changed" in renewed
    assert "before" not in renewed
    assert codesign("csim", "toy_w3").code == 0
    assert "6 vectors, 4 before" in codesign("csim", "toy_w3", "--update", "--count", "6").out


def test_emit_takes_a_path_and_makes_the_same_bytes(codesign: CommandLine, models: Path):
    made = codesign("emit", str(models / "toy_w3.toml"), "--board", "zcu104", "--json").json
    first = files(codesign.folder / made["folder"])
    shutil.rmtree(codesign.folder / "build")
    assert codesign("emit", "toy_w3", "--board", "zcu104", "--json").json == made
    assert files(codesign.folder / made["folder"]) == first
    assert any("xczu7ev" in content.decode(errors="ignore") for content in first.values())
