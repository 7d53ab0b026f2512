"""Workers: the same results from any number of them, and after any of them dies."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.search.coordinates import Coordinates
from codesign.search.evaluate import evaluate
from codesign.search.problem import Problem
from codesign.search.sampling import sample
from codesign.search.workers import Here, Processes, start
from tests.unit.search_problem import Formula, problem

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Dying(Formula):
    """Kills its process at one candidate: as often as there are files to take away."""

    folder: str = ""
    at: str = ""

    def accuracy(self, assignment):
        if assignment.digest() == self.at and (left := sorted(Path(self.folder).iterdir())):
            left[0].unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().accuracy(assignment)


@dataclass(frozen=True)
class Failing(Formula):
    """Fails in one way or the other."""

    user: bool = True

    def accuracy(self, assignment):
        raise UserError("the data set is not there.") if self.user else ZeroDivisionError("of ours")


def candidates(made, count):
    generator = np.random.default_rng(3)
    coordinates = Coordinates(made.space)
    return [sample(made, coordinates, generator) for _ in range(count)]


def with_evaluator(made, evaluator):
    return Problem(made.space, made.constraint, evaluator)


def test_processes_find_what_this_process_finds_and_a_death_changes_nothing(tmp_path):
    made = problem(coupling=0.3)
    asked = candidates(made, 9)
    expected = [evaluate(made, one) for one in asked]
    assert dict(Here(made).run(asked)) == dict(enumerate(expected))
    for index in range(2):
        (tmp_path / str(index)).touch()
    dying = with_evaluator(made, Dying(made.space, 0, 0.3, folder=str(tmp_path), at=asked[4].digest()))
    workers = Processes(dying, 2)
    try:
        # Two of the three tries at the fifth candidate kill the worker.
        assert dict(workers.run(asked)) == dict(enumerate(expected))
        assert not list(tmp_path.iterdir())
        assert dict(workers.run(asked[:2])) == dict(enumerate(expected[:2]))
        for index in range(3):
            (tmp_path / str(index)).touch()
        with pytest.raises(UserError, match=r"die at the same candidate again and again \(3 times\)"):
            list(workers.run(asked[4:5]))
    finally:
        workers.close()


@pytest.mark.parametrize(("user", "error", "text"), [(True, UserError, "not there"), (False, RuntimeError, "of ours")])
def test_what_goes_wrong_in_a_worker_is_told_here(user, error, text):
    made = problem()
    workers = Processes(with_evaluator(made, Failing(made.space, user=user)), 2)
    try:
        with pytest.raises(error, match=text):
            list(workers.run(candidates(made, 1)))
    finally:
        workers.close()


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "-1",
        "two",
        "",
        "1.5",
        "²",
        "ray://",
        "ray://here",
        "ray://:1",
        "ray://here:port",
        "ray://here:0",
        "9" * 5000,
        "ray://h:" + "9" * 5000,
    ],
)
def test_what_are_no_workers_is_refused(text):
    with pytest.raises(UserError, match=r"a number of processes or ray://HOST:PORT, found"):
        start(problem(), text)


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import pathlib, sys, time
            from dataclasses import dataclass
            from tests.unit.search_problem import Formula, problem
            from codesign.search.problem import Problem
            from codesign.search.workers import Processes
            import os

            @dataclass(frozen=True)
            class Endless(Formula):
                def accuracy(self, assignment):
                    pathlib.Path(sys.argv[1], str(os.getpid())).touch()
                    time.sleep(3600)

            if __name__ == "__main__":
                made = problem()
                endless = Problem(made.space, made.constraint, Endless(made.space))
                list(Processes(endless, 2).run([made.space.uniform(1, 1), made.space.uniform(1, 2)]))
            """
        )
    )
    busy = tmp_path / "busy"
    busy.mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(busy)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        _until(lambda: len(list(busy.iterdir())) == 2 or parent.poll() is not None)
        workers = [int(path.name) for path in busy.iterdir()]
        assert len(workers) == 2
    finally:
        parent.kill()
        parent.wait()
    _until(lambda: not any(_runs(pid) for pid in workers))


def _until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def _runs(pid):
    try:
        # A process that nobody has waited for yet is dead all the same.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
