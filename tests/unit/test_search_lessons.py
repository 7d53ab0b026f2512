"""What AutoQB is shown, and that it begins with the best of that."""

import dataclasses

import numpy as np
import pytest

from codesign.search.evaluate import evaluate
from codesign.search.lessons import TRUSTS, Lessons, trusted
from codesign.search.run import search
from codesign.search.strategies import autoqb
from codesign.search.strategies.greedy import Path
from tests.unit.search_problem import Formula, problem


@pytest.fixture
def unpractised(monkeypatch):
    """What is shown does not depend on how much is practised afterwards."""
    monkeypatch.setattr(autoqb, "_PRACTICE", 1)


def begun(made, evaluations=40, **settings):
    """AutoQB when all lessons are over, and their evaluations."""
    found, told = autoqb.strategy(made, 0, evaluations, **settings), []
    while found._lessons is not None:
        before = len(told)
        told += [evaluate(made, one) for one in found.ask()]
        if found._lessons is not None:
            found.tell(told[before:])
    return found, told[:before]


def test_after_practice_channels_follow_goals():
    made = problem((4, 6, 6, 8))
    low = begun(made)[0].low
    plain = autoqb.strategy(made, 0, 40, practise=False).low
    errors = {}
    for one in (low, plain):
        off = []
        for goal in (1.5, 2.5, 4.0):
            _, bits = one.act([goal] * 4, 0.0)
            off += [abs(np.mean(each) - goal) for each in bits]
        errors[one is low] = np.mean(off)
    assert errors[True] < 0.25 < errors[False]


@pytest.mark.usefixtures("unpractised")
@pytest.mark.parametrize("limits", [{"budget": 0.3}, {"budget": None, "limits": {"lut": 450}}])
def test_lessons_are_what_the_measured_strategies_find(limits):
    made = problem((4, 6, 6, 8), coupling=0.5, **limits)
    found, told = begun(made, 80)
    assert 3 < len(told) <= 20
    best = max(told, key=made.score)
    for name in ("uniform", "profiled"):
        assert made.score(best) >= made.score(search(made, name, evaluations=20).best) - 1e-12
    if limits["budget"]:
        assert made.score(best) >= made.score(search(made, "greedy", evaluations=1).best)
    # All are told to the controllers, repaired ones as what they became.
    kept = [[layer.bits.tolist() for layer in episode] for episode, _ in found.high._kept]
    assert kept == [[list(bits) for bits in one.assignment.weights.values()] for one in told]
    assert [reward for _, reward in found.high._kept] == [made.score(one) for one in told]


@pytest.mark.usefixtures("unpractised")
def test_lessons_are_at_most_a_quarter_of_all_evaluations():
    made = problem((4, 6, 6, 8), coupling=0.5)
    assert len(begun(made, 8)[1]) == 2
    assert len(begun(made, 80, warm_up=3)[1]) == 3


@pytest.mark.parametrize("most", [10, 50])
@pytest.mark.parametrize("limit", [450, 700, 1500, 4000])
def test_every_degree_of_trust_is_shown_and_no_front(limit, most):
    made = problem((4, 6, 6, 8), coupling=0.5, budget=None, limits={"lut": limit})
    table = made.evaluator.sensitivity()
    lessons, solutions = Lessons(made, table, most), 0
    while True:
        before, asked = lessons.best, lessons.ask()
        if lessons._others is not None:
            break
        solutions += len(asked)
        lessons.tell([evaluate(made, one) for one in asked])
    others = {one.digest() for one in asked}
    for trust in TRUSTS:
        path = Path(made.space, trusted(table, trust))
        assert path.down_to(before.bit_operations)[0].digest() in others
    lessons.tell([evaluate(made, one) for one in asked])
    assert lessons.ask() == []
    # Of smaller budgets than need be there is none: five at first, then four for each part of the range.
    assert solutions <= min(17, (most + 1) // 2)
    found = [made.score(search(made, name, evaluations=most).best) for name in ("uniform", "greedy")]
    assert made.score(lessons.best) > found[0] - 1e-12
    assert made.score(lessons.best) > found[1] - 0.15


class Misled(Formula):
    """A formula whose sensitivity takes the most sensitive channels of a layer for the least."""

    def sensitivity(self):
        table = super().sensitivity()

        def reversed_by_rank(rows):
            order, found = np.argsort(rows[:, 0]), np.empty_like(rows)
            found[order] = rows[order[::-1]]
            return found

        weights = {
            kind: {name: reversed_by_rank(rows) for name, rows in layers.items()}
            for kind, layers in table.weights.items()
        }
        return dataclasses.replace(table, weights=weights)


@pytest.mark.parametrize(("kind", "trust"), [(Formula, 1.0), (Misled, 0.05)])
def test_channels_are_told_apart_as_far_as_that_was_worth_it(kind, trust):
    made = problem((4, 6, 6, 8))
    made = dataclasses.replace(made, evaluator=kind(made.space))
    lessons = Lessons(made, made.evaluator.sensitivity(), 20)
    while asked := lessons.ask():
        lessons.tell([evaluate(made, one) for one in asked])
    assert lessons.trust == trust


def test_distrust_makes_channels_alike():
    made = problem((4, 6, 6, 8))
    table = made.evaluator.sensitivity()
    rows, own = trusted(table, 0.25).weights["uniform"]["conv1"], table.weights["uniform"]["conv1"]
    np.testing.assert_allclose(rows.sum(0), own.sum(0))
    np.testing.assert_allclose(rows - rows.mean(0), 0.25 * (own - own.mean(0)))
    assert trusted(table, 1.0).weights["uniform"]["conv1"].tolist() == own.tolist()


def test_after_practice_it_begins_where_lessons_end():
    made = problem((4, 6, 6, 8), coupling=0.5)
    found = search(made, "autoqb", evaluations=24)
    assert made.score(found.best) >= made.score(search(made, "greedy", evaluations=1).best)
    # The policy has taken it over: what it asks for next is much better than chance.
    chance = np.median([made.score(one) for one in search(made, "random", evaluations=20).evaluations])
    assert np.median([made.score(one) for one in found.evaluations[6:]]) > chance


def test_the_high_level_controller_begins_with_the_best_that_it_was_shown():
    made = problem((4, 6, 6, 8), coupling=0.5)
    found, told = begun(made)
    _, actions = found.high.act(0.0)
    states, best = found.high._best()
    shown = max(told, key=made.score)
    goals = [np.mean(bits) / 8 for bits in shown.assignment.weights.values()]
    np.testing.assert_allclose(best[:, 0], goals)
    assert np.abs(found.high.agent.act(states) - best).mean() < 0.05
    assert np.abs(actions - best).mean() < 0.1
    # With all of its practice, too, it does the same again.
    np.testing.assert_array_equal(begun(made)[0].high.act(0.0)[1], actions)
    # Untaught, it asks for the middle of everything.
    assert np.abs(0.5 - best).mean() > 0.1
