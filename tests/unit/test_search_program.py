"""The programs' optimum equals that of trying everything."""

import itertools

import numpy as np
import pytest

from codesign.search import knapsack
from codesign.search.knapsack import Group
from codesign.search.measurements import Table
from codesign.search.program import Program
from codesign.search.space import ActivationLayer, Space, WeightLayer
from tests.unit.search_problem import every, space


def tried(groups, room, second_room=None):
    """The least loss of all solutions within the room, and the second one where it is given, or None."""
    per_group = [
        [
            (at, columns)
            for at in range(len(group.base))
            for columns in itertools.product(*(range(len(each)) for each in group.loss))
        ]
        for group in groups
    ]
    fitting = [one for one in itertools.product(*per_group) if knapsack.cost(groups, one) <= room]
    if second_room is not None:
        fitting = [one for one in fitting if knapsack.second_cost(groups, one) <= second_room]
    return min((knapsack.loss(groups, one) for one in fitting), default=None)


@pytest.mark.parametrize("seed", range(30))
def test_a_knapsack_equals_trying_everything(seed):
    generator = np.random.default_rng(seed)
    scale = 10.0 ** generator.integers(-9, 9)
    groups = []
    for _ in range(generator.integers(1, 4)):
        alternatives, members = generator.integers(1, 4), generator.integers(0, 3)
        sizes = generator.integers(1, 5, members)
        groups.append(
            Group(
                generator.normal(size=alternatives) * scale,
                [generator.normal(size=size) * scale for size in sizes],
                [[generator.integers(0, 50, size) * 36 for size in sizes] for _ in range(alternatives)],
            )
        )
    for room in (-1, 0, *generator.integers(0, 36 * 50 * 4, 8).tolist()):
        found, expected = knapsack.solve(groups, room), tried(groups, room)
        assert (found is None) == (expected is None)
        if found is not None:
            assert found.proved
            assert knapsack.cost(groups, found.choices) <= room
            assert knapsack.loss(groups, found.choices) == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


def test_a_knapsack_with_two_budgets_equals_trying_everything():
    generator = np.random.default_rng(0)

    def drawn(alternatives, sizes):
        return [[generator.integers(0, 50, size) for size in sizes] for _ in range(alternatives)]

    binding = 0
    for _ in range(20):
        groups = []
        for _ in range(generator.integers(1, 4)):
            alternatives, sizes = generator.integers(1, 4), generator.integers(1, 5, generator.integers(0, 3))
            losses = [generator.normal(size=size) for size in sizes]
            costs = drawn(alternatives, sizes), drawn(alternatives, sizes)
            groups.append(Group(generator.normal(size=alternatives), losses, *costs))
        for room, second_room in generator.integers(0, 50 * 4, (12, 2)).tolist():
            found, expected = knapsack.solve(groups, room, second_room), tried(groups, room, second_room)
            assert (found is None) == (expected is None)
            if found is not None:
                assert found.proved
                assert knapsack.cost(groups, found.choices) <= room
                assert knapsack.second_cost(groups, found.choices) <= second_room
                assert knapsack.loss(groups, found.choices) == pytest.approx(expected, rel=1e-9, abs=1e-9)
                binding += expected > tried(groups, room) + 1e-9
    assert binding > 20


def hard(generator):
    """Groups that bounds alone do not solve, and a room."""
    groups = [
        Group(np.zeros(1), [generator.random(20)], [[generator.integers(0, 1000, 20)]]) for _ in range(12)
    ]  # fmt: skip
    return groups, 2000


@pytest.mark.parametrize("status", [1, 4])
@pytest.mark.parametrize("incumbent", [True, False], ids=["with an incumbent", "without"])
def test_what_is_known_is_returned_where_branch_and_bound_is_cut_off(monkeypatch, status, incumbent):
    """At the limit of nodes (1), and where HiGHS does not know (4)."""
    import scipy.optimize

    groups, room = hard(np.random.default_rng(0))
    whole = knapsack.solve(groups, room)
    assert whole.proved
    solve, calls = scipy.optimize.milp, []

    def cut_off(*arguments, **settings):
        calls.append(settings["options"]["node_limit"])
        found = solve(*arguments, **settings)
        found.status, found.x = status, found.x if incumbent else None
        return found

    monkeypatch.setattr(scipy.optimize, "milp", cut_off)
    found = knapsack.solve(groups, room)
    assert calls
    assert not found.proved
    assert knapsack.cost(groups, found.choices) <= room
    least = knapsack.loss(groups, whole.choices)
    assert least - 1e-12 <= knapsack.loss(groups, found.choices) <= (least + 1e-12 if incumbent else 1.2 * least)


def test_a_program_tells_that_its_optimum_is_not_proved(monkeypatch):
    where = space((8, 16, 16))
    table = random_table(where, np.random.default_rng(1))
    budget = int(0.1 * where.bit_operations(where.uniform(8, 8)))
    program = Program(where, table)
    program.solve(budget)
    assert program.proved
    solve = knapsack.solve
    monkeypatch.setattr(knapsack, "solve", lambda *given: knapsack.Solution(solve(*given).choices, proved=False))
    assert where.bit_operations(program.solve(budget)) <= budget
    assert not program.proved
    monkeypatch.undo()
    program.solve(budget)
    assert not program.proved


def shared(**settings):
    """Two layers read one activation, a third reads the image, and nobody reads the last activation."""
    return Space(
        (
            WeightLayer("a", channels=3, weights=2, macs=6, input_bits=8),
            WeightLayer("b", channels=2, weights=3, macs=9, activation="x"),
            WeightLayer("c", channels=2, weights=1, macs=4, activation="x"),
        ),
        (ActivationLayer("x", 2, 4), ActivationLayer("y", 2, 4)),
        fixed_bit_operations=50,
        **settings,
    )


def random_table(where, generator):
    """Rises that mostly fall with the width, but not always, and are sometimes below 0."""

    def rows(count, widths):
        return np.sort(generator.exponential(size=(count, len(widths))))[:, ::-1] + generator.normal(
            0, 0.1, (count, len(widths))
        )  # fmt: skip

    return Table(
        {kind: {each.name: rows(each.channels, where.weight_bits) for each in where.layers} for kind in where.schemes},
        {each.name: rows(1, where.activation_bits)[0] for each in where.activations},
    )


@pytest.mark.parametrize("granularity", ["channel", "layer"])
@pytest.mark.parametrize(
    "where",
    [
        shared(weight_bits=(0, 1, 4), activation_bits=(1, 3)),
        shared(weight_bits=(1, 2), activation_bits=(2, 8), schemes=("uniform", "post")),
    ],
    ids=["pruning", "kinds"],
)
def test_a_program_equals_trying_everything(where, granularity):
    generator = np.random.default_rng(5)
    for _ in range(2):
        table = random_table(where, generator)
        program = Program(where, table, granularity)
        points = [
            (where.bit_operations(one), program.total(one)) for one in every(where, per_layer=granularity == "layer")
        ]
        taken, totals = np.array(points).T
        least = int(taken.min())
        assert program.solve(least - 1) is None
        for budget in (least, *np.quantile(taken, [0.05, 0.2, 0.5, 0.9, 1.0]).astype(int)):
            found = program.solve(int(budget))
            where.check(found)
            assert where.bit_operations(found) <= budget
            assert program.total(found) == pytest.approx(totals[taken <= budget].min(), rel=1e-9, abs=1e-12)


def test_a_network_of_many_channels_is_solved_within_its_bound():
    """Too large to try everything: the optimum lies between a bound by duality and any other candidate."""
    where = space((16, 16, 32, 32, 64))
    generator = np.random.default_rng(2)
    scales = {each.name: np.exp(generator.normal(0, 1.5, each.channels))[:, None] for each in where.layers}
    table = Table(
        {"uniform": {name: scale * 4.0 ** -np.arange(9.0) for name, scale in scales.items()}},
        {each.name: generator.exponential() * 4.0 ** -np.arange(1.0, 9.0) for each in where.activations},
    )
    program = Program(where, table)
    widest = where.bit_operations(where.uniform(8, 8))
    totals = []
    for share in (0.05, 0.1, 0.3):
        budget = int(share * widest)
        found = program.solve(budget)
        assert budget * 0.999 < where.bit_operations(found) <= budget
        totals.append(program.total(found))
        uniform = [where.uniform(w, a) for w in range(1, 9) for a in range(1, 9)]
        assert all(program.total(one) > totals[-1] for one in uniform if where.bit_operations(one) <= budget)
        assert totals[-1] <= program.total(Program(where, table, "layer").solve(budget))
    assert totals == sorted(totals, reverse=True)
    assert program.solve(budget) == found


def test_a_rise_that_is_no_number_is_refused():
    where = shared(weight_bits=(1, 2), activation_bits=(2,))
    table = random_table(where, np.random.default_rng(0))
    table.weights["uniform"]["b"][0, 0] = np.nan
    with pytest.raises(ValueError, match="no finite number"):
        Program(where, table)
