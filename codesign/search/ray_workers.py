"""Evaluations on a Ray cluster. Its machines need the same version of codesign, and see the same files."""

from __future__ import annotations

import collections
import importlib.metadata
from collections.abc import Iterator, Sequence
from typing import Any

from codesign.errors import UserError
from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment
from codesign.search.workers import TRIES, Answer, answer, dies_again, limit_threads, no_ray, read


class RayWorkers:
    """Evaluates on a Ray cluster, one processor for each candidate.

    A machine or a process of the cluster that dies costs time only: what it was at is evaluated elsewhere. Machines
    that join later are used. Each process loads what the evaluator needs once, with its first candidate.

    Parameters
    ----------
    problem : Problem
        Sent to the cluster once.
    address : str
        ``ray://HOST:PORT``, the port of the cluster's client server (10001 unless it was chosen).

    Raises
    ------
    UserError
        When Ray is not installed, the cluster is not reached, or it cannot read the problem.
    """

    def __init__(self, problem: Problem, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise no_ray() from error
        self._ray: Any = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise UserError(
                f"the Ray cluster {address} is not reached ({_last_line(error)}); start it, or correct the address."
            ) from error
        self._digest, self._version = problem.digest(), _version()
        try:
            self._problem = ray.put(problem)
            # Deaths are counted here: Ray would try again without end where memory runs out.
            self._remote = ray.remote(num_cpus=1, max_retries=0)(_answer)
        except Exception as error:  # whatever reading it raised there
            self.close()
            raise UserError(_unfit(error, self._version)) from error

    def run(self, asked: Sequence[Assignment]) -> Iterator[tuple[int, Evaluation]]:
        """Yield position and evaluation of each candidate, in the order in which they are done.

        Raises
        ------
        UserError
            What an evaluation raised; when processes die at the same candidate again and again; or when the cluster
            fails.
        RuntimeError
            When an evaluation fails, with the traceback of the worker.
        """
        deaths: collections.Counter[int] = collections.Counter()
        pending = {self._send(one): index for index, one in enumerate(asked)}
        while pending:
            done, _ = self._ray.wait(list(pending), num_returns=1)
            index = pending.pop(done[0])
            found = self._take(done[0])
            if found is None:
                deaths[index] += 1
                if deaths[index] == TRIES:
                    raise dies_again()
                pending[self._send(asked[index])] = index
                continue
            yield index, read(found)

    def _send(self, one: Assignment) -> Any:
        return self._remote.remote(self._problem, self._digest, self._version, one)

    def _take(self, reference: Any) -> Answer | None:
        """Return the answer of a task, None when it died.

        Raises
        ------
        UserError
            When the cluster cannot evaluate.
        """
        failures = self._ray.exceptions
        died = (
            failures.WorkerCrashedError,
            failures.NodeDiedError,
            failures.ObjectLostError,
            failures.OutOfMemoryError,
        )
        try:
            found: Answer = self._ray.get(reference)
        except died:
            return None
        except failures.RayTaskError as error:
            raise UserError(_unfit(error, self._version)) from error
        except (failures.RayError, ConnectionError) as error:
            raise UserError(f"the Ray cluster failed ({_last_line(error)}); start it, and this, again.") from error
        return found

    def close(self) -> None:
        """Leave the cluster; what is still being evaluated is given up."""
        self._ray.shutdown()


def _version() -> str | None:
    """Return the version of codesign in this process, None where it is not installed but lies in a folder."""
    try:
        return importlib.metadata.version("codesign")
    except importlib.metadata.PackageNotFoundError:
        return None


def _unfit(error: BaseException, version: str | None) -> str:
    """Return the sentence for a cluster that cannot read or run what is sent to it."""
    return (
        f"the Ray cluster cannot evaluate candidates ({_last_line(error)}); "
        f"install codesign {version or 'of this version'} and its packages on all its machines."
    )


def _last_line(error: BaseException) -> str:
    """Return the last line of what an error says, where those that hold a traceback say what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


_KEPT: dict[str, Problem] = {}
"""Of a process of the cluster: the problem that it evaluates, by its digest, with what its evaluator has loaded."""


def _answer(problem: Problem, digest: str, version: str | None, asked: Assignment) -> Answer:
    """Evaluate a candidate. Runs on the cluster."""
    own = _version()
    if None not in (own, version) and own != version:
        return "user", f"a machine of the Ray cluster has codesign {own}, not {version}; install {version} on all."
    # Each task brings the problem anew, as names and settings alone. The first one is kept.
    if digest not in _KEPT:
        if problem.digest() != digest:
            return "user", (
                "a machine of the Ray cluster would evaluate candidates in another way: it has other files, another "
                "codesign, or a processor that computes in another precision; make all of its machines alike."
            )
        _KEPT.clear()
        _KEPT[digest] = problem
        limit_threads()
    return answer(_KEPT[digest], asked)
