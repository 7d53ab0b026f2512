"""From results to the summary, its text and what it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from accuracy_table.intervals import Estimate, estimate, paired, verdict
from accuracy_table.rows import FLOAT_START, LEARNING_RATE, ROWS, TEACHER, WEIGHT_DECAY, Row
from accuracy_table.runs import code_digest

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

    Parameters
    ----------
    results : iterable of (Row, seed, result)
    """
    by_row: dict[str, dict[int, Mapping[str, Any]]] = {}
    for row, seed, result in results:
        by_row.setdefault(row.key, {})[seed] = result
    values = {key: _values(seeds) for key, seeds in by_row.items()}
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
                "estimate": asdict(estimate(list(accuracy.values()))),
                "reference": reference,
                "difference": None if against is None else asdict(against),
                "scaled": {
                    measure: asdict(estimate(list(values[row.key][measure].values())))
                    for measure in SCALED
                    if values[row.key].get(measure)
                },
                "stale": any(result.get("code") != code_digest(row) for result in by_row[row.key].values()),
            }
        )
    answers = []
    for asked in comparisons():
        found = _compare(asked, values)
        answers.append(asdict(asked) | {"difference": None if found is None else asdict(found)})
    any_result = next(iter(by_row.values()))[next(iter(next(iter(by_row.values()))))] if by_row else {}
    return {
        "float_start": FLOAT_START,
        "epochs": any_result.get("epochs"),
        "images": any_result.get("images"),
        "rows": rows,
        "comparisons": answers,
    }


def reference_of(row: Row) -> str:
    """Return the key of the row that `row` is compared with: LSQ of its width, plain sign at one bit."""
    return "sign_w1" if row.bits == 1 else f"lsq_w{row.bits}"


def _values(seeds: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return measure → seed → accuracy."""
    found: dict[str, dict[int, float]] = {ACCURACY: {seed: result["accuracy"] for seed, result in seeds.items()}}
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
        f"comparisons. Rows marked * have fewer than {FEWEST_SEEDS} seeds and support no claim.",
    ]


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    reference = "sign" if rows[0]["bits"] == 1 else "LSQ"
    lines = [
        f"| method | accuracy | seeds | each seed | against {reference} | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda row: -row["estimate"]["mean"]):
        difference = _estimate(row["difference"])
        n = row["estimate"]["n"]
        lines.append(
            f"| {row['title']}{'*' if n < FEWEST_SEEDS else ''} | {row['estimate']['mean']:.2f} | {n} | "
            f"{', '.join(f'{value:.2f}' for value in row['accuracy'].values())} | "
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
            f"| {row['title']}{'*' if n < FEWEST_SEEDS else ''} | {row['bits']} | {n} | {mean:.2f} | "
            f"{' | '.join('–' if mean is None else format(mean['mean'], '.2f') for mean in means)} |"
        )
    return lines


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what wins and what does not, one sentence each."""
    titles = {row.key: f"{row.title} at {row.bits} bit{'s' if row.bits > 1 else ''}" for row in ROWS}
    found = []
    for row in summary["rows"]:
        if row["row"] != row["reference"]:
            found.append(
                _sentence(titles[row["row"]], titles[row["reference"]], _estimate(row["difference"]), "accuracy")
            )
    plain = {(row["row"], row["reference"]) for row in summary["rows"]}
    for answer in summary["comparisons"]:
        pair, difference = (answer["left"], answer["right"]), _estimate(answer["difference"])
        what = answer["measure"]
        if answer["margin"] is not None:
            found.append(_margin(titles[pair[0]], titles[pair[1]], difference, answer["margin"]))
        elif what != ACCURACY or pair not in plain:
            what = "accuracy" if what == ACCURACY else f"accuracy kept under {SCALED[what]}"
            found.append(_sentence(titles[pair[0]], titles[pair[1]], difference, what))
    # One sentence per question, in order.
    found = list(dict.fromkeys(found))
    changed = [titles[row["row"]] for row in summary["rows"] if row["stale"]]
    if changed:
        found.append(f"Trained with an earlier version of the code, in part or in all: {', '.join(changed)}.")
    return found


def _sentence(left: str, right: str, difference: Estimate | None, what: str) -> str:
    outcome = verdict(difference)
    if difference is None:
        return f"{left} against {right}, {what}: not measured yet."
    figures = f"{difference.mean:+.2f} {_interval(difference)}"
    if outcome == "one seed":
        return f"{left} against {right}, {what}: {difference.mean:+.2f} with one seed: no claim."
    if difference.n < FEWEST_SEEDS:
        return f"{left} against {right}, {what}: {figures}, {_seeds(difference)}: no claim."
    says = {
        "higher": f"**{left} wins**",
        "lower": f"**{left} loses**",
        "open": "no difference shown, the interval includes 0",
    }[outcome]
    return f"{left} against {right}, {what}: {figures}, {_seeds(difference)}: {says}."


def _margin(left: str, right: str, difference: Estimate | None, margin: float) -> str:
    question = f"{left} is at most {margin:g} points below {right}"
    if difference is None:
        return f"{question}: not measured yet."
    if difference.low is None or difference.high is None:
        return f"{question}: {difference.mean:+.2f} with one seed: no claim."
    if difference.n < FEWEST_SEEDS:
        return f"{question}: {difference.mean:+.2f} {_interval(difference)}, {_seeds(difference)}: no claim."
    shown = "shown" if difference.low >= -margin else "refuted" if difference.high < -margin else "not shown"
    return f"{question}: {difference.mean:+.2f} {_interval(difference)}, {_seeds(difference)}: **{shown}**."


def _seeds(difference: Estimate) -> str:
    few = " (fewer than asked for)" if difference.n < FEWEST_SEEDS else ""
    return f"{difference.n} seeds{few}"


def _interval(difference: Estimate | None) -> str:
    if difference is None or difference.low is None or difference.high is None:
        return "–"
    return f"[{difference.low:+.2f}, {difference.high:+.2f}]"


def _estimate(plain: Mapping[str, Any] | None) -> Estimate | None:
    return None if plain is None else Estimate(**plain)
