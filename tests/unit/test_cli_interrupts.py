"""Signals become KeyboardInterrupt, and only where that is safe."""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from codesign.cli import interrupts
from codesign.errors import UserError


def wait() -> None:
    """Return after a while, which an interrupt should not allow."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.01)


def test_an_import_ends_before_the_interrupt_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Native modules abort the process when an exception reaches them while they are initialised."""
    tmp_path.joinpath("interrupted_module.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
        "end = time.monotonic() + 0.3\n"
        "while time.monotonic() < end: time.sleep(0.01)\n"
        "whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), interrupts.as_exceptions():
        __import__("interrupted_module")
        wait()
    assert sys.modules.pop("interrupted_module").whole


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_a_destructor_swallows_comes_again():
    class Loud:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt), interrupts.as_exceptions():
        loud = Loud()
        del loud
        wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_handlers_of_before_come_back(number: signal.Signals):
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interrupts.as_exceptions():
        os.kill(os.getpid(), number)
        wait()
    assert signal.getsignal(number) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("arrives", [True, False])
def test_an_error_in_the_place_of_an_interrupt_is_told_as_one(arrives: bool, monkeypatch, capsys):
    """Native code that an exception reaches may raise an error of its own."""
    from codesign.cli import main

    def command(*_: object, **__: object) -> None:
        if arrives:
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                wait()
        raise UserError("the checkpoint is damaged.")

    monkeypatch.setattr(main.application, "main", command)
    with pytest.raises(SystemExit) as ended:
        main.main(["models"])
    told = capsys.readouterr().err.strip()
    if arrives:
        assert (ended.value.code, told) == (130, "codesign: interrupted; nothing half-written was left behind.")
    else:
        assert (ended.value.code, told) == (2, "codesign: the checkpoint is damaged.")
