"""The digital twin of a board: the serial shell with a network, simulated behind a pseudo-terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import RtlProject
from codesign.backends.rtl.place_and_route import SHELL, Design
from codesign.backends.rtl.serial_shell import TOP, SerialShell
from codesign.ir import Graph
from codesign.toolchain import verilator

CLOCKS = 8
"""Of one bit on the line."""

IDLE = 3000
"""Clocks without anything on the line after which the simulation waits."""


class Board:
    """A project, its shell around it, compiled.

    Parameters
    ----------
    folder : Path
    graph : Graph
    cycles : int
        Wanted for a frame.
    change : (str, str, str), optional
        A file of the shell, what is replaced in it, and by what: a fault of the hardware.
    """

    def __init__(
        self, folder: Path, graph: Graph, cycles: int = 1000, change: tuple[str, str, str] | None = None
    ) -> None:
        board = boards.load("icebreaker")
        # Few clocks of a bit make the simulation short.
        shell = msgspec.structs.replace(board.shell, baud=round(1e6 * board.clock_mhz / CLOCKS), led_low=False)
        board = msgspec.structs.replace(board, shell=shell)
        self.project = rtl.emit(graph, board, folder, cycles=cycles)
        self.serial = SerialShell.of(graph, self.project.about["lanes"])
        self.design = Design(folder, board, self.serial, cycles)
        self.design.write_shell()
        if change is not None:
            path = folder / SHELL / change[0]
            text = path.read_text()
            assert text.count(change[1]) == 1, change
            path.write_text(text.replace(*change[1:]))
        self.clocks, self.idle, self.led_low = CLOCKS, IDLE, False
        parameters = self.serial.parameters(CLOCKS, led_low=False)
        options = ["--top-module", TOP, *(f"-G{name}={value}" for name, value in parameters.items())]
        self.program = compile_program(folder, "build/twin", self.design.sources, options)


def compile_program(
    folder: Path, output: str, sources: Sequence[str], options: Sequence[str], fast: bool = False
) -> Path:
    """Compile sources of a shell in a project folder, and return the program."""
    (folder / "twin.cpp").write_text((Path(__file__).parent / "twin.cpp").read_text())
    # The counter of the reset starts at its value in the configuration.
    given = ["-Wno-PROCASSINIT", *options]
    return verilator.build(folder, output, [*sources, "twin.cpp"], given, folder / f"{output}.log", fast)


def idle(project: RtlProject) -> int:
    """Return the clocks without anything on the line after which the simulation of a project's shell may wait."""
    return IDLE + 2 * int(project.about["latency_cycles"])


class Twin:
    """A board that runs, with a fresh configuration; a context manager."""

    def __init__(self, board: Board, seed: int = 1) -> None:
        self.board = board
        # What no reset sets is random, as in a device.
        random = ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
        self._process = subprocess.Popen(
            [str(board.program.absolute()), str(board.clocks), str(board.idle), *random],
            cwd=board.project.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.port = self._line()

    def tell(self, *commands: str) -> str:
        """Give commands, see ``twin.cpp``, and return the answer to the last one."""
        answer = ""
        for command in commands:
            self._process.stdin.write(command + "\n")
            answer = self._line()
            assert answer.startswith("ok"), answer
        return answer

    @property
    def led(self) -> bool:
        """Whether the lamp is lit."""
        return (self.tell("look").split()[1] == "1") != self.board.led_low

    @property
    def clocks(self) -> int:
        """Clocks simulated so far."""
        return int(self.tell("look").split()[4])

    def _line(self) -> str:
        line = self._process.stdout.readline()
        assert line, f"the simulation ended with {self._process.wait()}"
        return line.strip()

    def __enter__(self) -> Twin:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
