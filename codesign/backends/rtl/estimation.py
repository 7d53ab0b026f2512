"""What a graph takes on a board, before any synthesis: nodes, FIFOs and adapters by `codesign.estimate`, clocks by the
schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from codesign import estimate
from codesign.backends.rtl.described import forks, in_a_row, parts, shell
from codesign.backends.rtl.folds import words
from codesign.backends.rtl.layout import Layout, place
from codesign.backends.rtl.serial_shell import TOP as SHELL
from codesign.backends.rtl.serial_shell import bit_clocks
from codesign.backends.rtl.unit import Fold
from codesign.backends.rtl.verilog import TOP
from codesign.boards import Board
from codesign.errors import UserError
from codesign.estimate import Amount, Census, Model
from codesign.estimate.census import Product
from codesign.estimate.corrections import Correction
from codesign.ir import Graph, Node

Interval = tuple[float, float]


@dataclass(frozen=True)
class Operator:
    """What a node takes, its FIFOs and adapters included.

    Parameters
    ----------
    node, operator, label, fold : str
        Behind the nodes, "network" has the forks of streams and "uart_shell" is the serial shell of a board.
    cycles : int
        Clocks that it is busy with a frame.
    amount : Amount
    lut, ff : (float, float)
        Intervals.
    """

    node: str
    operator: str
    label: str
    fold: str
    cycles: int
    amount: Amount
    lut: Interval
    ff: Interval


@dataclass(frozen=True)
class Estimate:
    """What a network takes.

    Parameters
    ----------
    amount : Amount
    lut, ff : (float, float)
        Intervals.
    coverage : float
        Share of designs whose true values the intervals are to hold.
    cycles_per_frame, latency_cycles : int
        By the schedule, exact; the latency is 0 where there was no schedule.
    operators : sequence of Operator
    limits : mapping of str to float
        What the board holds: "lut", "ff", "bram36", "dsp".
    without_shell : str
        Why the serial shell of the board cannot be built and is left out; empty otherwise.
    """

    amount: Amount
    lut: Interval
    ff: Interval
    coverage: float
    cycles_per_frame: int
    latency_cycles: int
    operators: Sequence[Operator] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    without_shell: str = ""

    @property
    def shares(self) -> dict[str, float]:
        """Of what the board holds, by resource; what it has none of is left out unless it is needed."""
        found = {}
        for name, limit in self.limits.items():
            used = getattr(self.amount, name)
            if limit or used:
                found[name] = used / limit if limit else float("inf")
        return found

    @property
    def exceeds(self) -> list[str]:
        """What the board has too little of."""
        # Tables and flip-flops are told as whole numbers.
        whole = {name: round(getattr(self.amount, name)) for name in ("lut", "ff")}
        return [name for name, limit in self.limits.items() if whole.get(name, getattr(self.amount, name)) > limit]

    @property
    def fits(self) -> bool:
        """Whether the prediction lies within all that the board holds."""
        return not self.exceeds

    @property
    def limited_by(self) -> str:
        """What is used up first."""
        return max(self.shares, key=self.shares.__getitem__)


def network(graph: Graph, board: Board, folds: Mapping[str, Fold], model: Model | None = None) -> Estimate:
    """Return what a graph takes with these folds.

    Parameters
    ----------
    graph : Graph
        Its channels as the hardware has them.
    board : Board
    folds : mapping of str to Fold
        Of every node.
    model : Model, optional
        The fit of the board's family unless given.

    Raises
    ------
    UserError
        When no synthesis was measured for the family of the board.
    """
    return of_layout(place(graph, folds), board, model)


def of_layout(layout: Layout, board: Board, model: Model | None = None, blocks: int | None = None) -> Estimate:
    """Return what a graph takes that is laid out; see `network`.

    Parameters
    ----------
    layout : Layout
    board : Board
    model : Model, optional
    blocks : int, optional
        Multiplier blocks that the design may take; all of the board unless given.
    """
    known = model or estimate.load(board.family)
    operators = []
    for node, amount in _amounts(layout, known, board.dsp if blocks is None else blocks):
        fold = layout.folds[node.name]
        told = node.name, node.op.name, node.label, words(fold_fields(fold)), layout.units[node.name].cycles
        operators.append(Operator(*told, amount, *_intervals(amount, known)))
    top = estimate.total(known.block(fork) for fork in forks(layout))
    around = [(TOP, top)] if top.lut else []
    without = ""
    if known.technology.serial and board.shell:
        # The network is the same without it; synthesis refuses where it cannot be built.
        try:
            own = shell(layout, bit_clocks(board.clock_mhz, board.shell.baud), board.shell.led_low)
        except UserError as error:
            without = str(error)
        else:
            around.append((SHELL, known.block(own)))
    operators += [Operator(name, "", "", "", 0, amount, *_intervals(amount, known)) for name, amount in around]
    amounts = [each.amount for each in operators]
    return Estimate(
        amount=estimate.total(amounts),
        lut=known.interval_of_sum((each.lut for each in amounts), "lut"),
        ff=known.interval_of_sum((each.ff for each in amounts), "ff"),
        coverage=known.fit.coverage,
        cycles_per_frame=layout.cycles_per_frame,
        latency_cycles=layout.latency,
        operators=operators,
        limits=board.limits,
        without_shell=without,
    )


def corrected(estimate: Estimate, correction: Correction) -> Estimate:
    """Return an estimate by the ratios that reports of another tool gave; clocks stay those of the schedule.

    Parameters
    ----------
    estimate : Estimate
        By a fit alone.
    correction : Correction
    """

    def amount(of: Amount) -> Amount:
        by = correction.factors
        return Amount(of.lut * by["lut"], of.ff * by["ff"], of.bram36 * by["bram36"], round(of.dsp * by["dsp"]))

    def interval(ends: Interval, middle: float, resource: str) -> Interval:
        factor, wider = correction.factors[resource], correction.wider[resource]
        low, high = (factor * (middle + wider * (end - middle)) for end in ends)
        return max(0.0, low), high

    operators = [
        replace(
            each,
            amount=amount(each.amount),
            lut=interval(each.lut, each.amount.lut, "lut"),
            ff=interval(each.ff, each.amount.ff, "ff"),
        )
        for each in estimate.operators
    ]
    return replace(
        estimate,
        amount=amount(estimate.amount),
        lut=interval(estimate.lut, estimate.amount.lut, "lut"),
        ff=interval(estimate.ff, estimate.amount.ff, "ff"),
        operators=operators,
    )


def node_amount(layout: Layout, node: str, dsp: bool, model: Model) -> Amount:
    """Return what a node of a layout takes, its FIFOs and adapters included."""
    return _sum(_censuses(layout, node, dsp, model), model)


def _censuses(layout: Layout, node: str, dsp: bool, model: Model) -> list[tuple[str, Census]]:
    """Return the modules of a node, and what they are made of."""
    # Folds know an operand that outputs may share where blocks are as good as free.
    free = bool(layout.folds[node].port)
    return [(block.module, model.census(block)) for block in in_a_row(parts(layout, node), dsp, free)]


def _sum(made: Sequence[tuple[str, Census]], model: Model) -> Amount:
    return estimate.total([*(model.amount(census, module) for module, census in made), model.joints(len(made) - 1)])


def _amounts(layout: Layout, model: Model, blocks: int) -> list[tuple[Node, Amount]]:
    """Return what every node takes where there are so many multiplier blocks."""

    def amount(node: Node, hard: bool) -> Amount:
        return node_amount(layout, node.name, hard, model)

    if model.technology.absorbs or not blocks:
        return [(node, amount(node, bool(blocks) and layout.folds[node.name].dsp)) for node in layout.graph]
    # There, whatever may take blocks does so, whatever the folds say.
    made = {node.name: _censuses(layout, node.name, True, model) for node in layout.graph}
    wanted = {node: [product for _, census in own for product in census.products] for node, own in made.items()}
    taken = given_out(wanted, blocks)
    found = []
    for node in layout.graph:
        whole = _sum(made[node.name], model)
        if taken[node.name] < whole.dsp:
            # Some of its multiplications are left to tables.
            soft, share = amount(node, False), taken[node.name] / whole.dsp
            lut, ff = (share * getattr(whole, name) + (1 - share) * getattr(soft, name) for name in ("lut", "ff"))
            whole = replace(whole, lut=lut, ff=ff, dsp=taken[node.name])
        found.append((node, whole))
    return found


def given_out(wanted: Mapping[str, Sequence[Product]], blocks: int) -> dict[str, int]:
    """Return the multiplier blocks of each node, where there are so many for all, as `mapping.choose` gives them out.

    Parameters
    ----------
    wanted : mapping of str to sequence of Product
        By node.
    blocks : int
    """
    taken = dict.fromkeys(wanted, 0)
    every = [(node, product) for node, own in wanted.items() for product in own]
    for node, product in sorted(every, key=lambda one: (not one[1].shared, -one[1].size)):
        count = min(product.count, blocks // product.takes)
        blocks -= count * product.takes
        taken[node] += count * product.blocks
    return taken


def fold_fields(fold: Fold) -> dict[str, Any]:
    """Return the fields of a fold as ``map.json`` has them."""
    return {name: getattr(fold, name) for name in ("pe", "simd", "window", "planes", "chain", "shared", "search")}


def _intervals(amount: Amount, model: Model) -> tuple[Interval, Interval]:
    return model.interval(amount.lut, "lut"), model.interval(amount.ff, "ff")
