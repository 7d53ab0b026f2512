"""Who evaluates: this process, processes on this machine, or a Ray cluster.

Candidates of a batch are handed out as workers get free; a worker that dies is replaced, and what it was at is
evaluated again. The results do not depend on who evaluated what, because an evaluation depends on the candidate alone.
"""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Protocol

from codesign.errors import UserError
from codesign.search.evaluate import evaluate
from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment

TRIES = 3
"""How often a candidate is tried whose worker dies: once it may be the machine, three times it is the candidate."""

_RAY = "ray://"


class Workers(Protocol):
    """Evaluates candidates."""

    def run(self, asked: Sequence[Assignment]) -> Iterator[tuple[int, Evaluation]]:
        """Yield position and evaluation of each candidate, in the order in which they are done."""
        ...

    def close(self) -> None:
        """End the workers."""
        ...


def start(problem: Problem, workers: str) -> Workers:
    """Return workers: "1" for this process, "N" for so many processes, "ray://HOST:PORT" for a Ray cluster.

    Raises
    ------
    UserError
        When `workers` is none of these, or Ray is not installed or not reached.
    """
    require(workers)
    if workers.startswith(_RAY):
        from codesign.search.ray_workers import RayWorkers

        return RayWorkers(problem, workers)
    return Here(problem) if int(workers) == 1 else Processes(problem, int(workers))


def require(workers: str) -> None:
    """Raise `UserError` unless `workers` is what `start` takes; whether a cluster is reached is not asked."""
    if workers.startswith(_RAY):
        host, _, port = workers.removeprefix(_RAY).rpartition(":")
        fits = bool(host) and _is_number(port) and int(port) < 1 << 16
    else:
        fits = _is_number(workers)
    if not fits:
        raise UserError(f"workers are a number of processes or ray://HOST:PORT, found '{workers}'.")
    if workers.startswith(_RAY) and importlib.util.find_spec("ray") is None:
        raise no_ray()


def _is_number(text: str) -> bool:
    """Tell whether it is a positive number that a machine may have as many processes of."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) > 0


def no_ray() -> UserError:
    """Return what is to be raised where Ray is not installed."""
    return UserError("workers on a Ray cluster need Ray; install codesign[ray].")


class Here:
    """Evaluates in this process, one candidate after the other.

    Parameters
    ----------
    problem : Problem
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def run(self, asked: Sequence[Assignment]) -> Iterator[tuple[int, Evaluation]]:
        """Yield position and evaluation of each candidate."""
        for index, one in enumerate(asked):
            yield index, evaluate(self.problem, one)

    def close(self) -> None:
        """Nothing to end."""


class Processes:
    """Evaluates in processes of their own, one thread each.

    Parameters
    ----------
    problem : Problem
        Sent to each of them once.
    count : int
    """

    def __init__(self, problem: Problem, count: int) -> None:
        self.problem = problem
        self._count = count
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def run(self, asked: Sequence[Assignment]) -> Iterator[tuple[int, Evaluation]]:
        """Yield position and evaluation of each candidate, in the order in which they are done.

        Raises
        ------
        UserError
            What an evaluation raised; or when workers die at the same candidate again and again.
        RuntimeError
            When an evaluation fails, with the traceback of the worker.
        """
        waiting = collections.deque(range(len(asked)))
        deaths: collections.Counter[int] = collections.Counter()
        while waiting or any(worker.job is not None for worker in self._workers):
            self._staff(min(self._count, len(waiting) + sum(worker.job is not None for worker in self._workers)))
            for worker in self._workers:
                if worker.job is None and waiting:
                    worker.give(index := waiting.popleft(), asked[index])
            busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                assert worker.job is not None  # noqa: S101 - it is busy
                index = worker.job
                try:
                    found = worker.take()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    worker.end()
                    deaths[index] += 1
                    if deaths[index] == TRIES:
                        raise dies_again() from None
                    waiting.appendleft(index)
                    continue
                yield index, found

    def _staff(self, count: int) -> None:
        with _one_thread():
            while len(self._workers) < count:
                self._workers.append(_Worker(self._context, self.problem))

    def close(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self, context: multiprocessing.context.SpawnContext, problem: Problem) -> None:
        self.job: int | None = None
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, problem), daemon=True)
        self.process.start()
        # Only the worker holds the other end now, so that its death is seen as the end of the pipe.
        theirs.close()

    def give(self, index: int, asked: Assignment) -> None:
        self.job = index
        with contextlib.suppress(OSError):  # seen when the answer is read
            self.pipe.send(asked)

    def take(self) -> Evaluation:
        found: Answer = self.pipe.recv()
        self.job = None
        return read(found)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, problem: Problem) -> None:
    """Evaluate what comes through the pipe until it is closed. Runs in the worker."""
    # Ctrl-C goes to all processes of a terminal; who started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    limit_threads()
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        pipe.send(answer(problem, asked))


Answer = Evaluation | tuple[str, str]
"""An evaluation, or what went wrong: "user" and a sentence, or "bug" and a traceback."""


def answer(problem: Problem, asked: Assignment) -> Answer:
    """Evaluate a candidate in a worker; what goes wrong is told instead of raised, to be raised where it is read."""
    try:
        return evaluate(problem, asked)
    except UserError as error:
        return "user", str(error)
    except Exception:
        return "bug", traceback.format_exc()


def read(found: Answer) -> Evaluation:
    """Return the evaluation of an answer.

    Raises
    ------
    UserError, RuntimeError
        What went wrong in the worker.
    """
    if isinstance(found, Evaluation):
        return found
    kind, text = found
    raise UserError(text) if kind == "user" else RuntimeError(f"an evaluation failed in a worker:\n{text}")


def dies_again() -> UserError:
    """Return the error for a candidate at which workers die."""
    return UserError(
        f"workers die at the same candidate again and again ({TRIES} times); "
        "is there enough memory for so many workers?"
    )


def limit_threads() -> None:
    """Compute on one thread in this process: as many workers as cores leave none for more."""
    import sys

    import threadpoolctl

    threadpoolctl.threadpool_limits(1)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(1)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, were it killed: nobody waits for the answer."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Have processes that are started meanwhile compute on one thread each."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
