"""A search as a process of its own, to be killed: `python search_kill.py FOLDER STRATEGY EVALUATIONS SECONDS`.

Each evaluation takes so many seconds, so that there is a moment to kill it in.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from codesign.search.problem import Problem
from codesign.search.run import search
from tests.unit.search_problem import Formula, problem


@dataclass(frozen=True)
class Slow(Formula):
    """Sleeps; what it returns, and so its identity, is the same."""

    seconds: float = 0.0

    def accuracy(self, assignment):
        time.sleep(self.seconds)
        return super().accuracy(assignment)


def searched(folder, strategy, evaluations, seconds=0.0, workers="1"):
    """What a search found, as JSON."""
    made = problem(coupling=0.4)
    slow = Problem(made.space, made.constraint, Slow(made.space, 0, 0.4, seconds=seconds))
    found = search(slow, strategy, evaluations=evaluations, seed=5, folder=folder, workers=workers)
    return msgspec.json.encode([found.header, found.evaluations, found.best, found.front])


if __name__ == "__main__":
    folder, strategy, evaluations, seconds, workers = sys.argv[1:]
    result = searched(Path(folder), strategy, int(evaluations), float(seconds), workers)
    (Path(folder) / "result").write_bytes(result)
