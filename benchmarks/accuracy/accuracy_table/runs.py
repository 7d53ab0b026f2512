"""One run: a row with a seed. Its model file, its training, its result."""

from __future__ import annotations

import ast
import contextlib
import fcntl
import fnmatch
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accuracy_table.rows import EPOCHS, ROWS, Row, model_file
from codesign import quant, zoo
from codesign.errors import UserError
from codesign.files import atomic_write

ROOT = Path(__file__).resolve().parents[3]
FACTORS = (0.5, 2.0)

# What trains every row beside its methods, as seen from `codesign/quant`.
EDGES = "lsq"
LOOP = tuple(f"../train/{name}" for name in ("batches", "optimizer", "run", "topologies/resnet8"))
KERAS_LOOP = tuple(
    f"../train/{name}"
    for name in ("keras_layers", "keras_loop", "keras_model", "keras_start", "keras_topologies/resnet8")
)


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
    seeds: Sequence[int], epochs: int = EPOCHS, only: Sequence[str] = (), shard: tuple[int, int] = (1, 1)
) -> list[Run]:
    """Return the runs in the order of training: all rows of the first seed, then of the next.

    Parameters
    ----------
    seeds : sequence of int
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
    return [Run(row, seed, epochs) for seed in seeds for row in chosen][index - 1 :: count]


class Store:
    """The folder of all runs.

    Parameters
    ----------
    folder : Path
        Holds `models`, `train`, `results`, `logs` and `locks`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

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
        """Return the result of a run; None when there is none, or it is that of another recipe."""
        try:
            found = json.loads((self.folder / "results" / f"{run.name}.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if found.get("model_file") == model_file(run.row, run.seed, run.epochs) else None

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

    A training that was stopped continues after its last whole epoch.

    Parameters
    ----------
    store : Store
    run : Run
    trainer : callable, optional
        Of (model, folder, run); returns what is to be stored. `train_and_evaluate` unless given.

    Raises
    ------
    UserError
        When the run cannot be made: its method or checkpoint is missing, the training diverged.
    BusyError
        When another process is at it.
    """
    with store.locked(run):
        known = store.result(run)
        if known is not None:
            return known
        model = store.model(run)
        # A changed recipe or a changed method gets a folder of its own: the state of another cannot be continued.
        code = code_digest(run.row)
        folder = store.folder / "train" / f"{run.name}-{model.fingerprint()[:8]}-{code[:8]}"
        begin, fresh = time.monotonic(), not folder.exists()
        result = (trainer or train_and_evaluate)(model, folder, run)
        # Of a training that was interrupted, nobody knows how long it took.
        seconds = round(time.monotonic() - begin, 1) if fresh else None
        store.write(run, {**result, "code": code, "seconds": seconds})
    found = store.result(run)
    assert found is not None
    return found


def duration(result: dict[str, Any]) -> str:
    """Return how long a run took, for people."""
    seconds = result["seconds"]
    return "interrupted once" if seconds is None else f"{seconds / 60:.1f} min"


def code_digest(row: Row) -> str:
    """Return a digest of the code that trains a row: its methods with all they import from `codesign/quant`, and
    the loop.

    Comments, docstrings and layout do not count. A result of another digest was trained with another version.
    """
    folder = Path(quant.__path__[0])
    digest, seen = hashlib.sha256(), set()
    waiting = {row.weights, row.activations, EDGES, "brevitas_layers", *LOOP}
    if row.framework == "qkeras":
        waiting |= {*KERAS_LOOP, *(f"keras/{path.stem}" for path in (folder / "keras").glob("*.py"))}
    while waiting := waiting - seen:
        name = min(waiting)
        seen.add(name)
        path = folder / f"{name}.py"
        if not path.is_file():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "codesign.quant":
                waiting |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("codesign.quant."):
                waiting.add(node.module.removeprefix("codesign.quant."))
            if isinstance(body := getattr(node, "body", None), list):
                node.body = [line for line in body if not _is_docstring(line)]
        digest.update(name.encode() + ast.dump(tree).encode())
    return digest.hexdigest()[:16]


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def train_and_evaluate(model: zoo.Model, folder: Path, run: Run) -> dict[str, Any]:
    """Train a run and return its accuracies in percent."""
    from codesign import data
    from codesign.train import checkpoint, evaluate
    from codesign.train.run import train

    # The teacher's answers are those of `codesign train`, computed once for all.
    trained = train(model, folder, threads=1, answers=ROOT / "build" / "train" / "teacher")
    result: dict[str, Any] = {
        "accuracy": trained.float_accuracy,
        "images": trained.images,
        "parameters": trained.parameters,
        "macs": trained.macs,
        "checkpoint_sha256": trained.checkpoint_sha256,
    }
    if run.row.scaled:
        dataset = data.load(model.dataset)
        module = model.module()
        checkpoint.load_weights(module, Path(trained.checkpoint))
        result["scaled"] = {
            f"{factor:g}": round(
                evaluate.accuracy(
                    module,
                    scaled(dataset.x_test, factor, dataset.input_bits, dataset.input_signed),
                    dataset.y_test,
                    model.input_scale,
                ),
                4,
            )
            for factor in FACTORS
        }
        result["unclipped"] = {
            "2": round(evaluate.accuracy(module, dataset.x_test, dataset.y_test, 2 * model.input_scale), 4)
        }
    return result


def scaled(x: np.ndarray, factor: float, bits: int, signed: bool) -> np.ndarray:
    """Return integers `x` as a sensor with another gain gives them.

    Multiplied by `factor`, rounded (half up) and clipped to the input type, of the dtype of `x`.
    """
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return np.clip(np.floor(x * factor + 0.5), low, high).astype(x.dtype)
