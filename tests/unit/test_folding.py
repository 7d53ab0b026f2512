"""Folding: the solver against brute force, on random problems."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from codesign.folding import Candidate, Chosen, Edge, Problem, fastest, join, solve
from codesign.folding.solve import undominated

LANES = (1, 2, 3, 4, 6)


def adapters(a: int, b: int) -> dict[str, float]:
    return {"lut": 3.0 * (len(join(a, b)) - 1) + 0.5 * max(a, b), "bram": float(a + b > 9)}


def random_problem(seed: int) -> Problem:
    """A fork and its join in a row of nodes: x -> n0 -> (n1 -> n2, itself) -> n3 -> n4."""
    rng = np.random.default_rng(seed)
    wires = [("x", "n0", 0), ("n0", "n1", 0), ("n1", "n2", 0), ("n0", "n3", 0), ("n2", "n3", 1), ("n3", "n4", 0)]
    edges = [Edge(source, node, operand, 12 * int(rng.integers(1, 5)), adapters) for source, node, operand in wires]
    candidates = {}
    for node in ("n0", "n1", "n2", "n3", "n4"):
        operands = sum(edge.node == node for edge in edges)
        candidates[node] = [
            Candidate(
                tuple(int(rng.choice(LANES)) for _ in range(operands)),
                int(rng.choice(LANES)),
                int(rng.integers(4, 40)),
                {"lut": float(rng.integers(1, 60)), "dsp": float(rng.integers(0, 4)), "ff": float(rng.integers(0, 9))},
                fold=number,
            )
            for number in range(6)
        ]
    limits = {"dsp": float(rng.integers(3, 9)), "bram": float(rng.integers(1, 4))} if rng.random() < 0.7 else {}
    return Problem(candidates, edges, {"x": 3}, limits, {"lut": 1.0, "dsp": 5.0, "ff": 0.1})


def every_choice(problem: Problem) -> list[Chosen]:
    nodes = list(problem.candidates)
    return [
        problem.evaluate(dict(zip(nodes, chosen, strict=True)))
        for chosen in itertools.product(*problem.candidates.values())
    ]


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_that_of_brute_force(seed):
    problem = random_problem(seed)
    choices = every_choice(problem)
    for cycles in (8, 14, 20, 28, 60):
        possible = [c for c in choices if c.cycles <= cycles and c.fits(problem.limits)]
        found = solve(problem, cycles)
        if not possible:
            assert found is None
            continue
        best = min(problem.weighed(c.cost) for c in possible)
        assert found.cycles <= cycles
        assert found.fits(problem.limits)
        assert problem.weighed(found.cost) == pytest.approx(best)
        assert found == solve(problem, cycles)


@pytest.mark.parametrize("seed", range(6))
def test_the_fastest_is_that_of_brute_force(seed):
    problem = random_problem(seed)
    possible = [c for c in every_choice(problem) if c.fits(problem.limits)]
    found = fastest(problem)
    if not possible:
        assert found is None
        return
    fewest = min(c.cycles for c in possible)
    assert found.cycles == fewest
    cheapest = min(problem.weighed(c.cost) for c in possible if c.cycles == fewest)
    assert problem.weighed(found.cost) == pytest.approx(cheapest)


@pytest.mark.parametrize("seed", range(6))
def test_a_guess_changes_nothing_of_the_fastest(seed):
    problem = random_problem(seed)
    expected = fastest(problem)
    for near in range(0, 60, 3):
        assert fastest(problem, near) == expected


def test_some_random_problems_have_limits_that_bind_and_some_have_no_choice():
    problems = [random_problem(seed) for seed in range(6)]
    free = [Problem(p.candidates, p.edges, p.inputs, {}, p.objective) for p in problems]
    pairs = [(solve(p, c), solve(f, c)) for p, f in zip(problems, free, strict=True) for c in (8, 14, 20, 28)]
    assert any(a is not None and a.cost != b.cost for a, b in pairs if b is not None)
    assert any(a is None for a, _ in pairs)
    assert any(a is not None for a, _ in pairs)


def test_a_node_alone():
    slow, quick = Candidate((1,), 1, 9, {"lut": 1.0}), Candidate((1,), 1, 3, {"lut": 7.0})
    problem = Problem({"n0": [slow, quick]}, [], {})
    assert solve(problem, 9).candidates == {"n0": slow}
    assert solve(problem, 8).candidates == {"n0": quick}
    assert solve(problem, 2) is None
    assert fastest(problem).candidates == {"n0": quick}


def test_words_are_joined_over_their_greatest_common_divisor():
    assert join(4, 4) == [4]
    assert join(4, 12) == [4, 12]
    assert join(6, 4) == [6, 2, 4]
    edge = Edge("x", "n0", 0, 24, adapters)
    assert edge.joint(6, 4)[0] == 12
    assert edge.joint(6, 6)[0] == 4


def test_dominated_candidates_are_left_out_only_where_the_lanes_are_the_same():
    a = Candidate((1,), 1, 5, {"lut": 3.0, "dsp": 1.0})
    worse = Candidate((1,), 1, 4, {"lut": 3.0, "dsp": 2.0})
    other_resource = Candidate((1,), 1, 4, {"lut": 9.0})
    other_lanes = Candidate((2,), 1, 4, {"lut": 9.0, "dsp": 9.0})
    kept = undominated([worse, a, other_resource, other_lanes], ["lut", "dsp"])
    assert set(map(id, kept)) == set(map(id, [a, other_resource, other_lanes]))
