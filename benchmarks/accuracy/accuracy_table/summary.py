"""From results to the summary, as plain data: what the text and the plot say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from accuracy_table.comparisons import ACCURACY, FOLDED, SCALED, Comparison, comparisons
from accuracy_table.intervals import Estimate, estimate, paired
from accuracy_table.rows import FLOAT_START, ROWS, Row
from accuracy_table.versions import code_digest, version_of


def summarise(results: Iterable[tuple[Row, int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return everything that the text and the plot say, as plain data.

    A row is of one version of code and start: of the present one, or where no seed has that, of the one that most seeds
    have; the other results of the row are left out. Where a training diverged, means are over those that ended and
    have no interval.

    Parameters
    ----------
    results : iterable of (Row, seed, result)
    """
    by_row: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row, seed, result in results:
        by_row.setdefault(row.key, {})[seed] = result
    left_out: dict[str, list[int]] = {}
    stale: set[str] = set()
    for row in ROWS:
        if row.key in by_row:
            seeds, present = by_row[row.key], code_digest(row)
            versions = {seed: version_of(row, result) for seed, result in sorted(seeds.items())}
            version = _version(list(versions.values()), present)
            by_row[row.key] = {seed: result for seed, result in seeds.items() if versions[seed] == version}
            left_out[row.key] = sorted(seeds.keys() - by_row[row.key].keys())
            if version != present:
                stale.add(row.key)
    values = {key: _values(seeds) for key, seeds in by_row.items()}
    diverged = {
        key: {str(seed): result["diverged"] for seed, result in sorted(seeds.items()) if "diverged" in result}
        for key, seeds in by_row.items()
    }
    rows = []
    for row in ROWS:
        if row.key not in values:
            continue
        accuracy = values[row.key][ACCURACY]
        reference = reference_of(row)
        against = None if reference == row.key else paired(accuracy, values.get(reference, {}).get(ACCURACY, {}))
        rows.append(
            {
                "row": row.key,
                "name": row.name,
                "title": row.label,
                "bits": row.bits,
                "lane": row.lane,
                "accuracy": {str(seed): value for seed, value in sorted(accuracy.items())},
                "diverged": diverged[row.key],
                "estimate": _plain(estimate(list(accuracy.values())) if accuracy else None, diverged[row.key]),
                "reference": reference,
                "difference": _plain(against, diverged[row.key] or diverged.get(reference)),
                "scaled": {
                    measure: _plain(estimate(list(values[row.key][measure].values())), diverged[row.key])
                    for measure in SCALED
                    if values[row.key].get(measure)
                },
                "folded": _plain(
                    estimate(list(folded.values())) if (folded := values[row.key].get(FOLDED)) else None,
                    diverged[row.key],
                ),
                "stale": row.key in stale,
                "left_out": left_out[row.key],
            }
        )
    answers = []
    for asked in comparisons():
        broken = diverged.get(asked.left) or diverged.get(asked.right)
        answers.append(asdict(asked) | {"difference": _plain(_compare(asked, values), broken)})
    every = [result for seeds in by_row.values() for result in seeds.values()]
    return {
        "float_start": FLOAT_START,
        "epochs": next((result["epochs"] for result in every), None),
        # A training that diverged evaluates nothing.
        "images": next((result["images"] for result in every if "images" in result), None),
        "rows": rows,
        "comparisons": answers,
    }


def _version(versions: Sequence[str], present: str) -> str:
    """Return the one version whose results make a row."""
    return present if present in versions else Counter(versions).most_common(1)[0][0]


def _plain(found: Estimate | None, diverged: Mapping[str, str] | None) -> dict[str, Any] | None:
    """Return an estimate as plain data; without its interval where a training of either side diverged.

    What ended is then a selection, which an interval says nothing about.
    """
    if found is None:
        return None
    return asdict(Estimate(found.n, found.mean) if diverged else found)


def reference_of(row: Row) -> str:
    """Return the key of the row that `row` is compared with: LSQ of its width, plain sign at one bit."""
    return "sign_w1" if row.bits == 1 else f"lsq_w{row.bits}"


def _values(seeds: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return measure → seed → accuracy."""
    found: dict[str, dict[int, float]] = {
        ACCURACY: {seed: result["accuracy"] for seed, result in seeds.items() if "accuracy" in result}
    }
    for seed, result in seeds.items():
        for factor, accuracy in result.get("scaled", {}).items():
            found.setdefault(factor, {})[seed] = accuracy
        for factor, accuracy in result.get("unclipped", {}).items():
            found.setdefault(f"{factor} unclipped", {})[seed] = accuracy
        if "folded" in result:
            found.setdefault(FOLDED, {})[seed] = result["folded"]["accuracy"]
    return found


def _compare(asked: Comparison, values: Mapping[str, Mapping[str, dict[int, float]]]) -> Estimate | None:
    sides = [values.get(key, {}) for key in (asked.left, asked.right)]
    if asked.measure == FOLDED:
        return paired(sides[0].get(ACCURACY, {}), sides[1].get(FOLDED, {}))
    if asked.measure != ACCURACY:
        # Minus the accuracy that is lost.
        kept = []
        for side in sides:
            there, scaled = side.get(ACCURACY, {}), side.get(asked.measure, {})
            kept.append({seed: scaled[seed] - there[seed] for seed in scaled})
        return paired(kept[0], kept[1])
    return paired(sides[0].get(ACCURACY, {}), sides[1].get(ACCURACY, {}))
