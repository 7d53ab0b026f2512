"""The searches and the trainings of what they found, each a task with a result in a file."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.errors import UserError
from codesign.files import atomic_write
from search_table.scenarios import ALL, ONCE, SCENARIOS, Scenario


@dataclass(frozen=True)
class Search:
    """A strategy in a scenario with a seed."""

    scenario: Scenario
    strategy: str
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.scenario.name}-{self.strategy}-s{self.seed}"


@dataclass(frozen=True)
class Training:
    """What a search found, trained with a seed."""

    search: Search
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.search.scenario.name}-{self.search.strategy}-t{self.seed}"


def plan(
    seeds: Sequence[int], scenarios: Sequence[str], strategies: Sequence[str]
) -> tuple[list[Search], list[Training]]:
    """Return all searches and all trainings, those of the first seed first.

    Parameters
    ----------
    seeds : sequence of int
    scenarios, strategies : sequence of str
        Names; all where there are none.

    Raises
    ------
    UserError
        When there is no such scenario or strategy.
    """
    for what, names, known in (("scenario", scenarios, SCENARIOS), ("strategy", strategies, ALL)):
        for name in names:
            if name not in known:
                raise UserError(f"there is no {what} '{name}'; there are {', '.join(known)}.")
    searches: dict[Search, None] = {}
    trainings = []
    for seed in seeds:
        for name, scenario in SCENARIOS.items():
            for strategy in scenario.strategies:
                if (scenarios and name not in scenarios) or (strategies and strategy not in strategies):
                    continue
                search = Search(scenario, strategy, seeds[0] if strategy in ONCE else seed)
                searches[search] = None
                trainings.append(Training(search, seed))
    return list(searches), trainings


class Store:
    """Results as files, of this machine or as they came with the checkout.

    Parameters
    ----------
    folder : Path
        Holds `results` and `locks`, and whatever tasks keep there.
    committed : Path
        Results of the checkout.
    supernets : Path
        Supernets of the checkout, each in a folder named by what it was trained from.
    """

    def __init__(self, folder: Path, committed: Path, supernets: Path) -> None:
        self.folder, self.committed, self._supernets = folder, committed, supernets

    @property
    def supernet(self) -> Path:
        """The folder of supernets, with those of the checkout in it."""
        from codesign.train.supernet import FINAL  # torch comes with it

        own = self.folder / "supernet"
        for path in self._supernets.glob(f"*/{FINAL}"):
            if not (to := own / path.relative_to(self._supernets)).exists():
                atomic_write(to, path.read_bytes())
        return own

    def keep_supernets(self) -> int:
        """Put supernets of this machine that are trained with the checkout's; return how many were not there."""
        from codesign.train.supernet import FINAL  # torch comes with it

        new = 0
        for path in (self.folder / "supernet").glob(f"*/{FINAL}"):
            if not (to := self._supernets / path.relative_to(self.folder / "supernet")).exists():
                atomic_write(to, path.read_bytes())
                new += 1
        return new

    def result(self, task: Search | Training) -> dict[str, Any] | None:
        """Return the result of a task, None when there is none."""
        for folder in (self.folder / "results", self.committed):
            with contextlib.suppress(OSError):
                found: dict[str, Any] = json.loads((folder / f"{task.name}.json").read_bytes())
                return found
        return None

    def write(self, task: Search | Training, result: dict[str, Any]) -> None:
        """Write the result of a task, whole or not at all."""
        atomic_write(self.folder / "results" / f"{task.name}.json", json.dumps(result, indent=1) + "\n")

    def keep(self, task: Search | Training) -> bool:
        """Put a result of this machine with the checkout's; return whether it was not there."""
        own, kept = self.folder / "results" / f"{task.name}.json", self.committed / f"{task.name}.json"
        if not own.is_file() or (kept.is_file() and kept.read_bytes() == own.read_bytes()):
            return False
        atomic_write(kept, own.read_bytes())
        return True

    @contextlib.contextmanager
    def locked(self, name: str, *, wait: bool = False) -> Iterator[bool]:
        """Hold a task against other processes; yields False where another one holds it."""
        path = self.folder / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
