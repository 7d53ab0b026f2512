"""What the report of a search shows, as plain data: all searches of one problem, and the candidate that is chosen."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import UserError
from codesign.search import journal, pareto
from codesign.search.journal import Header
from codesign.search.measurements import MeasuresSensitivity, Table
from codesign.search.problem import BIT_OPERATIONS, Evaluation, Problem
from codesign.search.space import Assignment

Search = tuple[Header, list[Evaluation]]


def searches(folder: Path, problem: Problem) -> list[Search]:
    """Return the searches of this problem whose journals lie in a folder, by the names of the files.

    What is no journal, or one of another version, is none of them.
    """
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        with contextlib.suppress(UserError):
            found.append(journal.read(path))
    return [one for one in found if one[0].problem == problem.digest()]


def collect(
    problem: Problem,
    found: Sequence[Search],
    model: str,
    board: str | None = None,
    chosen: Evaluation | None = None,
    trained: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what `codesign.report.search_page` renders.

    Parameters
    ----------
    problem : Problem
    found : sequence of Search
        All of this problem.
    model : str
        Its name.
    board : str or None
        Its title.
    chosen : Evaluation, optional
        The candidate whose widths and costs are shown; that with the best score of all searches unless given.
    trained : sequence of mapping
        What trainings gave, the result first: ``name``, ``proxy_accuracy``, ``proxy_loss`` or None,
        ``validation_accuracy``, ``accuracy``, the costs, and which limits it ``exceeds``.

    Raises
    ------
    UserError
        When nothing has been evaluated.
    """
    every = [one for _, evaluations in found for one in evaluations]
    best = chosen or pareto.best(problem, every)
    if best is None or not every:
        raise UserError("nothing has been evaluated yet; run `codesign search` first.")
    joint = {(one.bit_operations, one.accuracy) for one in pareto.front(every)}
    times = Counter(header.strategy for header, _ in found)
    finders = [
        header.strategy
        for header, evaluations in found
        if any(one.assignment == best.assignment for one in evaluations)
    ]
    axes = [BIT_OPERATIONS, *(name for name in _AXES if _varies(every, name))]
    constraint = problem.constraint
    limits: dict[str, float] = {} if constraint.bit_operations is None else {BIT_OPERATIONS: constraint.bit_operations}
    return {
        "model": model,
        "board": board,
        "objective": problem.objective.words,
        "axes": axes,
        "searches": [
            _search(problem, header, evaluations, joint, times, axes) for header, evaluations in found if evaluations
        ],
        "trained": [dict(one) for one in trained],
        "best": {
            "strategy": ", ".join(dict.fromkeys(finders)),
            "accuracy": best.accuracy,
            BIT_OPERATIONS: best.bit_operations,
            "cost": dict(best.cost),
        },
        "limits": limits | dict(constraint.limits),
        "layers": _layers(problem, best.assignment),
        "activations": _activations(problem, best.assignment),
    }


_AXES = ("lut", "cycles_per_frame")
"""Costs that accuracy is shown against, beside bit operations."""


def _varies(every: Sequence[Evaluation], cost: str) -> bool:
    """Return whether candidates differ in a cost that is known of all of them."""
    return all(cost in one.cost for one in every) and len({one.cost[cost] for one in every}) > 1


def _search(
    problem: Problem,
    header: Header,
    evaluations: list[Evaluation],
    joint: set[tuple[int, float]],
    times: Counter[str],
    axes: Sequence[str],
) -> dict[str, Any]:
    front = [(one.bit_operations, one.accuracy) for one in pareto.front(evaluations)]
    best = pareto.best(problem, evaluations)
    assert best is not None  # noqa: S101 - there are some
    return {
        "strategy": header.strategy,
        "seed": header.seed,
        "best": {"accuracy": best.accuracy, "loss": best.loss, BIT_OPERATIONS: best.bit_operations},
        "several": times[header.strategy] > 1,
        "points": {axis: [(one.value(axis), one.accuracy) for one in evaluations] for axis in axes},
        "front": {axis: [(one.value(axis), one.accuracy) for one in pareto.front(evaluations, axis)] for axis in axes},
        "on_front": sum(point in joint for point in front),
    }


def _sensitivity(problem: Problem) -> Table | None:
    if not problem.offers(MeasuresSensitivity):
        return None
    return problem.measures(MeasuresSensitivity, "report").sensitivity()


def _activations(problem: Problem, chosen: Assignment) -> list[dict[str, Any]]:
    space, table = problem.space, _sensitivity(problem)
    rows = []
    for one in space.activations:
        bits = chosen.activations[one.name]
        column = space.activation_bits.index(bits)
        fewer = max(column - 1, 0)
        readers = [layer for layer in space.layers if layer.activation == one.name]
        weight_bits = sum(layer.macs * sum(chosen.weights[layer.name]) for layer in readers)
        rises = None if table is None else table.activations[one.name]
        rows.append(
            {
                "name": one.name,
                "bits": bits,
                "readers": [layer.name for layer in readers],
                "rise": None if rises is None else float(rises[column]),
                "narrower": None if rises is None else float(rises[fewer]),
                "saved": weight_bits * (bits - space.activation_bits[fewer]),
            }
        )
    return rows


def _layers(problem: Problem, chosen: Assignment) -> list[dict[str, Any]]:
    space, sensitivity = problem.space, _sensitivity(problem)
    table = None if sensitivity is None else sensitivity.weights
    rows = []
    for layer in space.layers:
        bits = np.array(chosen.weights[layer.name])
        scheme = chosen.schemes.get(layer.name, "uniform")
        reads = layer.input_bits if layer.activation is None else chosen.activations[layer.activation]
        columns = np.searchsorted(space.weight_bits, bits)
        fewer = np.maximum(columns - 1, _narrowest(problem))
        fewer = np.minimum(fewer, columns)
        rise = narrower = None
        if table is not None:
            channels = np.arange(layer.channels)
            rise = float(np.sum(table[scheme][layer.name][channels, columns]))
            narrower = float(np.sum(table[scheme][layer.name][channels, fewer]))
        saved = int(np.sum(bits - np.array(space.weight_bits)[fewer]))
        rows.append(
            {
                "name": layer.name,
                "scheme": scheme,
                "reads": reads,
                "bits": bits.tolist(),
                "memory": layer.weights * int(bits.sum()),
                "bit_operations": layer.macs * reads * int(bits.sum()),
                "rise": rise,
                "narrower": narrower,
                "saved": layer.macs * reads * saved,
            }
        )
    return rows


def _narrowest(problem: Problem) -> int:
    """Return the column of the narrowest width but 0: a bit less than 1 would be no layer any more."""
    return next(index for index, bits in enumerate(problem.space.weight_bits) if bits)
