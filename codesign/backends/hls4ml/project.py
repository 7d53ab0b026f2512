"""A folder that the hls4ml backend wrote: compile it, simulate it, synthesise it."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, overload

import numpy as np
import yaml  # type: ignore[import-untyped]

from codesign import ir
from codesign.backends import manifest
from codesign.backends.base import Emitted, Simulation, SynthResult
from codesign.errors import UserError
from codesign.ir import golden
from codesign.toolchain import gpp, synth_report, vitis_hls
from codesign.toolchain import run as toolchain

SCRIPT = "build.tcl"
CONFIG = "hls4ml_config.yml"
FRAMES_PER_WORKER = 16
"""Below this many frames another process is not worth its start."""
COMPILE_TIMEOUT_S = 1800.0
STREAM_WARNINGS = ("contains leftover data", "is read while empty")


class Hls4mlProject(Emitted):
    """A project of the hls4ml backend.

    Notes
    -----
    C simulation runs in processes of its own: a crash is an error here and not the end of Python, and no
    state of the C++ outlives a call.
    """

    @property
    def simulation(self) -> Simulation:
        """The C simulation, and the I/O style of the project."""
        config = yaml.safe_load((self.folder / CONFIG).read_text(encoding="utf-8"))
        return Simulation(kind="C simulation", of=f"hls4ml, {config['IOType']}")

    def binary_name(self, optimise: bool = True) -> str:
        """Return the path of the compiled simulation below the folder; it names its sources' content."""
        digest = hashlib.sha256(b"-O2" if optimise else b"-O0")
        sources = [*self.folder.glob("*_csim.cpp"), self.folder / "build_csim.sh"]
        sources += [path for path in (self.folder / "firmware").rglob("*") if path.suffix in (".h", ".cpp")]
        for path in sorted(sources, key=lambda path: path.relative_to(self.folder).as_posix()):
            digest.update(path.relative_to(self.folder).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return f"build/csim-{digest.hexdigest()[:20]}"

    def compile(self, optimise: bool = True) -> Path:
        """Compile the C simulation with g++, unless the same sources were compiled before.

        Parameters
        ----------
        optimise : bool
            Without it, compiling is about twice as fast and simulating about ten times as slow.

        Returns
        -------
        Path
            The program.

        Raises
        ------
        UserError
            When g++ is missing, or refuses the sources (the sentence names the log).
        """
        try:
            binary = self.folder / self.binary_name(optimise)
            if binary.is_file():
                return binary
            compiler = gpp.require()
            binary.parent.mkdir(exist_ok=True)
            temporary = binary.with_name(f".{binary.name}.{os.getpid()}")
            log = binary.parent / "compile.log"
            try:
                done = toolchain.run(
                    ["sh", (self.folder / "build_csim.sh").absolute(), temporary.absolute()],
                    log=log,
                    timeout_s=COMPILE_TIMEOUT_S,
                    environment={"CXX": str(compiler.path), "OPT": "-O2" if optimise else "-O0"},
                )
                if done.returncode != 0:
                    raise UserError(f"g++ refused the emitted sources; see {log}.")
                os.replace(temporary, binary)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot compile {self.folder} ({error}); emit it again, or free some space.") from error
        return binary

    @overload
    def run(
        self,
        x: np.ndarray,
        trace: Literal[False] = False,
        *,
        workers: int | None = None,
        timeout_s: float | None = None,
        optimise: bool = True,
    ) -> np.ndarray: ...
    @overload
    def run(
        self,
        x: np.ndarray,
        trace: Literal[True],
        *,
        workers: int | None = None,
        timeout_s: float | None = None,
        optimise: bool = True,
    ) -> dict[str, np.ndarray]: ...
    @overload
    def run(
        self,
        x: np.ndarray,
        trace: bool,
        *,
        workers: int | None = None,
        timeout_s: float | None = None,
        optimise: bool = True,
    ) -> np.ndarray | dict[str, np.ndarray]: ...
    def run(
        self,
        x: np.ndarray,
        trace: bool = False,
        *,
        workers: int | None = None,
        timeout_s: float | None = None,
        optimise: bool = True,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """Simulate frames in C++, compiling first where needed.

        Parameters
        ----------
        x : ndarray of int, shape (frames, *input shape)
        trace : bool
            Return every edge that the output depends on, the input included.
        workers : int, optional
            Processes; by default one per core, as far as the frames suffice.
        timeout_s : float, optional
            For the whole simulation.
        optimise : bool
            See `compile`.

        Returns
        -------
        ndarray of int64, shape (frames, *output shape)
            Or, with `trace`, a dict from edge name to such an array.

        Raises
        ------
        UserError
            When the input does not fit the network, the simulation crashes or exceeds its time, or a stream
            runs empty or over.
        """
        x = golden.checked_input(self.graph, x)
        binary = self.compile(optimise)
        if workers is None:
            workers = os.cpu_count() or 1
        workers = max(1, min(workers, len(x) // FRAMES_PER_WORKER))
        pieces = np.array_split(x, workers)
        try:
            with (
                tempfile.TemporaryDirectory(prefix="codesign-csim-") as scratch,
                concurrent.futures.ThreadPoolExecutor(workers) as pool,
            ):
                jobs = [
                    pool.submit(self._simulate, binary, piece, trace, Path(scratch) / str(index), timeout_s)
                    for index, piece in enumerate(pieces)
                ]
                try:
                    results = [job.result() for job in jobs]
                except BaseException:
                    toolchain.stop_all()
                    raise
        except OSError as error:
            raise UserError(f"cannot hand frames to the C simulation ({error}); free some space.") from error
        records = results[0] if len(results) == 1 else np.concatenate(results)
        if not trace:
            return records.reshape(len(x), *self.graph.output.shape)
        edges = {self.graph.inputs[0]: x.astype(np.int64)}
        offset = 0
        for name in self.traced():
            tensor = self.graph.edges[name]
            edges[name] = records[:, offset : offset + tensor.size].reshape(len(x), *tensor.shape)
            offset += tensor.size
        return edges

    def traced(self) -> list[str]:
        """Return the operators' edges that `run` can trace: all that the output depends on."""
        from codesign.backends.hls4ml.model import live_nodes

        return [node.name for node in live_nodes(self.graph)]

    def _simulate(self, binary: Path, x: np.ndarray, trace: bool, scratch: Path, timeout_s: float | None) -> np.ndarray:
        """Run one process; return int64 of shape (frames, elements)."""
        size = sum(self.graph.edges[name].size for name in self.traced()) if trace else self.graph.output.size
        scratch.mkdir()
        source, sink = scratch / "in", scratch / "out"
        np.ascontiguousarray(x, dtype=np.int64).tofile(source)
        done = toolchain.run([binary.absolute(), source, sink, *(["trace"] if trace else [])], timeout_s=timeout_s)
        if done.returncode != 0:
            raise UserError(
                f"C simulation of {self.folder} ended with code {done.returncode}"
                f"{': ' + done.tail(1) if done.output.strip() else ''}; look at the emitted sources."
            )
        for warning in STREAM_WARNINGS:
            if warning in done.output:
                raise UserError(f"in C simulation of {self.folder} a stream {warning}: {done.tail(1)}")
        records = np.fromfile(sink, dtype=np.int64)
        if records.size != len(x) * size:
            raise UserError(f"C simulation of {self.folder} returned {records.size} values for {len(x)} frames.")
        return records.reshape(len(x), size)

    def synth(self, say: Callable[[str], None] | None = None, timeout_s: float | None = None) -> SynthResult:
        """Run C simulation and C synthesis in Vitis HLS, or say what to run by hand where it is missing.

        Where it is missing and the folder holds reports of a run by hand on the files as emitted, these are
        read.

        Parameters
        ----------
        say : callable, optional
            Not used: the tool runs in one step.
        timeout_s : float, optional

        Raises
        ------
        UserError
            When the tool reports a failure; the sentence names the log.
        """
        tool = vitis_hls.locate()
        arguments = vitis_hls.command(SCRIPT, tool.name) if tool else vitis_hls.command(SCRIPT)
        command = f"cd {shlex.quote(str(self.folder))} && {shlex.join(arguments)}"
        if tool is None:
            found = synth_report.read_project(self.folder) if manifest.untouched(self.folder) else None
            if found is not None:
                return SynthResult(status="done", tool=found.tool, command=command, report=found, found=True)
            return SynthResult(status="tool-missing", tool="Vitis HLS", command=command)
        done = vitis_hls.synthesise(tool, self.folder, SCRIPT, timeout_s)
        report = synth_report.read_project(self.folder)
        if report is None:
            raise UserError(f"{tool.name} left no synthesis report in {self.folder}; see {done.log}.")
        return SynthResult(status="done", tool=report.tool, command=command, report=report, log=done.log)


def open_project(folder: str | Path) -> Hls4mlProject:
    """Return the project that was emitted into a folder.

    Raises
    ------
    UserError
        When the folder holds no emitted graph.
    """
    folder = Path(folder)
    return Hls4mlProject(folder, ir.load(folder / "graph.cdg"))
