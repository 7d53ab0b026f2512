"""The text of the table, and what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from accuracy_table.comparisons import ACCURACY, FOLDED, SCALED, Comparison
from accuracy_table.intervals import Estimate, verdict
from accuracy_table.rows import LEARNING_RATE, ROWS, STEP_RATE, TEACHER, WEIGHT_DECAY

FEWEST_SEEDS = 3


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
            lines += ["", f"## {_bits(bits)}", "", *_rows(rows)]
    scaled = [row for row in summary["rows"] if row["scaled"]]
    if scaled:
        lines += ["", "## Scaled inputs", "", *_scaled(scaled)]
    adaptive = {row.key for row in ROWS if row.activations == "asq"}
    if rows := [row for row in summary["rows"] if row["row"] in adaptive]:
        lines += ["", "## Adaptive steps folded out", "", *_folded(rows, summary["comparisons"])]
    lines += ["", "## What the figures say", "", *(f"- {line}" for line in sentences(summary))]
    return "\n".join(lines) + "\n"


def _settings(summary: Mapping[str, Any]) -> list[str]:
    if not summary["rows"]:
        return ["There is no result yet."]
    most = Counter(LEARNING_RATE.values()).most_common(1)[0][0]
    others = [f"{rate:g} at {_bits(bits)}" for bits, rate in LEARNING_RATE.items() if rate != most]
    rates = f"{most:g} ({', '.join(others)})" if others else f"{most:g}"
    decays = ", ".join(f"{decay * 1e4:g}e-4 at {bits}" for bits, decay in WEIGHT_DECAY.items())
    return [
        f"CIFAR-10, ResNet-8, {summary['images']} test images, top-1 in percent. Every run starts from the float "
        f"checkpoint {summary['float_start']} and trains {summary['epochs']} epochs: batch 128, SGD with Nesterov "
        f"momentum 0.9, peak learning rate {rates} with a cosine to zero after one "
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
        "‡": "Rows marked ‡ were trained with an earlier version of code or start.",
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
        fewer = f", {_seeds(difference)}" if difference and difference.n != ended else ""
        lines.append(
            f"| {row['title']}{_marks(row)} | {format(row['estimate']['mean'], '.2f') if row['estimate'] else '–'} | "
            f"{ended if ended == seeds else f'{ended} of {seeds}'} | "
            f"{', '.join(each[seed] for seed in sorted(each, key=int))} | "
            f"{f'{difference.mean:+.2f}' if difference else '–'} | {_interval(difference)}{fewer} |"
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


def _folded(rows: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the table of the networks whose adaptive steps were folded out, and what it is for."""
    says = (
        f"A difference between ASQ and LSQ is one of adaptivity only as far as it remains against {_fast()}, whose "
        "steps may move about as fast as ASQ's, and against the ASQ networks themselves with their steps folded out: "
        "the factor of a step is then the same for every image, its mean over the training images."
    )
    differences = {answer["left"]: _estimate(answer["difference"]) for answer in answers if answer["measure"] == FOLDED}
    lines = []
    for row in sorted(rows, key=lambda row: (-row["bits"], row["title"])):
        difference = differences[row["row"]]
        if difference is None:
            continue
        # Of the seeds that were evaluated both ways.
        folded = row["folded"]["mean"]
        lines.append(
            f"| {row['title']}{_marks(row)} | {row['bits']} | {difference.n} | {folded + difference.mean:.2f} | "
            f"{folded:.2f} | {difference.mean:+.2f} | {_interval(difference)} |"
        )
    if not lines:
        return [f"{says} None was evaluated so yet; `bench.py folded` does it."]
    head = [
        "| method | bits | seeds | adaptive | folded out | difference | 95 % interval |",
        "|---|---|---|---|---|---|---|",
    ]
    return [says, "", *head, *lines]


def _fast() -> str:
    titles = {row.title for row in ROWS if row.step_rate != STEP_RATE}
    return " and ".join(f'"{title}"' for title in sorted(titles))


def _bits(bits: int) -> str:
    return f"{bits} bit{'s' if bits > 1 else ''}"


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return what wins and what does not, one sentence each."""
    titles = {row.key: f"{row.label} at {_bits(row.bits)}" for row in ROWS}
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
        sides = [rows[key] for key in dict.fromkeys((one.left, one.right)) if key in rows]
        says = _question(one, titles) + ": " + _answer(one, titles[one.left], difference, _diverged(sides, titles))
        if older := [titles[side["row"]] for side in sides if side["stale"]]:
            says += f" ({' and '.join(older)} trained with an earlier version of code or start)"
        found.append(f"{says}.")
    # One sentence per question, in order.
    found = list(dict.fromkeys(found))
    for row in rows.values():
        title = titles[row["row"]]
        found += [f"{title}, seed {seed}, diverged: {why}" for seed, why in row["diverged"].items()]
        if row["left_out"]:
            found.append(
                f"{title}: left out, as of another version of code or start: seed {_numbers(row['left_out'])}."
            )
    changed = [titles[row["row"]] for row in rows.values() if row["stale"]]
    if changed:
        found.append(f"Trained with an earlier version of code or start: {', '.join(changed)}.")
    return found


def _question(asked: Comparison, titles: Mapping[str, str]) -> str:
    left, right = titles[asked.left], titles[asked.right]
    if asked.margin is not None:
        return f"{left} is at most {asked.margin:g} points below {right}"
    if asked.measure == FOLDED and asked.left != asked.right:
        return f"{left} against {right} with its steps folded out, accuracy"
    if asked.measure == FOLDED:
        return f"{left} against the same networks with their steps folded out, accuracy"
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
