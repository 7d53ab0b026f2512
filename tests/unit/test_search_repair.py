"""Repaired candidates satisfy the constraint to the last unit, and lose no more than the documented steps."""

import numpy as np
import pytest

from codesign.errors import UserError
from codesign.search.coordinates import Coordinates
from codesign.search.evaluate import evaluate
from codesign.search.problem import Constraint, Problem
from codesign.search.repair import USED_UP, repair, within_budget
from codesign.search.space import ActivationLayer, Assignment, Space, WeightLayer
from tests.unit.search_problem import Formula, problem

SPACE = Space(
    (
        WeightLayer("a", channels=2, weights=1, macs=1, input_bits=1),
        WeightLayer("b", channels=2, weights=1, macs=1, activation="x"),
    ),
    (ActivationLayer("x", channels=2, elements=2),),
    weight_bits=(0, 1, 2, 4),
    activation_bits=(1, 2),
)


def of(space, budget=None, **limits):
    return Problem(space, Constraint(budget, limits), Formula(space))


@pytest.mark.parametrize(
    ("budget", "weights", "activation"),
    [
        # The chain: b's channels from the last, then what b reads, then a's channels; and again.
        (24, {"a": (4, 4), "b": (4, 4)}, 2),
        (20, {"a": (4, 4), "b": (4, 2)}, 2),
        (16, {"a": (4, 4), "b": (2, 2)}, 2),
        (12, {"a": (4, 4), "b": (2, 2)}, 1),
        (10, {"a": (4, 2), "b": (2, 2)}, 1),
        (9, {"a": (2, 2), "b": (2, 2)}, 1),
        (7, {"a": (2, 2), "b": (2, 1)}, 1),
        (4, {"a": (1, 1), "b": (1, 1)}, 1),
        # Only then are channels pruned.
        (3, {"a": (1, 1), "b": (1, 0)}, 1),
        (0, {"a": (0, 0), "b": (0, 0)}, 1),
    ],
)
def test_the_chain_is_the_documented_one(budget, weights, activation):
    found = within_budget(of(SPACE, budget), SPACE.uniform(4, 2))
    assert found == Assignment(weights, {"x": activation})


def test_whatever_is_repaired_is_within_budget_and_one_step_more_was_not():
    generator = np.random.default_rng(7)
    where = problem((5, 6, 7), schemes=("uniform", "post")).space
    coordinates = Coordinates(where)
    for _ in range(60):
        widths = generator.integers(1, 9, coordinates.size)
        one = coordinates.assignment(widths, {"conv1": "post"})
        taken = where.bit_operations(one)
        budget = int(taken * generator.uniform(0.02, 1.1))
        found = within_budget(of(where, budget), one)
        assert where.bit_operations(found) <= budget
        assert found.schemes == one.schemes
        if taken <= budget:
            assert found == one
        else:
            # Nothing was raised, and giving the last step back would be too much: the budget is used up to a step.
            lowered = coordinates.flatten(found)
            assert np.all(lowered <= widths)
            back = coordinates.per_bit(lowered).max()
            assert where.bit_operations(found) + back > budget


def test_the_limits_of_a_board_are_found_with_few_estimates():
    calls = []

    class Counting(Formula):
        def cost(self, assignment):
            calls.append(assignment)
            return super().cost(assignment)

    where = problem((8, 16, 16)).space
    widest = where.uniform(8, 8)
    formula = Counting(where)
    narrowest = Formula(where).cost(where.uniform(1, 1))["lut"]
    for limit in (narrowest, 2 * narrowest, 5 * narrowest):
        calls.clear()
        # Clocks are used up whatever the widths are, which tells nothing of how far to go.
        limits = {"lut": limit, "cycles_per_frame": 1000.0}
        found, cost = repair(Problem(where, Constraint(None, limits), formula), widest)
        assert cost["lut"] <= limit
        assert cost == Formula(where).cost(found)
        assert len(calls) <= 8
        # It is used up, or what is a little wider is too much: the costs of this formula fall with every step.
        coordinates = Coordinates(where)
        widths = coordinates.flatten(found)
        steps = np.eye(coordinates.size, dtype=int)[widths < 8]
        wider = [formula.cost(coordinates.assignment(widths + step))["lut"] for step in steps]
        assert cost["lut"] >= USED_UP * limit or max(wider) > limit


def test_layers_that_are_dearer_half_lowered_are_lowered_whole():
    class Lanes(Formula):
        """A layer takes as many tables as if all were as wide as the widest, and some for telling them apart."""

        def cost(self, assignment):
            def wide(bits):
                return (max(bits),) * len(bits)

            weights = {name: wide(bits) for name, bits in assignment.weights.items()}
            apart = sum(len(set(bits)) - 1 for bits in assignment.weights.values())
            lut = Formula.cost(self, Assignment(weights, assignment.activations))["lut"]
            return {"lut": 5 * lut + 3000 * apart}

    where = problem((8, 16, 16)).space
    formula = Lanes(where)
    asked = where.uniform(3, 3)
    for above in (0.99, 0.9, 0.8):
        limit = above * formula.cost(asked)["lut"]
        found, cost = repair(Problem(where, Constraint(None, {"lut": limit}), formula), asked)
        assert cost["lut"] <= limit
        assert all(len(set(bits)) == 1 for bits in found.weights.values())
        # No more than needed: one round of lowering, and that not to its end.
        assert min(min(bits) for bits in found.weights.values()) == 2
        assert where.bit_operations(found) > where.bit_operations(where.uniform(2, 2))


def test_costs_that_jump_about_still_end_within_the_limits():
    class Jumping(Formula):
        def cost(self, assignment):
            digest = int(assignment.digest(), 16)
            return {"lut": Formula.cost(self, assignment)["lut"] * (1 + (digest % 100) / 200)}

    where = problem((6, 6)).space
    for limit in (300.0, 500.0, 900.0):
        found = evaluate(Problem(where, Constraint(None, {"lut": limit}), Jumping(where)), where.uniform(8, 8))
        assert found.cost["lut"] <= limit
        assert found.repaired


def test_what_is_within_stays_as_it_is():
    inside = problem(budget=0.5)
    one = inside.space.uniform(3, 3)
    assert repair(inside, one)[0] is one
    assert not evaluate(inside, one).repaired


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (of(Space(SPACE.layers, SPACE.activations, weight_bits=(1, 2)), 3),
         "even the narrowest widths take 4 bit operations, more than the 3 that are allowed; allow more"),
        (of(SPACE, None, lut=100), "even the narrowest widths take 200 lut, more than the 100 that are allowed"),
        (of(SPACE, None, cycles_per_frame=10), "take 1,000 cycles per frame, more than the 10 .* lower frame rate"),
    ],
)  # fmt: skip
def test_what_cannot_be_satisfied_is_told(made, sentence):
    # The narrowest one too, from where nothing can be lowered.
    for asked in (made.space.uniform(2, 2), made.space.uniform(made.space.weight_bits[0], 1)):
        with pytest.raises(UserError, match=sentence):
            evaluate(made, asked)


def test_an_accuracy_that_is_no_number_is_refused():
    class Broken(Formula):
        def accuracy(self, assignment):
            return float("nan")

    with pytest.raises(ValueError, match="no number: nan"):
        evaluate(Problem(SPACE, Constraint(), Broken(SPACE)), SPACE.uniform(1, 1))
