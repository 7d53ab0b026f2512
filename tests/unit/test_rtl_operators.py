"""Synthesis operator by operator: what each part is made of, what is kept, how parts are joined and counted."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import synthesis
from codesign.errors import UserError
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Dense, Threshold
from codesign.toolchain import yosys
from codesign.toolchain.run import run as run_command

XC7 = synthesis.family("zynq-7000")
NODES = ["n0", "n1", "n2"]
WITHOUT = {"n1": {"pe": 1, "simd": 1, "planes": 0, "dsp": False}}
"""A fold that takes no multiplier blocks."""


def graph(threshold: int = 3) -> Graph:
    builder = GraphBuilder()
    x = builder.input((4,), IntType(4, signed=True))
    low = builder.add(Threshold(np.array([[-1, threshold]])), x)
    other = builder.add(Dense(np.arange(16).reshape(4, 4) - 8), x)
    return builder.build(builder.add(Add(), low, other))


def emitted(folder: Path, **changes: int) -> rtl.RtlProject:
    return rtl.emit(graph(**changes), boards.load("pynq-z2"), folder, cycles=10)


class FakeYosys:
    """Writes what the tool would: cells that tell the module, and when it ran."""

    version = "Yosys 0"

    def __init__(self, act: Callable[[str], object] = lambda module: None) -> None:
        self.act, self.made, self.at_once, self.most = act, [], 0, 0
        self.lock = threading.Lock()

    def script(self, folder: Path, script: str, *, place: str, timeout_s: float) -> None:
        (module,) = set(re.findall(r"(?:synth_xilinx.*|hierarchy) -top (\w+)", script))
        linked = "read_rtlil" in script
        with self.lock:
            self.made.append("link" if linked else module)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.act("link" if linked else module)
        cells = {"LUT6": 10, "FDRE": 4, "CARRY4": 2, "RAMB18E1": 1, "DSP48E1": 1, "MUXF7": 9, "$scopeinfo": 5}
        if linked:
            cells = dict.fromkeys(cells, 30)
        elif module == "network":
            cells = {"LUT2": 3, "n0_unit": 1, "n1_unit": 1, "n2_unit": 1}
        (folder / place / "cells.json").write_text(
            json.dumps({"modules": {f"\\{module}": {"num_cells_by_type": cells}}})
        )
        (folder / place / "part.il").write_text(script)
        with self.lock:
            self.at_once -= 1


def run(tool: FakeYosys, project: rtl.RtlProject, told: list[str] | None = None) -> synthesis.Synthesised:
    say = (lambda line: None) if told is None else told.append
    return synthesis.synthesise(tool, XC7, project.folder, [n.name for n in project.graph], 10, say)


def test_a_part_is_made_of_what_its_module_needs_and_nothing_else(tmp_path):
    project = emitted(tmp_path / "p")
    parts = {part.module: part for part in synthesis.parts(project.folder, ["n0", "n1", "n2"])}
    assert list(parts) == ["n0_unit", "n1_unit", "n2_unit", "network"]
    assert set(parts["n0_unit"].files) == {
        "n0_unit.sv",
        "stream_fifo.sv",
        "threshold.sv",
        "rom.sv",
        "n0_thresholds.mem",
    }
    assert set(parts["network"].files) == {"network.sv", "stream_fork.sv"}
    assert parts["network"].boxes == ("n0_unit", "n1_unit", "n2_unit")
    every = {name for part in parts.values() for name in part.files}
    assert every == {*synthesis.sources(project.folder), *(path.name for path in project.folder.glob("*.mem"))}


def test_wires_are_kept_until_memories_are_mapped_and_no_longer(tmp_path):
    """Beyond, Yosys gives some of them two drivers; it did so in a convolution of resnet8_w3."""
    for part in synthesis.parts(emitted(tmp_path / "p").folder, ["n0", "n1", "n2"]):
        steps = part.script(XC7, "").splitlines()
        begin, let_go, end = steps[1:4]
        assert begin.endswith(f"-top {part.module} -run begin:map_memory")
        assert let_go == "setattr -unset keep w:*"
        assert end.endswith(f"-top {part.module} -run map_memory:")


def test_by_hand_each_node_takes_multiplier_blocks_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(yosys, "locate", lambda: None)
    for name, options, blocks in (("p", {"folds": WITHOUT}, [True, False, True]), ("none", {"dsp": 0}, [False] * 3)):
        project = rtl.emit(graph(), boards.load("pynq-z2"), tmp_path / name, cycles=10, **options)
        told = project.synth()
        assert told.command.endswith(" && for script in build/by_hand/*.ys; do yosys -s $script || break; done")
        *parts, joined = (path.read_text() for path in sorted((project.folder / "build" / "by_hand").iterdir()))
        assert ["-nodsp" not in part for part in parts[:3]] == blocks
        # The parts are those of `synthesise`, but for where they go.
        for number, (part, text) in enumerate(zip(synthesis.parts(project.folder, NODES), parts, strict=True)):
            assert text == part.script(XC7, f"build/by_hand/000{number}_{part.module}_")
        assert "read_rtlil build/by_hand/0003_network_part.il\nread_rtlil -overwrite build/by_hand/0000_n0" in joined
        assert joined.endswith("write_verilog -noattr build/by_hand/netlist.v\n")


@pytest.mark.slow
def test_by_hand_makes_the_same_netlist(tmp_path, monkeypatch):
    found = yosys.locate()
    if found is None:
        pytest.skip("needs Yosys, of the extra rtl")
    builder = GraphBuilder()
    edge = builder.input((4,), IntType(8, signed=True))
    for _ in range(2):
        edge = builder.add(Dense(np.arange(16).reshape(4, 4) * 9 - 60), edge)
    folds = {node: {**WITHOUT["n1"], "dsp": node == "n0"} for node in ("n0", "n1")}
    project = rtl.emit(builder.build(edge), boards.load("pynq-z2"), tmp_path / "p", cycles=100, folds=folds)
    done = synthesis.synthesise(found, XC7, project.folder, ["n0", "n1"], 10)
    # Both have a multiplication that a block would do.
    assert [done.parts[f"{node}_unit"].dsp for node in ("n0", "n1")] == [1, 0]
    assert project.synth().report == msgspec.structs.replace(done.report, cycles_per_frame=project.cycles_per_frame)
    monkeypatch.setattr(yosys, "locate", lambda: None)
    command = project.synth().command.replace("yosys -s", f"{shlex.quote(found.command)} -q -s")
    assert run_command(["sh", "-c", command]).returncode == 0
    for name in ("cells.json", "netlist.v"):
        assert (project.folder / "build" / "by_hand" / name).read_bytes() == (done.place / name).read_bytes()


def test_parts_are_counted_and_so_is_the_whole(tmp_path):
    told: list[str] = []
    done = run(FakeYosys(), emitted(tmp_path / "p"), told)
    assert list(done.parts) == ["n0_unit", "n1_unit", "n2_unit", "network"]
    assert done.parts["n1_unit"] == synthesis.Counts(lut=10, ff=4, bram36=0.5, dsp=1, carry=2)
    assert done.parts["network"] == synthesis.Counts(lut=3, ff=0, bram36=0, dsp=0, carry=0)
    # Of the joined netlist, not a sum.
    assert (done.report.lut, done.report.ff, done.report.bram36, done.report.dsp, done.report.carry) == (
        30,
        30,
        15,
        30,
        30,
    )
    assert len(told) == 4
    assert told[-1].endswith("(4 of 4)")
    assert any(line.startswith("n1_unit: 10 LUT, 4 FF (") for line in told)


def test_two_run_at_a_time(tmp_path):
    # Each of the four parts waits for another one: were there no second at the same time, the barrier would break.
    pair = threading.Barrier(2, timeout=30)
    tool = FakeYosys(lambda module: module != "link" and pair.wait())
    run(tool, emitted(tmp_path / "p"))
    assert tool.most == synthesis.JOBS == 2
    assert len(tool.made) == 5
    assert tool.made[-1] == "link"


def test_what_was_mapped_is_kept_and_only_changed_parts_are_mapped_anew(tmp_path):
    tool = FakeYosys()
    first = run(tool, emitted(tmp_path / "p"))
    tool.made.clear()
    assert run(tool, emitted(tmp_path / "p")) == first
    assert tool.made == []
    (tmp_path / "p" / "n0_thresholds.mem").write_text("ff\n")
    run(tool, rtl.open_project(tmp_path / "p"))
    assert tool.made == ["n0_unit", "link"]


def test_a_run_that_was_ended_goes_on(tmp_path):
    another = threading.Event()

    def fail(module: str) -> None:
        if module == "n2_unit":
            assert another.wait(30)
            raise UserError("Yosys failed")
        another.set()

    project = emitted(tmp_path / "p")
    with pytest.raises(UserError, match="Yosys failed"):
        run(FakeYosys(fail), project)
    tool = FakeYosys()
    run(tool, project)
    assert "n2_unit" in tool.made
    assert tool.made[-1] == "link"
    # Whatever had ended before the failure is not done again.
    kept = len(list((project.folder / "build").glob("part-*/finished")))
    assert kept == 4
    assert len(tool.made) < 5


def test_cells_that_nobody_counts_are_named(tmp_path):
    with pytest.raises(UserError, match="cells that nobody counts: ODDR, XADC"):
        XC7.count({"LUT6": 1, "XADC": 1, "ODDR": 2})


def test_the_command_shows_operators_and_what_limits():
    from codesign.backends.base import OperatorUse
    from codesign.cli.commands import synth

    uses = [
        OperatorUse(node="n0", operator="conv2d", cycles=64, lut=300, ff=1, bram36=0.5, dsp=0, carry=7),
        OperatorUse(node="n1", operator="threshold", cycles=128, lut=90, ff=1, bram36=0, dsp=0, carry=0),
        OperatorUse(node="network", lut=10, ff=1, bram36=0, dsp=0, carry=0),
    ]
    shown, sentence = synth._by_operator(uses)
    assert sentence == "n1 (threshold) takes the most cycles, 128; n0 (conv2d) the most LUTs, 75 % of all."
    assert shown.row_count == 3
    assert synth._by_operator(()) == []


def test_a_real_netlist_is_the_sum_of_its_parts(tmp_path):
    """Parts have no logic between them, so joining them adds nothing."""
    if yosys.locate() is None:
        pytest.skip("needs Yosys, which comes with the extra rtl")
    builder = GraphBuilder()
    edge = builder.add(Threshold(np.array([[-1, 3]])), builder.input((4,), IntType(4, signed=True)))
    project = rtl.emit(builder.build(edge), boards.load("pynq-z2"), tmp_path / "p", cycles=10)
    result = project.synth()
    assert [use.node for use in result.operators] == ["n0", "network"]
    assert result.operators[0].lut > 5
    assert sum(use.lut for use in result.operators) == result.report.lut
    assert sum(use.ff for use in result.operators) == result.report.ff
    assert "n0_unit" not in (result.log.parent / "netlist.v").read_text().split("module network")[1].split("(")[0]
    assert project.synth() == result
