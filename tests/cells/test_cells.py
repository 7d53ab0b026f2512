"""The models of hw/cells, alone: block memories and multipliers against plain Python, in one Verilator program."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign.toolchain import verilator
from codesign.toolchain.run import run

sys.path.insert(0, str(Path(__file__).parent))

from memories import CLOCKS, FIELDS, NO_CHANGE, READ_FIRST, WRITE_FIRST, Memory, Port, ecp5, gowin, xilinx

HW = Path(__file__).resolve().parents[2] / "hw"

READ, WRITE = {"writes": False}, {"reads": False}
MEMORIES = [
    xilinx("RAMB18E1", Port(18, READ_FIRST), Port(9, READ_FIRST)),
    xilinx("RAMB18E1", Port(4, WRITE_FIRST), Port(18, NO_CHANGE)),
    xilinx("RAMB18E1", Port(36, READ_FIRST, **READ), Port(36, READ_FIRST, **WRITE), simple=True),
    xilinx("RAMB36E1", Port(36, NO_CHANGE), Port(1, WRITE_FIRST)),
    xilinx("RAMB36E1", Port(72, READ_FIRST, **READ), Port(72, READ_FIRST, **WRITE), simple=True),
    ecp5(Port(18, READ_FIRST), Port(9, WRITE_FIRST)),
    ecp5(Port(2, NO_CHANGE), Port(18, READ_FIRST)),
    ecp5(Port(36, **WRITE), Port(36, **READ)),
    gowin("SP", Port(36, READ_FIRST), Port(0)),
    gowin("SPX9", Port(18, WRITE_FIRST), Port(0)),
    gowin("SDPB", Port(36, **WRITE), Port(4, **READ)),
    gowin("SDPX9B", Port(18, **WRITE), Port(36, **READ)),
    gowin("DPB", Port(1, NO_CHANGE), Port(18, WRITE_FIRST)),
    gowin("DPX9B", Port(18, READ_FIRST), Port(9, NO_CHANGE)),
]
MULTIPLIERS = {
    "MULT18X18D": ("ecp5", 18),
    "MULT9X9": ("gowin", 9),
    "MULT18X18": ("gowin", 18),
    "MULT36X36": ("gowin", 36),
}
PRODUCT = 72


def connected(pins: dict[str, str]) -> str:
    return ", ".join(f".{pin}({wire})" for pin, wire in pins.items())


def memory_instance(number: int, memory: Memory) -> str:
    pins = {**memory.pins, **{wire: wire for wire in memory.wires}}
    fields = [f"{port}_{name}" for port in "ab" for name in FIELDS]
    lines = [f"    if (1) begin : case_{number}"]
    lines += [f"        logic [{FIELDS[name.split('_', 1)[1]] - 1}:0] {name};" for name in fields]
    lines += [f"        assign {{{', '.join(fields)}}} = drive[{number}];"]
    lines += [f"        wire [{width - 1}:0] {wire};" for wire, width in memory.wires.items()]
    values = connected({**memory.parameters, **memory.contents()})
    lines.append(
        f"        {memory.cell} #({values}) cell_{number} ({connected({**pins, **{w: w for w in memory.wires}})});"
    )
    lines.append(f"        assign shown[{number}] = {{{', '.join(memory.outs)}}};")
    return "\n".join([*lines, "    end"])


def multiplier_instance(number: int, cell: str) -> str:
    vendor, bits = MULTIPLIERS[cell]
    a, b = f"drive[{number}][0+:{bits}]", f"drive[{number}][36+:{bits}]"
    signs = [f"drive[{number}][{72 + k}]" for k in range(2)]
    if vendor == "ecp5":
        pins = {f"A{k}": f"drive[{number}][{k}]" for k in range(bits)}
        pins |= {f"B{k}": f"drive[{number}][{36 + k}]" for k in range(bits)}
        pins |= {f"C{k}": "1'b0" for k in range(bits)}
        pins |= {"SIGNEDA": signs[0], "SIGNEDB": signs[1], "SOURCEA": "1'b0", "SOURCEB": "1'b0"}
        pins |= {f"P{k}": f"product[{k}]" for k in range(36)}
    else:
        pins = {"CLK": "1'b0", "CE": "1'b0", "RESET": "1'b0", "A": a, "B": b, "ASIGN": signs[0], "BSIGN": signs[1]}
        if bits < 36:
            pins |= {"SIA": "'0", "SIB": "'0", "ASEL": "1'b0", "BSEL": "1'b0"}
        pins["DOUT"] = f"product[{2 * bits - 1}:0]"
    return (
        f"    if (1) begin : case_{number}\n        logic [{PRODUCT - 1}:0] product;\n"
        f"        if ({2 * bits} < {PRODUCT}) assign product[{PRODUCT - 1}:{min(2 * bits, PRODUCT - 1)}] = '0;\n"
        f"        {cell} cell_{number} ({connected(pins)});\n        assign shown[{number}] = 144'(product);\n    end"
    )


def bench(instances: list[str]) -> str:
    """Every clock: write what the cells show, then drive what comes next."""
    wide, count = 2 * sum(FIELDS.values()), len(instances)
    return f"""\
module bench (input logic clk, output logic done);
    localparam int COUNT = {count};
    logic [COUNT-1:0][{wide - 1}:0] drive;
    logic [COUNT-1:0][{wide - 1}:0] next;
    wire [COUNT-1:0][143:0] shown;
    int in_file, out_file, left;
    initial begin
        in_file = $fopen("in.hex", "r");
        out_file = $fopen("out.hex", "w");
        left = {CLOCKS};
        drive = '0;
        done = 0;
    end
{chr(10).join(instances)}
    always @(posedge clk) begin
        $fwrite(out_file, "%h\\n", shown);
        if (left == 0 || $fscanf(in_file, "%h", next) != 1) done <= 1;
        else drive <= next;
        left <= left - 1;
    end
    final $fclose(out_file);
endmodule
"""


def simulated(folder: Path, instances: list[str], words: list[list[int]], edit: Callable[[str], str] = str) -> Any:
    """Return what every instance showed in every clock."""
    if verilator.locate() is None or shutil.which("g++") is None:
        pytest.skip("needs Verilator, of the extra rtl, and g++")
    models = sorted((HW / "cells").rglob("*.sv"))
    for path in [*models, *(HW / "cells").rglob("*.svh")]:
        (folder / path.name).write_text(edit(path.read_text()))
    shutil.copyfile(HW / "rtl" / "sim" / "main.cpp", folder / "main.cpp")
    (folder / "bench.sv").write_text(bench(instances))
    wide = 2 * sum(FIELDS.values())
    lines = [sum(word << wide * k for k, word in enumerate(row)) for row in words]
    (folder / "in.hex").write_text("".join(f"{line:x}\n" for line in lines))
    sources = ["bench.sv", *(path.name for path in models), "main.cpp"]
    options = ["--top-module", "bench", *(f"-Wno-{name}" for name in ("PINMISSING", "GENUNNAMED", "UNDRIVEN"))]
    program = verilator.build(folder, "sim", sources, options, folder / "verilator.log", fast=False)
    assert run([program.absolute()], folder=folder).returncode == 0
    shown = [int(line, 16) for line in (folder / "out.hex").read_text().split()]
    # The first clock shows what nothing has driven yet.
    return [[line >> 144 * k & (1 << 144) - 1 for k in range(len(instances))] for line in shown[1:]]


def packed(drive: list[dict[str, int]]) -> int:
    word = 0
    for port in drive:
        for name, width in FIELDS.items():
            word = word << width | port[name]
    return word


def differing(folder: Path, edit: Callable[[str], str] = str) -> set[str]:
    """Return the cells that show something else than plain Python, with the number of the case."""
    rng = np.random.default_rng(3)
    memories = [memory.filled(rng) for memory in MEMORIES]
    stimuli = [memory.stimuli(rng) for memory in memories]
    factors = [[int.from_bytes(rng.bytes(10), "little") & (1 << 74) - 1 for _ in range(CLOCKS)] for _ in MULTIPLIERS]
    words = [[packed(s[clock]) for s in stimuli] + [f[clock] for f in factors] for clock in range(CLOCKS)]
    instances = [memory_instance(k, memory) for k, memory in enumerate(memories)]
    instances += [multiplier_instance(len(memories) + k, cell) for k, cell in enumerate(MULTIPLIERS)]
    shown = simulated(folder, instances, words, edit)
    wrong = set()
    for number, (memory, drive) in enumerate(zip(memories, stimuli, strict=True)):
        for clock, expected in enumerate(memory.run(drive)):
            found = shown[clock][number] >> 72, shown[clock][number] & (1 << 72) - 1
            for port, want, have in zip(memory.ports, expected, found, strict=True):
                bits = port.count * 9 if port.width >= 9 else port.width
                if want is not None and have & (1 << bits) - 1 != want:
                    wrong.add(f"{memory.cell} {number}")
    for number, (cell, (_, bits)) in enumerate(MULTIPLIERS.items()):
        for clock, word in enumerate(factors[number]):
            a, b = word & (1 << bits) - 1, word >> 36 & (1 << bits) - 1
            a -= (word >> 72 & 1 and a >> bits - 1) << bits
            b -= (word >> 73 & 1 and b >> bits - 1) << bits
            if shown[clock][len(memories) + number] != a * b & (1 << 2 * bits) - 1:
                wrong.add(cell)
    return wrong


def test_every_model_is_tested():
    tested = {memory.cell for memory in MEMORIES} | MULTIPLIERS.keys() | {"block_memory", "block_ram"}
    assert tested == {path.stem for path in (HW / "cells").rglob("*.sv")}


def test_models_equal_plain_python(tmp_path):
    assert differing(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "caught"),
    [
        ("MODE_A == 1 ? new_a : old_a", "new_a", "RAMB18E1 0"),
        ("{NINTH[i], DATA[8*i+:8]}", "{NINTH[i], DATA[8*i+:7], 1'b0}", "RAMB36E1 3"),
        ("DATA[20*(i/2)+9*(i%2)+:9]", "DATA[18*(i/2)+9*(i%2)+:9]", "DP16KD 5"),
        ("{SIGNEDA && a[17], a}", "{1'b0, a}", "MULT18X18D"),
        ("if (reset_b && (enable_b || !GATED))", "if (reset_b)", "RAMB18E1 1"),
    ],
)
def test_a_fault_in_a_model_is_noticed(tmp_path, old, new, caught):
    seeded = []

    def edit(text: str) -> str:
        seeded.append(old in text)
        return text.replace(old, new)

    assert caught in differing(tmp_path, edit)
    assert any(seeded)
