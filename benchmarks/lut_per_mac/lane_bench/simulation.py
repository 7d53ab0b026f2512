"""Simulation of lanes, of their sources or of their netlists, against what they should compute."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codesign.errors import UserError
from codesign.toolchain.find import find
from codesign.toolchain.run import run
from codesign.toolchain.yosys import Yosys
from lane_bench.designs import FORMS, LENGTH, Combine, Design, combines, sources

X_BITS, W_BITS, ACC_BITS = 256, 160, 64

MODELS = {"xc7": "+/xilinx/cells_sim.v", "ecp5": "+/ecp5/cells_sim.v"}
"""The meaning of the cells of a family, as Yosys ships it."""


def differences(
    yosys: Yosys, batch: Sequence[Design], folder: Path, *, netlist: tuple[str, Path] | None = None, seed: int = 0
) -> dict[str, str]:
    """Simulate the designs side by side on random and extreme inputs and compare every accumulator, every clock.

    Parameters
    ----------
    yosys : Yosys
    batch : sequence of Design
    folder : path
        Empty or absent; holds what the simulation is made of.
    netlist : (family, path), optional
        Simulate this netlist, with the family's cell models, instead of the sources.
    seed : int
        Of the random inputs.

    Returns
    -------
    dict
        Name of a design → its first difference; empty when all agree.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if netlist is None:
        modules: list[Design | Combine] = [*batch, *combines(batch)]
        files = sources(modules) | {"designs.sv": "".join(module.verilog() for module in modules)}
        reading = f"read_verilog -sv {' '.join(files)} bench.sv\n"
    else:
        files = {"netlist.v": netlist[1].read_text()}
        reading = f"read_verilog -overwrite {MODELS[netlist[0]]}\nread_verilog netlist.v\nread_verilog -sv bench.sv\n"
    for name, text in {**files, "bench.sv": _bench(batch)}.items():
        (folder / name).write_text(text)
    flatten = "hierarchy -top bench\nproc\nsetattr -mod -unset keep_hierarchy\nflatten\nclean\n"
    yosys.script(folder, f"{reading}{flatten}write_cxxrtl -g0 design.cc\n")
    stimulus = Stimulus(seed)
    words = _compile_and_run(yosys, folder, stimulus.records())
    words = words.reshape(len(stimulus.valid), -1, ACC_BITS // 32)
    found = words[:, :, 0].astype(np.int64) | words[:, :, 1].astype(np.int64) << 32
    wrong: dict[str, str] = {}
    column = 0
    for design in batch:
        x, w = stimulus.x(design), stimulus.w(design)
        values = design.expected(stimulus.valid, stimulus.first, x, w)
        ports = [port for port, _ in design.accumulators]
        if design.form == "post_pair":
            values.append(128 * values[0] + 181 * values[1])
            ports.append("y")
        for port, expected in zip(ports, values, strict=True):
            # Before the first dot product the register is of unknown content.
            differs = np.flatnonzero(found[1:, column] != expected[1:])
            if len(differs):
                clock = int(differs[0]) + 1
                wrong.setdefault(
                    design.name,
                    f"{port} is {found[clock, column]} instead of {expected[clock]} at clock {clock}, seed {seed}",
                )
            column += 1
    return wrong


class Stimulus:
    """Inputs for all lanes: clock by clock `valid`, `first` and the words of x and w, of which each takes its part.

    Dot products of random inputs, with pauses; then, for every code of every width, of `LENGTH` and more products
    with all activations at their greatest, which is the greatest and the smallest that an accumulator can hold.
    """

    def __init__(self, seed: int, random_clocks: int = 400) -> None:
        rng = np.random.default_rng(seed)
        valid: list[bool] = []
        first: list[bool] = []
        x: list[np.ndarray] = []
        w: list[np.ndarray] = []
        for clock in range(random_clocks):
            valid.append(clock == 0 or rng.random() < 0.8)
            first.append(clock == 0 or rng.random() < 0.1)
            for words, bits in ((x, X_BITS), (w, W_BITS)):
                kind = rng.random()
                fill = 0 if kind < 0.1 else 0xFFFFFFFF if kind < 0.2 else None
                size = bits // 32
                words.append(rng.integers(0, 2**32, size) if fill is None else np.full(size, fill))
        for bits in (1, 2, 3, 4, 5):
            for code in range(2**bits):
                pattern = sum(code << bits * place for place in range(W_BITS // bits))
                # Enough clocks for LENGTH products at 32 a clock; narrower lanes see a part of the range.
                for clock in range(LENGTH // 32):
                    valid.append(True)
                    first.append(clock == 0)
                    x.append(np.full(X_BITS // 32, 0xFFFFFFFF))
                    w.append(np.frombuffer(pattern.to_bytes(W_BITS // 8, "little"), "<u4"))
        self.valid, self.first = np.array(valid), np.array(first)
        self._x, self._w = np.array(x, np.uint32), np.array(w, np.uint32)

    def records(self) -> bytes:
        """What the driver reads."""
        control = (self.valid + 2 * self.first).astype(np.uint32)
        return np.column_stack([control, self._x, self._w]).astype("<u4").tobytes()

    def x(self, design: Design) -> np.ndarray:
        """Activations of a design, shape (clocks, simd)."""
        return _fields(self._x, design.activation_bits, design.simd)

    def w(self, design: Design) -> np.ndarray:
        """Weight codes of a design, shape (clocks, simd)."""
        return _fields(self._w, design.bits, design.simd)


def _fields(words: np.ndarray, bits: int, number: int) -> np.ndarray:
    digits = np.unpackbits(words.astype("<u4").view(np.uint8), axis=1, bitorder="little")[:, : bits * number]
    return digits.reshape(len(words), number, bits).astype(np.int64) @ (1 << np.arange(bits))


def _bench(batch: Sequence[Design]) -> str:
    """A module that drives all designs with the same words and joins their accumulators."""
    body, column = [], 0
    for design in batch:
        a, simd = design.activation_bits, design.simd
        ports = [
            ".clk(clk), .valid(valid), .first(first)",
            f".x(x[{simd * a - 1}:0])",
            f".w(w[{simd * design.bits - 1}:0])",
        ]
        if not FORMS[design.form].alone:
            products = (f"{a + 8}'d181 * x[{i * a}+:{a}]" for i in reversed(range(simd)))
            body.append(f"wire [{simd * (a + 8) - 1}:0] {design.name}_x181 = {{{', '.join(products)}}};")
            ports.append(f".x_181({design.name}_x181)")
        for port, width in design.accumulators:
            body.append(f"wire [{width - 1}:0] {design.name}_{port};")
            body.append(f"assign acc[{column}+:{ACC_BITS}] = {design.name}_{port};")
            ports.append(f".{port}({design.name}_{port})")
            column += ACC_BITS
        if design.form == "post_pair":
            combine = Combine(design.bits, design.activation_bits)
            body.append(f"wire [{combine.widths['y'] - 1}:0] {design.name}_y;")
            body.append(f"assign acc[{column}+:{ACC_BITS}] = {design.name}_y;")
            inputs = ", ".join(f".{port}({design.name}_{port})" for port, _ in design.accumulators)
            body.append(f"{combine.name} {design.name}_combine ({inputs}, .y({design.name}_y));")
            column += ACC_BITS
        body.append(f"{design.name} {design.name}_i ({', '.join(ports)});")
    head = f"input clk, valid, first, input [{X_BITS - 1}:0] x, input [{W_BITS - 1}:0] w, output [{column - 1}:0] acc"
    return f"module bench ({head});\n" + "\n".join(body) + "\nendmodule\n"


def _compile_and_run(yosys: Yosys, folder: Path, records: bytes) -> np.ndarray:
    compiler = find(["g++", "clang++"])
    if compiler is None:
        raise UserError("there is no g++ to compile the simulation with; install g++.")
    driver = Path(__file__).with_name("driver.cc")
    # Not optimised: compiling takes far longer than running.
    command = [
        str(compiler.path),
        "-std=c++14",
        "-O0",
        "-w",
        f"-I{yosys.headers}",
        "-I.",
        str(driver),
        "-o",
        "simulation",
    ]
    done = run(command, folder=folder, timeout_s=1800)
    if done.returncode != 0:
        raise UserError(f"g++ could not compile the simulation in {folder}: {done.tail(5)}")
    output = subprocess.run([folder / "simulation"], input=records, capture_output=True, check=True, timeout=600).stdout
    return np.frombuffer(output, "<u4")
