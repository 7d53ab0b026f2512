"""Supernets that are focused on what limits allow."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codesign import boards, zoo
from codesign.backends.rtl.options import Options
from codesign.errors import UserError
from codesign.quant import fused
from codesign.search import prepare
from codesign.search.accuracy_evaluator import AccuracyEvaluator
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.space import Assignment
from codesign.train import supernet
from codesign.train.progress import Progress
from codesign.train.supernet_draw import Choice, draw_within

BUDGET = 560_000
MODEL = zoo.load("digits_cnn_w3")


@pytest.fixture(scope="module", autouse=True)
def uncompiled() -> Iterator[None]:
    """Compiling takes longer than all that is computed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "LEAST", 1 << 60)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supernets")


@pytest.fixture(scope="module")
def problem(folder: Path) -> Problem:
    general = prepare.prepare_supernet(MODEL, folder, supernet.SupernetRecipe(epochs=2, subnets=1), progress=False)
    # A family whose sizes are not known: bit operations alone.
    return prepare.problem_of(MODEL, general, boards.load("icebreaker"), Options(), Objective(), BUDGET)


@pytest.fixture(scope="module")
def focused(problem: Problem, folder: Path) -> Problem:
    return prepare.focused(problem, MODEL, folder, 4, progress=False)


def accuracies(problem: Problem) -> AccuracyEvaluator:
    assert isinstance(problem.evaluator, AccuracyEvaluator)
    return problem.evaluator


def limited(problem: Problem, **changes: object) -> Problem:
    settings = {"constraint": problem.constraint, "objective": problem.objective, **changes}
    return Problem(problem.space, evaluator=problem.evaluator, **settings)  # type: ignore[arg-type]


def test_choices_are_drawn_within_limits() -> None:
    def choices(seed: int) -> Iterator[Choice]:
        generator = np.random.default_rng(seed)
        while True:
            yield Choice({"a": (int(generator.integers(1, 9)),)}, {}, {})

    def taken(seed: int, least: int, most: int) -> int:
        source = choices(seed)
        return draw_within(lambda: next(source), lambda one: one.weights["a"][0], least, most).weights["a"][0]

    assert {taken(seed, 3, 4) for seed in range(50)} == {3, 4}
    assert taken(1, 3, 4) == taken(1, 3, 4)
    # The nearest where none is within.
    assert {taken(seed, 20, 30) for seed in range(9)} == {8}


def test_the_focus_is_where_the_widest_network_of_like_widths_is(problem: Problem) -> None:
    space = problem.space
    pairs = [space.bit_operations(space.uniform(w, a)) for w in range(1, 9) for a in range(1, 9)]
    widest = max(taken for taken in pairs if taken <= BUDGET)
    fixed = space.fixed_bit_operations
    free = widest - fixed
    assert prepare.focus_of(problem) == (fixed + round(0.55 * free), fixed + round(1.2 * free))
    assert prepare.focus_of(limited(problem, constraint=Constraint(None))) is None
    assert prepare.focus_of(limited(problem, constraint=Constraint(1))) is None
    assert prepare.focus_of(limited(problem, objective=Objective.parse("accuracy,bit_operations=0.1"))) is None


def test_without_epochs_or_a_focus_nothing_is_trained(problem: Problem, tmp_path: Path) -> None:
    assert prepare.focused(problem, MODEL, tmp_path, 0, progress=False) is problem
    free = limited(problem, constraint=Constraint(None))
    assert prepare.focused(free, MODEL, tmp_path, 1, progress=False) is free
    assert list(tmp_path.iterdir()) == []


def test_a_focused_supernet_tells_accuracies_and_the_other_one_is_measured(problem: Problem, focused: Problem) -> None:
    before, after = accuracies(problem), accuracies(focused)
    assert before.identity() != after.identity()
    assert after.accuracies.focused is not None
    narrow = [problem.space.uniform(w, a) for w, a in ((1, 2), (1, 3), (2, 2), (2, 3))]
    losses = [[each.accuracies.evaluate(one).loss for one in narrow] for each in (before, after)]
    assert np.mean(losses[1]) < np.mean(losses[0])
    assert after.accuracies.evaluate(narrow[0], measuring=True) == before.accuracies.evaluate(narrow[0])
    for name, own in before.features().items():
        assert np.array_equal(own, after.features()[name])
    again = pickle.loads(pickle.dumps(after))  # noqa: S301
    assert again.identity() == after.identity()
    assert again.accuracy(narrow[1]) == after.accuracy(narrow[1])


def test_a_board_keeps_its_sizes(problem: Problem, focused: Problem) -> None:
    start = Path(accuracies(problem).accuracies.folder)
    sized = prepare.problem_of(MODEL, start, boards.load("pynq-z2"), Options(cycles=5000), Objective(), BUDGET)
    one = sized.space.uniform(2, 2)
    both = prepare.focused(sized, MODEL, start.parent, 4, progress=False)
    assert both.evaluator.cost(one) == sized.evaluator.cost(one) != {}
    # The same networks are drawn as for the same budget without a board.
    assert accuracies(both).accuracies.focused == accuracies(focused).accuracies.focused
    assert both.evaluator.accuracy(one) == focused.evaluator.accuracy(one)


def test_all_that_is_trained_is_within_the_focus(
    problem: Problem, focused: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = accuracies(focused).accuracies
    assert own.focused is not None
    least, most = prepare.focus_of(problem) or (0, 0)
    taken: list[int] = []
    real, space = supernet.choose, problem.space

    def choose(network: object, choice: Choice | None) -> None:
        if choice is not None:
            taken.append(space.bit_operations(Assignment(choice.weights, choice.activations)))
        real(network, choice)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(supernet, "choose", choose)
        # A folder of its own: it is trained again, after an interruption, to the same weights.
        steps = iter(range(25))
        patch.setattr(Progress, "step", lambda self: next(steps))
        with pytest.raises(StopIteration):
            prepare.focused(problem, MODEL, tmp_path, 4, progress=False)
    assert len(taken) == 3 * 26
    assert least <= min(taken) < BUDGET < max(taken) <= most
    assert len(set(taken)) > 60
    again = prepare.focused(problem, MODEL, tmp_path, 4, progress=False)
    found = accuracies(again).accuracies.focused
    assert found is not None
    assert Path(found, supernet.FINAL).read_bytes() == Path(own.focused, supernet.FINAL).read_bytes()


def test_a_focused_supernet_needs_the_bit_operations_of_choices(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the bit operations of choices"):
        supernet.train(MODEL, tmp_path, supernet.FocusedRecipe(least=1, most=2), progress=False)
    with pytest.raises(UserError, match="holds no supernet"):
        accuracies(problem).focused(tmp_path).accuracy(problem.space.uniform(1, 1))
