"""Constraints, objectives and scores, by hand-counted examples; fronts against their definition."""

import math

import msgspec
import numpy as np
import pytest

from codesign import boards
from codesign.errors import UserError
from codesign.search import pareto
from codesign.search.coordinates import Coordinates, nearest
from codesign.search.evaluate import evaluate
from codesign.search.measurements import MeasuresSensitivity
from codesign.search.problem import Constraint, Evaluation, Objective, Problem
from codesign.search.run import search, summary
from codesign.search.space import Assignment
from tests.unit.search_problem import Formula, problem, space

ONE = Assignment({"a": (1,)}, {})


def evaluation(accuracy, bit_operations=100, **cost):
    return Evaluation(ONE, accuracy, bit_operations, {name: float(value) for name, value in cost.items()})


def test_what_exceeds_a_constraint_is_named_without_a_tolerance():
    constraint = Constraint(1000, {"lut": 500, "dsp": 0})
    assert constraint.exceeded(1000, {"lut": 500.0, "dsp": 0.0}) == {}
    assert constraint.exceeded(1001, {"lut": 500.0001, "dsp": 1.0}) == {
        "bit_operations": (1001, 1000),
        "lut": (500.0001, 500),
        "dsp": (1.0, 0),
    }
    assert "lut" in constraint.exceeded(1, {"lut": math.nan, "dsp": 0})
    with pytest.raises(ValueError, match="'dsp' is limited, but the evaluator does not say"):
        constraint.exceeded(1, {"lut": 1.0})
    with pytest.raises(ValueError, match="there is no cost 'luts'"):
        Constraint(limits={"luts": 1})


def test_a_board_limits_all_four_resources():
    board = boards.load("pynq-z2")
    constraint = Constraint.of_board(board, cycles=33333, bit_operations=5)
    assert constraint.limits == {
        "lut": 53200, "ff": 106400, "bram36": 140, "dsp": 220, "cycles_per_frame": 33333,
    }  # fmt: skip
    assert constraint.bit_operations == 5
    assert "cycles_per_frame" not in Constraint.of_board(board).limits
    assert [Constraint.of_board(board, dsp=dsp).limits["dsp"] for dsp in (0, 64, 1000)] == [0, 64, 220]
    assert [Constraint.of_board(board, lut=lut).limits["lut"] for lut in (1, 20_000, 90_000)] == [1, 20_000, 53_200]
    smaller = next(one for name in boards.names() if (one := boards.load(name)).bram18 is not None)
    assert Constraint.of_board(smaller).limits["bram36"] == smaller.bram18 / 2


def test_the_objective_is_read_and_is_the_reward_of_autoqb():
    assert Objective.parse("accuracy") == Objective()
    objective = Objective.parse("accuracy, lut=0.1,bit_operations=0.5")
    assert objective == Objective(1.0, {"lut": 0.1, "bit_operations": 0.5})
    assert objective.words == "accuracy,lut=0.1,bit_operations=0.5"
    assert Objective.parse("lut=2,accuracy=0.5").words == "accuracy=0.5,lut=2"
    score = objective.score(evaluation(80.0, 1000, lut=400))
    assert score == pytest.approx(math.log(0.8**2 / (400**0.2 * 1000)))
    assert Objective().score(evaluation(0.0)) > -math.inf
    with pytest.raises(ValueError, match="'lut' is part of the objective"):
        objective.score(evaluation(80.0))
    for text, sentence in (
        ("luts", "found 'luts'"),
        ("lut=x", "is no number: 'x'"),
        ("lut=-1", "must be above 0"),
        ("lut=0", "must be above 0"),
        ("lut=1,lut=2", "names 'lut' twice"),
        ("lut=1", "the smallest network is the best; write accuracy,lut=1."),
    ):
        with pytest.raises(UserError, match=sentence):
            Objective.parse(text)


def test_the_best_is_the_most_accurate_and_of_equal_ones_the_smallest():
    four = [evaluation(90, 100), evaluation(91, 200), evaluation(91, 150), evaluation(91, 150, lut=1)]
    assert pareto.best(problem(), four) is four[2]
    assert pareto.best(problem(), []) is None


def test_nothing_on_the_front_is_beaten_and_all_else_is():
    generator = np.random.default_rng(0)
    many = [evaluation(float(a), int(b)) for a, b in generator.integers(0, 20, (60, 2))]
    front = pareto.front(many)

    def beats(x, y):
        one, other = (-x.accuracy, x.bit_operations), (-y.accuracy, y.bit_operations)
        return one != other and one[0] <= other[0] and one[1] <= other[1]

    assert not any(beats(x, y) for x in many for y in front)
    figures = {(y.accuracy, y.bit_operations) for y in front}
    assert len(figures) == len(front)
    assert all(any(beats(x, y) for x in front) or (y.accuracy, y.bit_operations) in figures for y in many)
    by_lut = pareto.front([evaluation(1, lut=3), evaluation(2, lut=2)], "lut")
    assert [one.accuracy for one in by_lut] == [2]


def test_coordinates_count_as_the_space_does():
    where = space((3, 4, 5), weight_bits=(0, 1, 2, 3, 4), schemes=("uniform", "post"), fixed_bit_operations=77)
    found = Coordinates(where)
    generator = np.random.default_rng(1)
    for _ in range(20):
        widths = generator.integers(1, 5, found.size)
        one = found.assignment(widths, {"conv1": "post"})
        where.check(one)
        assert one.schemes == {"conv1": "post"}
        assert np.array_equal(found.flatten(one), widths)
        assert found.bit_operations(widths) == where.bit_operations(one)
        for index in range(found.size):
            more = widths.copy()
            more[index] += 1
            assert found.bit_operations(more) - found.bit_operations(widths) == found.per_bit(widths)[index]
    assert nearest(np.array([-3, 0.9, 3.0, 3.1, 99]), (0, 2, 4)).tolist() == [0, 0, 2, 4, 4]


def test_what_is_not_measured_is_refused_and_the_digest_tells_problems_apart():
    class Bare:
        def identity(self):
            return "bare"

        def accuracy(self, assignment):
            return 1.0

        def cost(self, assignment):
            return {}

    where = space((2, 2))
    bare = Problem(where, Constraint(), Bare())
    assert not bare.offers(MeasuresSensitivity)
    with pytest.raises(UserError, match="the strategy 'greedy' needs sensitivity, which is not measured here"):
        bare.measures(MeasuresSensitivity, "greedy")
    assert bare.bit_operation_budget == where.bit_operations(where.uniform(8, 8))
    digests = {
        Problem(where, Constraint(9), Bare()).digest(),
        bare.digest(),
        Problem(where, Constraint(), Formula(where)).digest(),
        Problem(space((2, 3)), Constraint(), Bare()).digest(),
    }
    assert len(digests) == 4


class Contrary(Formula):
    """Its accuracy rises with the loss."""

    def evaluated(self, assignment: Assignment) -> tuple[float, float]:
        loss = self.loss(assignment)
        return float(95 * (1 - np.exp(-loss))), loss


def contrary(objective: Objective) -> Problem:
    made = problem()
    assert isinstance(made.evaluator, Formula)
    return Problem(made.space, made.constraint, Contrary(made.space), objective)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_least_loss_is_best_where_accuracy_alone_counts(workers: str):
    found = search(contrary(Objective()), "random", evaluations=12, workers=workers)
    losses = [one.loss for one in found.evaluations]
    assert None not in losses
    assert found.best is not None
    assert found.best.loss == min(losses)
    assert found.best.accuracy == min(one.accuracy for one in found.evaluations)
    assert summary(found)["best"]["loss"] == found.best.loss
    best = max(found.evaluations, key=contrary(Objective.parse("accuracy,bit_operations=1e-9")).score)
    assert best.accuracy == max(one.accuracy for one in found.evaluations)


def test_the_score_of_a_loss():
    one = Evaluation(ONE, 70.0, 100, loss=0.5)
    assert Objective().score(one) == -1.0
    assert Objective(accuracy=2.0).score(one) == -2.0
    assert Objective().score(msgspec.structs.replace(one, loss=None)) == pytest.approx(2 * np.log(0.7))


def test_a_loss_that_is_no_number_is_refused(monkeypatch):
    made = contrary(Objective())
    monkeypatch.setattr(Contrary, "evaluated", lambda self, one: (50.0, float("nan")))
    with pytest.raises(ValueError, match="the loss of a candidate is no number: nan"):
        evaluate(made, made.space.uniform(2, 2))
