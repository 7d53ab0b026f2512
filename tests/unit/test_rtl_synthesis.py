"""Synthesis, place and route: scripts, pins, reports, what is kept; one real bitstream."""

from __future__ import annotations

import stat
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards, ir
from codesign.backends import rtl
from codesign.backends.rtl import stage, synthesis
from codesign.backends.rtl.families import FAMILIES
from codesign.backends.rtl.mapping import choose
from codesign.backends.rtl.place_and_route import Design
from codesign.backends.rtl.serial_shell import SerialShell, bit_clocks
from codesign.boards import Shell
from codesign.deploy import protocol
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Conv2d, Dense, Flatten, Threshold
from codesign.toolchain import nextpnr, yosys
from codesign.toolchain.find import Tool
from codesign.toolchain.nextpnr import Nextpnr, Use

SHELL = Shell(clock="G2", rx="M1", tx="L4", led="B2")

# nextpnr 0.11.1 on iCE40 and ECP5.
LOG = """
Info: Device utilisation:
Info: \t         ICESTORM_LC:    4481/   5280    84%
Info: \t        ICESTORM_RAM:       8/     30    26%
Info: \t        ICESTORM_DSP:      12/      8   150%

ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'ICESTORM_DSP'
"""
REPORT = """{
  "critical_paths": [],
  "fmax": {
    "$glbnet$clk$TRELLIS_IO_IN": {"achieved": 53.36463928222656, "constraint": 25},
    "other": {"achieved": 120.5, "constraint": 25}
  },
  "utilization": {
    "DP16KD": {"available": 56, "used": 1},
    "MULT18X18D": {"available": 28, "used": 3},
    "TRELLIS_COMB": {"available": 24288, "used": 4790},
    "TRELLIS_FF": {"available": 24288, "used": 3406}
  }
}"""
# Yosys 0.70.
DUMP = r"""
  attribute \src "dyadic.sv:90.32-90.57"
  cell $mul $637
    parameter \A_WIDTH 9
    parameter \B_WIDTH 19
    parameter \A_SIGNED 1
    parameter \B_SIGNED 1
    parameter \Y_WIDTH 28
    connect \A \dyadic.value
    connect \B \dyadic.multiplier
    connect \Y $637y
  end
  cell $mul $638
    parameter \A_WIDTH 6
    parameter \B_WIDTH 8
    connect \A \a
    connect \B \b
  end
  cell $mul $639
    parameter \A_WIDTH 4
    parameter \B_WIDTH 20
    connect \A \a
    connect \B \b
  end
  cell $mul $640
    parameter \A_WIDTH 12
    parameter \B_WIDTH 12
    connect \A \a
    connect \B 12'101010101010
  end
  cell $mul $641
    parameter \A_WIDTH 7
    parameter \B_WIDTH 8
    connect \A \a
    connect \B \b
  end
"""


def tiny_graph() -> Graph:
    rng = np.random.default_rng(0)
    builder = GraphBuilder("tiny")
    x = builder.input((4, 4, 1), IntType(2, signed=False))
    low = builder.add(Conv2d(rng.integers(-2, 2, (3, 3, 1, 2)), padding=1), x)
    low = builder.add(Threshold(np.sort(rng.integers(-9, 9, (2, 3)), axis=1)), low)
    return builder.build(builder.add(Dense(rng.integers(-2, 2, (32, 3))), builder.add(Flatten(), low)))


def serial(graph: Graph) -> SerialShell:
    (source,), (result,) = graph.inputs, graph.outputs
    return SerialShell.of(graph, {source: 1, result: 1})


def program(path: Path, text: str) -> Tool:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Tool(path.name, path, "1.0")


def test_pins_are_written_as_each_tool_reads_them():
    assert FAMILIES["ecp5"].constraints(SHELL, 25.0).splitlines() == [
        'LOCATE COMP "clk" SITE "G2";',
        'LOCATE COMP "rx" SITE "M1";',
        'LOCATE COMP "tx" SITE "L4";',
        'LOCATE COMP "led" SITE "B2";',
        'IOBUF PORT "clk" IO_TYPE=LVCMOS33;',
        'IOBUF PORT "tx" IO_TYPE=LVCMOS33;',
        'IOBUF PORT "led" IO_TYPE=LVCMOS33;',
        'IOBUF PORT "rx" IO_TYPE=LVCMOS33 PULLMODE=UP;',
        'FREQUENCY PORT "clk" 25 MHZ;',
    ]
    assert FAMILIES["ice40"].constraints(SHELL, 12.0).splitlines() == [
        "set_io clk G2",
        "set_io -pullup yes rx M1",
        "set_io tx L4",
        "set_io led B2",
        "set_frequency clk 12",
    ]
    assert FAMILIES["gowin"].constraints(SHELL, 27.0).splitlines()[:2] == ['IO_LOC "clk" G2;', 'IO_LOC "rx" M1;']


@pytest.mark.parametrize(
    ("board", "arguments"),
    [
        ("ulx3s-12f", ["--12k", "--package", "CABGA381", "--speed", "6"]),
        ("ulx3s-85f", ["--85k", "--package", "CABGA381", "--speed", "6"]),
        ("colorlight-i5", ["--25k", "--package", "CABGA381", "--speed", "6"]),
        ("icebreaker", ["--up5k", "--package", "sg48"]),
        ("tang-nano-20k", ["--device", "GW2AR-LV18QN88C8/I7", "--vopt", "family=GW2A-18C"]),
    ],
)
def test_the_part_becomes_arguments_of_nextpnr(board: str, arguments: list[str]):
    loaded = boards.load(board)
    assert FAMILIES[loaded.family].part(loaded.part) == arguments


def test_every_board_of_the_open_tools_has_a_family_and_pins():
    for name in boards.names():
        board = boards.load(name)
        assert (board.toolchain == "yosys+nextpnr") == (board.shell is not None) == (board.family in FAMILIES), name
    assert FAMILIES.keys() == nextpnr.FAMILIES.keys()


def test_a_family_whose_cells_nobody_counts_is_told():
    with pytest.raises(UserError, match=r"cells are not counted for versal yet; choose a board of zynq-7000, artix-7"):
        synthesis.family("versal")


def test_ultrascale_is_counted_in_cells_of_7_series():
    there, here = synthesis.family("zynq-ultrascale+"), synthesis.family("zynq-7000")
    assert (there.command, there.lut, there.stage) == (here.command, here.lut, "logic synthesis in 7-series cells")
    assert here.stage == "logic synthesis"


def test_a_part_that_is_not_known_is_told():
    with pytest.raises(UserError, match=r"'LFE3-17EA' is no part .* reads like LFE5U-25F-6BG381C"):
        FAMILIES["ecp5"].part("LFE3-17EA")


def test_a_board_without_pins_is_told(tmp_path: Path):
    board = msgspec.structs.replace(boards.load("ulx3s-12f"), shell=None)
    with pytest.raises(UserError, match=r"the board ulx3s-12f has no table \[shell\]"):
        Design(tmp_path, board, serial(tiny_graph()), 100).write_shell()


def test_a_frame_fits_a_packet():
    builder = GraphBuilder("large")
    x = builder.input((256, 256, 1), IntType(8, signed=False))
    graph = builder.build(builder.add(Threshold(np.array([[1, 2]])), x))
    with pytest.raises(UserError, match=r"a frame of this network has 65,536 bytes and a packet .* holds 65,535"):
        serial(graph)


def test_a_frame_that_fits_no_packet_is_told_before_a_simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    project = emitted(tmp_path, "icebreaker")
    project.require_synth()
    monkeypatch.setattr(protocol, "MOST_PAYLOAD", 15)
    with pytest.raises(UserError, match=r"a frame of this network has 16 bytes and a packet .* holds 15"):
        project.require_synth()


@pytest.mark.parametrize(
    ("clock_mhz", "baud", "clocks"), [(12.0, 115_200, 104), (27.0, 115_200, 234), (12.0, 3_000_000, 4)]
)
def test_clocks_of_a_bit(clock_mhz: float, baud: int, clocks: int):
    assert bit_clocks(clock_mhz, baud) == clocks


@pytest.mark.parametrize("baud", [4_000_000, 1_400_000])
def test_a_rate_that_the_clock_cannot_make_is_told(baud: int):
    with pytest.raises(UserError, match=rf"a clock of 12 MHz cannot make {baud:,} baud, the nearest rate is"):
        bit_clocks(12.0, baud)


def test_the_largest_multiplications_take_the_blocks():
    # 9 x 19 bits take two blocks of 16 x 16; narrow and constant ones take none.
    assert choose(DUMP, (16, 16), 8) == ["$637", "$641", "$638"]
    assert choose(DUMP, (16, 16), 3) == ["$637", "$641"]
    assert choose(DUMP, (16, 16), 1) == ["$641"]
    assert choose("", (16, 16), 8) == []


def test_blocks_that_are_free_go_to_shared_products_first_and_to_narrow_ones():
    marked = DUMP.replace("  cell $mul $639", "  attribute \\side_by_side 1'1\n  cell $mul $639")
    # 4 x 20 bits: two blocks of 16 x 16.
    assert choose(marked, (16, 16), 8) == ["$639", "$637", "$641", "$638"]
    assert choose(marked, (18, 18), 3) == ["$639", "$641"]
    assert choose(DUMP, (18, 18), 8, free=True) == ["$637", "$639", "$641", "$638"]


def test_the_report_gives_places_and_the_slowest_clock():
    routed = nextpnr.read_report(REPORT)
    assert routed.fmax_mhz == 53.36
    assert routed.use["TRELLIS_COMB"] == Use(4790, 24288)
    with pytest.raises(UserError, match="no clock"):
        nextpnr.read_report('{"fmax": {}, "utilization": {}}')


def test_the_log_names_what_is_too_much():
    use = nextpnr.read_use(LOG)
    assert use["ICESTORM_LC"] == Use(4481, 5280)
    assert nextpnr.too_many(use) == "12 ICESTORM_DSP of 8"
    assert nextpnr.read_use("ERROR: no netlist") == {}


def test_scripts_name_the_shell_and_what_the_board_has(tmp_path: Path):
    rtl.emit(tiny_graph(), boards.load("icebreaker"), tmp_path / "p")
    shell = serial(tiny_graph())
    design = Design(tmp_path / "p", boards.load("icebreaker"), shell, 300)
    design.write_shell()
    first = design.elaborate("build/x/")
    # 12 MHz / 115,200 baud.
    lengths = "-G IN=2 -G OUT=8 -G IN_WORDS=16 -G OUT_WORDS=3 -G IN_LANES=1 -G OUT_LANES=1"
    digest = f"64'h{bytes.fromhex(ir.digest(tiny_graph()))[:8][::-1].hex()}"
    assert f"--top uart_shell {lengths} -G DIGEST={digest} -G CLOCKS=104 -G LED_LOW=1 " in first
    for module in ("uart_rx", "crc16", "frame_memory", "reply_writer"):
        assert f"build/shell/{module}.sv" in first
    assert "bench.sv" not in first
    assert "setattr -unset ram_style a:ram_style=distributed" in first
    assert design.synthesise("build/x/", "build/y/", []).splitlines() == [
        "read_rtlil build/x/design.il",
        # 0.4 of 83.3 ns.
        "scratchpad -set abc9.D 33333",
        "synth_ice40 -top uart_shell -run begin:map_ram",
        "setattr -unset keep w:*",
        "synth_ice40 -top uart_shell -run map_ram: -json build/y/netlist.json",
        "tee -q -o build/y/cells.json stat -json",
    ]
    assert "uart_shell/$637 uart_shell/$638" in design.synthesise("", "", ["$637", "$638"])
    assert "ice40_dsp" not in design.synthesise("", "", ["$637"])
    rtl.emit(tiny_graph(), boards.load("icebreaker"), tmp_path / "free", dsp=8)
    free = Design(tmp_path / "free", boards.load("icebreaker"), shell, 300)
    assert (
        "wreduce\nopt_dff\nopt_clean\nmemory_dff a:rom_style=block\nchtype -set $__soft_mul t:$mul\nice40_dsp\n"
        "chtype -set $mul t:$__soft_mul\n" in free.synthesise("", "", ["$637"])
    )
    assert "ice40_dsp" not in free.synthesise("", "", [])
    assert (tmp_path / "p" / design.pins).read_text().startswith("set_io clk 35\n")
    larger = Design(tmp_path / "p", boards.load("ulx3s-12f"), shell, 300)
    assert "ram_style" not in larger.elaborate("")


def carry_cells() -> dict[str, object]:
    """Two chains: one of two cells that nobody reads the carry of, one of a cell whose carry a table reads."""

    def cell(kind: str, inputs: dict[str, int | str], outputs: dict[str, int]) -> dict[str, object]:
        ports = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
        wires = {port: [wire] for port, wire in {**inputs, **outputs}.items()}
        return {"type": kind, "port_directions": ports, "connections": wires}

    return {
        "low": cell("CCU2C", {"CIN": "0"}, {"COUT": 2}),
        "high": cell("CCU2C", {"CIN": 2}, {"COUT": 3}),
        "alone": cell("CCU2C", {"CIN": "1"}, {"COUT": 4}),
        "reader": cell("LUT4", {"A": 4}, {"Z": 5}),
        "memory": cell("TRELLIS_DPR16X4", {}, {}),
        "wide": cell("PDPW16KD", {}, {}),
    }


def test_carries_that_nobody_reads_are_left_open():
    cells = carry_cells()
    family = FAMILIES["ecp5"]
    assert family.trim is not None
    family.trim({"modules": {"top": {"ports": {"z": {"bits": [5]}}, "cells": cells}}})
    left = {name: cell["connections"].get("COUT") for name, cell in cells.items()}
    assert left == {"low": [2], "high": ["x"], "alone": [4], "reader": None, "memory": None, "wide": None}


def test_cells_are_counted_as_nextpnr_places_them():
    cells, family = carry_cells(), FAMILIES["ecp5"]
    assert family.places is not None
    kinds = Counter(cell["type"] for cell in cells.values())
    found = family.places(kinds, list(cells.values()))
    # Three carry cells, one in front of each chain, and one that leads a carry out; a table; a memory.
    assert (found.lut, found.bram36, found.carry) == (2 * (3 + 2 + 1) + 1 + 6, 0.5, 3)
    with pytest.raises(UserError, match="cells that nobody counts: ALU54B"):
        family.places({"ALU54B": 1}, [])


def test_a_step_is_kept_once_it_is_complete(tmp_path: Path):
    calls = []

    def make(place: str) -> None:
        assert not list((tmp_path / place).iterdir())
        calls.append(place)
        (tmp_path / place / "result").write_text("half")
        if len(calls) == 1:
            raise KeyboardInterrupt
        (tmp_path / place / "result").write_text("whole")

    with pytest.raises(KeyboardInterrupt):
        stage.kept(tmp_path, "build/a/", make)
    for _ in range(2):
        assert stage.kept(tmp_path, "build/a/", make) == "build/a/"
    assert len(calls) == 2
    assert (tmp_path / "build" / "a" / "result").read_text() == "whole"


def test_a_digest_follows_names_contents_and_options(tmp_path: Path):
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    digests = [stage.digest(tmp_path, files, about) for files, about in ((["a"], 1), (["b"], 1), (["a"], 2))]
    assert stage.digest(tmp_path, ["a"], 1) == digests[0]
    (tmp_path / "a").write_text("2")
    assert len({*digests, stage.digest(tmp_path, ["a"], 1)}) == 4


def emitted(tmp_path: Path, board: str) -> rtl.RtlProject:
    return rtl.emit(tiny_graph(), boards.load(board), tmp_path / "p", cycles=300)


@pytest.mark.parametrize("missing", [yosys, nextpnr])
def test_a_missing_tool_is_told_with_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing):
    found = yosys.Yosys("yosys", "Yosys 0", tmp_path)
    placer = Nextpnr(Tool("nextpnr-ecp5", Path("n"), "1"), Tool("ecppack", Path("p"), "1"))
    monkeypatch.setattr(yosys, "locate", lambda: None if missing is yosys else found)
    monkeypatch.setattr(nextpnr, "locate", lambda family: None if missing is nextpnr else placer)
    result = emitted(tmp_path, "ulx3s-12f").synth()
    assert (result.status, result.tool) == ("tool-missing", "Yosys" if missing is yosys else "nextpnr")
    assert result.bitstream is None
    steps = result.command.split(" && ")
    assert [step.split()[0] for step in steps] == ["cd", "yosys", "nextpnr-ecp5", "ecppack"]
    assert "synth_ecp5 -top uart_shell" in steps[1]
    for name in ("uart_shell.sv", "lane_adapter.sv", "pins.lpf"):
        assert name in result.command
    assert (tmp_path / "p" / "build" / "shell" / "pins.lpf").is_file()


@pytest.mark.parametrize(("blocks", "synth"), [(None, "synth_ecp5"), (0, "synth_ecp5 -nodsp")])
def test_by_hand_no_block_is_taken_where_none_may_be(tmp_path: Path, monkeypatch, blocks: int | None, synth: str):
    monkeypatch.setattr(yosys, "locate", lambda: None)
    project = rtl.emit(tiny_graph(), boards.load("ulx3s-12f"), tmp_path / "p", cycles=300, dsp=blocks)
    assert f"\n{synth} -top uart_shell -run " in project.synth().command


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tools that write what the real ones would, and note that they ran; returns the notes."""
    notes = tmp_path / "notes"

    def script(self, folder, text, *, place="", timeout_s=0.0):
        with notes.open("a") as stream:
            stream.write("yosys\n")
        (folder / f"{place}multiplications.txt").write_text(DUMP)
        (folder / f"{place}design.il").write_text("design")
        netlist = {"modules": {"top": {"ports": {}, "cells": carry_cells()}}}
        name = "mapped" if "mapped.json" in text else "netlist"
        (folder / f"{place}{name}.json").write_bytes(msgspec.json.encode(netlist))
        (folder / f"{place}cells.json").write_text(
            r'{"modules": {"\\uart_shell": {"num_cells_by_type": {"SB_DFF": 3, "SB_DFFE": 4, "SB_LUT4": 9}}}}'
        )

    monkeypatch.setattr(yosys.Yosys, "script", script)
    monkeypatch.setattr(yosys, "locate", lambda: yosys.Yosys("yosys", "Yosys 0", tmp_path))
    return notes


def use_tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str) -> None:
    """`place` is the body of nextpnr's script, run after it has found where to write."""
    found = 'while [ $# -gt 0 ]; do case "$1" in -l) log=$2;; --report) report=$2;; --textcfg|--asc) out=$2;; esac; '
    header = f"{found}shift; done\necho place >> {tmp_path / 'notes'}\n"
    tools = Nextpnr(
        program(tmp_path / "place", header + place),
        program(tmp_path / "pack", f'echo pack >> {tmp_path / "notes"}\nfor last; do :; done; echo bits > "$4"'),
    )
    monkeypatch.setattr(nextpnr, "locate", lambda family: tools)


ROUTED = f"echo config > $out\ncat > $report <<'END'\n{REPORT}\nEND\n"


def test_a_design_is_counted_packed_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fakes: Path):
    use_tools(monkeypatch, tmp_path, ROUTED)
    project = emitted(tmp_path, "ulx3s-12f")
    result = project.synth()
    report = result.report
    assert (report.lut, report.ff, report.bram18, report.dsp) == (4790, 3406, 1, 3)
    assert (report.stage, report.fmax_mhz, report.clock_mhz) == ("place and route", 53.36, 25.0)
    assert report.frames_per_second == round(53.36e6 / project.cycles_per_frame, 1)
    assert result.bitstream.read_text() == "bits\n"
    assert fakes.read_text().split() == ["yosys", "yosys", "place", "pack"]
    (mapped,) = (project.folder / "build").glob("netlist-*/mapped.json")
    carries = [
        msgspec.json.decode(path.read_bytes())["modules"]["top"]["cells"]["high"]["connections"]["COUT"]
        for path in (mapped, mapped.with_name("netlist.json"))
    ]
    assert carries == [[3], ["x"]]
    assert project.synth() == result
    assert fakes.read_text().split() == ["yosys", "yosys", "place", "pack"]
    # Another weight: everything again.
    memory = next(project.folder.glob("*.mem"))
    memory.write_text(memory.read_text() + "\n")
    project.synth()
    assert fakes.read_text().split().count("yosys") > 2


def test_a_killed_run_goes_on_with_the_netlist_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fakes: Path):
    use_tools(monkeypatch, tmp_path, "echo half > $out; kill -9 $$")
    project = emitted(tmp_path, "ulx3s-12f")
    with pytest.raises(UserError, match="nextpnr could not place or route"):
        project.synth()
    use_tools(monkeypatch, tmp_path, ROUTED)
    assert project.synth().bitstream is not None
    assert fakes.read_text().split() == ["yosys", "yosys", "place", "place", "pack"]


def test_a_design_that_is_too_large_is_counted_and_gets_no_bitstream(tmp_path, monkeypatch, fakes):
    use_tools(monkeypatch, tmp_path, f"cat > $log <<'END'\n{LOG}\nEND\nexit 1\n")
    result = emitted(tmp_path, "icebreaker").synth()
    assert (result.status, result.bitstream) == ("done", None)
    assert result.report.exceeds(boards.load("icebreaker").resources()) == ["dsp"]
    assert (result.report.lut, result.report.ff, result.report.bram4, result.report.dsp) == (4481, 7, 8, 12)
    assert result.report.fmax_mhz is None


def test_what_no_field_of_the_board_counts_is_told(tmp_path, monkeypatch, fakes):
    log = "Info: \t SB_GB: 9/ 8 112%\nInfo: \t ICESTORM_LC: 1/ 5280 0%"
    use_tools(monkeypatch, tmp_path, f"cat > $log <<'END'\n{log}\nEND\nexit 1\n")
    with pytest.raises(UserError, match="does not fit iCE40UP5K-SG48: it needs 9 SB_GB of 8"):
        emitted(tmp_path, "icebreaker").synth()


def test_a_design_slower_than_the_oscillator_gets_no_bitstream(tmp_path, monkeypatch, fakes):
    use_tools(monkeypatch, tmp_path, ROUTED.replace("53.36463928222656", "24.9"))
    result = emitted(tmp_path, "ulx3s-12f").synth()
    assert (result.report.fmax_mhz, result.bitstream) == (24.9, None)
    assert "pack" not in fakes.read_text()


def test_an_error_of_nextpnr_is_quoted(tmp_path, monkeypatch, fakes):
    use_tools(monkeypatch, tmp_path, "echo 'ERROR: Failed to route arc 7.' > $log; exit 1")
    with pytest.raises(UserError, match=r"Failed to route arc 7\. See .*nextpnr\.log"):
        emitted(tmp_path, "ulx3s-12f").synth()


@pytest.mark.slow
@pytest.mark.parametrize(("board", "size"), [("icebreaker", 104_090), ("ulx3s-12f", 100_000)])
def test_a_real_bitstream(tmp_path: Path, board: str, size: int):
    if yosys.locate() is None or nextpnr.locate(boards.load(board).family) is None:
        pytest.skip("needs Yosys and nextpnr, which come with the extra rtl")
    project = emitted(tmp_path, board)
    result = project.synth()
    report = result.report
    assert not report.exceeds(boards.load(board).resources())
    assert report.lut > 50
    assert report.ff > 50
    assert report.fmax_mhz >= boards.load(board).clock_mhz
    # The network is alive behind its pins: it is not much smaller than by itself.
    assert report.ff > 0.5 * alone(project)
    content = result.bitstream.read_bytes()
    assert len(content) >= size
    routed = next((project.folder / "build").glob("routed-*/report.json")).stat().st_mtime_ns
    assert project.synth() == result
    assert next((project.folder / "build").glob("routed-*/report.json")).stat().st_mtime_ns == routed


def alone(project: rtl.RtlProject) -> int:
    """Flip-flops of the network without its shell, as Yosys maps it for another family."""
    nodes = [node.name for node in project.graph]
    found = synthesis.synthesise(yosys.locate(), synthesis.family("artix-7"), project.folder, nodes, 1)
    return found.report.ff


def test_the_command_tells_the_bitstream_or_why_there_is_none(tmp_path: Path, monkeypatch, fakes):
    from codesign.cli.commands import synth

    board = boards.load("ulx3s-12f")

    def told(place: str, clock_mhz: float | None = None) -> tuple[list[str], str]:
        use_tools(monkeypatch, tmp_path, place)
        project = emitted(tmp_path / f"p{len(list(tmp_path.iterdir()))}", "ulx3s-12f")
        outcome = project.synth(clock_mhz=clock_mhz)
        exceeded = synth._exceeded(outcome.report, board, board.resources())
        return exceeded, synth._shown(outcome, board, tmp_path, exceeded, board.resources())[-1]

    exceeded, sentence = told(ROUTED)
    assert exceeded == []
    assert sentence.startswith("Bitstream for Radiona ULX3S 12F, clocked at 25 MHz: ")
    exceeded, sentence = told(ROUTED.replace("53.36463928222656", "24.9"))
    assert exceeded == ["clock_mhz"]
    assert sentence == (
        "No bitstream: Radiona ULX3S 12F is clocked at 25 MHz, which is too fast for this design. "
        "It reaches 24.9 MHz; give a lower --clock."
    )
    # More than the user allows is not more than there is.
    use_tools(monkeypatch, tmp_path, ROUTED)
    project = emitted(tmp_path / "allowed", "ulx3s-12f")
    outcome = project.synth()
    allowed = {**board.resources(), "lut": 1}
    shown = synth._shown(outcome, board, tmp_path, synth._exceeded(outcome.report, board, allowed), allowed)
    assert shown[-2].startswith("Bitstream for Radiona ULX3S 12F")
    assert "--lut allows fewer" in shown[-1]
    assert synth._too_much(["lut"], outcome.report, board) == []
    exceeded, sentence = told(ROUTED, 50)
    assert exceeded == []
    assert sentence.startswith("Bitstream for Radiona ULX3S 12F, clocked at 50 MHz: ")
    exceeded, sentence = told(ROUTED, 62.5)
    assert exceeded == ["clock_mhz"]
    assert sentence == (
        "No bitstream: Radiona ULX3S 12F is clocked at 62.5 MHz, which is too fast for this design. "
        "It reaches 53.36 MHz; give a lower --clock."
    )
    exceeded, sentence = told(ROUTED.replace('"used": 4790', '"used": 12345'))
    assert exceeded == ["lut"]
    assert sentence == "No bitstream: the design does not fit. More cycles for a frame (--cycles) make it smaller."
