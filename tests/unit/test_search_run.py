"""What holds for every strategy: its results satisfy the constraint, repeat, and go on after a kill."""

import inspect
import itertools
import json

import msgspec
import pytest

from codesign.errors import UserError
from codesign.search import journal, run, strategies
from codesign.search.evaluate import evaluate
from codesign.search.problem import Problem
from codesign.search.run import search
from codesign.search.strategies import autoqb
from tests.unit.search_problem import Formula, problem

EVALUATIONS = 8
OPTIONS = {"nipq": {"steps": 3, "rate": 0.5}}
NAMES = strategies.names()


def figures(result):
    return result.header, result.evaluations, result.best, result.front


@pytest.fixture(scope="module", autouse=True)
def _little_learning():
    """What holds here does not depend on how much is learned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoqb, "_STEPS", 2)
        patch.setattr(autoqb, "_PRACTICE", 20)
        yield


@pytest.fixture(scope="module")
def undisturbed():
    made = problem(coupling=0.4)
    return {name: search(made, name, evaluations=EVALUATIONS, seed=1, options=OPTIONS.get(name)) for name in NAMES}


def test_all_strategies_are_there():
    assert {
        "autoqb", "haq", "qbitopt", "ompq", "hawq", "bomp", "ohq", "nipq", "evolution", "greedy", "uniform", "random",
    } <= set(NAMES)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_no_strategy_asks_for_post_weights_that_there_are_not(name):
    made = problem((4, 5, 6), budget=0.6, schemes=("uniform", "post"))
    strategy = strategies.make(name, made, 3, EVALUATIONS, OPTIONS.get(name, {}))
    for _ in range(3):
        asked = strategy.ask()
        for one in asked:
            made.space.check(one)
        strategy.tell([evaluate(made, one) for one in asked])


@pytest.mark.parametrize("name", NAMES)
def test_every_result_satisfies_the_budget_and_the_best_is_the_best(undisturbed, name):
    made, result = problem(coupling=0.4), undisturbed[name]
    assert 0 < len(result.evaluations) <= EVALUATIONS
    for one in result.evaluations:
        made.space.check(one.assignment)
        assert one.bit_operations == made.space.bit_operations(one.assignment) <= made.constraint.bit_operations
        assert one.accuracy == made.evaluator.accuracy(one.assignment)
    assert result.best.accuracy == max(one.accuracy for one in result.evaluations)
    assert result.best in result.front


@pytest.mark.parametrize("name", NAMES)
def test_every_result_satisfies_the_limits_of_a_board(name):
    made = problem((4, 6, 6), budget=0.4, limits={"lut": 330, "bram36": 1, "cycles_per_frame": 1000}, coupling=0.4)
    result = search(made, name, evaluations=6, options=OPTIONS.get(name))
    assert result.evaluations
    for one in result.evaluations:
        assert one.cost == made.evaluator.cost(one.assignment)
        assert made.constraint.exceeded(one.bit_operations, one.cost) == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_search_goes_on_after_any_evaluation_and_ends_the_same(undisturbed, name, tmp_path):
    made = problem(coupling=0.4)
    arguments = {"evaluations": EVALUATIONS, "seed": 1, "options": OPTIONS.get(name)}
    whole = search(made, name, folder=tmp_path, **arguments)
    assert figures(whole) == figures(undisturbed[name])
    path = tmp_path / whole.header.file_name
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in sorted({1, max(1, len(lines) - 2)}):
        # The kill came in the middle of a line.
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        counting = _Counting(made.space, 0, 0.4)
        again = search(Problem(made.space, made.constraint, counting), name, folder=tmp_path, **arguments)
        assert figures(again) == figures(whole)
        assert path.read_bytes() == b"".join(lines)
        assert len(_Counting.asked) == len(lines) - kept
        _Counting.asked.clear()


class _Counting(Formula):
    asked: list = []  # noqa: RUF012

    def accuracy(self, assignment):
        self.asked.append(assignment)
        return super().accuracy(assignment)


@pytest.mark.parametrize("name", ["evolution", "autoqb"])
def test_the_number_of_workers_changes_nothing(undisturbed, name):
    made = problem(coupling=0.4)
    result = search(made, name, evaluations=EVALUATIONS, seed=1, workers="2")
    assert figures(result) == figures(undisturbed[name])


@pytest.mark.parametrize("name", ["random", "evolution", "haq", "autoqb", "bomp"])
def test_another_seed_is_another_search(undisturbed, name):
    made = problem(coupling=0.4)
    assert search(made, name, evaluations=EVALUATIONS, seed=2).evaluations != undisturbed[name].evaluations


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_batch_comes_back_in_the_order_in_which_it_was_asked_for(workers):
    made = problem()
    asked = strategies.make("random", made, 3, 8, {}).ask()
    result = search(made, "random", evaluations=8, seed=3, workers=workers)
    assert [one.assignment for one in result.evaluations] == asked


def test_more_evaluations_continue_the_same_search(tmp_path):
    made = problem()
    search(made, "random", evaluations=5, folder=tmp_path)
    longer = search(made, "random", evaluations=20, folder=tmp_path)
    assert figures(longer) == figures(search(made, "random", evaluations=20))
    header, kept = journal.read(tmp_path / longer.header.file_name)
    assert header == longer.header
    assert len(kept) == 20


def test_progress_tells_count_and_best(tmp_path):
    made, told = problem(), []
    result = search(made, "random", evaluations=10, folder=tmp_path, progress=lambda *each: told.append(each))
    assert [count for count, _ in told] == list(range(1, 11))
    assert told[-1] == (10, result.best)
    assert all(a.accuracy <= b.accuracy for (_, a), (_, b) in itertools.pairwise(told))
    told.clear()
    search(made, "random", evaluations=10, folder=tmp_path, progress=lambda *each: told.append(each))
    assert told[-1] == (10, result.best)


def test_what_scripts_read_is_there(tmp_path):
    made = problem(limits={"lut": 400})
    result = search(made, "greedy", evaluations=6)
    trained = msgspec.structs.replace(result.best, accuracy=12.5, cost={"lut": 17.0})
    final = run.summary(result, trained, "build/best.toml")["best"]
    assert final["accuracy"] == 12.5
    assert (final["lut"], final["model"]) == (17.0, "build/best.toml")
    summary = run.summary(result)
    assert summary["best"]["accuracy"] == result.best.accuracy
    assert {"accuracy", "bit_operations", "lut", "cycles_per_frame", "model"} <= set(summary["best"])
    assert summary["evaluations"] == len(result.evaluations)
    assert summary["seconds"] >= 0
    costs = [one["bit_operations"] for one in summary["front"]]
    assert costs == sorted(costs)
    written = json.loads(run.write(tmp_path, result).read_text())
    assert written["best"]["widths"]["weights"].keys() == result.best.assignment.weights.keys()
    assert run.summary(search(problem(), "uniform", evaluations=0))["best"] is None


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("evolve", {}, "there is no strategy 'evolve'; did you mean evolution"),
        ("../random", {}, "there is no strategy '../random'"),
        ("random", {"batches": 3}, "the strategy 'random' has no option 'batches'; it accepts batch"),
        ("uniform", {"batch": 3}, "has no option 'batch'; it accepts none"),
        ("random", {"batch": 0}, "the strategy 'random' refuses its option 'batch': Expected `int` >= 1"),
        ("ompq", {"beta": "inf"}, "the strategy 'ompq' refuses its option 'beta'"),
        ("haq", {"noise": "inf"}, "the strategy 'haq' refuses its option 'noise': a finite number is needed"),
        ("nipq", {"rate": "inf"}, "the strategy 'nipq' refuses its option 'rate'"),
        ("autoqb", {"noise": "nan"}, "the strategy 'autoqb' refuses its option 'noise'"),
        ("hawq", {"granularity": "bit"}, "the strategy 'hawq' refuses its option 'granularity'"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(name, options, sentence):
    with pytest.raises(UserError, match=sentence):
        search(problem(), name, evaluations=3, options=options)


def test_options_come_as_text_from_the_command_line():
    made = problem()
    assert search(made, "random", evaluations=3, options={"batch": "1"}).evaluations
    assert strategies.options("evolution") == {"population": 32, "tournament": 8, "crossover": 0.3, "batch": 8}


@pytest.mark.parametrize("name", [name for name in NAMES if "batch" in strategies.options(name)])
def test_a_batch_is_no_larger_than_the_search(name):
    made = problem((2, 2))
    settings = {"batch": 10**8} | ({"practise": False} if name == "autoqb" else {})
    assert len(strategies.make(name, made, 0, 6, settings).ask()) <= 6
    assert len(search(made, name, evaluations=6, options=settings).evaluations) == 6


def test_a_tournament_is_no_larger_than_the_search():
    made = problem((2, 2))
    assert len(search(made, "evolution", evaluations=20, options={"tournament": 10**9}).evaluations) == 20


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("name", "options"),
    [("nipq", {"rate": 1e6}), ("nipq", {"weight": 1e6}), ("ompq", {"beta": 1e6}), ("ohq", {"mu": 1e6})],
)
def test_the_largest_values_overflow_nothing(name, options):
    assert search(problem(), name, evaluations=4, options=options).evaluations


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_is_documented(name):
    module = strategies.load(name)
    assert module.__doc__.strip()
    documented = inspect.getdoc(module.strategy)
    assert all(f"\n{option} : " in documented for option in strategies.options(name))
