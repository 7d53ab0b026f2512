"""What a width more or less takes in lookup tables, of one channel, of every other one, and of a whole layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from codesign.backends.rtl.options import Options
from codesign.search.board_evaluator import BoardEvaluator
from codesign.search.space import Assignment
from search_table import scenarios
from search_table.work import Work

CYCLES = (scenarios.CYCLES, 4_608)
"""Clocks of a frame: many channels share a lane, and few."""
_CHANGES: dict[str, Callable[[int], int]] = {
    "one channel + 1": lambda channel: int(channel == 0),
    "every other + 1": lambda channel: channel % 2,
    "all + 1": lambda channel: 1,
    "every other − 1": lambda channel: -(channel % 2),
    "all − 1": lambda channel: -1,
}


def rows(work: Work, cycles: int, bits: int = 2) -> tuple[float, list[tuple[str, list[float]]]]:
    """Return lookup tables of the network with these widths everywhere, and by layer how many more a change takes."""
    evaluator = BoardEvaluator(work.accuracies, work.board, Options(cycles=cycles, dsp=scenarios.DSP))
    base = evaluator.space.uniform(bits, bits)
    luts = evaluator.cost(base)["lut"]

    def more(layer: str, change: Callable[[int], int]) -> float:
        widths = tuple(bits + change(channel) for channel in range(len(base.weights[layer])))
        changed: Assignment = msgspec.structs.replace(base, weights={**base.weights, layer: widths})
        return evaluator.cost(changed)["lut"] - luts

    return luts, [
        (layer.name, [more(layer.name, change) for change in _CHANGES.values()]) for layer in evaluator.space.layers
    ]


def markdown(work: Work) -> str:
    """Return a table for each number of clocks."""
    parts = ["# What a bit takes in lookup tables, ResNet-8 with 2 bits everywhere but in one layer\n"]
    for cycles in CYCLES:
        luts, found = rows(work, cycles)
        parts.append(f"## {cycles:,} clocks: {luts:,.0f} LUTs by estimate, all 2 bits\n")
        parts.append(
            _table(["weights of", *_CHANGES], [[name, *(f"{one:+,.0f}" for one in row)] for name, row in found])
        )
    return "\n".join(parts)


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---", *["--:"] * (len(head) - 1)], *cells]) + "\n"
