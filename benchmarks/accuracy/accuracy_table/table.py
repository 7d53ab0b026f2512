"""From results to the summary, its text and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from accuracy_table.intervals import Estimate, estimate, paired, verdict
from accuracy_table.rows import FLOAT_START, LEARNING_RATE, ROWS, TEACHER, WEIGHT_DECAY, Row
from accuracy_table.versions import code_digest

FEWEST_SEEDS = 3

ACCURACY = "accuracy"
SCALED = {"0.5": "inputs × 0.5", "2": "inputs × 2", "2 unclipped": "inputs × 2, unclipped"}


@dataclass(frozen=True)
class Comparison:
    """A question that the table answers.

    Attributes
    ----------
    left, right : str
        Keys of rows.
    measure : str
        "accuracy", or a key of `SCALED`: then what is compared is the accuracy lost under scaled inputs,
        counted so that a positive difference is in favour of `left`.
    margin : float or None
        Points by which `left` may be below `right`: asked is whether the interval stays above -margin.
    """

    left: str
    right: str
    measure: str = ACCURACY
    margin: float | None = None


def comparisons() -> tuple[Comparison, ...]:
    """Return the named comparisons, beside that of every row with LSQ or sign."""
    asked = [Comparison("asqpost_w4", "lsq_w4", margin=0.2), Comparison("asqpost_w4", "pot_w4")]
    asked += [
        Comparison("bitat_w1", "sign_w1"),
        Comparison("bitat_w1", "bitat_identity_w1"),
        Comparison("react_w1", "sign_w1"),
        Comparison("bitat_react_w1", "react_w1"),
    ]
    asked += [Comparison(f"lsq_distilled_w{bits}", f"lsq_w{bits}") for bits in (4, 3, 2)]
    asked += [Comparison("asq_w4", "asq_continuous_w4"), Comparison("post_w4", "pot_w4")]
    for bits in (4, 3, 2):
        asked += [Comparison(f"asq_w{bits}", f"lsq_w{bits}", measure) for measure in SCALED]
    return tuple(asked)


def summarise(results: Iterable[tuple[Row, int, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return everything that the text and the plot say, as plain data.

    A row is of one version of its code: of the present one, or where no seed has that, of the one that most seeds
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
            version = _version(seeds, present)
            by_row[row.key] = {seed: result for seed, result in seeds.items() if result.get("code") == version}
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
                "title": row.title,
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


def _version(seeds: Mapping[int, Mapping[str, Any]], present: str) -> str | None:
    """Return the one version of the code whose results make a row."""
    versions = Counter(result.get("code") for _, result in sorted(seeds.items()))
    return present if present in versions else versions.most_common(1)[0][0]


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
    return found


def _compare(asked: Comparison, values: Mapping[str, Mapping[str, dict[int, float]]]) -> Estimate | None:
    sides = [values.get(key, {}) for key in (asked.left, asked.right)]
    if asked.measure != ACCURACY:
        # Minus the accuracy that is lost.
        kept = []
        for side in sides:
            there, scaled = side.get(ACCURACY, {}), side.get(asked.measure, {})
            kept.append({seed: scaled[seed] - there[seed] for seed in scaled})
        return paired(kept[0], kept[1])
    return paired(sides[0].get(ACCURACY, {}), sides[1].get(ACCURACY, {}))


def markdown(summary: Mapping[str, Any]) -> str:
    """Return the text of table.md."""
    lines = [
        "# Accuracy of quantisation methods",
        "",
        "Written by `python benchmarks/accuracy/bench.py table`; README.md says how the figures come about.",
        "",
        *_settings(summary),
    ]
    for bits in (4, 3, 2, 1):
        rows = [row for row in summary["rows"] if row["bits"] == bits]
        if rows:
            lines += ["", f"## {bits} bit{'s' if bits > 1 else ''}", "", *_rows(rows)]
    scaled = [row for row in summary["rows"] if row["scaled"]]
    if scaled:
        lines += ["", "## Scaled inputs", "", *_scaled(scaled)]
    lines += ["", "## What the figures say", "", *(f"- {line}" for line in sentences(summary))]
    return "\n".join(lines) + "\n"


def _settings(summary: Mapping[str, Any]) -> list[str]:
    if not summary["rows"]:
        return ["There is no result yet."]
    rates = sorted(set(LEARNING_RATE.values()))
    decays = ", ".join(f"{decay * 1e4:g}e-4 at {bits}" for bits, decay in WEIGHT_DECAY.items())
    return [
        f"CIFAR-10, ResNet-8, {summary['images']} test images, top-1 in percent. Every run starts from the float "
        f"checkpoint {summary['float_start']} and trains {summary['epochs']} epochs: batch 128, SGD with Nesterov "
        f"momentum 0.9, peak learning rate {', '.join(f'{rate:g}' for rate in rates)} with a cosine to zero after one "
        f"epoch of warm-up, weight decay {decays} bits. The teacher of the distilled rows is {TEACHER}. Intervals are "
        "95 % t intervals of paired differences, seed by seed, each on its own: no correction for the number of "
        f"comparisons. {' '.join(_legend(summary['rows']))}".rstrip(),
    ]


def _marks(row: Mapping[str, Any]) -> str:
    few = len(row["accuracy"]) + len(row["diverged"]) < FEWEST_SEEDS
    return "*" * few + "†" * bool(row["diverged"]) + "‡" * row["stale"]


def _legend(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    says = {
        "*": f"Rows marked * have fewer than {FEWEST_SEEDS} seeds and support no claim.",
        "†": "Of rows marked † a training diverged: the mean is over the seeds that ended, which flatters the method, "
        "and nothing is claimed from it.",
        "‡": "Rows marked ‡ were trained with an earlier version of the code.",
    }
    present = "".join(_marks(row) for row in rows)
    return [text for mark, text in says.items() if mark in present]


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    reference = "sign" if rows[0]["bits"] == 1 else "LSQ"
    lines = [
        f"| method | accuracy | seeds | each seed | against {reference} | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row["estimate"]["mean"] if row["estimate"] else 0.0):
        difference = _estimate(row["difference"])
        each = {seed: f"{value:.2f}" for seed, value in row["accuracy"].items()}
        each |= dict.fromkeys(row["diverged"], "diverged")
        ended, seeds = len(row["accuracy"]), len(each)
        lines.append(
            f"| {row['title']}{_marks(row)} | {format(row['estimate']['mean'], '.2f') if row['estimate'] else '–'} | "
            f"{ended if ended == seeds else f'{ended} of {seeds}'} | "
            f"{', '.join(each[seed] for seed in sorted(each, key=int))} | "
            f"{f'{difference.mean:+.2f}' if difference else '–'} | {_interval(difference)} |"
        )
    return lines


def _scaled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "Accuracy when the pixels of the test images are multiplied by a factor, rounded and clipped to their 8 bits, "
        "as from a sensor with another gain; the last column multiplies without clipping.",
        "",
        f"| method | bits | seeds | inputs as they are | {' | '.join(SCALED.values())} |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: (-row["bits"], row["title"])):
        means = (row["scaled"].get(measure) for measure in SCALED)
        mean, n = row["estimate"]["mean"], row["estimate"]["n"]
        lines.append(
            f"| {row['title']}{_marks(row)} | {row['bits']} | {n} | {mean:.2f} | "
            f"{' | '.join('–' if mean is None else format(mean['mean'], '.2f') for mean in means)} |"
        )
    return lines


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what wins and what does not, one sentence each."""
    titles = {row.key: f"{row.title} at {row.bits} bit{'s' if row.bits > 1 else ''}" for row in ROWS}
    rows = {row["row"]: row for row in summary["rows"]}
    asked = [Comparison(row["row"], row["reference"]) for row in rows.values() if row["row"] != row["reference"]]
    differences = [_estimate(rows[one.left]["difference"]) for one in asked]
    plain = {(one.left, one.right) for one in asked}
    for answer in summary["comparisons"]:
        one = Comparison(*(answer[name] for name in ("left", "right", "measure", "margin")))
        if one.margin is not None or one.measure != ACCURACY or (one.left, one.right) not in plain:
            asked.append(one)
            differences.append(_estimate(answer["difference"]))
    found = []
    for one, difference in zip(asked, differences, strict=True):
        sides = [rows[key] for key in (one.left, one.right) if key in rows]
        says = _question(one, titles) + ": " + _answer(one, titles[one.left], difference, _diverged(sides, titles))
        if older := [titles[side["row"]] for side in sides if side["stale"]]:
            says += f" ({' and '.join(older)} trained with an earlier version of the code)"
        found.append(f"{says}.")
    # One sentence per question, in order.
    found = list(dict.fromkeys(found))
    for row in rows.values():
        title = titles[row["row"]]
        found += [f"{title}, seed {seed}, diverged: {why}" for seed, why in row["diverged"].items()]
        if row["left_out"]:
            found.append(f"{title}: left out, as of another version of the code: seed {_numbers(row['left_out'])}.")
    changed = [titles[row["row"]] for row in rows.values() if row["stale"]]
    if changed:
        found.append(f"Trained with an earlier version of the code: {', '.join(changed)}.")
    return found


def _question(asked: Comparison, titles: Mapping[str, str]) -> str:
    left, right = titles[asked.left], titles[asked.right]
    if asked.margin is not None:
        return f"{left} is at most {asked.margin:g} points below {right}"
    what = "accuracy" if asked.measure == ACCURACY else f"accuracy kept under {SCALED[asked.measure]}"
    return f"{left} against {right}, {what}"


def _diverged(sides: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Return how many trainings of either side diverged, "" when none did."""
    counts = [(len(side["diverged"]), len(side["diverged"]) + len(side["accuracy"]), side["row"]) for side in sides]
    return ", ".join(f"{few} of {all_} trainings of {titles[key]} diverged" for few, all_, key in counts if few)


def _answer(asked: Comparison, left: str, difference: Estimate | None, diverged: str) -> str:
    if diverged:
        shown = f"{difference.mean:+.2f} over {_seeds(difference)} that ended on both sides, " if difference else ""
        return f"{shown}{diverged}: no claim"
    if difference is None:
        return "not measured yet"
    if difference.low is None or difference.high is None:
        return f"{difference.mean:+.2f} with one seed: no claim"
    figures = f"{difference.mean:+.2f} {_interval(difference)}, {_seeds(difference)}"
    if difference.n < FEWEST_SEEDS:
        return f"{figures} (fewer than asked for): no claim"
    if asked.margin is not None:
        within = difference.low >= -asked.margin
        shown = "shown" if within else "refuted" if difference.high < -asked.margin else "not shown"
        return f"{figures}: **{shown}**"
    says = {
        "higher": f"**{left} wins**",
        "lower": f"**{left} loses**",
        "open": "no difference shown, the interval includes 0",
    }[verdict(difference)]
    return f"{figures}: {says}"


def _seeds(difference: Estimate) -> str:
    return f"{difference.n} seed{'s' if difference.n > 1 else ''}"


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(str(seed) for seed in seeds)


def _interval(difference: Estimate | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return "–"
    return f"[{difference.low:+.2f}, {difference.high:+.2f}]"


def _estimate(plain: Mapping[str, Any] | None) -> Estimate | None:
    return None if plain is None else Estimate(**plain)
