"""The widths of a network as SVG: a row for each layer, a cell for each channel, darker where there are more bits."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH = 860
_LEFT, _READ = 150, 44
_ROW, _GAP = 18, 4
_TOP = 26
_CELL = 14
"""The widest a cell may be; with many channels it is narrower, so that the widest layer fits."""
_LEGEND = 34
MAX_BITS = 8


@dataclass(frozen=True)
class Row:
    """One layer.

    Parameters
    ----------
    name : str
    reads : int
        Width of what it reads, in bits.
    bits : sequence of int
        Width of each output channel, 0 to 8.
    """

    name: str
    reads: int
    bits: Sequence[int]


def svg(rows: Sequence[Row]) -> str:
    """Return the map; the style sheet of the page colours it by ``bits0`` to ``bits8``.

    Neighbours of the same width are one rectangle, so that its size depends on how the widths vary, not on how many
    channels there are.
    """
    begin = _LEFT + _READ + 10
    cell = min(_CELL, (_WIDTH - begin) / max(len(row.bits) for row in rows))
    parts = [
        f'<text class="tick" x="{_LEFT + _READ / 2}" y="14" text-anchor="middle">reads</text>',
        f'<text class="tick" x="{begin}" y="14">bits of each output channel</text>',
    ]
    for index, row in enumerate(rows):
        top = _TOP + index * (_ROW + _GAP)
        parts.append(
            f'<text class="name" x="{_LEFT - 8}" y="{top + 13}" text-anchor="end">{escape(_fitting(row.name))}'
            f"<title>{escape(row.name)}</title></text>"
        )
        parts.append(_rectangle(_LEFT, top, _READ, row.reads, f"{row.name} reads {row.reads} bits"))
        parts.append(_number(_LEFT + _READ / 2, top, row.reads))
        at = 0
        for bits, group in itertools.groupby(row.bits):
            count = len(list(group))
            channels = f"channel {at}" if count == 1 else f"channels {at} to {at + count - 1}"
            left, width = begin + at * cell, count * cell
            parts.append(_rectangle(left, top, width, bits, f"{row.name}, {channels}: {_named(bits)}"))
            if width >= 12:
                parts.append(_number(left + width / 2, top, bits))
            at += count
    height = _TOP + len(rows) * (_ROW + _GAP) + _LEGEND
    for bits in range(MAX_BITS + 1):
        left = begin + bits * 44 + (32 if bits else 0)
        parts.append(_rectangle(left, height - 20, 16, bits, _named(bits)))
        parts.append(f'<text class="tick" x="{left + 21}" y="{height - 8}">{"pruned" if bits == 0 else bits}</text>')
    return (
        f'<svg class="widths" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="Bits of each output channel, layer by layer">{"".join(parts)}</svg>'
    )


def _rectangle(left: float, top: float, width: float, bits: int, title: str) -> str:
    return (
        f'<rect class="bits{bits}" x="{left:.2f}" y="{top}" width="{width:.2f}" height="{_ROW if width != 16 else 14}">'
        f"<title>{escape(title)}</title></rect>"
    )


def _number(x: float, top: float, bits: int) -> str:
    return f'<text class="inside{" light" if bits >= 5 else ""}" x="{x:.1f}" y="{top + 13}">{bits}</text>'


def _named(bits: int) -> str:
    return {0: "pruned", 1: "1 bit"}.get(bits, f"{bits} bits")


def _fitting(name: str) -> str:
    return name if len(name) <= 22 else f"…{name[-21:]}"
