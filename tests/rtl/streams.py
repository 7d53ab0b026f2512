"""Modules of hw/rtl and hw/shell between sources and sinks of words: many instances in one Verilator program."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from codesign.backends.rtl import memory
from codesign.backends.rtl.unit import Packed, Parameter
from codesign.toolchain import verilator
from codesign.toolchain.run import run

HERE = Path(__file__).parent
LIBRARIES = [HERE.parents[1] / "hw" / room for room in ("rtl", "shell")]

BUSY: dict[str, Any] = {"pauses": (0, 0)}
SLOW: dict[str, Any] = {"pauses": (0, 0), "gap": 24}
"""A word at a time: what has come in has gone out again before the next one."""
RANDOM: list[dict[str, Any]] = [
    {"pauses": (60, 60), "seed": 2},
    {"pauses": (10, 200), "seed": 3},
    {"pauses": (200, 10), "seed": 4},
    # All is forgotten in clock 57, and the words come anew.
    {"pauses": (60, 60), "seed": 5, "reset": 57},
]


@dataclass(frozen=True)
class Words:
    """What goes through a stream.

    Parameters
    ----------
    values : sequence of int
        Words, without a sign.
    ports : mapping of str to int
        Bits of the ports that make a word, the lowest first.
    """

    values: Sequence[int]
    ports: Mapping[str, int]

    @property
    def width(self) -> int:
        return sum(self.ports.values())


@dataclass(frozen=True)
class Case:
    """An instance, what goes in, and what must come out.

    Parameters
    ----------
    module : str
    parameters : mapping of str to int, bool, str or Packed
        A string that `files` has names a memory file.
    inputs, outputs : mapping of str to Words
        Streams by their prefix.
    files : mapping of str to str
    latency : int, optional
        Clocks from the input word that an output word needs to that word.
    needs : sequence of int, optional
        For every word of the first output, the number of its last word of the first input; that with the same
        number without it.
    depends : set of (str, str), optional
        Pairs (stream, other): what comes out of the module at `stream` (valid and data of an output, ready of an
        input) follows what goes in at `other` without a register between. No other pairs are.
    ports : mapping of str to str, optional
        Wires by port, where they are not those of the streams' names.
    wiring : str
        Verilog for these wires.
    """

    module: str
    parameters: Mapping[str, Parameter]
    inputs: Mapping[str, Words]
    outputs: Mapping[str, Words]
    files: Mapping[str, str] = field(default_factory=dict)
    latency: int | None = None
    needs: Sequence[int] | None = None
    depends: frozenset[tuple[str, str]] = frozenset({("in", "out")})
    ports: Mapping[str, str] | None = None
    wiring: str = ""

    def source(self, number: int) -> str:
        """Return a module that holds the instance, its sources and its sinks."""
        name = f"case_{number}"
        lines = [f"module {name} (input logic clk, rst, look, input int flip, output logic moved);"]
        ports, moved = {}, []
        for index, (stream, words) in enumerate((self.inputs | self.outputs).items()):
            kind = "source" if stream in self.inputs else "sink"
            lines.append(f"    logic {stream}_valid, {stream}_ready, {stream}_moved;")
            lines.append(f"    logic [{words.width - 1}:0] {stream}_word;")
            lines.append(
                f'    {kind} #(.WIDTH({words.width}), .NAME("{number}.{stream}"), .NUMBER({index})) {stream}_end'
            )
            lines.append(f"        (.valid({stream}_valid), .ready({stream}_ready), .data({stream}_word),")
            lines.append(f"         .moved({stream}_moved), .*);")
            moved.append(f"{stream}_moved")
            low = 0
            for port, bits in words.ports.items():
                ports[port] = f"{stream}_word[{low}+:{bits}]"
                low += bits
            ports |= {f"{stream}_valid": f"{stream}_valid", f"{stream}_ready": f"{stream}_ready"}
        lines.append(self.wiring)
        values = ", ".join(f".{key}({self._literal(value, number)})" for key, value in self.parameters.items())
        wires = self.ports if self.ports is not None else {"clk": "clk", "rst": "rst"} | ports
        lines.append(f"    {self.module} #({values}) dut")
        lines.append(f"        ({', '.join(f'.{port}({wire})' for port, wire in wires.items())});")
        lines.append(f"    assign moved = {' || '.join(moved)};")
        return "\n".join([*lines, "endmodule", ""])

    def _literal(self, value: Parameter, number: int) -> str:
        if isinstance(value, Packed):
            return value.literal
        if isinstance(value, str):
            return f'"{number}.{value}.mem"' if value in self.files else f'"{value}"'
        if isinstance(value, bool):
            return str(int(value))
        if -(1 << 31) <= value < 1 << 31:
            return str(value)
        return f"{'-' * (value < 0)}{max(64, value.bit_length() + 1)}'sd{abs(value)}"


@dataclass(frozen=True)
class Seen:
    """What passed a stream: clocks and, for an output, words; whether a word that was offered was not kept; the
    streams that it depends on without a register, when that was looked for.
    """

    clocks: list[int]
    words: list[int]
    broken: bool
    sees: set[str]


class Bench:
    """Cases in one program."""

    def __init__(self, cases: Sequence[Case], folder: Path) -> None:
        self.cases, self.folder = list(cases), folder
        self.known: dict[str, list[dict[str, Seen]]] = {}
        sources = ["source.sv", "sink.sv", "bench.sv"]
        text = [case.source(number) for number, case in enumerate(self.cases)]
        instances = [f"    case_{n} c{n} (.moved(moves[{n}]), .*);" for n in range(len(self.cases))]
        text += [
            "module bench (input logic clk, rst, look, input int flip, output logic moved);",
            f"    logic [{len(self.cases) - 1}:0] moves;",
            "    assign moved = |moves;",
            *instances,
            "endmodule",
        ]
        files = {name: (HERE / name).read_text() for name in (*sources[:2], "main.cpp")}
        files |= {path.name: path.read_text() for library in LIBRARIES for path in library.glob("*.sv")}
        files["bench.sv"] = "\n".join(text) + "\n"
        digest = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:20]
        self.program = folder / digest / "build" / "Vbench"
        folder.mkdir(parents=True, exist_ok=True)
        # Other processes of the same test run may want it as well.
        with open(folder / f"{digest}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.program.is_file():
                place = folder / digest
                place.mkdir(exist_ok=True)
                for name, content in files.items():
                    (place / name).write_text(content)
                options = ["--top-module", "bench", "-y", ".", "-Wno-MULTITOP", "-Wno-PINCONNECTEMPTY"]
                # Built once for all files, and run a dozen times with all cases.
                verilator.build(place, "build", [*sources, "main.cpp"], options, place / "verilator.log", fast=True)

    def run(self, **options: Any) -> list[dict[str, Seen]]:
        """Send the words of every case, unless that was done before; see `simulate`."""
        key = repr(sorted(options.items()))
        if key not in self.known:
            self.known[key] = self.simulate(**options)
        return self.known[key]

    def simulate(
        self,
        pauses: tuple[int, int] = (0, 0),
        gap: int = 0,
        seed: int = 1,
        reset: int | None = None,
        look: bool = False,
        idle: int = 400,
    ) -> list[dict[str, Seen]]:
        """Send the words of every case and return what passed, by case and stream.

        Parameters
        ----------
        pauses : (int, int)
            Clocks of 256, at random, in which the sources have nothing and the sinks take nothing.
        gap : int
            Clocks without a word behind every word of a source.
        seed : int
            Of the pauses, and of what registers hold that no reset sets.
        reset : int, optional
            Clock of a reset, after which all words are sent anew; those before are not returned.
        look : bool
            Look for paths without a register.
        idle : int
            Clocks without a word after which the simulation ends.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            scratch = Path(name)
            for number, case in enumerate(self.cases):
                for stream, words in case.inputs.items():
                    (scratch / f"{number}.{stream}.hex").write_text("".join(f"{value:x}\n" for value in words.values))
                for file, text in case.files.items():
                    (scratch / f"{number}.{file}.mem").write_text(text)
            command = [str(self.program.absolute()), f"+pause_in={pauses[0]}", f"+pause_out={pauses[1]}"]
            command += [f"+gap={gap}", f"+seed={seed}", f"+look={int(look)}", f"+idle={idle}"]
            command += [f"+reset={reset}"] * (reset is not None)
            command += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
            done = run(command, folder=scratch)
            assert done.returncode == 0, done.output
            return [
                {stream: self._read(scratch / f"{number}.{stream}.log", case) for stream in case.inputs | case.outputs}
                for number, case in enumerate(self.cases)
            ]

    @staticmethod
    def _read(log: Path, case: Case) -> Seen:
        lines = log.read_text().rpartition("reset\n")[2].splitlines()
        streams = list(case.inputs | case.outputs)
        changed = int(lines.pop().split()[1], 2)
        sees = {stream for index, stream in enumerate(streams) if changed >> index & 1}
        passed = [line.split() for line in lines if line != "broken"]
        clocks, words = [int(line[0]) for line in passed], [int(line[1], 16) for line in passed if len(line) == 2]
        return Seen(clocks, words, "broken" in lines, sees)


class Part:
    """The cases of one module among those of a program."""

    def __init__(self, bench: Bench, first: int, cases: Sequence[Case]) -> None:
        self.bench, self.first, self.cases = bench, first, list(cases)

    def run(self, **options: Any) -> list[dict[str, Seen]]:
        """See `Bench.run`."""
        return self.bench.run(**options)[self.first : self.first + len(self.cases)]

    def check(self) -> None:
        """Check what every module promises: the words that come out, whether they come without pauses, word by word,
        with pauses at random or after a reset; that a word which is offered stays; the latency; and which paths have
        no register.
        """
        for options in (BUSY, SLOW, *RANDOM):
            for case, seen in zip(self.cases, self.run(**options), strict=True):
                about = f"{case.module} {dict(case.parameters)}, {options}"
                for stream, words in case.outputs.items():
                    assert seen[stream].words == list(words.values), f"{stream} of {about}"
                    assert not seen[stream].broken, f"{stream} of {about} took back a word that it had offered"
                for stream, words in case.inputs.items():
                    assert len(seen[stream].clocks) == len(words.values), f"{stream} of {about} was not taken"
                if options is SLOW and case.latency is not None:
                    assert set(latencies(case, seen)) == {case.latency}, f"latency of {about}"
        looked = [self.run(pauses=pauses, look=True, seed=6) for pauses in ((60, 60), (10, 180), (180, 10))]
        for number, case in enumerate(self.cases):
            found = {(s, o) for runs in looked for s, seen in runs[number].items() for o in seen.sees if s != o}
            assert found == case.depends, f"paths without a register through {case.module} {dict(case.parameters)}"


def packed(fields: np.ndarray, bits: int) -> list[int]:
    """Return words of fields: shape (words, ...), field i of a word in bits [i*bits +: bits]."""
    return [memory.packed(word, bits) for word in fields.reshape(len(fields), -1).tolist()]


def integers(rng: np.random.Generator, bits: int, signed: bool, shape: tuple[int, ...]) -> np.ndarray:
    """Return integers of a type, the extremes more often than the others."""
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    values = rng.integers(low, high + 1, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([low, high], shape), values)


def latencies(case: Case, seen: Mapping[str, Seen]) -> list[int]:
    """Return the clocks from the input word that each word of the first output needs to that word."""
    came, left = seen[next(iter(case.inputs))].clocks, seen[next(iter(case.outputs))].clocks
    needs = range(len(left)) if case.needs is None else case.needs
    return [out - came[need] for out, need in zip(left, needs, strict=True)]


def gaps(clocks: Sequence[int]) -> set[int]:
    """Return the distances between clocks that follow one another."""
    return {after - before for before, after in itertools.pairwise(clocks)}
