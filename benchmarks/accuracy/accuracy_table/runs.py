"""One run: a row with a seed. Its model file, its training, its result."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy_table.rows import EPOCHS, MORE_SEEDS, ROWS, SEEDS, Row, model_file, seeds_of
from accuracy_table.versions import code_digest, origins, version_of
from codesign import zoo
from codesign.errors import DivergedError, UserError
from codesign.files import atomic_write

ROOT = Path(__file__).resolve().parents[3]

ADDED = ("folded",)
"""What a result may get after the training, by `accuracy_table.folded`."""


class BusyError(Exception):
    """Another process is at this run."""


@dataclass(frozen=True)
class Run:
    """A row with a seed and a number of epochs."""

    row: Row
    seed: int
    epochs: int = EPOCHS

    @property
    def name(self) -> str:
        """Name of the run, and of all its files."""
        return f"{self.row.key}_s{self.seed}"


def plan(
    seeds: Sequence[int] | None, epochs: int = EPOCHS, only: Sequence[str] = (), shard: tuple[int, int] = (1, 1)
) -> list[Run]:
    """Return the runs in the order of training: all rows of the first seed, then of the next.

    Parameters
    ----------
    seeds : sequence of int or None
        None for those that each row of the table has.
    epochs : int
    only : sequence of str
        Patterns of rows such as "lsq_w4", "asq*" or "*_w1"; all rows when empty.
    shard : (int, int)
        (i, n): every n-th run from the i-th on, 1 <= i <= n.

    Raises
    ------
    UserError
        When a pattern fits no row.
    """
    for pattern in only:
        if not any(fnmatch.fnmatchcase(row.key, pattern) for row in ROWS):
            raise UserError(f"no row is called '{pattern}'; rows are {', '.join(row.key for row in ROWS)}.")
    chosen = [row for row in ROWS if not only or any(fnmatch.fnmatchcase(row.key, p) for p in only)]
    index, count = shard
    order = SEEDS + MORE_SEEDS if seeds is None else seeds
    runs = [Run(row, seed, epochs) for seed in order for row in chosen if seeds is not None or seed in seeds_of(row)]
    return runs[index - 1 :: count]


class Store:
    """The folder of all runs.

    Parameters
    ----------
    folder : Path
        Holds `models`, `train`, `results`, `logs` and `locks`.
    committed : Path, optional
        Holds results that came with the checkout: a file for each run, as in `results`, which counts before it.
    """

    def __init__(self, folder: Path, committed: Path | None = None) -> None:
        self.folder, self.committed = folder, committed

    def model(self, run: Run) -> zoo.Model:
        """Write the model file of a run and return the model.

        Raises
        ------
        UserError
            When this version of the package cannot read it.
        """
        path, text = self.folder / "models" / f"{run.name}.toml", model_file(run.row, run.seed, run.epochs)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            atomic_write(path, text)
        return zoo.read(path)

    def log(self, run: Run) -> Path:
        """Return the file that takes what the process of a run prints."""
        return self.folder / "logs" / f"{run.name}.log"

    def result(self, run: Run) -> dict[str, Any] | None:
        """Return the result of a run; None when there is none, or it is that of another recipe.

        It has either "accuracy" or, when the training diverged, "diverged", a sentence. Its code may be that of an
        earlier version. What either of two results of the same weights has of `ADDED` counts for both.
        """
        found = [self._read(folder, run) for folder in (self.folder / "results", self.committed) if folder is not None]
        known = [one for one in found if one is not None]
        code = code_digest(run.row)
        chosen = next((one for one in known if version_of(run.row, one) == code), known[0] if known else None)
        if chosen is None:
            return None
        same = [one for one in known if all(one.get(key) == chosen.get(key) for key in ("code", "checkpoint_sha256"))]
        return chosen | {key: one[key] for one in same for key in ADDED if key in one and key not in chosen}

    def _read(self, folder: Path, run: Run) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((folder / f"{run.name}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if found.get("model_file") == model_file(run.row, run.seed, run.epochs) else None

    def commit(self, run: Run) -> bool:
        """Put the result of a run with the checkout's, when it is of the present version; return whether it was new."""
        result, name = self.current(run), f"{run.name}.json"
        if self.committed is None or result is None or self._read(self.committed, run) == result:
            return False
        atomic_write(self.committed / name, json.dumps(result, indent=1) + "\n")
        return True

    def current(self, run: Run) -> dict[str, Any] | None:
        """Return the result of a run, None unless of the code and the checkpoints as they are now."""
        found = self.result(run)
        return found if found is not None and version_of(run.row, found) == code_digest(run.row) else None

    def training(self, run: Run, model: zoo.Model) -> Path:
        """Return the folder of the training of a run, by its recipe, its code and what it starts from.

        The state of another cannot be continued.
        """
        name = f"{run.name}-{model.fingerprint()[:8]}-{code_digest(run.row)[:8]}"
        digests = "".join(digest for _, digest in sorted(origins(run.row, model).items()))
        folder = self.folder / "train" / f"{name}-{hashlib.sha256(digests.encode()).hexdigest()[:8]}"
        # One begun before names told the start, unless its result tells another.
        earlier, told = self.folder / "train" / name, self.result(run)
        if folder.exists() or not earlier.is_dir() or (told and version_of(run.row, told) != told.get("code")):
            return folder
        return earlier

    def write(self, run: Run, result: dict[str, Any]) -> None:
        """Write the result of a run, whole or not at all."""
        about = {
            "run": run.name,
            "row": run.row.key,
            "seed": run.seed,
            "epochs": run.epochs,
            "model_file": model_file(run.row, run.seed, run.epochs),
        }
        atomic_write(self.folder / "results" / f"{run.name}.json", json.dumps(about | result, indent=1) + "\n")

    @contextlib.contextmanager
    def locked(self, run: Run) -> Iterator[None]:
        """Hold the run against other processes.

        Raises
        ------
        BusyError
            When another process holds it.
        """
        path = self.folder / "locks" / f"{run.name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(run.name) from None
            yield


Trainer = Callable[[zoo.Model, Path, Run], dict[str, Any]]


def execute(store: Store, run: Run, trainer: Trainer | None = None) -> dict[str, Any]:
    """Train and evaluate one run unless its result is there, and return the result.

    A training that was stopped continues after its last whole epoch. A result of an earlier version of the code, or of
    another float start or teacher, is replaced. A training that diverges has a result too: the same recipe and code
    would diverge again.

    Parameters
    ----------
    store : Store
    run : Run
    trainer : callable, optional
        Of (model, folder, run); returns what is to be stored. `training.train_and_evaluate` unless given.

    Raises
    ------
    UserError
        When the run cannot be made: its method or checkpoint is missing.
    BusyError
        When another process is at it.
    """
    with store.locked(run):
        known = store.current(run)
        if known is not None:
            return known
        model = store.model(run)
        code, learned_from = code_digest(run.row), origins(run.row, model)
        folder = store.training(run, model)
        begin, fresh = time.monotonic(), not folder.exists()
        try:
            result = (trainer or _train)(model, folder, run)
        except DivergedError as error:
            result = {"diverged": str(error)}
        # Of a training that was interrupted, nobody knows how long it took.
        seconds = round(time.monotonic() - begin, 1) if fresh else None
        store.write(run, {**result, "code": code, **learned_from, "seconds": seconds})
    found = store.result(run)
    assert found is not None
    return found


def _train(model: zoo.Model, folder: Path, run: Run) -> dict[str, Any]:
    # Only here: it loads torch, which the other commands do without.
    from accuracy_table.training import train_and_evaluate
    from codesign.train import precision

    assert model.recipe is not None
    if precision.here(wanted := model.recipe.precision) != wanted:
        raise UserError(
            f"rows of the table are trained in {wanted}, which this processor is not fast in; use one with AVX-512."
        )
    # The teacher's answers are those of `codesign train`, computed once for all.
    answers = ROOT / "build" / "train" / "teacher"
    return train_and_evaluate(model, folder, answers, under_scaled_inputs=run.row.scaled)


def outcome(result: Mapping[str, Any]) -> str:
    """Return what a run gave, for people."""
    return "diverged" if "diverged" in result else f"{result['accuracy']:.2f} %"


def duration(result: Mapping[str, Any]) -> str:
    """Return how long a run took, for people."""
    seconds = result["seconds"]
    return "interrupted once" if seconds is None else f"{seconds / 60:.1f} min"
