"""The table: accuracy after training, what a network takes, how long it was searched, and who takes less."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

from search_table.scenarios import ALL, FRONT, SCENARIOS
from search_table.tasks import Search, Training

Results = Mapping[Search | Training, dict[str, Any]]
CLOCK = 100e6
HEAD = (
    "strategy", "seeds", "trained, %", "more than uniform, points", "by the supernet, % (loss)", "bit operations, M",
    "LUT", "frames/s", "candidates", "search, s",
)  # fmt: skip


def interval(values: Sequence[float], style: str = ".2f") -> str:
    """Return mean and 95 % interval of the mean of independent trainings, as Student's t has it."""
    if len(values) < 2:
        return f"{values[0]:{style}}"
    half = float(t.ppf(0.975, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return f"{np.mean(values):{style}} ± {half:.2f}"


def markdown(found: Results) -> str:
    """Return all tables."""
    parts = ["# Strategies of width searches, ResNet-8 on CIFAR-10\n"]
    for scenario in SCENARIOS.values():
        rows = [_row(found, scenario.name, strategy) for strategy in ALL]
        if shown := sorted((row for row in rows if row), key=lambda row: -row[0]):
            parts.append(f"## {scenario.title[0].upper()}{scenario.title[1:]}\n")
            parts.append(
                "\n".join([f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|", *(row[1] for row in shown)]) + "\n"
            )
    for strategy in FRONT:
        for other in FRONT:
            if strategy != other and (line := _against(found, strategy, other)):
                parts.append(line)
    return "\n".join(parts)


def _trained(found: Results, scenario: str, strategy: str) -> dict[int, dict[str, Any]]:
    """Return the trainings of a strategy by their seed."""
    return {
        task.seed: result
        for task, result in found.items()
        if isinstance(task, Training) and (task.search.scenario.name, task.search.strategy) == (scenario, strategy)
    }


def _in_float32(results: Sequence[dict[str, Any]]) -> int:
    """Return how many were computed in float32; those without a precision are of bfloat16."""
    return sum(each.get("precision", "bfloat16") != "bfloat16" for each in results)


def _more(own: Mapping[int, dict[str, Any]], uniform: Mapping[int, dict[str, Any]]) -> str:
    """Return how much more accurate trainings are than those of the uniform network with the same seeds.

    A dagger marks where some of both were computed in unlike precisions.
    """
    pairs = [(own[seed], uniform[seed]) for seed in sorted(own.keys() & uniform.keys())]
    if not pairs:
        return ""
    unlike = any(_in_float32([one]) != _in_float32([other]) for one, other in pairs)
    return interval([one["accuracy"] - other["accuracy"] for one, other in pairs], "+.2f") + " †" * unlike


def _seconds(searches: Sequence[dict[str, Any]]) -> str:
    """Return how long searches took; an asterisk marks those in float32, and how many of all where these are some."""
    seconds, slow = f"{np.mean([each['seconds'] for each in searches]):,.0f}", _in_float32(searches)
    return seconds + (" *" if slow == len(searches) else f" ({slow} of {len(searches)} *)") * bool(slow)


def _row(found: Results, scenario: str, strategy: str) -> tuple[float, str] | None:
    by_seed = _trained(found, scenario, strategy)
    trained = list(by_seed.values())
    searches = [
        result
        for task, result in found.items()
        if isinstance(task, Search) and (task.scenario.name, task.strategy) == (scenario, strategy)
    ]
    if not trained or not searches:
        return None
    accuracies = [each["accuracy"] for each in trained]

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    in_float32 = _in_float32(trained)
    cells = (
        strategy,
        f"{len(trained)}{f', {in_float32} in float32' * bool(in_float32)}",
        interval(accuracies),
        _more(by_seed, _trained(found, scenario, "uniform")) if strategy != "uniform" else "",
        f"{mean([each['best']['accuracy'] for each in searches]):.2f} "
        f"({mean([each['best']['loss'] for each in searches]):.4f})",
        f"{mean([each['bit_operations'] for each in trained]) / 1e6:.1f}",
        f"{mean([each['lut'] for each in trained]):,.0f}",
        f"{CLOCK / mean([each['cycles_per_frame'] for each in trained]):,.0f}",
        f"{mean([each['evaluations'] for each in searches]):.0f}",
        _seconds(searches),
    )
    return mean(accuracies), "| " + " | ".join(map(str, cells)) + " |"


def _against(found: Results, strategy: str, other: str) -> str | None:
    """Return how many more or fewer bit operations make a strategy as accurate as another, where its points reach.

    Between the points of a strategy accuracy is taken as linear in the logarithm of the bit operations.
    """
    own, theirs = _points(found, strategy), _points(found, other)
    if len(own) < 2 or not theirs:
        return None
    accuracy, operations = np.maximum.accumulate([a for _, a in own]), np.log([b for b, _ in own])
    more = [
        f"{100 * (math.exp(np.interp(a, accuracy, operations)) / b - 1):+.0f} % at {a:.2f} %"
        for b, a in theirs
        if accuracy[0] <= a <= accuracy[-1]
    ]
    return f"- {strategy} against {other}, bit operations at equal accuracy: {', '.join(more)}." if more else None


def _points(found: Results, strategy: str) -> list[tuple[float, float]]:
    points = []
    for scenario in SCENARIOS.values():
        trained = [] if scenario.lut else list(_trained(found, scenario.name, strategy).values())
        if trained:
            points.append(
                (
                    float(np.mean([each["bit_operations"] for each in trained])),
                    float(np.mean([each["accuracy"] for each in trained])),
                )
            )
    return sorted(points)
