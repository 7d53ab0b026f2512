"""The runs of a list as processes, a few at a time, each taken as soon as it can be made."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

from accuracy_table.runs import Run, Store, duration, outcome
from codesign.errors import UserError

# Exit codes of the process of one run.
DONE, REFUSED, BUSY = 0, 2, 3


def obstacle(store: Store, run: Run) -> str | None:
    """Return why a run cannot start yet, None when nothing is known to be in the way."""
    from codesign.train import keras_topologies

    try:
        model = store.model(run)
    except UserError as error:
        return str(error)
    if run.row.framework == "qkeras":
        return None if model.topology in keras_topologies.names() else "there is no QKeras topology resnet8 yet"
    # Looked for, not loaded: that would load torch.
    methods = sorted({run.row.weights, run.row.activations})
    missing = [name for name in methods if find_spec(f"codesign.quant.{name}") is None]
    return f"there is no codesign/quant/{missing[0]}.py yet" if missing else None


def work(
    store: Store,
    runs: Sequence[Run],
    jobs: int,
    start: Callable[[Run], subprocess.Popen[bytes]],
    say: Callable[[str], None] = print,
    pause: float = 1.0,
) -> list[Run]:
    """Make all runs that have no result of the present code and can be made, in order, and return those that failed.

    What cannot be made now is passed over with a line and looked at again when a process is free. On any
    exception, Ctrl-C included, the processes are stopped; the next call continues them.

    Parameters
    ----------
    store : Store
    runs : sequence of Run
    jobs : int
        Processes at a time.
    start : callable
        Starts the process of a run: exit code 0 when its result is written, 2 with a sentence on standard
        error when it cannot be made, 3 when another process is at it.
    say : callable
        Takes one line.
    pause : float
        Seconds between two looks at the processes.
    """
    waiting = [run for run in runs if store.current(run) is None]
    say(f"{len(runs)} runs, {len(runs) - len(waiting)} done before")
    running: dict[Run, subprocess.Popen[bytes]] = {}
    failed: list[Run] = []
    told: set[Run] = set()
    try:
        while True:
            while len(running) < jobs and (run := _next(store, waiting, told, say)) is not None:
                waiting.remove(run)
                running[run] = start(run)
            if not running:
                return failed
            time.sleep(pause)
            for run, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                del running[run]
                say(_outcome(store, run, code))
                if code not in (DONE, REFUSED, BUSY):
                    failed.append(run)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _next(store: Store, waiting: Sequence[Run], told: set[Run], say: Callable[[str], None]) -> Run | None:
    for run in waiting:
        reason = obstacle(store, run)
        if reason is None:
            return run
        if run not in told:
            told.add(run)
            say(f"{run.name}: skipped: {reason}")
    return None


def _outcome(store: Store, run: Run, code: int) -> str:
    if code == DONE and (result := store.result(run)) is not None:
        why = f": {result['diverged']}" if "diverged" in result else ""
        return f"{run.name}: {outcome(result)}, {duration(result)}{why}"
    if code == BUSY:
        return f"{run.name}: skipped: another process is at it"
    last = store.log(run).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    return f"{run.name}: {'skipped' if code == REFUSED else 'failed'}: {''.join(last)} (see {store.log(run)})"
