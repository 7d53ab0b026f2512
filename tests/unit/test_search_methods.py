"""Each method computes what its paper says, on problems small enough to try everything."""

import itertools
import sys

import msgspec
import numpy as np
import pytest

from codesign.search import strategies
from codesign.search.coordinates import Coordinates
from codesign.search.evaluate import evaluate
from codesign.search.measurements import PerChoice, Table
from codesign.search.problem import Constraint, Evaluation, Problem
from codesign.search.relaxed import relaxed, rounded
from codesign.search.run import search
from codesign.search.space import Space, WeightLayer
from codesign.search.strategies import bomp, greedy, haq, hawq, nipq, ompq, qbitopt
from tests.unit.search_problem import Formula, every, problem


def least(made, total, per_layer=False):
    """The least of a function over all points within the budget."""
    points = every(made.space, per_layer)
    return min(total(one) for one in points if made.space.bit_operations(one) <= made.constraint.bit_operations)


# QBitOpt


def chain(count, seed):
    """A network of layers with one channel each, which read 8 bits, and its scales."""
    generator = np.random.default_rng(seed)
    macs = generator.integers(1, 40, count)
    layers = [WeightLayer(f"l{i}", channels=1, weights=1, macs=int(m)) for i, m in enumerate(macs)]
    space = Space(tuple(layers), (), weight_bits=tuple(range(2, 9)))
    return space, np.exp(generator.normal(0, 2, count)), macs


def table_of(space, scales):
    bits = np.array(space.weight_bits, dtype=float)
    rows = {layer.name: scale * 4.0 ** -bits[None] for layer, scale in zip(space.layers, scales, strict=True)}
    return Table({"uniform": rows}, {})


@pytest.mark.parametrize("count", range(1, 7))
def test_qbitopt_equals_brute_force_on_layers_of_two_to_eight_bits(count):
    space, scales, macs = chain(count, count)
    formula = qbitopt.Program(space, table_of(space, scales))
    choices = np.array(list(itertools.product(space.weight_bits, repeat=count)))
    totals, taken = (scales * 4.0**-choices).sum(axis=1), 8 * choices @ macs
    for share in (0.26, 0.4, 0.5, 0.8):
        budget = int(share * 64 * macs.sum())
        found = formula.solve(budget)
        assert space.bit_operations(found) <= budget
        assert formula.total(found) == pytest.approx(totals[taken <= budget].min(), rel=1e-9)


def test_the_relaxed_optimum_is_the_closed_form():
    generator = np.random.default_rng(3)
    error, cost = np.exp(generator.normal(0, 1, 6)), generator.uniform(1, 5, 6)
    own = 0.5 * np.log2(error / cost)
    budget = 5.0 * cost.sum()
    expected = budget / cost.sum() + own - np.average(own, weights=cost)
    assert np.all((expected > 1) & (expected < 9))
    found = relaxed(error, cost, budget, 1, 9)
    assert found == pytest.approx(expected, abs=1e-9)
    # No other point within the budget is better.
    for _ in range(200):
        other = expected + generator.normal(0, 0.3, 6)
        other -= max(0.0, (other @ cost - budget) / cost.sum())
        assert np.sum(error * 4.0**-other) >= np.sum(error * 4.0**-found) - 1e-12


def test_the_relaxed_optimum_stays_in_range_and_within_budget():
    error, cost = np.array([0.0, 1e-9, 1.0, 1e9]), np.array([1.0, 2.0, 3.0, 4.0])
    for budget in (20.0, 35.0, 60.0, 79.0):
        found = relaxed(error, cost, budget, 2, 8)
        assert np.all((found >= 2) & (found <= 8))
        assert budget - 1e-6 <= found @ cost <= budget
        whole = rounded(found, error, cost, budget, tuple(range(2, 9)))
        assert whole @ cost <= budget
        assert np.all(whole >= np.floor(found + 1e-9))
    assert relaxed(error, cost, 19.9, 2, 8) is None
    assert relaxed(error, cost, 80.0, 2, 8).tolist() == [8] * 4


@pytest.mark.parametrize("seed", range(4))
def test_rounding_comes_close_to_the_optimum(seed):
    space, scales, macs = chain(6, seed)
    program = qbitopt.Program(space, table_of(space, scales))
    budget = int(0.5 * 64 * macs.sum())
    real = relaxed(scales, 8.0 * macs, budget, 2, 8)
    whole = rounded(real, scales, 8.0 * macs, budget, space.weight_bits)
    exact, bound = program.total(program.solve(budget)), np.sum(scales * 4.0**-real)
    assert bound - 1e-9 <= exact <= np.sum(scales * 4.0 ** -whole.astype(float)) + 1e-12 <= 1.5 * exact


def test_a_larger_gradient_never_gets_fewer_bits():
    space, scales, macs = chain(5, 9)
    budget = int(0.45 * 64 * macs.sum())
    for layer in range(5):
        before = 0
        for factor in (0.01, 0.1, 1, 10, 100, 1000):
            changed = scales.copy()
            changed[layer] *= factor
            bits = qbitopt.Program(space, table_of(space, changed)).solve(budget).weights[f"l{layer}"][0]
            assert bits >= before
            before = bits


@pytest.mark.parametrize("solver", ["exact", "relaxed"])
def test_qbitopt_holds_the_budget_at_every_step_and_follows_the_gradients(solver):
    asked = []

    class Moving(Formula):
        """Its gradients depend on the widths that the network has."""

        def squared_gradients(self, assignment):
            asked.append(assignment)
            found = Formula.squared_gradients(self, assignment)
            grown = {n: v * (1 + np.array(assignment.weights[n])) for n, v in found.weights.items()}
            return PerChoice(grown, found.activations)

    made = problem()
    made = Problem(made.space, made.constraint, Moving(made.space))
    result = search(made, "qbitopt", evaluations=10, options={"rounds": 4, "solver": solver})
    assert all(one.bit_operations <= made.constraint.bit_operations for one in result.evaluations)
    # At the start, and at each solution until one comes again.
    assert len(asked) >= 2
    assert len({one.digest() for one in asked}) == len(asked)
    assert not any(one.repaired for one in result.evaluations)


# HAWQ and greedy


@pytest.mark.parametrize("granularity", ["channel", "layer"])
def test_hawq_equals_brute_force(granularity):
    made = problem((2, 2, 2), weight_bits=(0, 1, 2, 4), activation_bits=(1, 2, 4), budget=0.2)
    first = strategies.make("hawq", made, 0, 5, {"granularity": granularity}).ask()[0]
    # Curvature times distortion is the whole loss of the formula without coupling.
    expected = least(made, made.evaluator.loss, per_layer=granularity == "layer")
    assert made.space.bit_operations(first) <= made.constraint.bit_operations
    assert made.evaluator.loss(first) == pytest.approx(expected, rel=1e-9)


def test_a_curvature_below_zero_rewards_no_error():
    class Noisy(Formula):
        def curvature(self):
            found = Formula.curvature(self)
            found.weights["conv1"][:] = -1.0
            return found

    made = problem()
    made = Problem(made.space, made.constraint, Noisy(made.space))
    first = strategies.make("hawq", made, 0, 5, {}).ask()[0]
    assert set(first.weights["conv1"]) == {0}
    assert max(first.weights["conv2"]) > 0


def test_greedy_comes_close_to_the_optimum_and_uses_the_budget_up():
    for seed in range(3):
        made = problem((2, 2, 2), weight_bits=(0, 1, 2), activation_bits=(1, 2, 3), budget=0.3, seed=seed)
        first = strategies.make("greedy", made, 0, 5, {}).ask()[0]
        optimum = least(made, made.evaluator.loss)
        assert optimum - 1e-12 <= made.evaluator.loss(first) <= 1.3 * optimum
    made = problem((8, 16, 16))
    path = greedy.Path(made.space, made.evaluator.sensitivity())
    for share in (0.02, 0.1, 0.5, 1.0):
        budget = int(share * made.space.bit_operations(made.space.uniform(8, 8)))
        (one,) = path.down_to(budget)
        assert 0.97 * budget <= made.space.bit_operations(one) <= budget
    assert path.down_to(-1) == []


def test_where_a_board_binds_the_sweep_finds_the_largest_budget_that_holds():
    made = problem((8, 16, 16), budget=0.5, limits={"lut": 2000})
    result = search(made, "hawq", evaluations=30)
    held = [one for one in result.evaluations if not one.repaired]
    assert max(one.cost["lut"] for one in held) > 0.9 * 2000
    assert all(one.cost["lut"] <= 2000 for one in result.evaluations)


# Uniform widths


class Counted(Formula):
    """Counts the costs that were asked for, and may have one that is out of line."""

    def cost(self, assignment):
        counts.append(assignment.digest())
        found = dict(Formula.cost(self, assignment))
        return {**found, "lut": 1e6} if assignment.digest() == odd else found


counts: list[str] = []
odd = ""


def pairs_that_hold(made):
    space = made.space
    kinds = [{}] + [{layer.name: "post" for layer in space.layers}] * ("post" in space.schemes)
    return {
        one.digest()
        for schemes in kinds
        for weight in space.widths("post" if schemes else "uniform")
        for activation in space.activation_bits
        if weight
        for one in [msgspec.structs.replace(space.uniform(weight, activation), schemes=schemes)]
        if not made.constraint.exceeded(space.bit_operations(one), Formula.cost(made.evaluator, one))
    }


def all_asked(made):
    strategy, asked = strategies.make("uniform", made, 0, 100, {}), []
    while batch := strategy.ask():
        asked += [one.digest() for one in batch]
    return asked


@pytest.mark.parametrize("lut", [600, 1000, 2000, 1e9])
@pytest.mark.parametrize("budget", [None, 0.4])
@pytest.mark.parametrize("schemes", [("uniform",), ("uniform", "post")])
def test_uniform_asks_for_each_pair_that_holds_and_estimates_few_others(lut, budget, schemes):
    made = problem((4, 6, 8), budget=budget, limits={"lut": lut}, schemes=schemes)
    made = Problem(made.space, made.constraint, Counted(made.space))
    holding = pairs_that_hold(made)
    counts.clear()
    asked = all_asked(made)
    assert sorted(asked) == sorted(holding)
    assert len(counts) == len(set(counts))
    # Beside those that are asked for, what exceeds is met no oftener than there are widths of weights.
    assert len(set(counts) - holding) <= sum(len(made.space.widths(kind)) for kind in schemes)


def test_uniform_has_something_to_evaluate_after_few_estimates():
    made = problem((4, 6, 8), budget=None, limits={"lut": 600})
    made = Problem(made.space, made.constraint, Counted(made.space))
    counts.clear()
    first = strategies.make("uniform", made, 0, 100, {}).ask()
    assert len(first) == 8
    assert len(counts) <= 8 + 8 + len(first) < 64 / 2


def test_a_pair_that_is_out_of_line_is_not_asked_for(monkeypatch):
    """Its neighbours hold, and it does not: a repair would make mixed widths of it."""
    made = problem((4, 6, 8), budget=None, limits={"lut": 1000})
    made = Problem(made.space, made.constraint, Counted(made.space))
    whole = all_asked(made)
    monkeypatch.setattr(sys.modules[__name__], "odd", made.space.uniform(2, 2).digest())
    assert odd in whole
    asked = all_asked(made)
    assert odd not in asked
    assert set(asked) <= set(whole)
    result = search(made, "uniform", evaluations=100)
    assert not any(one.repaired for one in result.evaluations)
    assert len({*result.best.assignment.activations.values()}) == 1


# OMPQ


def test_orthogonality_is_a_matrix_of_similarities():
    generator = np.random.default_rng(1)
    features = [generator.normal(size=(32, size)) for size in (5, 20, 60)]
    matrix = ompq.orthogonality(features)
    assert matrix == pytest.approx(matrix.T)
    assert np.diag(matrix).tolist() == [1.0] * 3
    assert np.all((matrix >= 0) & (matrix <= 1))
    turn, _ = np.linalg.qr(generator.normal(size=(20, 20)))
    changed = [features[0] * 7, features[1] @ turn + 3.0, features[2] * 0.01]
    assert ompq.orthogonality(changed) == pytest.approx(matrix)


def test_layers_that_say_the_same_matter_less_than_an_independent_one():
    generator = np.random.default_rng(2)
    twin, alone = generator.normal(size=(64, 10)), generator.normal(size=(64, 10))
    theta = ompq.importance(ompq.orthogonality([twin, alone, 2 * twin]), beta=10.0)
    assert theta[1] == 1.0
    assert max(theta[0], theta[2]) < 0.1
    assert ompq.suffix_means(np.array([3.0, 1.0, 2.0])).tolist() == [2.0, 1.5, 2.0]


def test_ompq_equals_brute_force_and_meets_the_budget():
    made = problem((3, 4, 5), weight_bits=(1, 2, 3, 5, 8), activation_bits=(2, 4), budget=0.2)
    theta = ompq.importance(ompq.orthogonality(list(made.evaluator.features().values())), beta=10.0)
    gain = dict(zip(made.evaluator.features(), ompq.suffix_means(theta), strict=True))

    def total(one):
        return -sum(gain[name] * bits[0] for name, bits in one.weights.items())

    asked = strategies.make("ompq", made, 0, 5, {}).ask()
    assert [set(one.activations.values()) for one in asked] == [{4}, {2}]
    for one in asked:
        width = one.activations["act1"]
        same = [each for each in every(made.space, per_layer=True) if set(each.activations.values()) == {width}]
        within = [each for each in same if made.space.bit_operations(each) <= made.constraint.bit_operations]
        assert one in within
        assert total(one) == pytest.approx(min(map(total, within)), rel=1e-9)


# OHQ


def resnet8():
    """The layers of a ResNet-8 for images of 32 by 32, with their shortcuts."""
    table = [("conv", 3, 16, 3, 32), ("a1", 16, 16, 3, 32), ("a2", 16, 16, 3, 32), ("b1", 16, 32, 3, 16)]
    table += [("b2", 32, 32, 3, 16), ("bs", 16, 32, 1, 16), ("c1", 32, 64, 3, 8), ("c2", 64, 64, 3, 8)]
    table += [("cs", 32, 64, 1, 8)]
    layers = [
        WeightLayer(
            name, channels=o, weights=i * k * k, macs=i * k * k * size * size, kernel=k, size=size, input_bits=4
        )
        for name, i, o, k, size in table
    ]
    return Space(tuple(layers), (), weight_bits=(2, 4, 8))


def test_ohq_equals_brute_force_on_a_resnet8():
    space = resnet8()
    formula = Formula(space)
    widest = space.bit_operations(space.uniform(8, 8))
    made = Problem(space, Constraint(int(0.4 * widest)), formula)
    asked = strategies.make("ohq", made, 0, 5, {"mu": 0.05}).ask()
    first = max(asked, key=space.bit_operations)
    sensitivity, costs = formula.masking(), formula.layer_costs()
    most = max(float(row.max()) for row in costs.values())
    bits = np.array(space.weight_bits, dtype=float)
    rows = np.array(
        [
            sensitivity[layer.name] / max(sensitivity.values()) * 4.0**-bits + 0.05 * costs[layer.name] / most
            for layer in space.layers
        ]
    )
    choices = np.array(list(itertools.product(range(3), repeat=9)))
    totals = rows[np.arange(9), choices].sum(axis=1)
    weight = np.array([4 * layer.macs * layer.channels for layer in space.layers])
    taken = bits[choices] @ weight
    mine = [space.weight_bits.index(first.weights[layer.name][0]) for layer in space.layers]
    assert space.bit_operations(first) <= made.constraint.bit_operations
    assert rows[np.arange(9), mine].sum() == pytest.approx(
        totals[taken <= made.constraint.bit_operations].min(), rel=1e-9
    )


def test_a_larger_weight_on_costs_never_makes_ohq_costlier():
    made = problem((3, 4, 5), weight_bits=(1, 2, 4, 8), activation_bits=(4,), budget=0.6)
    costs = made.evaluator.layer_costs()
    column = made.space.weight_bits.index
    taken = []
    for mu in (0.0, 0.03, 0.3, 3.0):
        one = strategies.make("ohq", made, 0, 5, {"mu": mu}).ask()[0]
        taken.append(sum(costs[name][column(bits[0])] for name, bits in one.weights.items()))
    assert taken == sorted(taken, reverse=True)
    assert taken[0] > taken[-1]


# NIPQ


def test_nipq_descends_to_the_budget_and_beats_uniform_widths():
    made = problem(budget=0.15)
    found = nipq.strategy(made, 0, 20, steps=25)
    accuracies = []
    while asked := found.ask():
        accuracies += [made.evaluator.accuracy(one) for one in asked]
        assert all(made.space.bit_operations(one) <= made.constraint.bit_operations for one in asked)
    widths = found.widths
    coordinates = Coordinates(made.space)
    taken = np.sum(coordinates.macs * coordinates.read_widths(widths) * coordinates.per_layer(widths))
    assert taken == pytest.approx(made.constraint.bit_operations, rel=0.1)
    uniform = search(made, "uniform", evaluations=64).best.accuracy
    assert max(accuracies) > uniform + 3


def test_the_gradient_of_the_bit_operations_is_that_of_differences():
    made = problem(budget=0.15)
    found = nipq.strategy(made, 0, 5)
    generator = np.random.default_rng(0)
    widths = generator.uniform(1, 8, Coordinates(made.space).size)
    coordinates, target = Coordinates(made.space), made.constraint.bit_operations

    def loss(at):
        over = np.sum(coordinates.macs * coordinates.read_widths(at) * coordinates.per_layer(at)) / target - 1
        return over**2 / 2 if abs(over) < 1 else abs(over) - 0.5

    gradient = found._cost_gradient(widths)
    for index in range(coordinates.size):
        step = np.zeros(coordinates.size)
        step[index] = 1e-4
        assert (loss(widths + step) - loss(widths - step)) / 2e-4 == pytest.approx(gradient[index], rel=1e-4)


# HAQ


def test_haq_has_one_width_per_layer_and_lowers_from_the_back():
    made = problem((2, 2, 2), budget=None, weight_bits=tuple(range(1, 9)))
    widest = made.space.bit_operations(made.space.uniform(8, 8))
    at = {layer.name: layer.macs for layer in made.space.layers}
    # The last layer loses a bit first, then what it reads, then the layer before it.
    for less, conv2, act2, conv1 in ((1, 7, 8, 8), (16 * at["conv2"] + 1, 7, 7, 8), (30 * at["conv2"] + 1, 7, 7, 7)):
        tight = problem((2, 2, 2), budget=(widest - less) / widest, weight_bits=tuple(range(1, 9)))
        one = haq.strategy(tight, 0, 10)._assignment(np.ones(5))
        assert tight.space.bit_operations(one) <= widest - less
        assert (one.weights["conv2"], one.activations["act2"], one.weights["conv1"]) == (
            (conv2,) * 2,
            act2,
            (conv1,) * 2,
        )
    for one in haq.strategy(problem(), 0, 10).ask():
        assert all(len(set(bits)) == 1 for bits in one.weights.values())


# BOMP


def test_bomp_puts_the_bits_of_a_layer_where_they_serve_most():
    made = problem(budget=None)
    found = bomp.strategy(made, 0, 12)
    one = found._realised(np.full(7, 0.4))
    mean = 1 + 0.4 * 7
    scales = made.evaluator.scales()
    for layer in made.space.layers:
        bits = np.array(one.weights[layer.name])
        assert bits.sum() == round(mean * layer.channels)
        order = np.argsort(scales.weights[layer.name])
        assert np.all(np.diff(bits[order]) >= 0)


def test_bomp_stays_within_the_budget_by_itself_mostly():
    made = problem(budget=0.1)
    found = bomp.strategy(made, 0, 12)
    points = found._within(np.random.default_rng(0).random((50, 7)))
    means = 1 + 7 * points
    layers = made.space.layers
    reads = np.concatenate([np.full((50, 1), 8.0), means[:, 4:]], axis=1)
    taken = np.sum([each.macs * each.channels for each in layers] * reads * means[:, :4], axis=1)
    assert np.all(taken <= 1.0001 * made.constraint.bit_operations)
    assert np.median(taken) > 0.95 * made.constraint.bit_operations


def test_a_batch_of_bomp_may_be_as_large_as_its_pool(monkeypatch):
    monkeypatch.setattr(bomp, "_FAR", 6)
    monkeypatch.setattr(bomp, "_NEAR", 6)
    made = problem((2, 2), budget=0.5)
    found = bomp.strategy(made, 0, 60, warm_up=2, batch=20)
    found.tell([evaluate(made, one) for one in found.ask()])
    assert len(found.ask()) == 12


def test_the_strategies_that_plan_tell_when_there_is_nothing_more():
    made = problem((2, 2))
    for name in ("greedy", "hawq", "ohq", "ompq", "qbitopt", "uniform"):
        result = search(made, name, evaluations=1000)
        assert len(result.evaluations) < 200
        assert isinstance(result.best, Evaluation)


def test_squared_errors_are_weighed_channel_by_channel():
    table = hawq.weighed(
        Table({"uniform": {"a": np.ones((2, 3))}}, {"x": np.ones(2)}),
        PerChoice({"a": np.array([2.0, 3.0])}, {"x": 5.0}),
    )
    assert table.weights["uniform"]["a"].tolist() == [[2.0] * 3, [3.0] * 3]
    assert table.activations["x"].tolist() == [5.0, 5.0]
