"""What Yosys makes of shell and network for the iCE40, cell by cell, at the end of the same line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import numpy as np
import pytest

from codesign.backends.rtl.serial_shell import TOP
from codesign.deploy import protocol
from codesign.deploy.client import Client
from codesign.deploy.device import Device
from codesign.deploy.protocol import Code, Kind
from codesign.deploy.serial_port import SerialPort
from codesign.ir import Graph, GraphBuilder, IntType, golden
from codesign.ir.ops import Dense
from codesign.toolchain import verilator, yosys

from .twin import Board, Twin

TIMEOUT_S = 2.0


def network() -> Graph:
    """A frame of 64 words, which takes a block memory."""
    weights = np.random.default_rng(4).integers(-4, 4, (64, 4))
    builder = GraphBuilder("netlist")
    return builder.build(builder.add(Dense(weights), builder.input((64,), IntType(9, signed=True))))


@pytest.fixture(scope="module")
def netlist(tmp_path_factory: pytest.TempPathFactory) -> Board:
    """A board whose program is made of the netlist."""
    found = yosys.locate()
    if found is None or verilator.locate() is None:
        pytest.skip("needs Yosys and Verilator, which come with the extra rtl")
    folder = tmp_path_factory.mktemp("netlist") / "project"
    board = Board(folder, network(), cycles=2000)
    script = board.design.elaborate("build/") + f"{board.design.family.synth} -top {TOP}\nwrite_verilog -noattr net.v\n"
    found.script(folder, script)
    assert "SB_RAM40_4K" in (folder / "net.v").read_text()
    # Models of the cells, beside the headers of Yosys' simulator.
    share = next(parent for parent in found.headers.parents if (parent / "ice40").is_dir())
    shutil.copyfile(share / "ice40" / "cells_sim.v", folder / "cells_sim.v")
    board.program = board.build("build/net", ["cells_sim.v", "net.v"], ["-Wno-lint", "-Wno-style", "-Wno-MULTITOP"])
    return board


@pytest.fixture
def device(netlist: Board) -> Iterator[tuple[Twin, Device]]:
    with Twin(netlist) as twin, SerialPort(twin.port, 115_200) as port:
        yield twin, Device(Client(port, TIMEOUT_S), netlist.project.graph)


@pytest.mark.slow
def test_cells_answer_as_the_golden_executor_and_recover(device: tuple[Twin, Device]):
    twin, talker = device
    frames = np.random.default_rng(6).integers(-256, 256, (8, 64))
    size = len(protocol.request(Kind.INFER, 0, bytes(128)))
    faults = [
        ["to 50 flip 2"],
        ["to 60 lose 3"],
        [f"to 40 lose {size - 40}"],
        ["to 90 reset"],
        ["from 7 flip 32"],
        ["from 6 reset"],
    ]
    for frame, fault in zip(frames, [[], *faults, []], strict=True):
        before = talker.client.counts.retries
        twin.tell(*fault)
        assert np.array_equal(talker.run(frame), golden.run(talker.graph, frame[None])[0]), fault
        assert bool(fault) == (talker.client.counts.retries > before), fault
    assert talker.client.counts.refused[Code.BAD_CHECKSUM] >= 2
