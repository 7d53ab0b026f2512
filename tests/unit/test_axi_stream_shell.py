"""The network behind AXI4-Stream: packets go in with pauses, and the answers come out as packets of as many frames.

Words are packed and unpacked by the program for the board, `board/pynq-z2/host.py`.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from codesign import boards, resources, zoo
from codesign.backends import rtl
from codesign.backends.rtl import synthesis, vivado
from codesign.backends.rtl.axi_stream import TOP, data_bits
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Conv2d, Dense
from codesign.toolchain import verilator, yosys
from codesign.toolchain import vivado as toolchain

# Plays a script: "b DATA KEEP LAST" is a beat, "r" a reset once all beats before it were taken. Pauses at both ends at
# random. Tells every beat that comes out with its clock, "r" where the reset was, and the last state of frame_error;
# ends with an exit code above 0 where the rules of AXI4-Stream are broken.
MAIN = """
#include "Vbench.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

int main(int argc, char **argv) {
    VerilatedContext context;
    Vbench top{&context};
    std::ifstream script(argv[1]);
    int pause = std::atoi(argv[2]), limit = std::atoi(argv[4]), reset = 5, quiet = 0;
    uint32_t random = std::atoi(argv[3]);
    bool offered = false, ended = false, waiting = false;
    uint64_t held_data = 0;
    bool held_last = false;
    auto pausing = [&] {
        random ^= random << 13; random ^= random >> 17; random ^= random << 5;
        return int(random >> 8 & 255) < pause;
    };
    top.s_axis_tvalid = 0;
    for (long clock = 0; quiet < limit; quiet++, clock++) {
        if (!reset && !offered && !ended && !pausing()) {
            std::string word;
            uint64_t data;
            int keep, last;
            if (!(script >> word)) ended = true;
            else if (word == "r") { reset = 4; std::puts("r"); }
            else {
                script >> std::hex >> data >> keep >> std::dec >> last;
                top.s_axis_tdata = data; top.s_axis_tkeep = keep; top.s_axis_tlast = last;
                offered = true;
            }
        }
        top.aresetn = reset == 0;
        if (reset) { reset--; offered = waiting = false; }
        top.s_axis_tvalid = offered;
        bool ready = !pausing();
        top.aclk = 0;
        top.m_axis_tready = !ready;
        top.eval();
        bool other = top.m_axis_tvalid;
        top.m_axis_tready = ready;
        top.eval();
        if (other != bool(top.m_axis_tvalid)) return 3;  // valid waits for ready
        if (!top.aresetn && top.m_axis_tvalid) return 4;
        if (waiting && !(top.m_axis_tvalid && top.m_axis_tdata == held_data && bool(top.m_axis_tlast) == held_last))
            return 5;  // a beat that was offered has changed
        waiting = top.m_axis_tvalid && !ready;
        held_data = top.m_axis_tdata;
        held_last = top.m_axis_tlast;
        if (top.m_axis_tvalid && ready) {
            std::printf("%llx %x ", (unsigned long long) held_data, int(top.m_axis_tkeep));
            std::printf("%d %ld\\n", int(held_last), clock);
            quiet = 0;
        }
        if (offered && top.s_axis_tready) { offered = false; quiet = 0; }
        top.aclk = 1;
        top.eval();
    }
    std::printf("error %d\\n", int(top.frame_error));
    return offered ? 6 : 0;
}
"""


def dense() -> Graph:
    """Words of one element of 9 bits go in, words of three of 13 bits come out."""
    weights = np.random.default_rng(3).integers(-4, 4, (4, 6))
    builder = GraphBuilder("dense")
    return builder.build(builder.add(Dense(weights), builder.input((4,), IntType(9, signed=True))))


def strided() -> Graph:
    """The last row and column of a frame are of no use, so that the answer may be there before the frame is."""
    weights = np.random.default_rng(4).integers(-4, 4, (1, 1, 3, 2))
    builder = GraphBuilder("strided")
    return builder.build(builder.add(Conv2d(weights, stride=2), builder.input((6, 6, 3), IntType(4, signed=False))))


CASES = {"dense": (dense, {"cycles": 1000, "folds": {"n0": {"pe": 3}}}), "strided": (strided, {"cycles": 36})}


def load_host() -> ModuleType:
    """The program for the board."""
    spec = importlib.util.spec_from_file_location("host", resources.folder("board") / "pynq-z2" / "host.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOST = load_host()


@dataclass
class Simulation:
    """A project behind AXI4-Stream, compiled."""

    project: rtl.RtlProject
    program: Path

    def play(self, script: list[str], pause: int = 80, seed: int = 1) -> tuple[list[list[str]], bool]:
        """Return the beats that came out, up to each reset and after the last, and whether the error is shown."""
        path = self.project.folder / "script.txt"
        path.write_text("\n".join(script))
        # Clocks without a beat after which nothing more is waited for.
        limit = 1000 + 3 * self.project.about["latency_cycles"]
        done = subprocess.run(
            [self.program.absolute(), path.absolute(), str(pause), str(seed), str(limit)],
            cwd=self.project.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"a rule of AXI4-Stream is broken: code {done.returncode}"
        *lines, error = done.stdout.splitlines()
        parts: list[list[str]] = [[]]
        for line in lines:
            if line == "r":
                parts.append([])
            else:
                parts[-1].append(line)
        return parts, error == "error 1"

    def packets(self, x: np.ndarray, per_packet: int) -> list[str]:
        """Frames as beats, the bits above a word noise; every packet holds some frames."""
        stream = HOST.Stream(self.project.about["input"])
        noise = np.random.default_rng(8)
        beats = []
        for number, frame in enumerate(stream.pack(x)):
            for count, word in enumerate(frame.reshape(stream.words, stream.word_bytes)):
                value = int.from_bytes(word.tobytes(), "little")
                value |= int(noise.integers(1 << 40)) << stream.bits * stream.lanes
                value &= (1 << 8 * stream.word_bytes) - 1
                last = count == stream.words - 1 and (number + 1) % per_packet == 0
                beats.append(f"b {value:x} {(1 << stream.word_bytes) - 1:x} {last:d}")
        return beats

    def answers(self, beats: list[str]) -> tuple[np.ndarray, list[int]]:
        """Integers of the beats, and the places of those with tlast."""
        stream = HOST.Stream(self.project.about["output"])
        data = b"".join(int(beat.split()[0], 16).to_bytes(stream.word_bytes, "little") for beat in beats)
        keep = f"{(1 << stream.word_bytes) - 1:x}"
        assert all(beat.split()[1] == keep for beat in beats)
        assert len(beats) % stream.words == 0
        ends = [place for place, beat in enumerate(beats) if beat.split()[2] == "1"]
        return stream.unpack(np.frombuffer(data, dtype=np.uint8)), ends


def emitted(folder: Path, case: str) -> rtl.RtlProject:
    """A project with what Vivado would read."""
    graph, options = CASES[case] if case in CASES else (zoo.load(case).graph, {})
    project = rtl.emit(graph(), boards.load("pynq-z2"), folder, **options)
    assert project.synth(tool="vivado").status == "tool-missing"
    return project


def compiled(folder: Path, case: str, change: tuple[str, str] | None = None) -> Simulation:
    """Emit, break the shell where a change is given, and compile."""
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    project = emitted(folder / "project", case)
    (project.folder / "main_axi.cpp").write_text(MAIN)
    shell = project.folder / vivado.PLACE / "axi_stream_shell.sv"
    if change is not None:
        assert change[0] in shell.read_text()
        shell.write_text(shell.read_text().replace(*change))
    sources = [*sources_of(project), "main_axi.cpp"]
    options = ["--top-module", TOP]
    log = project.folder / "build" / "log"
    return Simulation(project, verilator.build(project.folder, "build/axi", sources, options, log, fast=False))


def sources_of(project: rtl.RtlProject) -> list[str]:
    """What the script for Vivado reads, in Verilog."""
    settings = (project.folder / vivado.PLACE / "build_settings.tcl").read_text()
    return [*re.findall(r"\{(\S+\.sv)\}", settings), *re.findall(r"wrapper (\S+\.v)", settings)]


@pytest.fixture(scope="module", autouse=True)
def without_vivado() -> Iterator[None]:
    """Nothing is built where Vivado happens to be installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolchain, "locate", lambda: None)
        yield


@pytest.fixture(scope="module", params=CASES)
def simulation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return compiled(tmp_path_factory.mktemp(request.param), request.param)


def frames(project: rtl.RtlProject, count: int) -> np.ndarray:
    kind, shape = project.graph.input.type, project.graph.input.shape
    return np.random.default_rng(5).integers(kind.min, kind.max + 1, (count, *shape))


def test_packets_are_answered_by_packets_of_as_many_frames(simulation: Simulation):
    x = frames(simulation.project, 12)
    words = HOST.Stream(simulation.project.about["output"]).words
    for per_packet, pause, seed in ((1, 0, 1), (1, 120, 2), (3, 80, 3), (12, 200, 4)):
        (beats,), error = simulation.play(simulation.packets(x, per_packet), pause, seed)
        found, ends = simulation.answers(beats)
        assert np.array_equal(found, golden.run(simulation.project.graph, x))
        assert ends == list(range(per_packet * words - 1, 12 * words, per_packet * words))
        assert not error


def test_the_shell_takes_no_clocks_of_a_frame(simulation: Simulation):
    (beats,), _ = simulation.play(simulation.packets(frames(simulation.project, 20), 1), pause=0)
    ends = [int(beat.split()[3]) for beat in beats if beat.split()[2] == "1"]
    assert set(np.diff(ends)[-8:]) == {simulation.project.cycles_per_frame}


def test_a_reset_within_a_frame_starts_anew(simulation: Simulation):
    x = frames(simulation.project, 5)
    beats = simulation.packets(x, 1)
    words = len(beats) // len(x)
    for cut in (1, words - 1, 2 * words + 1):
        (_, after), error = simulation.play([*beats[:cut], "r", *beats], 60, cut)
        found, ends = simulation.answers(after)
        assert np.array_equal(found, golden.run(simulation.project.graph, x))
        assert len(ends) == len(x)
        assert not error


def test_a_packet_that_ends_within_a_frame_shows_until_the_reset(simulation: Simulation):
    x = frames(simulation.project, 3)
    good = simulation.packets(x, 1)
    for wrong in (good[0][:-1] + "1", re.sub(r" \S+ (.)$", r" 0 \1", good[0])):
        assert wrong != good[0]
        bad = [wrong, *good[1:]]
        (beats,), error = simulation.play(bad)
        assert error
        # The words are counted as before.
        assert np.array_equal(simulation.answers(beats)[0], golden.run(simulation.project.graph, x))
        assert len(simulation.answers(beats)[1]) == len(x)
        assert not simulation.play([*bad, "r", *good])[1]


@pytest.mark.parametrize(
    ("case", "change"),
    [
        ("dense", ("m_axis_tlast = out_last && end_last", "m_axis_tlast = out_word == '0 && end_last")),
        pytest.param(
            "dense",
            ("m_axis_tlast = out_last && end_last", "m_axis_tlast = out_last"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "strided",
            ("out_valid && (!out_last || end_valid)", "out_valid"),
            marks=pytest.mark.slow,
        ),
        pytest.param("dense", ("if (rst) begin", "if (1'b0) begin"), marks=pytest.mark.slow),
    ],
)
def test_a_misplaced_tlast_is_found(tmp_path: Path, case: str, change: tuple[str, str]):
    broken = compiled(tmp_path, case, change)
    with pytest.raises(AssertionError):
        test_packets_are_answered_by_packets_of_as_many_frames(broken)
        test_a_reset_within_a_frame_starts_anew(broken)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["digits_cnn_w3", "unsw_mlp_w2"])
def test_the_committed_vectors_of_a_model_come_through(tmp_path: Path, model: str):
    made = compiled(tmp_path, model)
    x, expected = HOST.read_vectors(json.loads((resources.folder("models") / f"{model}.vectors.json").read_text()))
    for pause in (0, 60):
        (beats,), error = made.play(made.packets(x, len(x)), pause)
        found, ends = made.answers(beats)
        assert np.array_equal(found.reshape(len(x), -1), expected)
        assert ends == [len(beats) - 1]
        assert not error


def test_data_is_as_wide_as_the_dma_takes_it():
    assert [data_bits(word) for word in (1, 8, 9, 17, 33, 1000, 1024)] == [8, 8, 16, 32, 64, 1024, 1024]
    with pytest.raises(UserError, match=r"1,025 bits is wider than the 1024 of AXI DMA; a larger --cycles"):
        data_bits(1025)


def test_the_wrapper_is_plain_verilog_and_names_the_interfaces(tmp_path: Path):
    project = emitted(tmp_path / "p", "dense")
    text = (project.folder / vivado.PLACE / f"{TOP}.v").read_text()
    assert "ASSOCIATED_BUSIF s_axis:m_axis, ASSOCIATED_RESET aresetn" in text
    assert "FREQ_HZ" not in text
    assert "POLARITY ACTIVE_LOW" in text
    for port in ("s_axis TDATA", "s_axis TKEEP", "m_axis TLAST", "m_axis TREADY"):
        assert f'"xilinx.com:interface:axis:1.0 {port}"' in text
    assert "input  wire [15:0] s_axis_tdata" in text
    assert "output wire [63:0] m_axis_tdata" in text
    assert ".IN(9), .OUT(39), .IN_WORDS(4), .OUT_WORDS(2)" in text
    assert not re.search(r"\b(logic|int|always_ff)\b", text)


def test_yosys_reads_what_vivado_would(tmp_path: Path):
    found = yosys.locate()
    if found is None:
        pytest.skip("needs Yosys, which comes with the extra rtl")
    project = emitted(tmp_path / "p", "dense")
    script = f"read_slang --threads 1 --top {TOP} {' '.join(sources_of(project))}\nhierarchy -check -top {TOP}\nproc\n"
    script += "flatten\nopt_clean\ncheck -assert\ntee -q -o cells.json stat -json\n"
    found.script(project.folder, script)
    assert sum(synthesis.read_cells(project.folder / "cells.json", TOP).values()) > 20
