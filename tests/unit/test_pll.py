"""Dividers of PLLs: against every setting that there is, against settings of the families' own tools; and the shell."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import pll, stage
from codesign.backends.rtl.place_and_route import SHELL, Design
from codesign.backends.rtl.serial_shell import SerialShell
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Dense
from codesign.toolchain import nextpnr, yosys

BOARDS = ("icebreaker", "ulx3s-12f", "tang-nano-20k")


def made_by_ice40(source: Fraction) -> Iterator[Fraction]:
    """Every clock of an iCE40, by the formula of FPGA-TN-02052: all dividers, and all ranges."""
    for divr in range(16):
        for divf in range(128):
            for divq in range(1, 7):
                detector, internal = source / (divr + 1), source / (divr + 1) * (divf + 1)
                if 10 <= detector <= 133 and 533 <= internal <= 1066 and 16 <= internal / 2**divq <= 275:
                    yield internal / 2**divq


def made_by_ecp5(source: Fraction) -> Iterator[Fraction]:
    """Every clock of an ECP5, by the formulas of FPGA-TN-02200."""
    for clki in range(1, 129):
        for clkfb in range(1, 81):
            made = source / clki * clkfb
            vco = any(400 <= made * clkop <= 800 for clkop in range(1, 129))
            if 10 <= source / clki <= 400 and vco and Fraction(25, 8) <= made <= 400:
                yield made


def made_by_gowin(source: Fraction) -> Iterator[Fraction]:
    """Every clock of a GW2A, by the formulas of UG286."""
    for idiv in range(64):
        for fbdiv in range(64):
            made = source * (fbdiv + 1) / (idiv + 1)
            vco = any(500 <= made * odiv <= 1250 for odiv in (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128))
            if 3 <= source / (idiv + 1) <= 500 and vco and Fraction(125, 32) <= made <= 625:
                yield made


ALL = {"ice40": made_by_ice40, "ecp5": made_by_ecp5, "gowin": made_by_gowin}


CRYSTALS = {"ice40": 12.0, "ecp5": 25.0, "gowin": 27.0}
"""MHz, by family."""
OTHERS = [(family, source) for family in CRYSTALS for source in (16.0, 48.0, 100.0, 130.0)]


@pytest.mark.parametrize(
    ("family", "source"), [*CRYSTALS.items(), *(pytest.param(*other, marks=pytest.mark.slow) for other in OTHERS)]
)
def test_no_setting_comes_nearer(family: str, source: float):
    possible = sorted(set(ALL[family](Fraction(str(source)))))
    assert len(possible) > 20
    off = 0
    for wanted in [*range(2, 130), *(tenth / 10 for tenth in range(133, 700, 7)), 15.95, 274.5, 400.5, 627.0]:
        exact = Fraction(str(wanted))
        best = min(abs(made - exact) for made in possible)
        found = pll.nearest(family, source, wanted)
        if best <= exact / 100:
            assert found is not None, wanted
            assert abs(found.exact_mhz - exact) == best, wanted
            assert found.exact_mhz in possible
        else:
            off += 1
            assert found is None or abs(found.exact_mhz - exact) >= best
    assert off


@pytest.mark.parametrize("family", ALL)
def test_the_parameters_make_the_clock(family: str):
    ranges = pll.FAMILIES[family]
    exact = Fraction(str(CRYSTALS[family]))
    for wanted in range(20, 200, 5):
        found = pll.nearest(family, CRYSTALS[family], wanted)
        given = found.parameters
        if family == "ice40":
            internal = exact / (given["DIVR"] + 1) * (given["DIVF"] + 1)
            made = internal / 2 ** given["DIVQ"]
        elif family == "ecp5":
            made = exact / given["CLKI_DIV"] * given["CLKFB_DIV"]
            internal = made * given["CLKOP_DIV"]
        else:
            made = exact * (given["FBDIV_SEL"] + 1) / (given["IDIV_SEL"] + 1)
            internal = made * given["ODIV_SEL"]
        assert (found.exact_mhz, found.internal_mhz) == (made, internal)
        assert ranges.internal[0] <= internal <= ranges.internal[1]
        assert ranges.output[0] <= made <= ranges.output[1]


# DIVR, DIVF, DIVQ and FILTER_RANGE as `icepll -i 12 -o ...` of Project IceStorm prints them.
ICEPLL = {
    18: (0, 47, 5, 1),
    24: (0, 63, 5, 1),
    25: (0, 66, 5, 1),
    30: (0, 79, 5, 1),
    48: (0, 63, 4, 1),
    60: (0, 79, 4, 1),
    100: (0, 66, 3, 1),
}
# CLKI_DIV, CLKFB_DIV and CLKOP_DIV as `ecppll -i 25 -o ...` of Project Trellis prints them.
ECPPLL = {50: (1, 2, 12), 62.5: (2, 5, 10), 75: (1, 3, 8), 100: (1, 4, 6)}


@pytest.mark.parametrize("wanted", ICEPLL)
def test_settings_of_icepll(wanted: float):
    assert tuple(pll.nearest("ice40", 12.0, wanted).parameters.values()) == ICEPLL[wanted]


@pytest.mark.parametrize("wanted", ECPPLL)
def test_settings_of_ecppll(wanted: float):
    assert tuple(pll.nearest("ecp5", 25.0, wanted).parameters.values()) == ECPPLL[wanted]


@pytest.mark.parametrize(("source", "expected"), [(12, 1), (17, 2), (25, 2), (26, 3), (48, 4), (66, 5), (101, 6)])
def test_the_loop_filter_follows_the_detector(source: float, expected: int):
    found = pll.nearest("ice40", source, 2 * source)
    assert (found.parameters["DIVR"], found.parameters["FILTER_RANGE"]) == (0, expected)


@pytest.mark.parametrize(
    ("board", "clock_mhz", "sentence"),
    [
        (
            "icebreaker",
            5,
            r"makes no clock within 1 % of 5 MHz from its oscillator of 12 MHz; it makes 16 to 275 MHz\.",
        ),
        ("icebreaker", 275.5, r"within 1 % of 275\.5 MHz .* of 12 MHz; the nearest that it makes is 270 MHz\."),
        ("ulx3s-12f", 33, r"within 1 % of 33 MHz .* of 25 MHz; the nearest that it makes is 37\.5 MHz\."),
        ("pynq-z2", 50, r"--clock sets a PLL on boards of ice40, ecp5, gowin, and pynq-z2 is one of zynq-7000"),
    ],
)
def test_a_clock_that_cannot_be_made_is_told(board: str, clock_mhz: float, sentence: str):
    with pytest.raises(UserError, match=sentence):
        pll.choose(boards.load(board), clock_mhz)


def test_the_clock_of_the_oscillator_needs_no_pll():
    assert pll.choose(boards.load("icebreaker"), 12.0) is None


def test_frames_per_second_are_those_of_the_clock_that_is_made():
    from codesign.cli import options
    from codesign.cli.commands import synth

    made = synth._made(50, "icebreaker")
    assert made == 50.25
    assert options.given("rtl", {"frames_per_second": 1e4}, "icebreaker", made) == {"cycles": 5025}
    assert options.given("rtl", {"frames_per_second": 1e4}, "icebreaker", synth._made(None, "icebreaker")) == {
        "cycles": 1200
    }


def network() -> Graph:
    weights = np.random.default_rng(2).integers(-2, 2, (4, 3))
    builder = GraphBuilder("clocked")
    return builder.build(builder.add(Dense(weights), builder.input((4,), IntType(3, signed=False))))


def test_shell_and_scripts_follow_the_clock(tmp_path: Path):
    board = boards.load("icebreaker")
    project = rtl.emit(network(), board, tmp_path, cycles=100)
    serial = SerialShell.of(project.graph, project.about["lanes"])
    design = Design(tmp_path, board, serial, 100)
    fast = Design(tmp_path, board, serial, 100, pll.choose(board, 50))
    fast.write_shell()
    assert {"ice40_pll.sv", "SB_PLL40_PAD.sv"} <= {Path(name).name for name in fast.sources}
    source = (tmp_path / SHELL / "clock_source.sv").read_text()
    assert "ice40_pll #(.DIVR(0), .DIVF(66), .DIVQ(4), .FILTER_RANGE(1)) pll" in source
    # 50.25 MHz / 115,200.
    assert "-G CLOCKS=436 " in fast.elaborate("")
    assert "--blackboxed-module SB_PLL40_PAD" in fast.elaborate("")
    assert "--freq 50.25 " in " ".join(fast.route("n", ""))
    # The constraint of the pin is that of the oscillator.
    assert "set_frequency clk 12\n" in (tmp_path / fast.pins).read_text()
    assert fast.by_hand().count("--freq 50.25") == 1
    # Nothing of it stays.
    design.write_shell()
    assert not any("pll" in name.lower() for name in design.sources)
    assert "assign clk = oscillator;" in (tmp_path / SHELL / "clock_source.sv").read_text()
    assert "-G CLOCKS=104 " in design.elaborate("")
    assert "blackboxed" not in design.elaborate("")


def test_a_baud_rate_that_the_clock_cannot_make_is_told(tmp_path: Path):
    board, graph = boards.load("icebreaker"), network()
    board = msgspec.structs.replace(board, shell=msgspec.structs.replace(board.shell, baud=12_000_000))
    serial = SerialShell.of(graph, dict.fromkeys((*graph.inputs, *graph.outputs), 1))
    design = Design(tmp_path, board, serial, 100, pll.choose(board, 30))
    design.write_shell()
    with pytest.raises(UserError, match="a clock of 30 MHz cannot make 12,000,000 baud"):
        design.elaborate("")


@pytest.mark.slow
@pytest.mark.parametrize(("board", "clock_mhz"), [*zip(BOARDS, (24, 50, 54), strict=True)])
def test_a_bitstream_with_a_pll(tmp_path: Path, board: str, clock_mhz: float):
    loaded = boards.load(board)
    if yosys.locate() is None or nextpnr.locate(loaded.family) is None:
        pytest.skip("needs Yosys and nextpnr, which come with the extra rtl")
    project = rtl.emit(network(), loaded, tmp_path / "p", cycles=100)
    done = project.synth(clock_mhz=clock_mhz)
    assert done.report.clock_mhz == clock_mhz
    assert done.report.fmax_mhz >= clock_mhz
    assert done.bitstream.stat().st_size > 1000
    log = done.log.read_text()
    # What nextpnr derives of the dividers and of the oscillator, by itself.
    if loaded.family != "gowin":
        assert f"Derived frequency constraint of {clock_mhz:.1f} MHz" in log
    assert f"PASS at {clock_mhz:.2f} MHz" in log
    # A clock that the design does not reach makes no bitstream.
    if loaded.family == "ice40":
        before = sorted(path.name for path in (tmp_path / "p" / "build").glob("bitstream-*"))
        slow = project.synth(clock_mhz=200)
        assert slow.report.fmax_mhz < slow.report.clock_mhz == 201
        assert slow.bitstream is None
        assert sorted(path.name for path in (tmp_path / "p" / "build").glob("bitstream-*")) == before
        # Back at the first clock nothing is done again.
        assert project.synth(clock_mhz=clock_mhz).bitstream == done.bitstream
        assert (done.bitstream.parent / stage.FINISHED).is_file()
