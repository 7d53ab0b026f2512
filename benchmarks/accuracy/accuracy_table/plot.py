"""The plot as SVG: accuracy against bits, and against the LUT of a multiply-accumulate lane."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

PANEL, HEIGHT, LEFT, TOP, GAP, LEGEND = 460, 520, 60, 56, 76, 190
BOTTOM = 60
NOTE, NOTE_CHARACTERS = 18, 160
NEIGHBOURS = 12

# Eight colours that stay apart for most colour-blind readers (Okabe and Ito), black for the reference.
STYLE = {
    "lsq": ("#000000", "circle"),
    "lsq_distilled": ("#000000", "diamond"),
    "lsq_fast": ("#000000", "triangle"),
    "asq": ("#0072b2", "circle"),
    "asq_continuous": ("#0072b2", "triangle"),
    "post": ("#d55e00", "circle"),
    "asqpost": ("#d55e00", "diamond"),
    "pot": ("#e69f00", "circle"),
    "apot": ("#e69f00", "diamond"),
    "pact": ("#009e73", "circle"),
    "dorefa": ("#009e73", "diamond"),
    "brevitas_default": ("#56b4e9", "circle"),
    "qkeras": ("#56b4e9", "diamond"),
    "sign": ("#000000", "square"),
    "react": ("#009e73", "square"),
    "bitat": ("#cc79a7", "square"),
    "bitat_identity": ("#cc79a7", "triangle"),
    "bitat_react": ("#cc79a7", "diamond"),
}


def svg(summary: Mapping[str, Any], lanes: Mapping[str, Any]) -> str:
    """Return the picture.

    Parameters
    ----------
    summary : mapping
        From `summary.summarise`.
    lanes : mapping
        LUT of one multiply-accumulate lane: family → kind → bits → number. Rows whose lane was not measured
        are left out of the right panel, and named below it.
    """
    every = sorted(summary["rows"], key=lambda row: list(STYLE).index(row["name"]))
    rows = [row for row in every if row["estimate"]]
    width = LEFT + 2 * PANEL + GAP + LEGEND
    notes = _notes(every, lanes.get("xc7", {}))
    height = TOP + HEIGHT + BOTTOM + (NOTE * len(notes) + 8 if notes else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13" role="img" '
        'aria-label="accuracy of quantisation methods against bits and against LUT">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, line in enumerate(notes):
        parts.append(_text(LEFT, TOP + HEIGHT + BOTTOM + 12 + NOTE * index, line, size=12))
    if not rows:
        return "\n".join([*parts, '<text x="60" y="60">There is no result yet.</text>', "</svg>"]) + "\n"
    y, ticks = _vertical([row["estimate"] for row in rows])
    title = f"CIFAR-10, ResNet-8, {summary['epochs']} epochs from one float checkpoint"
    parts.append(_text(LEFT, 24, title, size=16))
    parts += _frame(LEFT, ticks, y, "bits of hidden weights and activations", "test accuracy, %")
    parts += _against_bits(rows, y)
    right = LEFT + PANEL + GAP
    parts += _frame(right, ticks, y, "LUT of one multiply-accumulate lane (Yosys, xc7); numbers: bits", None)
    parts += _against_lut(rows, lanes.get("xc7", {}), y, right)
    parts += _legend(rows, right + PANEL + 24)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _vertical(estimates: Iterable[Mapping[str, Any]]) -> tuple[Callable[[float], float], list[int]]:
    means = [estimate["mean"] for estimate in estimates]
    low, high = math.floor(min(means) - 0.5), math.ceil(max(means) + 0.5)
    step = 1 if high - low <= 14 else 2 if high - low <= 28 else 5
    low = low // step * step
    ticks = list(range(low, high + 1, step))
    return lambda value: TOP + HEIGHT * (high - value) / (high - low), ticks


def _frame(x: float, ticks: Sequence[int], y: Callable[[float], float], below: str, beside: str | None) -> list[str]:
    parts = []
    for tick in ticks:
        parts.append(f'<line x1="{x}" x2="{x + PANEL}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        parts.append(_text(x - 8, y(tick) + 4.5, str(tick), anchor="end"))
    parts.append(f'<rect x="{x}" y="{TOP}" width="{PANEL}" height="{HEIGHT}" fill="none" stroke="#666"/>')
    parts.append(_text(x + PANEL / 2, TOP + HEIGHT + 44, below, anchor="middle"))
    if beside:
        middle = TOP + HEIGHT / 2
        parts.append(
            f'<text transform="translate({x - 42} {middle}) rotate(-90)" text-anchor="middle">{escape(beside)}</text>'
        )
    return parts


def _against_bits(rows: Sequence[Mapping[str, Any]], y: Callable[[float], float]) -> list[str]:
    parts = []
    widths = sorted({row["bits"] for row in rows})
    column = PANEL / len(widths)
    for index, bits in enumerate(widths):
        left = LEFT + index * column
        parts.append(_text(left + column / 2, TOP + HEIGHT + 20, str(bits), anchor="middle"))
        if index:
            parts.append(f'<line x1="{left}" x2="{left}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#bbb"/>')
        here = [row for row in rows if row["bits"] == bits]
        # Side by side in the order of the legend, so that equal accuracies do not hide each other.
        for place, row in enumerate(here):
            x = left + column * (place + 1) / (len(here) + 1)
            values = list(row["accuracy"].values())
            if len(values) > 1:
                ends = f'y1="{y(min(values)):.1f}" y2="{y(max(values)):.1f}"'
                parts.append(
                    f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{STYLE[row["name"]][0]}" stroke-width="2"/>'
                )
            parts.append(_mark(row, x, y(row["estimate"]["mean"])))
    return parts


def _against_lut(
    rows: Sequence[Mapping[str, Any]], lanes: Mapping[str, Any], y: Callable[[float], float], left: float
) -> list[str]:
    found = [(row, lut) for row in rows if (lut := _lut(row, lanes)) is not None]
    if not found:
        return [_text(left + PANEL / 2, TOP + HEIGHT / 2, "no lane has been measured yet", anchor="middle")]
    low, high = (math.log2(edge(lut for _, lut in found)) for edge in (min, max))
    low, high = math.floor(low * 2 - 0.5) / 2, math.ceil(high * 2 + 0.5) / 2

    def x(lut: float) -> float:
        return left + PANEL * (math.log2(lut) - low) / (high - low)

    parts = []
    for power in range(math.ceil(low), math.floor(high) + 1):
        at = x(2.0**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}" stroke="#ddd"/>')
        parts.append(_text(at, TOP + HEIGHT + 20, f"{2.0**power:g}", anchor="middle"))
    for row, lut in found:
        parts.append(_mark(row, x(lut), y(row["estimate"]["mean"])))
    # The bits above the best of each place; its colour tells the kind of lane.
    best: dict[float, Mapping[str, Any]] = {}
    for row, lut in found:
        if lut not in best or best[lut]["estimate"]["mean"] < row["estimate"]["mean"]:
            best[lut] = row
    told: list[tuple[float, int]] = []
    for lut, row in sorted(best.items(), key=lambda item: -item[1]["estimate"]["mean"]):
        # One number serves neighbours of the same width, which would hide each other's.
        if all(bits != row["bits"] or abs(x(lut) - place) > NEIGHBOURS for place, bits in told):
            told.append((x(lut), row["bits"]))
            parts.append(_text(x(lut), y(row["estimate"]["mean"]) - 10, str(row["bits"]), anchor="middle", size=11))
    return parts


def _lut(row: Mapping[str, Any], lanes: Mapping[str, Any]) -> float | None:
    found = lanes.get(row["lane"], {}).get(str(row["bits"]))
    return None if found is None else float(found)


def _notes(rows: Sequence[Mapping[str, Any]], lanes: Mapping[str, Any]) -> list[str]:
    """Return the lines below the panels: which rows are not drawn, or not wholly what they seem."""

    def named(chosen: Iterable[tuple[Mapping[str, Any], str]]) -> str:
        return ", ".join(
            f"{row['title']} at {row['bits']} bit{'s' if row['bits'] > 1 else ''}{of}" for row, of in chosen
        )

    says = {
        "A training diverged, and the mark is the mean of the others: ": named(
            (row, f" ({len(row['diverged'])} of {len(row['diverged']) + len(row['accuracy'])})")
            for row in rows
            if row["diverged"] and row["accuracy"]
        ),
        "Not drawn, as every training diverged: ": named((row, "") for row in rows if not row["accuracy"]),
        "Trained with an earlier version of code or start: ": named((row, "") for row in rows if row["stale"]),
        "Not on the right, as no lane was measured for their weights: ": named(
            (row, "") for row in rows if row["accuracy"] and lanes and _lut(row, lanes) is None
        ),
    }
    lines = (textwrap.wrap(f"{what}{names}.", NOTE_CHARACTERS) for what, names in says.items() if names)
    return [line for found in lines for line in found]


def _legend(rows: Sequence[Mapping[str, Any]], x: float) -> list[str]:
    parts: list[str] = []
    named: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        # The widest; at another width the title may have more to say.
        named.setdefault(row["name"], row)
    for index, row in enumerate(named.values()):
        y = TOP + 12 + 24 * index
        parts.append(_mark(row, x, y))
        parts.append(_text(x + 14, y + 4.5, row["title"]))
    return parts


def _mark(row: Mapping[str, Any], x: float, y: float) -> str:
    colour, shape = STYLE[row["name"]]
    r = 5.0
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    points = {
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle": ((0, -1.2), (1.2, 1), (-1.2, 1)),
        "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    }[shape]
    corners = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in points)
    # Hollow, so that the two methods of a colour differ at a glance.
    return f'<polygon points="{corners}" fill="#fff" stroke="{colour}" stroke-width="2"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
