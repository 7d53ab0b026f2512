"""The cheapest choice for a number of clocks: an integer program, solved exactly by HiGHS.

A binary variable for every candidate of a node, one of which is taken; for every edge a variable for each pair of
lanes that its ends may have, which must agree with what the ends take. Candidates and joints that are too slow are
left out, so the clocks are no constraint of the program. What is minimised is the sum of the weighed costs, under
the limits of each resource. Candidates that another one with the same lanes beats in every resource are left out
too; that changes nothing of the optimum.

References
----------
Huangfu and Hall, Parallelizing the dual revised simplex method, Mathematical Programming Computation, 2018 (HiGHS).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from codesign.folding.problem import Candidate, Chosen, Cost, Problem


def solve(problem: Problem, cycles: int) -> Chosen | None:
    """Return the cheapest choice in which a frame takes at most `cycles` clocks and no limit is exceeded.

    Among choices of the same cost any may be returned; the same problem always gives the same one.

    Parameters
    ----------
    problem : Problem
    cycles : int

    Returns
    -------
    Chosen or None
        None when there is no such choice.
    """
    names = sorted({*problem.limits, *problem.objective})
    candidates = {
        node: undominated([one for one in every if one.cycles <= cycles], names)
        for node, every in problem.candidates.items()
    }
    if not all(candidates.values()):
        return None
    program = _Program(problem)
    for node, every in candidates.items():
        program.add_node(node, every)
    for edge in problem.edges:
        ends = candidates.get(edge.source)
        lanes = {problem.inputs[edge.source]} if ends is None else {one.lanes_out for one in ends}
        wanted = {one.lanes_in[edge.operand] for one in candidates[edge.node]}
        pairs = {
            (a, b): cost
            for a in sorted(lanes)
            for b in sorted(wanted)
            for clocks, cost in (edge.joint(a, b),)
            if clocks <= cycles
        }
        if not pairs:
            return None
        program.add_edge(edge.source if ends is not None else None, edge.node, edge.operand, pairs)
    return program.solved()


def undominated(candidates: Sequence[Candidate], names: Iterable[str]) -> list[Candidate]:
    """Return the candidates that no other one with the same lanes beats or equals in all named resources."""
    names = list(names)
    kept: dict[tuple[tuple[int, ...], int], list[tuple[tuple[float, ...], Candidate]]] = {}
    order = sorted(candidates, key=lambda one: (*_costs(one.cost, names), one.cycles))
    for one in order:
        costs = _costs(one.cost, names)
        group = kept.setdefault((one.lanes_in, one.lanes_out), [])
        if not any(all(a <= b for a, b in zip(other, costs, strict=True)) for other, _ in group):
            group.append((costs, one))
    return [one for group in kept.values() for _, one in group]


def _costs(cost: Cost, names: Sequence[str]) -> tuple[float, ...]:
    return tuple(cost.get(name, 0.0) for name in names)


_INFEASIBLE = 2
"""Status of `scipy.optimize.milp`."""


class _Program:
    """Collects variables and constraints; one column for a candidate or a pair of lanes."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.costs: list[Cost] = []
        self.columns: dict[str, list[tuple[int, Candidate]]] = {}
        self.rows: list[dict[int, float]] = []
        self.equals: list[float] = []
        self.nodes = 0

    def add_node(self, node: str, candidates: Sequence[Candidate]) -> None:
        """One candidate is taken."""
        self.columns[node] = [(len(self.costs) + i, one) for i, one in enumerate(candidates)]
        self.costs += [one.cost for one in candidates]
        self.nodes = len(self.costs)
        self._row({column: 1.0 for column, _ in self.columns[node]}, 1.0)

    def add_edge(self, source: str | None, node: str, operand: int, pairs: Mapping[tuple[int, int], Cost]) -> None:
        """One pair is taken, that of the candidates at both ends."""
        column = {pair: len(self.costs) + i for i, pair in enumerate(pairs)}
        self.costs += pairs.values()
        self._row(dict.fromkeys(column.values(), 1.0), 1.0)
        if source is not None:
            self._agree(column, 0, {c: one.lanes_out for c, one in self.columns[source]})
        self._agree(column, 1, {c: one.lanes_in[operand] for c, one in self.columns[node]})

    def _agree(self, column: Mapping[tuple[int, int], int], end: int, lanes: Mapping[int, int]) -> None:
        for value in sorted({*lanes.values(), *(pair[end] for pair in column)}):
            row = {c: 1.0 for pair, c in column.items() if pair[end] == value}
            row |= {c: -1.0 for c, own in lanes.items() if own == value}
            self._row(row, 0.0)

    def _row(self, row: dict[int, float], equals: float) -> None:
        self.rows.append(row)
        self.equals.append(equals)

    def solved(self) -> Chosen | None:
        """Run HiGHS."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        problem = self.problem
        weights = np.array([problem.weighed(cost) for cost in self.costs])
        entries = [(i, j, value) for i, row in enumerate(self.rows) for j, value in row.items()]
        rows, columns, values = zip(*entries, strict=True)
        shape = (len(self.rows), len(self.costs))
        constraints = [LinearConstraint(csr_array((values, (rows, columns)), shape), self.equals, self.equals)]
        for name, limit in problem.limits.items():
            taken = np.array([cost.get(name, 0.0) for cost in self.costs])
            constraints.append(LinearConstraint(taken[None], -np.inf, limit))
        # Pairs are whole numbers by themselves once the candidates are.
        whole = np.zeros(len(self.costs))
        whole[: self.nodes] = 1
        found = milp(
            weights, integrality=whole, bounds=Bounds(0, 1), constraints=constraints, options={"mip_rel_gap": 0}
        )
        if found.x is None:
            if found.status != _INFEASIBLE:
                raise RuntimeError(f"HiGHS ended without a solution: {found.message}")
            return None
        choice = {node: max(columns_, key=lambda pair: found.x[pair[0]])[1] for node, columns_ in self.columns.items()}
        return problem.evaluate(choice)
