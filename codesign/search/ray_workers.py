"""Evaluations on a Ray cluster. Its machines need the same version of codesign, and see the same files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codesign.errors import UserError
from codesign.search.problem import Evaluation, Problem
from codesign.search.space import Assignment
from codesign.search.workers import TRIES, Answer, answer, dies_again, limit_threads, read


class RayWorkers:
    """Evaluates on a Ray cluster, one processor for each candidate.

    A machine or a process of the cluster that dies costs time only: what it was at is evaluated elsewhere.

    Parameters
    ----------
    problem : Problem
        Sent to the cluster once.
    address : str
        ``ray://HOST:PORT``, the port of the cluster's client server (10001 unless it was chosen).

    Raises
    ------
    UserError
        When Ray is not installed, or the cluster is not reached.
    """

    def __init__(self, problem: Problem, address: str) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError("workers on a Ray cluster need Ray; install codesign[ray].") from error
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error")
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise UserError(f"the Ray cluster {address} is not reached; start it, or correct the address.") from error
        self._problem = ray.put(problem)
        # A death of one of the cluster's own processes counts as a try, whatever its cause.
        self._remote = ray.remote(num_cpus=1, max_retries=TRIES - 1)(_answer)

    def run(self, asked: Sequence[Assignment]) -> Iterator[tuple[int, Evaluation]]:
        """Yield position and evaluation of each candidate, in the order in which they are done.

        Raises
        ------
        UserError
            What an evaluation raised; or when processes die at the same candidate again and again.
        RuntimeError
            When an evaluation fails, with the traceback of the worker.
        """
        ray = self._ray
        pending = {self._remote.remote(self._problem, one): index for index, one in enumerate(asked)}
        while pending:
            done, _ = ray.wait(list(pending), num_returns=1)
            index = pending.pop(done[0])
            try:
                found: Answer = ray.get(done[0])
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
                raise dies_again() from error
            yield index, read(found)

    def close(self) -> None:
        """Leave the cluster; what is still being evaluated is given up."""
        self._ray.shutdown()


def _answer(problem: Problem, asked: Assignment) -> Answer:
    """Evaluate a candidate. Runs on the cluster."""
    limit_threads()
    return answer(problem, asked)
