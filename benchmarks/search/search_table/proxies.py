"""How well what a search goes by ranks what was found: against the accuracy after training."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from scipy.stats import spearmanr

from codesign.files import atomic_write
from codesign.search.code_version import code_digest
from codesign.search.space import Assignment
from codesign.search.supernet import ModelEvaluator
from search_table.tasks import Search, Training
from search_table.work import Work

KINDS = ("all widths", "focused", "both")
"""What evaluates a network, on all held-out examples: the supernet of all widths, the focused one of the scenario, and
the mean of what both say."""


def trained(found: Mapping[Search | Training, dict[str, Any]]) -> dict[Search, float]:
    """Return the mean accuracy over the trainings of each search that has some, in percent."""
    accuracies: dict[Search, list[float]] = {}
    for task, result in found.items():
        if isinstance(task, Training) and task.search in found:
            accuracies.setdefault(task.search, []).append(result["accuracy"])
    return {search: float(np.mean(values)) for search, values in accuracies.items()}


def measured(work: Work, search: Search, found: dict[str, Any], focused: bool, batches: int) -> dict[str, float]:
    """Return accuracy and loss of what a search found by a supernet after some batches, kept in a file."""
    chosen = msgspec.convert(found["best"]["widths"], Assignment)
    supernet = work.focused(search.scenario) if focused else work.supernet
    path = work.store.folder / "proxies" / f"{supernet.name}-{code_digest()}" / f"{chosen.digest()}-{batches}.json"
    if not path.is_file():
        evaluator = _evaluator(work.model.name, supernet)
        evaluator.fine_tuning = batches
        told = evaluator.evaluate(chosen)
        atomic_write(path, json.dumps({"accuracy": told.accuracy, "loss": told.loss}) + "\n")
    return dict(json.loads(path.read_bytes()))


@functools.cache
def _evaluator(model: str, supernet: Path) -> ModelEvaluator:
    return ModelEvaluator(model, supernet)


def rows(
    work: Work, found: Mapping[Search | Training, dict[str, Any]], batches: Sequence[int]
) -> Iterator[tuple[Search, float, list[Any]]]:
    """Yield each search that was trained, its accuracy and what each of `KINDS` says after each number of batches."""
    for search, accuracy in trained(found).items():
        told = []
        for number in batches:
            one, other = (measured(work, search, found[search], focused, number) for focused in (False, True))
            told += [one, other, {key: (one[key] + other[key]) / 2 for key in one}]
        yield search, accuracy, told


def markdown(every: Sequence[tuple[Search, float, list[dict[str, float]]]], batches: Sequence[int]) -> str:
    """Return the table of rank correlations by accuracy and by loss, a row for each scenario.

    Parameters
    ----------
    every : sequence of (Search, float, list of dict)
        As `rows` yields them.
    batches : sequence of int
        Those of fine-tuning that they are for.
    """
    names = [f"{kind}{f', {number} batches' * bool(number)}" for number in batches for kind in KINDS]
    head = ["networks of", "networks", "trained, %", *names]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name in dict.fromkeys(search.scenario.name for search, _, _ in every):
        own = [row for row in every if row[0].scenario.name == name]
        if len(own) < 3:
            continue
        accuracies = [accuracy for _, accuracy, _ in own]
        cells = [name, str(len(own)), f"{min(accuracies):.2f} to {max(accuracies):.2f}"]
        for place in range(len(names)):
            by_accuracy = spearmanr(accuracies, [told[place]["accuracy"] for _, _, told in own]).statistic
            by_loss = spearmanr(accuracies, [-told[place]["loss"] for _, _, told in own]).statistic
            cells.append(f"{by_accuracy:+.2f}, {by_loss:+.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
