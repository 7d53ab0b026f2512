"""The picture: LUT per product against bits of weights, a panel for each family and width of activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, GAP_X, GAP_Y, LEGEND = 380, 280, 64, 60, 70, 96, 160

# Colours that stay apart for most colour-blind readers (Okabe and Ito), black for the reference.
STYLE = {
    "uniform": ("#000000", ""),
    "odd": ("#56b4e9", "6 3"),
    "pot": ("#e69f00", "6 3"),
    "post": ("#d55e00", ""),
    "apot": ("#0072b2", "6 3"),
    "binary": ("#009e73", ""),
}
TITLES = {"uniform": "uniform", "odd": "odd (DoReFa)", "pot": "POT", "post": "POST", "apot": "APoT", "binary": "binary"}
FAMILIES = {"xc7": "Xilinx 7", "ecp5": "Lattice ECP5"}


def svg(results: Mapping[str, Any]) -> str:
    """Return the picture of a results file; see `study.summary` for the numbers."""
    columns = [("activations as wide as weights", results), ("activations of 8 bits", results["activations_8_bits"])]
    width = LEFT + len(columns) * WIDTH + GAP_X + LEGEND
    height = TOP + len(FAMILIES) * (HEIGHT + GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13" role="img" aria-label="LUT per multiply-accumulate against bits">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(LEFT, 26, "LUT that one more multiply-accumulate per clock costs, cheapest form", size=16),
    ]
    for row, (family, title) in enumerate(FAMILIES.items()):
        top = TOP + row * (HEIGHT + GAP_Y)
        for column, (activations, numbers) in enumerate(columns):
            parts += _panel(LEFT + column * (WIDTH + GAP_X), top, f"{title}, {activations}", numbers[family])
    for index, (kind, (colour, dash)) in enumerate(STYLE.items()):
        x, y = LEFT + len(columns) * WIDTH + GAP_X + 20, TOP + 20 + 24 * index
        if any(len(numbers[family].get(kind, {})) > 1 for _, numbers in columns for family in FAMILIES):
            parts.append(f'<line x1="{x}" x2="{x + 28}" y1="{y}" y2="{y}" {_stroke(colour, dash)}/>')
        parts.append(f'<circle cx="{x + 14}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(_text(x + 36, y + 4.5, TITLES[kind]))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: float, top: float, title: str, numbers: Mapping[str, Mapping[str, float]]) -> list[str]:
    highest = max(lut for widths in numbers.values() for lut in widths.values())
    step = next(s for s in (5, 10, 20, 25, 50, 100, 200) if highest / s <= 8)
    limit = step * (int(highest / step) + 1)

    def x(bits: float) -> float:
        return left + WIDTH * (bits - 0.6) / 4.8

    def y(lut: float) -> float:
        return top + HEIGHT * (1 - lut / limit)

    parts = [_text(left, top - 8, title)]
    for tick in range(0, limit + 1, step):
        parts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        parts.append(_text(left - 8, y(tick) + 4.5, str(tick), anchor="end"))
    parts.append(f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#666"/>')
    for bits in range(1, 6):
        parts.append(_text(x(bits), top + HEIGHT + 18, str(bits), anchor="middle"))
    parts.append(_text(left + WIDTH / 2, top + HEIGHT + 38, "bits of a weight", anchor="middle"))
    for kind, widths in numbers.items():
        colour, dash = STYLE[kind]
        points = [(x(int(bits)), y(lut)) for bits, lut in widths.items()]
        if len(points) > 1:
            path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
            parts.append(f'<polyline points="{path}" fill="none" {_stroke(colour, dash)}/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}"/>' for px, py in points]
    return parts


def _stroke(colour: str, dash: str) -> str:
    return f'stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{text}</text>'
