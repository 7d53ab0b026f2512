"""A serial port, real or a pseudo-terminal, by the terminal interface of the operating system (POSIX termios)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import stat
import termios
import time
from types import TracebackType

from codesign.errors import UserError

_WRITE_TIMEOUT_S = 10.0
"""Without a byte going out."""

_CHUNK = 4096

# Unix 98 pseudo-terminals, the side that a program opens: Documentation/admin-guide/devices.txt of Linux.
_PSEUDO_TERMINALS = range(136, 144)


class SerialPort:
    """A serial port that this process alone uses, 8N1, without flow control; a context manager.

    Parameters
    ----------
    path : str
        Such as ``/dev/ttyUSB0``.
    baud : int
        Bits per second, one of `rates`.

    Raises
    ------
    UserError
        When the port is missing, not a terminal, in use, not allowed, or does not know the rate.
    """

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        speed = rates().get(baud)
        if speed is None:
            known = ", ".join(f"{rate:,}" for rate in rates() if rate >= 9600)
            raise UserError(f"{baud:,} baud is no rate of this system's serial ports; choose one of {known}.")
        try:
            self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UserError(_refusal(path, error)) from error
        try:
            self._set_up(speed)
        except BaseException:
            os.close(self._file)
            raise

    def _set_up(self, speed: int) -> None:
        if not os.isatty(self._file):
            raise UserError(f"{self.path} is no serial port; give one such as /dev/ttyUSB0.")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"{self.path} is in use by another program; close that first.") from error
        try:
            *_, control = termios.tcgetattr(self._file)
            # Raw: eight bits, nothing echoed, translated or held back; modem lines ignored, and left as they are.
            mode = termios.CS8 | termios.CREAD | termios.CLOCAL
            control[termios.VMIN], control[termios.VTIME] = 0, 0
            termios.tcsetattr(self._file, termios.TCSANOW, [0, 0, mode, 0, speed, speed, control])
        except termios.error as error:
            raise UserError(f"{self.path} cannot be set up as a serial port ({error.args[-1]}).") from error

    @property
    def is_pseudo_terminal(self) -> bool:
        """Whether a program and no wire is at the other end: then nothing may be said of speed."""
        status = os.fstat(self._file)
        return stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in _PSEUDO_TERMINALS

    def read(self, timeout_s: float) -> bytes:
        """Return what has come, at least one byte unless nothing comes for `timeout_s` seconds.

        Raises
        ------
        UserError
            When the port has gone away.
        """
        if not select.select([self._file], [], [], max(0.0, timeout_s))[0]:
            return b""
        try:
            data = os.read(self._file, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone() from error
        if not data:
            raise self._gone()
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`.

        Raises
        ------
        UserError
            When the port has gone away, or takes nothing for ten seconds.
        """
        left = memoryview(data)
        while left:
            if not select.select([], [self._file], [], _WRITE_TIMEOUT_S)[1]:
                raise UserError(f"{self.path} takes no bytes; check the cable and that nothing else uses the port.")
            try:
                left = left[os.write(self._file, left[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone() from error

    def discard_input(self) -> None:
        """Forget what has come and was not read."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self._file, termios.TCIFLUSH)

    def send_break(self) -> None:
        """Hold the line at 0 for a quarter of a second or more, when all that was written is out."""
        with contextlib.suppress(termios.error):
            termios.tcsendbreak(self._file, 0)
        # The device counts some clocks more before it listens again.
        time.sleep(0.01)

    def close(self) -> None:
        """Let others use the port."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> SerialPort:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _gone(self) -> UserError:
        return UserError(f"{self.path} has gone away; plug the board in again.")


def rates() -> dict[int, int]:
    """Return what the system calls each rate, by bits per second, the slowest first."""
    found = {int(name[1:]): getattr(termios, name) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}
    return {rate: found[rate] for rate in sorted(found) if rate}


def _refusal(path: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"there is no port {path}; plug the board in, and look for its name with `ls /dev/tty*`."
    if error.errno == errno.EACCES:
        return f"{path} may not be opened by you; join the group that owns it, often 'dialout'."
    return f"{path} cannot be opened: {error.strerror}."
