"""Reports of other tools: reading them, finding the nodes in them, and what estimates become of it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards, estimate
from codesign.backends.finn import layout as finn_layout
from codesign.backends.rtl import estimation, hardware, reported
from codesign.backends.rtl.calibration import designs
from codesign.errors import UserError
from codesign.estimate import corrections
from codesign.toolchain import vendor_reports

from . import vendor_samples as samples

BOARD = boards.load("pynq-z2")
SEED = 1004


@pytest.fixture(scope="module")
def known() -> estimate.Model:
    return estimate.load(BOARD.family)


@pytest.fixture(scope="module")
def found(known: estimate.Model) -> estimation.Estimate:
    drawn = designs.draw(SEED)
    return estimation.network(drawn.graph, BOARD, drawn.folds, known)


@pytest.fixture
def asked(found: estimation.Estimate) -> reported.Asked:
    return reported.Asked("drawn", "pynq-z2", "cycles = 100", found, dict)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODESIGN_CALIBRATION", str(tmp_path / "calibration"))


def scaled(found: estimation.Estimate, lut: float, ff: float, name: str = "{}_unit0") -> dict[str, dict[str, float]]:
    """Cells of every node, other ones than estimated."""
    return {
        name.format(each.node): {
            "lut": round(lut * each.amount.lut), "ff": round(ff * each.amount.ff),
            "bram36": each.amount.bram36, "dsp": each.amount.dsp,
        }
        for each in found.operators
        if each.operator
    }  # fmt: skip


def matched(path: Path, asked: reported.Asked, known: estimate.Model) -> tuple[corrections.Tool, corrections.Report]:
    return reported.matched(path, vendor_reports.read(path), asked, known)


def written(folder: Path, text: str, name: str = "some.rpt") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_flat_report_has_totals_alone(tmp_path: Path) -> None:
    report = vendor_reports.read(written(tmp_path, samples.flat(9817, 12345, 17.5, 5)))
    assert (report.tool, report.release, report.stage) == ("vivado", "Vivado 2023.2", "synthesized")
    assert (report.total, report.parts) == ({"lut": 9817, "ff": 12345, "bram36": 17.5, "dsp": 5}, ())


@pytest.mark.parametrize("percent", [False, True])
def test_the_hierarchy_has_every_instance(tmp_path: Path, percent: bool) -> None:
    units = {"n0_unit0": {"lut": 120, "ff": 80, "bram36": 2.5, "dsp": 3}}
    report = vendor_reports.read(written(tmp_path, samples.hierarchy(units, percent=percent)))
    assert dict(report.parts)["n0_unit0"] == units["n0_unit0"]
    assert dict(report.parts)["(n0_unit0)"]["lut"] == 0
    assert report.total["lut"] == 120


def test_csynth_has_modules_and_block_memories_of_18_kib(tmp_path: Path) -> None:
    own = {"lut": 10, "ff": 20, "bram36": 1.5, "dsp": 1}
    report = vendor_reports.read(written(tmp_path, samples.csynth({"dense_config_n3_s": own}, own), "csynth.xml"))
    assert (report.tool, report.release, report.total) == ("vitis-hls", "Vitis HLS 2023.2", own)
    assert report.parts == (("dense_config_n3_s", own),)


def test_finn_reports_of_both_kinds(tmp_path: Path) -> None:
    layers = {"MVAU_hls_0": {"lut": 500, "ff": 300, "bram36": 2.5, "dsp": 1}}
    made = vendor_reports.read(written(tmp_path, samples.finn(layers, synthesised=True), "post_synth_resources.json"))
    assert (made.tool, made.parts) == ("finn", (("MVAU_hls_0", layers["MVAU_hls_0"]),))
    guess = vendor_reports.read(written(tmp_path, samples.finn(layers, synthesised=False), "estimate.json"))
    assert guess.tool == "finn-estimate"
    assert dict(guess.parts)["MVAU_hls_0"] == {"lut": 500, "bram36": 2.5, "dsp": 1}
    assert guess.total["lut"] == 500


ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><profile>&b;</profile>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/hostname">]><profile>&a;</profile>'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "none of the known reports"),
        ("nothing of the kind", "none of the known reports"),
        (ENTITIES, "document type"),
        (OUTSIDE, "document type"),
        ("<profile>" + "<a>" * 200 + "</a>" * 200 + "</profile>", "too deep"),
        ("<profile><AreaEstimates>", "no valid XML"),
        ("<profile><a/></profile>", "no AreaEstimates/Resources"),
        ("<profile><AreaEstimates><Resources><LUT>5</LUT></Resources></AreaEstimates></profile>", "no LUT or no FF"),
        (
            "<profile><AreaEstimates><Resources><LUT>x</LUT><FF>1</FF></Resources></AreaEstimates></profile>",
            "LUT of the design is 'x'",
        ),
        ("| Slice LUTs | -5 | 0 |", "no number of cells"),
        ("| Slice LUTs | 1e99 | 0 |", "no number of cells"),
        ("| Slice LUTs | nan | 0 |", "no number of cells"),
        ("| Instance | Module | FFs |\n| a | b | 4 |", "no column of total LUTs"),
        ("| Instance | Module | Total LUTs |\n| a | b | many |", "Total LUTs of a is 'many'"),
        ('<RptDoc><tablerow><tablecell contents="Instance"/></tablerow></RptDoc>', "no table of LUTs"),
        ("{", "no valid JSON"),
        ('{"a": ' * 100_000, "no valid JSON"),
        ('{"a": {"LUT": NaN}}', "no valid JSON"),
        ('{"a": {"LUT": 1}, "a": {"LUT": 2}}', "twice"),
        ('{"a": {"LUT": true}}', "no number of cells"),
        ('{"a": {"LUT": [1]}}', "no number of cells"),
        ('{"a": 3}', "no resource report of FINN"),
    ],
)
def test_what_is_no_report_or_damaged_is_told_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as told:
        vendor_reports.read(written(tmp_path, text))
    assert len(str(told.value)) < 500


def test_files_that_are_missing_or_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot read the report"):
        vendor_reports.read(tmp_path / "missing.rpt")
    with pytest.raises(UserError, match="no file of at most"):
        vendor_reports.read(tmp_path)
    monkeypatch.setattr(vendor_reports, "MOST_BYTES", 10)
    with pytest.raises(UserError, match="no file of at most"):
        vendor_reports.read(written(tmp_path, samples.flat(1, 1, 0, 0)))


def test_damaged_files_end_in_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    units = {f"n{i}_unit0": {"lut": 100 + i, "ff": 50, "bram36": 0.5, "dsp": 1} for i in range(3)}
    whole = [
        samples.flat(1, 2, 0.5, 0),
        samples.hierarchy(units),
        samples.hierarchy_xml(units),
        samples.csynth(units, units["n0_unit0"]),
        samples.finn(units, synthesised=True),
    ]
    rng = np.random.default_rng(0)
    for text in whole:
        for _ in range(60):
            content = bytearray(text.encode())
            for _ in range(int(rng.integers(1, 6))):
                content[int(rng.integers(len(content)))] = int(rng.integers(256))
            (tmp_path / "damaged").write_bytes(content[: int(rng.integers(1, len(content) + 1))])
            try:
                report = vendor_reports.read(tmp_path / "damaged")
            except UserError:
                continue
            assert all(value >= 0 for _, usage in report.parts for value in usage.values())


def test_nodes_are_found_in_the_hierarchy(
    tmp_path: Path, asked: reported.Asked, found: estimation.Estimate, known: estimate.Model
) -> None:
    path = written(tmp_path, samples.hierarchy(scaled(found, 0.8, 1.1)))
    tool, report = matched(path, asked, known)
    assert tool == "vivado"
    assert report.nodes == [each.node for each in found.operators if each.operator]
    file = add(tool, [report], known)
    correction = corrections.load(tool, BOARD.family, known.fit)
    assert correction.path == file
    assert correction.factors["lut"] == pytest.approx(0.8, rel=0.01)
    assert correction.factors["ff"] == pytest.approx(1.1, rel=0.01)
    assert (correction.nodes, correction.wider["lut"]) == (len(report.nodes), 1.0)
    changed = estimation.corrected(found, correction)
    assert changed.amount.lut == pytest.approx(0.8 * found.amount.lut, rel=0.01)
    assert (changed.amount.dsp, changed.amount.bram36) == (found.amount.dsp, found.amount.bram36)
    assert changed.lut[0] == pytest.approx(0.8 * found.lut[0], rel=0.01)
    assert (changed.cycles_per_frame, changed.latency_cycles) == (found.cycles_per_frame, found.latency_cycles)
    assert sum(each.amount.lut for each in changed.operators) == pytest.approx(changed.amount.lut)


def test_errors_that_are_left_make_intervals_wider(
    tmp_path: Path, asked: reported.Asked, found: estimation.Estimate, known: estimate.Model
) -> None:
    units = scaled(found, 1.0, 1.0)
    for number, own in enumerate(units.values()):
        own["lut"] = round(own["lut"] * (0.4 if number % 2 else 1.9))
    tool, report = matched(written(tmp_path, samples.hierarchy(units)), asked, known)
    add(tool, [report], known)
    correction = corrections.load(tool, BOARD.family, known.fit)
    assert correction.wider["lut"] > 3
    changed = estimation.corrected(found, correction)
    width = (changed.lut[1] - changed.lut[0]) / changed.amount.lut
    assert width > 1.5 * (found.lut[1] - found.lut[0]) / found.amount.lut
    assert changed.lut[0] >= 0


def test_totals_are_compared_where_no_name_is_that_of_a_node(
    tmp_path: Path, asked: reported.Asked, found: estimation.Estimate, known: estimate.Model
) -> None:
    text = samples.flat(round(2 * found.amount.lut), round(found.amount.ff), found.amount.bram36, found.amount.dsp)
    _, report = matched(written(tmp_path, text), asked, known)
    assert (report.nodes, report.measured["lut"]) == ([], [round(2 * found.amount.lut)])
    add("vivado", [report], known)
    assert corrections.load("vivado", BOARD.family, known.fit).factors["lut"] == pytest.approx(2, rel=0.01)


def test_functions_of_hls_are_found_by_their_configuration(
    tmp_path: Path, asked: reported.Asked, found: estimation.Estimate, known: estimate.Model
) -> None:
    modules = scaled(found, 3.0, 2.0, "dense_array_ap_int_4u_config_{}_s")
    # A loop of a function is a module as well, and its cells are the function's.
    modules["dense_array_ap_int_4u_config_n0_Pipeline_L"] = {"lut": 7, "ff": 7, "bram36": 0, "dsp": 0}
    total = {"lut": 4 * found.amount.lut, "ff": 1, "bram36": 0, "dsp": 0}
    tool, report = matched(written(tmp_path, samples.csynth(modules, total)), asked, known)
    assert tool == "vitis-hls"
    assert sum(report.measured["lut"]) == pytest.approx(3 * sum(report.estimated["lut"]), rel=0.01)
    # It is other hardware: what is far off is kept and told, but corrects nothing, and the rest counts.
    far = {name: {**own, "dsp": 500.0, "ff": 50 * own["ff"]} for name, own in modules.items()}
    _, other = matched(written(tmp_path, samples.csynth(far, total)), asked, known)
    add("vitis-hls", [other], known)
    correction = corrections.load("vitis-hls", BOARD.family, known.fit)
    assert correction.factors == {"lut": pytest.approx(3, rel=0.01), "ff": 1.0, "bram36": 1.0, "dsp": 1.0}
    assert correction.wider["ff"] == 1.0
    measured, estimated = sum(other.measured["ff"]), sum(other.estimated["ff"])
    assert correction.uncorrected["ff"] == f"{measured:,.10g} in reports, {estimated:,.10g} estimated: too far off"
    assert correction.uncorrected["dsp"].startswith(f"{500 * len(other.nodes):,} in reports, ")
    assert correction.uncorrected["dsp"].endswith(": too few")
    # Beside one that tells, the other one counts where it is not far off.
    add("vitis-hls", [report], known)
    correction = corrections.load("vitis-hls", BOARD.family, known.fit)
    assert (correction.reports, correction.telling) == (2, {"lut": 2, "ff": 1, "bram36": 0, "dsp": 0})
    assert correction.words.startswith("LUT × 3.000, FF × 2.000 (by 1 of 2 reports), BRAM36 not (")
    assert "too few in each" in correction.uncorrected["bram36"]
    # LUTs are those of another network in any tool.
    lots = {name: {**own, "lut": 50 * own["lut"]} for name, own in modules.items()}
    with pytest.raises(UserError, match=r"LUT where .* are estimated"):
        matched(written(tmp_path, samples.csynth(lots, total)), asked, known)


def test_layers_of_finn_are_summed_by_node(tmp_path: Path, residual: object, known: estimate.Model) -> None:
    from codesign.backends.finn.options import Options
    from codesign.backends.rtl.options import Options as RtlOptions

    layout = hardware.chosen(residual, BOARD, RtlOptions(cycles=5_000))[0].layout  # type: ignore[arg-type]
    found = estimation.of_layout(layout, BOARD, known)
    chosen = Options(cycles=5_000)
    layers = finn_layout.nodes(residual, chosen.wanted, chosen.limits(BOARD))  # type: ignore[arg-type]
    own = {name: {"lut": 200.0, "ff": 100.0, "bram36": 0.5, "dsp": 0} for name in layers}
    asked = reported.Asked("residual", "pynq-z2", "cycles = 5000", found, lambda: layers)
    for text, tool in (
        (samples.finn(own, synthesised=True), "finn"),
        (samples.finn(own, synthesised=False), "finn-estimate"),
        (samples.hierarchy_xml(own), "finn"),
    ):
        kind, report = matched(written(tmp_path, text), asked, known)
        assert kind == tool
        counts = [list(layers.values()).count(node) for node in report.nodes]
        assert report.measured["lut"] == [200 * count for count in counts]
        assert max(counts) > 1
        assert ("ff" in report.measured) == (tool == "finn")


def test_a_report_of_another_network_is_refused(
    tmp_path: Path, asked: reported.Asked, found: estimation.Estimate, known: estimate.Model
) -> None:
    units = {**scaled(found, 1.0, 1.0), "n99_unit0": {"lut": 1, "ff": 1, "bram36": 0, "dsp": 0}}
    with pytest.raises(UserError, match="has n99, which drawn has not"):
        matched(written(tmp_path, samples.hierarchy(units)), asked, known)
    text = samples.flat(round(50 * found.amount.lut), 1, 0, 0)
    with pytest.raises(UserError, match=r"LUT where .* are estimated"):
        matched(written(tmp_path, text), asked, known)
    own = {key: round(getattr(found.amount, key)) for key in ("lut", "ff", "bram36", "dsp")}
    for name, count in (
        ("ff", 50 * own["ff"]),
        ("ff", 1),
        ("dsp", 300 + 20 * own["dsp"]),
        ("bram36", 300 + 20 * own["bram36"]),
    ):
        text = samples.flat(**{**own, name: count})
        with pytest.raises(UserError, match=rf"{name.upper()} where .* are estimated"):
            matched(written(tmp_path, text), asked, known)


def test_a_few_blocks_more_or_less_correct_nothing(known: estimate.Model) -> None:
    few = example(
        known, measured={"bram36": [0.0, 0.0], "dsp": [3.0, 0.0]}, estimated={"bram36": [2.0, 1.5], "dsp": [9.0, 0.9]}
    )
    many = example(known, measured={"bram36": [8.0, 3.0]}, estimated={"bram36": [8.0, 2.0]})
    said = [corrections.Calibration(tool="vivado", family=BOARD.family, report=[each]) for each in (few, many)]
    first, second = (corrections.correction(Path("x"), each, known.fit) for each in said)
    assert (first.factors["bram36"], first.factors["dsp"]) == (1.0, 1.0)
    assert second.factors["bram36"] == pytest.approx(1.1)
    # Nor do several reports of a few.
    six = example(known, nodes=[], measured={"bram36": [0.0]}, estimated={"bram36": [6.0]})
    both = corrections.Calibration(tool="vivado", family=BOARD.family, report=[six, six])
    assert corrections.correction(Path("x"), both, known.fit).factors["bram36"] == 1.0


def test_a_report_tells_a_ratio_of_enough_cells_that_are_not_far_off(known: estimate.Model) -> None:
    def tells(measured: float, estimated: float) -> bool:
        report = example(known, nodes=[], measured={"dsp": [measured]}, estimated={"dsp": [estimated]})
        return corrections.tells(report, "dsp")

    assert [tells(24, 20), tells(2, 20), tells(200, 20)] == [True, True, True]
    assert [tells(1, 20), tells(0, 20), tells(201, 20), tells(9, 9)] == [False, False, False, False]
    assert not corrections.tells(example(known), "ff")


def add(tool: corrections.Tool, reports: list[corrections.Report], known: estimate.Model) -> Path:
    file = corrections.path(tool, BOARD.family)
    corrections.write(file, corrections.joined(tool, BOARD.family, reports, known.fit))
    return file


def example(known: estimate.Model, **changes: object) -> corrections.Report:
    report = corrections.Report(
        file='a "quoted"\n\\name.rpt', sha256="0" * 64, release="Vivado 2023.2", stage="routed", model="m", board="b",
        options="", fit=corrections.digest(known.fit), nodes=["n0", "n1"],
        measured={"lut": [10.0, 20.0], "dsp": [1.0, 0.0]}, estimated={"lut": [15.5, 15.5], "dsp": [0.0, 0.0]},
    )  # fmt: skip
    return msgspec.structs.replace(report, **changes)


def test_a_file_of_corrections_is_read_as_it_was_written(known: estimate.Model) -> None:
    first, second = (
        example(known),
        example(known, sha256="1" * 64, nodes=[], measured={"lut": [5.0]}, estimated={"lut": [9.0]}),
    )
    file = add("vivado", [first, second, first], known)
    read = corrections.read(file)
    assert read.report[0] == msgspec.structs.replace(first, file='a "quoted" \\name.rpt')
    assert read.report[1] == msgspec.structs.replace(second, file='a "quoted" \\name.rpt')
    # The same report once more takes the place of itself.
    before = file.read_bytes()
    add("vivado", [second], known)
    assert file.read_bytes() == before
    correction = corrections.load("vivado", BOARD.family, known.fit)
    assert correction.factors["lut"] == pytest.approx(35 / 40)
    # Nothing was estimated that a ratio could be of.
    assert correction.factors["dsp"] == 1.0
    assert correction.words == (
        "LUT × 0.875, FF not (no report has it), BRAM36 not (no report has it), "
        "DSP not (1 in reports, 0 estimated: too few)"
    )


def test_corrections_of_another_fit_or_place_are_refused(known: estimate.Model) -> None:
    file = add("vivado", [example(known, fit="f" * 16)], known)
    with pytest.raises(UserError, match="another fit"):
        corrections.load("vivado", BOARD.family, known.fit)
    before = file.read_bytes()
    with pytest.raises(UserError, match="another fit"):
        add("vivado", [example(known, sha256="1" * 64)], known)
    assert file.read_bytes() == before
    with pytest.raises(UserError, match="no reports of finn"):
        corrections.load("finn", BOARD.family, known.fit)
    file.write_text(file.read_text().replace('tool = "vivado"', 'tool = "finn"'))
    with pytest.raises(UserError, match="is of finn"):
        corrections.load("vivado", BOARD.family, known.fit)
    with pytest.raises(UserError, match="is of finn"):
        add("vivado", [example(known)], known)
    file.write_text('tool = "vivado"\nfamily = "zynq-7000"\n')
    with pytest.raises(UserError, match="has no reports"):
        corrections.load("vivado", BOARD.family, known.fit)
    file.write_text('tool = "quartus"\nfamily = "zynq-7000"\n')
    with pytest.raises(UserError, match="tool"):
        corrections.found(BOARD.family) and corrections.load("vivado", BOARD.family, known.fit)


def test_every_tool_can_be_chosen_on_the_command_line() -> None:
    from codesign.cli.commands.estimate import command

    (option,) = [each for each in command.params if each.name == "sizes_of"]
    assert option.type.choices == ("yosys", *corrections.TOOLS)  # type: ignore[attr-defined]


def test_lists_of_different_lengths_are_refused(known: estimate.Model) -> None:
    file = add("vivado", [example(known)], known)
    file.write_text(file.read_text().replace("[10.0, 20.0]", "[10.0]"))
    with pytest.raises(UserError, match="as many entries"):
        corrections.load("vivado", BOARD.family, known.fit)
    # The sum of the last ones would be infinite.
    for wrong in ("[10.0, inf]", "[10.0, nan]", "[10.0, -1.0]", "[1e308, 1e308]"):
        other = file.read_text().replace("[10.0]", wrong)
        file.write_text(other)
        with pytest.raises(UserError, match="must be float"):
            corrections.load("vivado", BOARD.family, known.fit)
        file.write_text(other.replace(wrong, "[10.0]"))


def test_a_correction_leaves_the_estimate_that_it_was_given(found: estimation.Estimate) -> None:
    before = dataclasses.replace(found)
    one = corrections.Correction(Path("x"), "vivado", ["Vivado"], dict.fromkeys(("lut", "ff", "bram36", "dsp"), 1.0),
                                 {}, {}, {"lut": 1.0, "ff": 1.0}, 1, 0)  # fmt: skip
    same = estimation.corrected(found, one)
    assert found == before
    assert math.isclose(same.amount.lut, found.amount.lut)
    assert same.lut == pytest.approx(found.lut)
