"""The package of the accuracy benchmark for tests, and results to give it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    *("clipped", "comparisons", "folded", "intervals", "plot", "pool", "rows", "runs", "summary", "table", "training"),
    "versions",
)


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The package of the benchmark, which lies beside its script."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "accuracy"))
    try:
        import accuracy_table

        for name in MODULES:
            __import__(f"accuracy_table.{name}")
        yield accuracy_table
    finally:
        sys.path.pop(0)


def result(accuracy: float, **more: Any) -> dict[str, Any]:
    return {"accuracy": accuracy, "seconds": 60.0, "code": "a", "epochs": 10, "images": 10_000} | more


def results_of(bench: ModuleType, **accuracies: tuple[float | None, ...]) -> list[tuple[Any, int, dict[str, Any]]]:
    """Results of the present code; None stands for a training that diverged."""
    rows = {row.key: row for row in bench.rows.ROWS}
    found = []
    for key, values in accuracies.items():
        code = bench.versions.code_digest(rows[key])
        for seed, accuracy in enumerate(values, 1):
            one = diverged(code=code) if accuracy is None else result(accuracy, code=code)
            found.append((rows[key], seed, one))
    return found


def diverged(**more: Any) -> dict[str, Any]:
    return {"diverged": "the loss is no longer finite in epoch 3.", "seconds": 60.0, "code": "a", "epochs": 10} | more
