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


class Dear(Formula):
    """Binary layers take more tables than ternary ones but for the last; 2,000 are taken whatever the widths are."""

    def cost(self, assignment):
        tables = 0.0
        for index, layer in enumerate(self.space.layers):
            binary = 1.2 if index == len(self.space.layers) - 1 else 2.6
            own = [binary if bits == 1 else bits for bits in assignment.weights[layer.name]]
            tables += np.mean(own) * (assignment.activations.get(layer.activation, 2) + 6) / 8
        return {"lut": 2000 + 100 * tables}


@pytest.mark.parametrize("weight_bits", [(0, 1, 2, 3, 4), (1, 2, 3, 4)])
@pytest.mark.parametrize("share", [0.999, 0.99, 0.98])
def test_a_round_that_makes_it_dearer_is_not_the_end(weight_bits, share):
    where = problem((8, 16, 16, 16), weight_bits=weight_bits, activation_bits=(2, 3, 4)).space
    formula, asked = Dear(where), where.uniform(2, 2)
    assert formula.cost(where.uniform(1, 2))["lut"] > formula.cost(asked)["lut"]
    limit = share * formula.cost(asked)["lut"]
    found, cost = repair(Problem(where, Constraint(None, {"lut": limit}), formula), asked)
    assert cost["lut"] <= limit
    if share > 0.98 or 0 not in weight_bits:
        # The last layer alone, the first of the chain, is what helps.
        assert {bits for name in ("conv0", "conv1", "conv2") for bits in found.weights[name]} == {2}
        assert set(found.weights["conv3"]) == {1}


@pytest.mark.parametrize("share", [0.03, 0.05, 0.2])
@pytest.mark.parametrize("over", [0.002, 0.01])
def test_little_is_lost_where_tables_hardly_depend_on_widths(share, over):
    where = problem((16, 16, 32, 32, 64, 64)).space
    asked = where.uniform(2, 2)
    scale = 10_000 * share / Formula(where).cost(asked)["lut"]

    class Fixed(Formula):
        def cost(self, assignment):
            return {"lut": 10_000 + scale * Formula.cost(self, assignment)["lut"]}

    limit = (1 - over) * Fixed(where).cost(asked)["lut"]
    found, cost = repair(Problem(where, Constraint(None, {"lut": limit}), Fixed(where)), asked)
    assert cost["lut"] <= limit
    # Tables and bit operations are not quite in proportion here, and 5 % of these are close enough.
    assert where.bit_operations(found) >= (0.95 - 2.5 * over / share) * where.bit_operations(asked)


@pytest.mark.parametrize("over", [1.1, 1.3, 1.6])
def test_little_is_lost_where_blocks_take_what_is_too_much(over):
    """Over a wide range all take a little less than the limit, since blocks take the rest."""
    where = problem((16, 16, 32, 32, 64, 64)).space
    asked = where.uniform(8, 8)
    most = Formula(where).cost(asked)["lut"] / over
    limit = most / 1.8

    class Blocks(Formula):
        def cost(self, assignment):
            tables = Formula.cost(self, assignment)["lut"]
            return {"lut": min(tables, max(0.996 * limit, tables - 0.8 * limit))}

    found, cost = repair(Problem(where, Constraint(None, {"lut": limit}), Blocks(where)), asked)
    assert cost["lut"] <= limit
    # What blocks just cannot take is no wider than a tenth.
    assert Formula(where).cost(found)["lut"] >= 0.85 * most


def test_little_is_lost_where_nothing_of_a_kind_is_allowed():
    where = problem((16, 16, 32, 32, 64, 64)).space
    asked = where.uniform(8, 8)
    most = 0.8 * where.bit_operations(asked)

    class Memories(Formula):
        def cost(self, assignment):
            return {"bram36": float(where.bit_operations(assignment) > most)}

    found, cost = repair(Problem(where, Constraint(None, {"bram36": 0.0}), Memories(where)), asked)
    assert cost == {"bram36": 0.0}
    assert where.bit_operations(found) >= 0.9 * most


@pytest.mark.parametrize("over", [1.02, 1.05, 1.1])
def test_few_estimates_are_needed_where_much_is_taken_whatever_the_widths_are(over):
    where = problem((16, 16, 32, 32, 64, 64)).space
    asked = where.uniform(6, 6)
    half = Formula(where).cost(where.uniform(3, 3))["lut"]
    calls = []

    class Fixed(Formula):
        def cost(self, assignment):
            calls.append(assignment)
            return {"lut": half + Formula.cost(self, assignment)["lut"]}

    made = Problem(where, Constraint(None, {"lut": Fixed(where).cost(asked)["lut"] / over}), Fixed(where))
    calls.clear()
    for number in (5, 9):
        # The narrowest network is estimated once for all.
        _, cost = repair(made, asked)
        assert cost["lut"] <= made.constraint.limits["lut"]
        assert len(calls) <= number


def test_few_estimates_are_needed_where_costs_rise_before_they_fall():
    where = problem((16, 16, 32, 32, 64, 64)).space
    asked = where.uniform(8, 8)
    calls = []

    class Hill(Formula):
        def cost(self, assignment):
            calls.append(assignment)
            share = where.bit_operations(assignment) / where.bit_operations(asked)
            return {"lut": 1050.0 - 50 * share if share > 0.2 else 600.0}

    found, cost = repair(Problem(where, Constraint(None, {"lut": 995.0}), Hill(where)), asked)
    assert cost == {"lut": 600.0}
    assert where.bit_operations(found) >= 0.17 * where.bit_operations(asked)
    assert len(calls) <= 14


def test_a_limit_that_only_narrower_ones_exceed_counts_too():
    class Traded(Formula):
        """Below 4 bits 40 or 60 memories in the place of tables."""

        def cost(self, assignment):
            bits = np.mean([np.mean(widths) for widths in assignment.weights.values()])
            memories = 40.0 if bits < 2 else 60.0
            return {"lut": 900.0, "bram36": memories} if bits < 4 else {"lut": 1100.0, "bram36": 40.0}

    where = problem((8, 16, 16)).space
    limits = {"lut": 1000.0, "bram36": 50.0}
    found, cost = repair(Problem(where, Constraint(None, limits), Traded(where)), where.uniform(8, 8))
    assert cost == {"lut": 900.0, "bram36": 40.0}
    assert max(max(bits) for bits in found.weights.values()) <= 2


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
