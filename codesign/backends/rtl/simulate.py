"""Cycle-exact simulation by Verilator."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codesign.backends.rtl import memory
from codesign.errors import UserError
from codesign.ir import Graph, Tensor
from codesign.toolchain import run as toolchain
from codesign.toolchain import verilator

_SEEDS = 2**31 - 1
"""Verilator takes seeds from 1 to this."""


@dataclass(frozen=True)
class Simulated:
    """What a simulation gave.

    Parameters
    ----------
    output : ndarray of int64, shape (frames, *output shape)
    ends : ndarray of int64, shape (frames,)
        Clock in which the last word of each frame left; 0 is the one in which the source first had a word.
    edges : dict of str to ndarray
        Every edge, when it was traced.
    """

    output: np.ndarray
    ends: np.ndarray
    edges: dict[str, np.ndarray]


def compile_bench(folder: Path, widths: tuple[int, int], trace: bool, wave: bool, fast: bool = True) -> Path:
    """Compile the test bench of the sources in a folder, unless that was done before, and return the program.

    Raises
    ------
    UserError
        When Verilator or a C++ compiler is missing, or refuses the sources.
    """
    options = ["--top-module", "bench", f"-GIN={widths[0]}", f"-GOUT={widths[1]}"]
    options += ["-DCODESIGN_TRACE"] * trace + ["--trace-vcd"] * wave
    sources = [*sorted(path.name for path in folder.glob("*.sv")), "main.cpp"]
    digest = hashlib.sha256(repr((options, fast)).encode())
    for name in sources:
        digest.update(name.encode() + b"\0" + hashlib.sha256((folder / name).read_bytes()).digest())
    output = f"build/sim-{digest.hexdigest()[:20]}"
    program = folder / output / "Vbench"
    if program.is_file():
        return program
    return verilator.build(folder, output, sources, options, folder / "build" / "verilator.log", fast)


def simulate(
    graph: Graph,
    lanes: Mapping[str, int],
    folder: Path,
    x: np.ndarray,
    trace: bool = False,
    wave: bool = False,
    pauses: tuple[int, int] = (0, 0),
    pace: int = 0,
    seed: int = 1,
    fast: bool = True,
    limit: int = 1_000_000,
    drain: int = 0,
    program: Path | None = None,
) -> Simulated:
    """Send frames through the network.

    Parameters
    ----------
    graph : Graph
    lanes : mapping of str to int
        Elements in a word, by edge.
    folder : Path
        Holds the sources.
    x : ndarray of int, shape (frames, *input shape)
    trace : bool
        Return every edge.
    wave : bool
        Write ``build/wave.vcd`` into the folder.
    pauses : (int, int)
        Clocks of 256, at random, in which the source has nothing and the sink takes nothing.
    pace : int
        Clocks over which the source spreads the words of a frame; 0 for as fast as they are taken.
    seed : int
        Of the pauses.
    fast : bool
        Compile a fast program, else compile fast.
    limit : int
        Clocks without a word at either end after which the simulation gives up.
    drain : int
        Clocks that a traced simulation goes on after the last word went in or out.
    program : Path, optional
        Test bench to run instead of that of the sources in the folder.

    Raises
    ------
    UserError
        When the simulation ends before all words have come.
    """
    (source,), (result,) = graph.inputs, graph.outputs
    entering, leaving = graph.edges[source], graph.edges[result]
    lanes_in, lanes_out = lanes[source], lanes[result]
    bits = (lanes_in * entering.type.bits, lanes_out * leaving.type.bits)
    program = program or compile_bench(folder, bits, trace, wave, fast)
    words = len(x) * leaving.size // lanes_out
    with tempfile.TemporaryDirectory(dir=folder / "build") as name:
        scratch = Path(name)
        for file in folder.glob("*.mem"):
            os.symlink(file.absolute(), scratch / file.name)
        (scratch / "in.hex").write_text(memory.words(x.reshape(-1, lanes_in), entering.type.bits))
        command: list[str | os.PathLike[str]] = [
            program.absolute(),
            "+in=in.hex",
            "+out=out.txt",
            f"+words={words}",
            f"+seed={seed}",
            f"+limit={limit}",
            # What has no first value, registers without a reset above all, begins with any.
            "+verilator+rand+reset+2",
            f"+verilator+seed+{1 + seed % _SEEDS}",
        ]
        if trace:
            command.append(f"+drain={drain}")
        if pace:
            command += [f"+pace={pace}", f"+frame={entering.size // lanes_in}"]
        command += [f"+pause_in={pauses[0]}", f"+pause_out={pauses[1]}"]
        done = toolchain.run(command, folder=scratch, log=scratch / "run.log")
        lines = (scratch / "out.txt").read_text().split("\n") if (scratch / "out.txt").is_file() else []
        if done.returncode != 0 or lines[-2:] != ["end", ""]:
            shutil.copy(scratch / "run.log", folder / "build" / "run.log")
            raise UserError(
                f"the simulation in {folder} stopped after {max(len(lines) - 1, 0)} of {words} words; "
                f"see {folder / 'build' / 'run.log'}."
            )
        cycles, data = zip(*(line.split() for line in lines[:words]), strict=True)
        output = _integers(data, lanes_out, leaving, len(x))
        edges = {}
        if trace:
            for edge, tensor in graph.edges.items():
                text = (scratch / f"trace_{edge}.hex").read_text().split()
                edges[edge] = _integers(text[1::2], lanes[edge], tensor, len(x))
        if wave:
            shutil.move(scratch / "wave.vcd", folder / "build" / "wave.vcd")
    ends = np.array(cycles, dtype=np.int64)[leaving.size // lanes_out - 1 :: leaving.size // lanes_out]
    return Simulated(output, ends, edges)


def _integers(words: tuple[str, ...] | list[str], lanes: int, tensor: Tensor, frames: int) -> np.ndarray:
    """Return whole frames of words in hexadecimal digits as integers."""
    count = frames * tensor.size // lanes
    bits, signed = tensor.type.bits, tensor.type.signed
    values = [memory.unpacked(int(word, 16), lanes, bits, signed) for word in words[:count]]
    return np.array(values, dtype=np.int64).reshape(frames, *tensor.shape)
