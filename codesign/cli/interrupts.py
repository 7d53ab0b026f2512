"""Ctrl-C, kill and a closed terminal all end a command in the same orderly way."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType

from codesign.toolchain import run

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_S = 1.0
_AFTER_IMPORT_S = 0.05
_IMPORT = "<frozen importlib._bootstrap>"
_raised = False
"""Whether a signal was turned into an exception since `as_exceptions` began."""


@contextlib.contextmanager
def as_exceptions() -> Iterator[None]:
    """Within the block, turn these signals into KeyboardInterrupt, and see that it gets through.

    Python drops an exception that a signal raises inside a callback or a destructor. The handler therefore
    comes back after a second, and raises again unless the first exception is on its way.

    An import is never interrupted: a native module that is being initialised aborts the process when an exception
    reaches it (torch does). The handler waits for the import to end.
    """
    global _raised
    _raised = False
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    # Threads that wait for a tool end with it; Python would wait for them otherwise.
    global _raised
    run.stop_all()
    if _imports(frame):
        signal.setitimer(signal.ITIMER_REAL, _AFTER_IMPORT_S)
        return
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
    # While the first one is handled, things are being tidied up.
    if not behind(sys.exc_info()[1]):
        _raised = True
        raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORT:
            return True
        frame = frame.f_back
    return False


def behind(error: BaseException | None) -> bool:
    """Tell whether `error` is an interrupt, or came about while one was handled."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def replaced(error: BaseException) -> bool:
    """Tell whether an interrupt came and `error` does not know of it.

    Native code may put an error of its own in the place of the exception: safetensors then says that a file is damaged.
    """
    return _raised and not behind(error)
