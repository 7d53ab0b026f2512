"""The folding problem: candidates of every node, and the joints between nodes whose words differ in size."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cost = Mapping[str, float]
"""What something takes, by resource: "lut", "ff", "bram36" or "bram4", "dsp"; what is not named is 0."""


@dataclass(frozen=True)
class Candidate:
    """One way to lay out a node.

    Parameters
    ----------
    lanes_in : tuple of int
        Elements in a word, for every operand.
    lanes_out : int
    cycles : int
        Clocks that it is busy with a frame.
    cost : mapping of str to float
    fold : object
        Whatever the caller wants back.
    """

    lanes_in: tuple[int, ...]
    lanes_out: int
    cycles: int
    cost: Cost
    fold: Any = None


@dataclass(frozen=True)
class Edge:
    """A stream from a node, or from the graph's input, to an operand of a node.

    Parameters
    ----------
    source : str
        A node, or a name in `Problem.inputs`.
    node : str
    operand : int
    size : int
        Elements of a frame that reach the operand.
    cost : callable
        Told the lanes of both ends, returns what joins them: FIFO and adapters.
    """

    source: str
    node: str
    operand: int
    size: int
    cost: Callable[[int, int], Cost]

    @functools.cache  # noqa: B019 - as many entries as there are pairs of lanes
    def joint(self, lanes: int, wanted: int) -> tuple[int, Cost]:
        """Return the clocks that a frame takes at the joint of so many lanes with so many, and its cost."""
        return self.size // min(join(lanes, wanted)), self.cost(lanes, wanted)


def join(lanes: int, wanted: int) -> list[int]:
    """Return the sizes of words on the way from `lanes` elements to `wanted`: each divides the next or the other
    way round, over the greatest common divisor if need be.
    """
    if lanes == wanted:
        return [lanes]
    between = math.gcd(lanes, wanted)
    return [lanes, wanted] if between in (lanes, wanted) else [lanes, between, wanted]


@dataclass(frozen=True)
class Problem:
    """Nodes with their candidates, and what joins them.

    Parameters
    ----------
    candidates : mapping of str to sequence of Candidate
        By node; at least one each.
    edges : sequence of Edge
    inputs : mapping of str to int
        Lanes of the graph's inputs.
    limits : mapping of str to float
        The most that all together may take, by resource; what is not named is unlimited.
    objective : mapping of str to float
        Weight of each resource in what is kept small.
    """

    candidates: Mapping[str, Sequence[Candidate]]
    edges: Sequence[Edge]
    inputs: Mapping[str, int]
    limits: Cost = field(default_factory=dict)
    objective: Cost = field(default_factory=lambda: {"lut": 1.0})

    def weighed(self, cost: Cost) -> float:
        """Return the objective's value of a cost."""
        return sum(weight * cost.get(name, 0.0) for name, weight in self.objective.items())

    def evaluate(self, choice: Mapping[str, Candidate]) -> Chosen:
        """Return clocks and cost of a choice of one candidate for each node."""
        lanes = {**self.inputs, **{node: chosen.lanes_out for node, chosen in choice.items()}}
        joints = [edge.joint(lanes[edge.source], choice[edge.node].lanes_in[edge.operand]) for edge in self.edges]
        costs = [*(chosen.cost for chosen in choice.values()), *(cost for _, cost in joints)]
        names = sorted(set(itertools.chain.from_iterable(costs)))
        total = {name: sum(cost.get(name, 0.0) for cost in costs) for name in names}
        cycles = max([*(chosen.cycles for chosen in choice.values()), *(clocks for clocks, _ in joints)])
        return Chosen(dict(choice), cycles, total)


@dataclass(frozen=True)
class Chosen:
    """A choice for every node.

    Parameters
    ----------
    candidates : dict of str to Candidate
        By node.
    cycles : int
        Clocks of a frame: those of the slowest node or joint.
    cost : dict of str to float
        Of all nodes and joints together.
    """

    candidates: dict[str, Candidate]
    cycles: int
    cost: dict[str, float]

    def fits(self, limits: Cost) -> bool:
        """Return whether no limit is exceeded."""
        return all(self.cost.get(name, 0.0) <= limit + 1e-6 for name, limit in limits.items())
