"""The serial shell: frames go in bit by bit, and the network's answers come out the same way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl.place_and_route import Design
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense
from codesign.toolchain import verilator

CLOCKS = 8

# Sends bytes from a file over rx and writes those that tx answers; a number in the file is a byte, "w N" waits until
# N bytes have come back, "b" sends a byte with a stop bit of 0.
MAIN = """
#include "Vbench.h"
#include "verilated.h"
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    VerilatedContext context;
    Vbench top{&context};
    std::ifstream script(argv[1]);
    std::string word;
    std::vector<int> received;
    int sending = -1, bit = 0, left = 0, wanted = 0, shift = 0, at = -1, wait = 0, quiet = 0;
    bool bad = false, ended = false;
    top.rx = 1;
    for (long clock = 0; clock < 4000000 && quiet < 20000; clock++, quiet++) {
        for (int level = 0; level < 2; level++) { top.clk = level; top.eval(); }
        if (clock < 32) continue;
        if (sending < 0 && (int) received.size() >= wanted && !ended) {
            if (!(script >> word)) ended = true;
            else if (word == "w") script >> wanted;
            else { bad = word == "b"; sending = bad ? 0x55 : std::stoi(word); bit = -1; left = 0; }
        }
        if (sending >= 0) {
            quiet = 0;
            if (left == 0) {
                top.rx = bit < 0 ? 0 : bit < 8 ? sending >> bit & 1 : !bad;
                left = CLOCKS;
                if (bit++ == 9) { top.rx = 1; sending = -1; }
            }
            left--;
        }
        if (at < 0) { if (!top.tx) { at = 0; wait = CLOCKS + CLOCKS / 2; } }
        else if (--wait == 0) {
            quiet = 0;
            wait = CLOCKS;
            if (at < 8) shift = shift >> 1 | top.tx << 7;
            else { if (!top.tx) return 3; received.push_back(shift); at = -2; }
            at++;
        }
    }
    for (int value : received) std::cout << value << "\\n";
    std::cout << "led " << int(top.led) << "\\n";
    return 0;
}
""".replace("CLOCKS", str(CLOCKS))


def graph() -> Graph:
    weights = np.random.default_rng(3).integers(-4, 4, (4, 24))
    builder = GraphBuilder("serial")
    return builder.build(builder.add(Dense(weights), builder.input((4,), IntType(9, signed=True))))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[rtl.RtlProject, Path]:
    """A project with its shell, compiled; words of 9 bits are two bytes."""
    if verilator.locate() is None:
        pytest.skip("needs Verilator, which comes with the extra rtl")
    folder = tmp_path_factory.mktemp("shell") / "project"
    project = rtl.emit(graph(), boards.load("icebreaker"), folder, cycles=1000)
    lanes = project.about["lanes"]
    (source,), (result,) = project.graph.inputs, project.graph.outputs
    bits = project.graph.edges[result].type.bits * lanes[result]
    design = Design(folder, boards.load("icebreaker"), 9 * lanes[source], bits, 4 // lanes[source], 1000)
    design.write_shell()
    (folder / "serial.cpp").write_text(MAIN)
    parameters = {"IN": design.bits_in, "OUT": bits, "WORDS": design.words, "CLOCKS": CLOCKS, "LED_LOW": 0}
    # The counter of the reset starts at its value in the configuration.
    options = [
        "--top-module",
        "uart_shell",
        "-Wno-PROCASSINIT",
        *(f"-G{name}={value}" for name, value in parameters.items()),
    ]
    sources = [*design.sources, "serial.cpp"]
    return project, verilator.build(folder, "build/serial", sources, options, folder / "build" / "log", fast=False)


def talk(project: tuple[rtl.RtlProject, Path], script: list[str]) -> tuple[list[int], bool]:
    """Return the bytes that came back and whether the lamp is lit."""
    folder, program = project[0].folder, project[1]
    (folder / "bytes.txt").write_text("\n".join(script))
    done = subprocess.run([program.absolute(), "bytes.txt"], cwd=folder, capture_output=True, text=True, check=True)
    *received, led = done.stdout.splitlines()
    return [int(value) for value in received], led == "led 1"


def sent(frame: np.ndarray) -> list[str]:
    """Every word of one element, 9 bits, least significant byte first; the bits above are noise."""
    return [str(part) for value in frame for part in (int(value) & 255, (int(value) >> 8 & 1) | 0xA4)]


def answers(project: rtl.RtlProject, frames: np.ndarray) -> list[int]:
    """The bytes that the golden executor's outputs make."""
    bits, lanes = project.graph.output.type.bits, project.about["lanes"][project.graph.outputs[0]]
    bytes_ = []
    for word in golden.run(project.graph, frames).reshape(-1, lanes):
        total = sum((int(value) & (1 << bits) - 1) << i * bits for i, value in enumerate(word))
        bytes_ += list(total.to_bytes(-(-bits * lanes // 8), "little"))
    return bytes_


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-256, 256, (count, 4))


def test_frames_that_wait_for_their_answers_get_the_golden_ones(project):
    x = frames(5)
    expected = answers(project[0], x)
    script = []
    for i, frame in enumerate(x):
        script += [*sent(frame), "w", str((i + 1) * len(expected) // len(x))]
    assert talk(project, script) == (expected, False)


def test_a_byte_without_a_stop_bit_is_dropped(project):
    (frame,) = frames(1)
    first, *rest = sent(frame)
    assert talk(project, [first, "b", *rest]) == (answers(project[0], frames(1)), False)


def test_a_host_that_does_not_wait_lights_the_lamp(project):
    received, led = talk(project, [part for frame in frames(12) for part in sent(frame)])
    assert led
    assert len(received) < len(answers(project[0], frames(12)))
