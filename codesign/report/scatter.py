"""A scatter plot of accuracy against cost as SVG: points of several searches, and the front of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from codesign.report.numbers import short

_WIDTH, _HEIGHT = 860, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 190, 16, 50
_COLOURS = 6
"""Colours in the style sheet; the seventh series begins with the first colour and another shape."""
_SHAPES = ("circle", "square", "diamond")
_LEGEND_ROW = 22

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """One search.

    Parameters
    ----------
    name : str
    points : sequence of (float, float)
        Cost and accuracy of everything that was evaluated.
    front : sequence of (float, float)
        Those that no other one beats, by ascending cost.
    """

    name: str
    points: Sequence[Point]
    front: Sequence[Point]


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    logarithmic: bool
    begin: float
    end: float

    def __call__(self, value: float) -> float:
        low, high, value = (math.log(each) if self.logarithmic else each for each in (self.low, self.high, value))
        return self.begin + (self.end - self.begin) * (value - low) / (high - low)


def svg(series: Sequence[Series], x_label: str, y_label: str, limit: float | None = None) -> str:
    """Return the plot; the style sheet of the page colours it.

    Points less accurate than every front are left out: they would press the rest together.

    Parameters
    ----------
    series : sequence of Series
        With at least one point on a front.
    x_label, y_label : str
        Escaped here.
    limit : float or None
        The most that the cost may be; drawn as a line.
    """
    fronts = [point for one in series for point in one.front]
    floor = min(y for _, y in fronts)
    shown = [point for one in series for point in one.points if point[1] >= floor]
    xs = [x for x, _ in [*fronts, *shown]] + ([limit] if limit is not None else [])
    ys = [y for _, y in [*fronts, *shown]]
    x, y = _x_axis(xs), _y_axis(ys)
    parts = [*_frame(x, y, x_label, y_label)]
    if limit is not None:
        at = x(limit)
        parts.append(f'<path class="limit" d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        anchor = "end" if at > (_LEFT + _WIDTH - _RIGHT) / 2 else "start"
        shift = -6 if anchor == "end" else 6
        parts.append(f'<text class="tick" x="{at + shift:.1f}" y="{_TOP + 10}" text-anchor="{anchor}">limit</text>')
    for index, one in enumerate(series):
        parts.append(_drawn(index, one, floor, x, y))
    parts += _legend(series)
    return (
        f'<svg class="scatter" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)} against '
        f'{escape(x_label)}">{"".join(parts)}</svg>'
    )


def _x_axis(values: Sequence[float]) -> _Axis:
    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > 5
    if logarithmic:
        low, high = low / (high / low) ** 0.04, high * (high / low) ** 0.04
    else:
        room = (high - low or abs(high) or 1.0) * 0.06
        low, high = low - room, high + room
    return _Axis(low, high, logarithmic, _LEFT, _WIDTH - _RIGHT)


def _y_axis(values: Sequence[float]) -> _Axis:
    low, high = min(values), max(values)
    room = max((high - low) * 0.06, 0.05)
    return _Axis(low - room, high + room, False, _HEIGHT - _BOTTOM, _TOP)


def _frame(x: _Axis, y: _Axis, x_label: str, y_label: str) -> list[str]:
    parts = []
    for value in ticks(y.low, y.high):
        parts.append(f'<path class="grid" d="M{_LEFT} {y(value):.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    bottom = _HEIGHT - _BOTTOM
    for value in logarithmic_ticks(x.low, x.high) if x.logarithmic else ticks(x.low, x.high):
        parts.append(f'<path class="grid" d="M{x(value):.1f} {_TOP}V{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x(value):.1f}" y="{bottom + 18}" text-anchor="middle">{short(value)}</text>'
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}"/>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>'
    )
    across = (_TOP + bottom) / 2
    parts.append(
        f'<text class="label" transform="translate(16 {across:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    return parts


def _drawn(index: int, one: Series, floor: float, x: _Axis, y: _Axis) -> str:
    """Faint points, and the front as stairs: at a cost, the accuracy that can be had for it."""
    faint = "".join(_mark(index, x(a), y(b), 2.2) for a, b in one.points if b >= floor)
    front = "".join(_mark(index, x(a), y(b), 4.2) for a, b in one.front)
    path = ""
    if one.front:
        path = f"M{x(one.front[0][0]):.1f} {y(one.front[0][1]):.1f}"
        path += "".join(f"H{x(a):.1f}V{y(b):.1f}" for a, b in one.front[1:])
    return (
        f'<g class="series colour{index % _COLOURS}"><title>{escape(one.name)}</title>'
        f'<g class="all">{faint}</g><path class="stairs" d="{path}"/>{front}</g>'
    )


def _mark(index: int, x: float, y: float, size: float) -> str:
    shape = _SHAPES[index // _COLOURS % len(_SHAPES)]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size:g}"/>'
    if shape == "square":
        return f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size:g}" height="{2 * size:g}"/>'
    reach = 1.3 * size
    return f'<path d="M{x:.1f} {y - reach:.1f}l{reach:g} {reach:g}l{-reach:g} {reach:g}l{-reach:g} {-reach:g}z"/>'


def _legend(series: Sequence[Series]) -> list[str]:
    left = _WIDTH - _RIGHT + 24
    return [
        f'<g class="series colour{index % _COLOURS}">{_mark(index, left, _TOP + 10 + _LEGEND_ROW * index, 4.2)}'
        f'<text class="name" x="{left + 14}" y="{_TOP + 14 + _LEGEND_ROW * index}">{escape(one.name)}</text></g>'
        for index, one in enumerate(series)
    ]


def ticks(low: float, high: float) -> list[float]:
    """Return round values between two, about six of them."""
    rough = (high - low) / 6
    scale = 10 ** math.floor(math.log10(rough))
    step = next(scale * each for each in (1, 2, 5, 10) if scale * each >= rough)
    first = math.ceil(low / step)
    return [round(index * step, 10) for index in range(first, math.floor(high / step) + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Return round values between two for a logarithmic axis: a few of each power of ten, or the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1,)):
        found = [m * 10.0**power for power in powers for m in mantissas if low <= m * 10.0**power <= high]
        if len(found) <= 9:
            break
    return found
