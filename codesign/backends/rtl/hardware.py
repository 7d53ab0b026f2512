"""The hardware of a graph on a board by a user's options: what `emit` writes, and what estimates are about.

Folds are chosen by the rough sizes of `cost.py`. Where lookup tables are limited by `Options.lut` and synthesis was
measured for the family, the limit is one of what `codesign.estimate` predicts of the whole: the rough limit is looked
for with which that prediction comes out just within.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from codesign import estimate
from codesign.backends.rtl import choice, permutation
from codesign.backends.rtl.estimation import Estimate, of_layout
from codesign.backends.rtl.folds import require_ends, require_folds
from codesign.backends.rtl.layout import Layout, place
from codesign.backends.rtl.options import Options
from codesign.boards import Board
from codesign.folding import Problem
from codesign.ir import Graph
from codesign.ir.passes.permute_channels import Orders, reordered

_ATTEMPTS = 10
_NEAR = 0.99
"""Of a limit, from which on a design is near enough to it."""


@dataclass(frozen=True)
class Hardware:
    """A graph laid out.

    Parameters
    ----------
    layout : Layout
    cycles : int
        Clocks of a frame for which folds were chosen.
    rough : float
        Lookup tables by the sizes that chose the folds.
    estimate : Estimate or None
        None where it was not asked: tables are not limited, or no synthesis was measured for the family.
    """

    layout: Layout
    cycles: int
    rough: float
    estimate: Estimate | None

    @property
    def tables(self) -> int:
        """Lookup tables by the better of the estimates, rounded up."""
        return math.ceil(self.rough if self.estimate is None else self.estimate.amount.lut)


def chosen(graph: Graph, board: Board, options: Options) -> tuple[Hardware, Orders]:
    """Return the hardware that `emit` writes, and its order of channels.

    Raises
    ------
    UserError
        As `codesign.backends.rtl.emit` does.
    """
    require_ends(graph)
    require_folds(graph, options.folds)
    limits, port = options.limits(board), options.port(board)
    asked = options.wanted, options.folds, board.lut_inputs, limits, options.dsp_luts, port
    orders = permutation.cheapest(graph, *asked) if options.permute else {}
    moved = reordered(graph, orders)
    problem = choice.problem(moved, options.folds, board.lut_inputs, limits, options.dsp_luts, port)
    return folded(problem, moved, board, options), orders


def folded(asked: Problem, graph: Graph, board: Board, options: Options, near: int | None = None) -> Hardware:
    """Return the design of a folding problem.

    Parameters
    ----------
    asked : Problem
        Of `choice.problem`, with the limits of `options`.
    graph, board, options
    near : int, optional
        Clocks to try first where the fastest design is looked for; they change nothing of the result.
    """
    model = estimate.load(board.family) if options.lut is not None and estimate.measured(board.family) else None

    def attempt(tables: float) -> Hardware:
        found = choice.solve(replace(asked, limits={**asked.limits, "lut": tables}), options.wanted, near)
        layout = place(graph, {node: one.fold for node, one in found.candidates.items()})
        predicted = None if model is None else of_layout(layout, board, model)
        return Hardware(layout, found.cycles, found.cost.get("lut", 0.0), predicted)

    most = asked.limits["lut"]
    return attempt(most) if model is None else _loosest(most, Options().limits(board)["lut"], attempt)


def _loosest(most: float, free: float, attempt: Callable[[float], Hardware]) -> Hardware:
    """Return the design of the loosest rough limit whose prediction keeps to a limit, else that of the least.

    Parameters
    ----------
    most : float
        The limit.
    free : float
        The rough limit where nothing else limits lookup tables.
    attempt : callable
        Told a rough limit, returns a design.
    """
    least = attempt(free)
    if least.tables <= most:
        return least
    found = None
    low, high = 0.0, min(free, least.rough)
    asked = high * most / least.tables
    for _ in range(_ATTEMPTS):
        one = attempt(asked)
        if one.tables <= most:
            found, low = one, asked
            if one.tables >= _NEAR * most:
                break
        else:
            least = min(least, one, key=lambda each: each.tables)
            high = asked
            if one.rough > asked:
                # No folds take fewer, by the rough sizes.
                break
        asked = (low + high) / 2 if found else asked * min(most / one.tables, _NEAR)
    return found or least
