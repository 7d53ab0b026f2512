"""What goes to place and route, and what comes from it, at the end of the same line: shell and network in cells."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards, zoo
from codesign.backends import rtl
from codesign.backends.rtl import pll
from codesign.deploy import protocol
from codesign.deploy.client import Client, DeviceError
from codesign.deploy.device import Device
from codesign.deploy.protocol import Code, Kind
from codesign.deploy.serial_port import SerialPort
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense
from codesign.toolchain import nextpnr, verilator, yosys

from ..cells.test_netlists import flipped, inverted, replaced, set_by_reset
from ..flow.conftest import CommandLine
from .image import Image
from .twin import CLOCKS, Twin

PATIENT_S, HASTY_S = 20.0, 0.5
"""Seconds for an answer: where there is one for sure, and where none may come."""

WORDS = 64


def network() -> Graph:
    """Frames and weights that take block memories, and products that take a multiplier block."""
    weights = np.random.default_rng(4).integers(-120, 120, (WORDS, 24))
    builder = GraphBuilder("image")
    return builder.build(builder.add(Dense(weights), builder.input((WORDS,), IntType(9, signed=True))))


def quick_line(name: str) -> boards.Board:
    """A board with a few clocks for a bit, so that simulations are short."""
    board = boards.load(name)
    shell = msgspec.structs.replace(board.shell, baud=round(1e6 * board.clock_mhz / CLOCKS))
    return msgspec.structs.replace(board, shell=shell)


Make = Callable[[str, bool], Image]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that gives the image of `network` for a board, made once."""
    if yosys.locate() is None or verilator.locate() is None or shutil.which("g++") is None:
        pytest.skip("needs Yosys and Verilator, which come with the extra rtl, and g++")
    projects: dict[str, rtl.RtlProject] = {}
    known: dict[tuple[str, bool], Image] = {}

    def make(name: str, place: bool) -> Image:
        board = quick_line(name)
        if place and nextpnr.locate(board.family) is None:
            pytest.skip("needs nextpnr, which comes with the extra rtl")
        if name not in projects:
            serial = {"n0": {"pe": 1, "simd": 1, "planes": 0}}
            folder = tmp_path_factory.mktemp("image") / "project"
            projects[name] = rtl.emit(network(), board, folder, cycles=3200, folds=serial)
        if (name, place) not in known:
            known[name, place] = Image(projects[name], board, place=place, name=f"twin-{place}")
        return known[name, place]

    return make


FRAMES = np.random.default_rng(6).integers(-256, 256, (3, WORDS))
REQUEST = len(protocol.request(Kind.INFER, 0, bytes(2 * WORDS)))
FAULTS = [
    "",
    "to 50 flip 2",
    "to 60 lose 3",
    f"to 40 lose {REQUEST - 40}",
    "to 3 reset",
    "to 90 reset",
    "from 7 flip 32",
    "from 6 reset",
    "from 40 reset",
]
"""What happens to the line while the second frame is asked for."""


def check(image: Image) -> None:
    """Fail unless an image gives golden's integers, to the first frame too, and recovers from every fault."""
    for seed, fault in enumerate(FAULTS, 1):
        with Twin(image, seed) as twin, SerialPort(twin.port, 115_200) as port:
            silent = "lose" in fault or "reset" in fault
            device = Device(Client(port, HASTY_S if silent else PATIENT_S), image.project.graph)
            assert not twin.led
            for index, frame in enumerate(FRAMES):
                if index == 1 and fault:
                    twin.tell(fault)
                assert np.array_equal(device.run(frame), golden.run(image.project.graph, frame[None])[0]), fault
            counts = device.client.counts
            assert bool(fault) == (counts.retries > 0), fault
            if "flip" in fault:
                assert counts.refused.get(Code.BAD_CHECKSUM, 0) == fault.startswith("to")
                assert twin.led == fault.startswith("to")


@pytest.mark.parametrize(
    ("board", "place"),
    [
        ("icebreaker", False),
        pytest.param("ulx3s-12f", False, marks=pytest.mark.slow),
        pytest.param("tang-nano-20k", False, marks=pytest.mark.slow),
        pytest.param("icebreaker", True, marks=pytest.mark.slow),
        pytest.param("ulx3s-12f", True, marks=pytest.mark.slow),
    ],
)
def test_cells_answer_as_the_golden_executor_and_recover(image: Make, board: str, place: bool):
    made = image(board, place)
    memory, multiplier = {
        "ice40": ("SB_RAM40_4K", "SB_MAC16"),
        "ecp5": ("DP16KD", "MULT18X18D"),
        "gowin": ("SPX9", "MULT18X18"),
    }[made.design.board.family]
    assert {memory, multiplier} <= made.cells.keys()
    if place:
        text = (made.project.folder / made.room / "image.v").read_text()
        for cell in {"ice40": ("SB_GB ", "SB_IO_INPUT "), "ecp5": ("DCCA ", "TRELLIS_IO_INPUT ")}[
            made.design.board.family
        ]:
            assert cell in text
    check(made)


def reset_never_comes(text: str) -> str:
    """Cut the global buffer of the reset."""
    return replaced(text, r"USER_SIGNAL_TO_GLOBAL_BUFFER\((\\(?!clk)[^)]*)\)", "USER_SIGNAL_TO_GLOBAL_BUFFER(1'h0)", 0)


# What becomes of an image's text; board, and whether it was placed.
MUTATIONS: dict[str, tuple[str, bool, Callable[[str], str]]] = {
    # All bits: some of a table's are for inputs that never come, and which ones changes with every synthesis.
    "table": ("icebreaker", False, lambda t: inverted(t, r"\.LUT_INIT\(16'h([0-9a-f]+)\)", 100)),
    "register set by a reset": ("icebreaker", False, set_by_reset),
    "bit of a weight": ("icebreaker", False, lambda t: flipped(t, r"\.INIT_0\(256'h([0-9a-f]*[1-9a-f]\w*)\)", 0, 14)),
    "placed table": ("icebreaker", True, lambda t: inverted(t, r"\.LUT_INIT\(16'h([0-9a-f]+)\)", 50)),
    "reset without a buffer": ("icebreaker", True, reset_never_comes),
    "pins that are exchanged": (
        "icebreaker",
        True,
        lambda t: t.replace(".PACKAGE_PIN(tx)", ".PACKAGE_PIN(_)").replace("(led)", "(tx)").replace("(_)", "(led)"),
    ),
    "clock that stands still": (
        "ulx3s-12f",
        True,
        lambda t: replaced(t, r"\.CE\(1'h1\)(,\s*\.CLKI)", r".CE(1'h0)\1", 0),
    ),
    "bit of a weight, ECP5": ("ulx3s-12f", True, lambda t: flipped(t, r"\.INITVAL_00\(320'h([0-9a-f]+)\)", 0, 6)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_of_the_image_is_found(image: Make, monkeypatch: pytest.MonkeyPatch, name: str):
    board, place, change = MUTATIONS[name]
    monkeypatch.setitem(globals(), "PATIENT_S", HASTY_S)
    made = image(board, place)

    def changed(text: str) -> str:
        assert change(text) != text
        return change(text)

    broken = Image(made.project, made.design.board, place=place, name="broken", change=changed)
    with pytest.raises((AssertionError, UserError, DeviceError, ValueError)):
        check(broken)


@pytest.mark.slow
def test_block_memories_that_come_late_would_be_noticed(image: Make):
    """They must be there when a frame has come; see `LATE_US`."""
    made = image("icebreaker", False)
    late = Image(made.project, made.design.board, name="late", late_us=1e6)
    with pytest.raises(AssertionError):
        check(late)


def test_placed_cells_of_gowin_are_not_modelled(tmp_path: Path):
    board = boards.load("tang-nano-20k")
    project = rtl.emit(network(), board, tmp_path / "p", cycles=3200)
    with pytest.raises(UserError, match="placed cells of gowin are not modelled; choose ice40 or ecp5"):
        Image(project, board, place=True)
    assert not (tmp_path / "p" / "build").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("board", "clock_mhz"), [("icebreaker", 24), ("ulx3s-12f", 50), ("tang-nano-20k", 54)])
def test_with_a_pll_nothing_runs_until_it_is_locked(image: Make, board: str, clock_mhz: float):
    made = image(board, False)
    with_pll = pll.choose(made.design.board, clock_mhz)
    locked = Image(made.project, made.design.board, pll=with_pll, name="pll")
    assert locked.clocks == 2 * CLOCKS
    assert with_pll.cell in locked.cells
    check(locked)


@pytest.mark.slow
def test_a_trained_network_as_it_goes_to_the_board(tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch):
    """The very netlist of `codesign synth`, at the clock and the baud rate of the board."""
    if yosys.locate() is None or verilator.locate() is None:
        pytest.skip("needs Yosys and Verilator, which come with the extra rtl")
    monkeypatch.chdir(tmp_path)
    project = rtl.emit(zoo.load("digits_cnn_w3").graph(), boards.load("icebreaker"), tmp_path / "p", cycles=20_000)
    image = Image(project, boards.load("icebreaker"), fast=True)
    with Twin(image) as twin:
        run = ("run", "digits_cnn_w3", "--board", "icebreaker", "--port", twin.port, "--limit", "20", "--timeout", "60")
        told = CommandLine(tmp_path, capfd)(*run, "--json").json
    assert (told["differences"], told["images"], told["retries"]) == (0, 20, 0)
