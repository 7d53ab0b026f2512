"""The hardware of a graph on a board by a user's options: what `emit` writes, and what estimates are about.

Folds are chosen by the rough sizes of `cost.py`. Where lookup tables are limited by `Options.lut`, or the fastest
design is looked for, and synthesis was measured for the family, the limit is one of what `codesign.estimate` predicts
of the whole: the loosest rough limit is looked for with which that prediction keeps to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from codesign import estimate, folding
from codesign.backends.rtl import choice, permutation
from codesign.backends.rtl.estimation import Estimate, of_layout
from codesign.backends.rtl.folds import require_ends, require_folds
from codesign.backends.rtl.layout import Layout, place
from codesign.backends.rtl.options import MARGIN, Options
from codesign.backends.rtl.unit import Fold
from codesign.boards import Board
from codesign.folding import Chosen, Problem
from codesign.ir import Graph
from codesign.ir.passes.permute_channels import Orders, reordered

_ATTEMPTS = 8
"""Rough limits that are asked for at most."""
_NEAR = 0.01
"""Of a limit: what designs or rough limits may differ by and count as near enough."""


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
    cost : float
        What the choice of folds keeps small: lookup tables, and multiplier blocks by what each of them counts.
    estimate : Estimate or None
        None where it was not asked: nothing limits tables, or no synthesis was measured for the family.
    limit : float
        The rough limit of lookup tables that the folds were chosen by.
    """

    layout: Layout
    cycles: int
    rough: float
    cost: float
    estimate: Estimate | None
    limit: float

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

    def by(orders: Orders) -> tuple[Hardware, Orders]:
        moved = reordered(graph, orders)
        asked = choice.problem(moved, options.folds, board.lut_inputs, limits, options.dsp_luts, port)
        return folded(asked, moved, board, options), orders

    def cheapest(tables: float) -> Orders:
        within = {**limits, "lut": tables}
        lookup = board.lut_inputs
        return permutation.cheapest(graph, options.wanted, options.folds, lookup, within, options.dsp_luts, port)

    if not options.permute:
        return by({})
    found, orders = by(cheapest(limits["lut"]))
    # Folds for another rough limit may want another order.
    others = {} if found.limit == limits["lut"] else cheapest(found.limit)
    if not orders and not others:
        return found, orders
    most = _most(board, options)
    return min(
        ((found, orders), by(others)),
        key=lambda one: (one[0].tables > most and one[0].tables, max(one[0].cycles, options.wanted or 0), one[0].cost),
    )


def folded(asked: Problem, graph: Graph, board: Board, options: Options, near: int | None = None) -> Hardware:
    """Return the hardware of a folding problem.

    Parameters
    ----------
    asked : Problem
        Of `choice.problem`, with the limits of `options`.
    graph, board, options
    near : int, optional
        Clocks to try first where the fastest design is looked for; they change nothing of the result.
    """
    limited = options.fastest if options.lut is None else options.fastest or options.lut < board.lut
    model = estimate.load(board.family) if limited and estimate.measured(board.family) else None
    known: dict[tuple[Fold, ...], tuple[Layout, Estimate | None]] = {}

    def laid(found: Chosen, tables: float) -> Hardware:
        folds = {node: one.fold for node, one in found.candidates.items()}
        key = tuple(folds.values())
        if key not in known:
            layout = place(graph, folds)
            known[key] = layout, None if model is None else of_layout(layout, board, model, options.blocks(board))
        rough = found.cost.get("lut", 0.0)
        return Hardware(known[key][0], found.cycles, rough, asked.weighed(found.cost), known[key][1], tables)

    def solved(tables: float, cycles: int | None) -> Hardware:
        within = replace(asked, limits={**asked.limits, "lut": tables})
        return laid(choice.solve(within, cycles, near), tables)

    free = asked.limits["lut"] if model is None else Options().limits(board)["lut"]
    whole = solved(free, options.wanted)
    most = _most(board, options)
    if model is None or whole.tables <= most:
        return whole
    cycles = options.wanted
    if cycles is None or whole.cycles > cycles:
        # The fewest clocks for which some folds keep to the limit, those that take few tables if blocks are free.
        least = choice.relaxed(asked)

        def keeping(problem: Problem, clocks: int) -> Chosen | None:
            found = folding.solve(problem, clocks)
            return found if found is not None and laid(found, 0.0).tables <= most else None

        # Predictions need not fall with every clock more, so that a guess might change what is found.
        if (fastest := folding.fastest(least, by=keeping)) is None:
            return solved(0.0, None)
        cycles = fastest.cycles
        whole = solved(free, cycles)
    return _loosest(most, whole, lambda tables: solved(tables, cycles))


def _most(board: Board, options: Options) -> int:
    """Return the lookup tables that the estimate of a design may take."""
    # The fastest design takes what it may, and is to be placed and routed.
    most = int(MARGIN * board.lut) if options.fastest else board.lut
    return most if options.lut is None else min(options.lut, most)


def _loosest(most: int, whole: Hardware, solved: Callable[[float], Hardware]) -> Hardware:
    """Return the design of the loosest rough limit whose prediction keeps to a limit, else that of the least.

    Parameters
    ----------
    most : int
        The limit.
    whole : Hardware
        The design where lookup tables are not limited.
    solved : callable
        Told a rough limit, returns a design; the one with the fewest tables where no folds keep to it.
    """
    if whole.tables <= most:
        return whole
    # Between the rough sizes of two designs there is no other one, so the limit is asked below that of one.
    found, least, high = None, whole, whole.rough
    low = 0.0
    for _ in range(_ATTEMPTS):
        one = solved((low + high) / 2 if found else high * min(most / least.tables, 1 - _NEAR))
        if one.tables <= most:
            found, low = one, one.limit
        else:
            least = min(least, one, key=lambda each: each.tables)
            if one.rough > one.limit:
                # No folds take fewer, by the rough sizes.
                return found or least
            high = one.rough
        if found and (high - low <= _NEAR * high or found.tables >= (1 - _NEAR) * most):
            return found
    return found or min(least, solved(0.0), key=lambda each: each.tables)
