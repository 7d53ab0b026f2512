"""Running a search: asks a strategy, has its candidates evaluated, tells it, and keeps a journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from codesign.files import atomic_write
from codesign.search import pareto, strategies
from codesign.search.journal import Header, Journal
from codesign.search.problem import BIT_OPERATIONS, Evaluation, Problem
from codesign.search.space import Assignment
from codesign.search.workers import Workers, start

Progress = Callable[[int, Evaluation | None], None]
"""Told after each evaluation how many there are and which is the best so far."""


@dataclass(frozen=True)
class Result:
    """What a search found. All but `seconds` depends on problem, strategy, options, seed and evaluations alone.

    Parameters
    ----------
    header : Header
        What was searched, and how.
    evaluations : tuple of Evaluation
        In the order in which the strategy asked for them.
    best : Evaluation or None
        None when the strategy asked for nothing.
    front : tuple of Evaluation
        Pareto front of accuracy and bit operations.
    seconds : float
        Taken by this run; what came from the journal took none.
    """

    header: Header
    evaluations: tuple[Evaluation, ...]
    best: Evaluation | None
    front: tuple[Evaluation, ...]
    seconds: float = field(compare=False)


def search(
    problem: Problem,
    strategy: str,
    *,
    evaluations: int,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    workers: str = "1",
    progress: Progress | None = None,
) -> Result:
    """Search with a strategy; continue where an earlier run of the same search was killed.

    Parameters
    ----------
    problem : Problem
    strategy : str
        Name of a file in `codesign/search/strategies`.
    evaluations : int
        The most candidates that are asked for; some strategies end earlier.
    seed : int
    options : mapping, optional
        Of the strategy.
    folder : Path, optional
        Where the journal is kept; without it nothing is written.
    workers : str
        "1" for this process, "N" for so many, "ray://HOST:PORT" for a Ray cluster; the result is the same.
    progress : callable, optional

    Raises
    ------
    UserError
        For an unknown strategy or option, a constraint that nothing satisfies, or a journal that is in use.
    """
    began = time.monotonic()
    # What a strategy measures beforehand takes its time too.
    chosen = strategies.make(strategy, problem, seed, evaluations, options or {})
    header = Header(problem.digest(), strategy, dict(options or {}), seed)
    return _run(problem, chosen, header, evaluations, folder, workers, progress, began)


def _run(
    problem: Problem,
    chosen: strategies.Strategy,
    header: Header,
    evaluations: int,
    folder: Path | None,
    workers: str,
    progress: Progress | None,
    began: float,
) -> Result:
    told: list[Evaluation] = []
    memory = _Memory(problem, workers, progress)
    try:
        if folder is not None:
            memory.journal = Journal(folder / header.file_name, header)
            memory.known = memory.journal.known
        while len(told) < evaluations:
            batch = chosen.ask()[: evaluations - len(told)]
            if not batch:
                break
            found = memory.evaluate(batch, len(told))
            told += found
            chosen.tell(found)
    finally:
        memory.close()
    return Result(
        header,
        tuple(told),
        pareto.best(problem, told),
        tuple(pareto.front(told)),
        time.monotonic() - began,
    )


class _Memory:
    """Evaluates batches; what is known already is not evaluated again."""

    def __init__(self, problem: Problem, workers: str, progress: Progress | None) -> None:
        self.problem = problem
        self.journal: Journal | None = None
        self.known: dict[str, Evaluation] = {}
        self._chosen = workers
        self._workers: Workers | None = None
        self._progress = progress or (lambda count, best: None)
        self._best: Evaluation | None = None

    def evaluate(self, batch: list[Assignment], before: int) -> list[Evaluation]:
        """Return the evaluations of a batch, in its order."""
        digests = [one.digest() for one in batch]
        unknown = {key: one for key, one in zip(digests, batch, strict=True) if key not in self.known}
        keys = list(unknown)
        if keys and self._workers is None:
            # Started when first needed: what the journal answers needs none.
            self._workers = start(self.problem, self._chosen)
        count = before + sum(key in self.known for key in digests)
        self._show(count, [self.known[key] for key in digests if key in self.known])
        if self._workers is not None:
            for index, found in self._workers.run(list(unknown.values())):
                self.known[keys[index]] = found
                if self.journal is not None:
                    self.journal.add(keys[index], found)
                count += digests.count(keys[index])
                self._show(count, [found])
        return [self.known[key] for key in digests]

    def _show(self, count: int, found: list[Evaluation]) -> None:
        if found:
            self._best = pareto.best(self.problem, [*([self._best] if self._best else []), *found])
            self._progress(count, self._best)

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close()
        if self.journal is not None:
            self.journal.close()


def joined(problem: Problem, results: Sequence[Result]) -> Result:
    """Return what several searches of one problem found together; its header is that of the best candidate's.

    Parameters
    ----------
    problem : Problem
    results : sequence of Result
        At least one.
    """
    every = [one for result in results for one in result.evaluations]
    best = pareto.best(problem, every)
    header = next((result.header for result in results if best in result.evaluations), results[0].header)
    return Result(header, tuple(every), best, tuple(pareto.front(every)), sum(result.seconds for result in results))


def summary(result: Result, final: Evaluation | None = None, model: str | None = None) -> dict[str, Any]:
    """Return a result as scripts read it.

    Parameters
    ----------
    result : Result
    final : Evaluation, optional
        What came of the candidate that is the result, once it is trained: it is the best then.
    model : str or None
        Where its model lies.

    Returns
    -------
    dict
        ``strategy``, ``seed``, ``best`` (None, or ``accuracy`` in percent and ``loss`` in nats on validation data,
        ``bit_operations``, ``lut``, ``cycles_per_frame`` and the other costs, ``model``), ``front`` (list of the same
        without ``model``), ``evaluations``, ``seconds``.
    """
    best = final or result.best
    return {
        "strategy": result.header.strategy,
        "seed": result.header.seed,
        "best": None if best is None else {**_figures(best), "model": model},
        "front": [_figures(one) for one in result.front],
        "evaluations": len(result.evaluations),
        "seconds": round(result.seconds, 3),
    }


def _figures(one: Evaluation) -> dict[str, Any]:
    costs = {"lut": None, "cycles_per_frame": None, **one.cost}
    return {"accuracy": one.accuracy, "loss": one.loss, BIT_OPERATIONS: one.bit_operations, **costs}


def write(
    folder: Path,
    result: Result,
    final: Evaluation | None = None,
    model: str | None = None,
    searches: Sequence[Result] = (),
    **more: Any,
) -> Path:
    """Write ``search.json`` with the summary and the widths of the best candidate and of the front.

    Parameters
    ----------
    folder : Path
    result : Result
    final : Evaluation, optional
    model : str or None
        As for `summary`.
    searches : sequence of Result
        Those that were joined; their summaries are written too.
    **more
        Further entries.

    Raises
    ------
    UserError
        When the system refuses the write.
    """
    content = summary(result, final, model)
    if (best := final or result.best) is not None:
        content["best"]["widths"] = msgspec.to_builtins(best.assignment)
    for entry, one in zip(content["front"], result.front, strict=True):
        entry["widths"] = msgspec.to_builtins(one.assignment)
    content |= {"searches": [summary(one) for one in searches], **more} if searches else more
    path = folder / "search.json"
    atomic_write(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    return path
