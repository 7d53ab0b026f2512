"""Running an outside tool: no shell, a log file, a time limit, and nothing left running behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from codesign.errors import UserError

_GRACE_S = 3.0

# Running now, in any thread.
_running: set[subprocess.Popen[bytes]] = set()


class Completed(msgspec.Struct, frozen=True):
    """How a tool ended.

    Attributes
    ----------
    command : tuple of str
    returncode : int
    output : str
        Standard output and standard error together.
    log : Path or None
        Where `output` was written.
    """

    command: tuple[str, ...]
    returncode: int
    output: str
    log: Path | None = None

    def tail(self, lines: int = 12) -> str:
        """Return the last `lines` lines of the output."""
        return "\n".join(self.output.rstrip().splitlines()[-lines:])


def run(
    command: Sequence[str | os.PathLike[str]],
    *,
    folder: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run `command` in `folder` and wait for it.

    The command is a list of arguments and never meets a shell. It runs in a process group of its own,
    which is ended as a whole on Ctrl-C, on the time limit, and on any other exception.

    Parameters
    ----------
    command : sequence of str or path
    folder : path, optional
        Working folder of the command.
    log : path, optional
        File that receives the output while the command runs.
    timeout_s : float, optional
        Seconds after which the command is ended.
    environment : mapping, optional
        Variables added to the present environment.

    Raises
    ------
    UserError
        When the tool cannot be started or exceeds its time limit.
    """
    arguments = tuple(os.fspath(part) for part in command)
    tool = Path(arguments[0]).name
    with contextlib.ExitStack() as stack:
        sink: int | IO[bytes] = subprocess.PIPE
        if log is not None:
            Path(log).parent.mkdir(parents=True, exist_ok=True)
            sink = stack.enter_context(open(log, "wb"))
        try:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"cannot start {tool}: {error.strerror or error}.") from error
        _running.add(process)
        try:
            output, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise UserError(f"{tool} did not finish within {timeout_s:g} s and was stopped.") from error
        finally:
            _end(process)
            _running.discard(process)
    text = output if log is None else Path(log).read_bytes()
    return Completed(arguments, process.returncode, text.decode(errors="replace"), None if log is None else Path(log))


def stop_all() -> None:
    """Ask every tool that runs now, in any thread, to end; for signal handlers."""
    for process in list(_running):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group, politely first."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        # The tool may be gone while processes that it started still take their leave.
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline:
            process.poll()
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)
