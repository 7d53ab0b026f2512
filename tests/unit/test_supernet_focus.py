"""Supernets that are focused on what limits allow."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from codesign import boards, data, zoo
from codesign.backends.rtl.options import Options
from codesign.errors import UserError
from codesign.ir import golden
from codesign.quant.switchable import weight_layers
from codesign.search import prepare
from codesign.search.accuracy_evaluator import AccuracyEvaluator
from codesign.search.candidate_graph import candidate_graph
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.space import Assignment
from codesign.train import supernet
from codesign.train.batches import to_tensor
from codesign.train.evaluate import plain
from codesign.train.progress import Progress
from codesign.train.supernet_draw import Choice, draw_within

BUDGET = 560_000
MODEL = zoo.load("digits_cnn_w3")


pytestmark = pytest.mark.usefixtures("uncompiled")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supernets")


@pytest.fixture(scope="module")
def problem(folder: Path) -> Problem:
    general = prepare.prepare_supernet(MODEL, folder, supernet.SupernetRecipe(epochs=2, subnets=1), progress=False)
    # A family whose sizes are not known: bit operations alone.
    board = msgspec.structs.replace(boards.load("zcu104"), family="versal")
    return prepare.problem_of(MODEL, general, board, Options(), Objective(), BUDGET)


@pytest.fixture(scope="module")
def focused(problem: Problem, folder: Path) -> Problem:
    return prepare.focused(problem, MODEL, folder, between(problem), 4, progress=False)


def accuracies(problem: Problem) -> AccuracyEvaluator:
    assert isinstance(problem.evaluator, AccuracyEvaluator)
    return problem.evaluator


def between(problem: Problem) -> tuple[int, int]:
    found = prepare.focus_of(problem)
    assert found is not None
    return found


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
    own = (fixed + round(0.55 * (widest - fixed)), fixed + round(1.2 * (BUDGET - fixed)))
    assert prepare.focus_of(problem) == own
    assert prepare.focus_of(limited(problem, constraint=Constraint(None))) is None
    assert prepare.focus_of(limited(problem, constraint=Constraint(1))) is None
    assert prepare.focus_of(limited(problem, objective=Objective.parse("accuracy,bit_operations=0.1"))) is None


def test_the_budget_is_within_the_focus_however_coarse_widths_are(problem: Problem) -> None:
    space = msgspec.structs.replace(problem.space, weight_bits=(2, 8), activation_bits=(2, 8))
    first = space.bit_operations(space.uniform(2, 2))
    for budget in (first, first + 20_000, 800_000, 1_000_000):
        own = Problem(space, Constraint(budget), problem.evaluator)
        least, most = prepare.focus_of(own) or (0, 0)
        assert least < budget < most


def test_the_focus_of_a_board_reaches_beyond_networks_of_like_widths(problem: Problem) -> None:
    start = Path(accuracies(problem).accuracies.folder)

    def sized(lut: int, budget: int | None) -> Problem:
        options = Options(cycles=5000, dsp=0, lut=lut)
        return prepare.problem_of(MODEL, start, boards.load("pynq-z2"), options, Objective(), budget)

    space, fixed = problem.space, problem.space.fixed_bit_operations
    tables = int(sized(40_000, None).evaluator.cost(space.uniform(3, 3))["lut"])
    least, most = between(sized(tables, None))
    taken = (least - fixed) / 0.55
    assert taken >= space.bit_operations(space.uniform(3, 3)) - fixed - 1
    assert most - fixed == pytest.approx(1.2 * 1.25 * taken, abs=2)
    # A budget that is larger binds nothing, and one that is smaller is what counts.
    assert between(sized(tables, 2 * most)) == (least, most)
    fewer = round(fixed + 0.6 * taken)
    assert between(sized(tables, fewer))[1] == pytest.approx(fixed + 1.2 * (fewer - fixed), abs=2)


def test_a_focused_supernet_tells_accuracies_and_the_other_one_is_measured(problem: Problem, focused: Problem) -> None:
    before, after = accuracies(problem), accuracies(focused)
    assert before.identity() != after.identity()
    assert after.accuracies.focused is not None
    narrow = [problem.space.uniform(w, a) for w, a in ((1, 2), (1, 3), (2, 2), (2, 3))]
    losses = [[each.evaluated(one)[1] for one in narrow] for each in (before, after)]
    assert all(one != other for one, other in zip(*losses, strict=True))
    # It has learned them, well beyond a guess.
    assert max(losses[1]) < 0.25 * np.log(10)
    assert after.accuracies.evaluate(narrow[0], measuring=True) == before.accuracies.evaluate(narrow[0])
    for name, own in before.features().items():
        assert np.array_equal(own, after.features()[name])
    again = pickle.loads(pickle.dumps(after))  # noqa: S301
    assert again.identity() == after.identity()
    assert again.accuracy(narrow[1]) == after.accuracy(narrow[1])


def test_binary_channels_of_a_focused_supernet_alone_have_weights_apart(problem: Problem, focused: Problem) -> None:
    own = accuracies(focused).accuracies
    general, _ = supernet.load(MODEL, own.folder)
    assert own.focused is not None
    network, _ = supernet.load(MODEL, own.focused)
    assert all(layer.weight_quant.adapter is None for layer in weight_layers(general).values())
    layers = weight_layers(network)
    for layer in layers.values():
        apart = layer.weight_quant.adapter["binary"] - layer.weight
        assert float(apart.detach().square().mean()) > 0
    # A network with both kinds of channels says the same on its own.
    mixed = {name: tuple(1 + row % 2 for row in range(len(layer.weight))) for name, layer in layers.items()}
    chosen = Assignment(mixed, problem.space.uniform(2, 2).activations)
    supernet.choose(network, chosen)
    images = data.load(MODEL.dataset).x_train[:100]
    found = golden.run(candidate_graph(MODEL, network, chosen), images).argmax(1)
    with torch.no_grad():
        expected = plain(network(to_tensor(images, MODEL.input_scale))).argmax(1).numpy()
    assert np.mean(found == expected) > 0.97
    with torch.no_grad():
        for layer in layers.values():
            layer.weight_quant.adapter["binary"].copy_(layer.weight)
    shared = golden.run(candidate_graph(MODEL, network, chosen), images).argmax(1)
    assert np.mean(shared == expected) < np.mean(found == expected)


def test_a_board_keeps_its_sizes(problem: Problem, focused: Problem) -> None:
    start = Path(accuracies(problem).accuracies.folder)
    options = Options(cycles=5000, lut=40_000)
    sized = prepare.problem_of(MODEL, start, boards.load("pynq-z2"), options, Objective(), BUDGET)
    one = sized.space.uniform(2, 2)
    both = prepare.with_room(prepare.focused(sized, MODEL, start.parent, between(sized), 4, progress=False))
    assert both.evaluator.cost(one) == sized.evaluator.cost(one) != {}
    # The same networks are drawn as for the same budget without a board.
    assert accuracies(both).accuracies.focused == accuracies(focused).accuracies.focused
    assert both.evaluator.accuracy(one) == focused.evaluator.accuracy(one)


def test_all_that_is_trained_is_within_the_focus(
    problem: Problem, focused: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = accuracies(focused).accuracies
    assert own.focused is not None
    least, most = between(problem)
    taken: list[int] = []
    real, space = supernet.choose, problem.space

    def choose(network: object, choice: Choice | None) -> None:
        if choice is not None:
            taken.append(space.bit_operations(Assignment(choice.weights, choice.activations)))
        real(network, choice)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(supernet, "choose", choose)
        # A folder of its own: it is trained again, after an interruption, to the same weights.
        steps = iter(range(50))
        patch.setattr(Progress, "step", lambda self: next(steps))
        with pytest.raises(StopIteration):
            prepare.focused(problem, MODEL, tmp_path, (least, most), 4, progress=False)
    assert len(taken) == 3 * 51
    assert least <= min(taken) < BUDGET < max(taken) <= most
    assert len(set(taken)) > 100
    # In the middle of the second epoch.
    assert [path.name for path in tmp_path.glob("*/*")] == [supernet.STATE]
    again = prepare.focused(problem, MODEL, tmp_path, (least, most), 4, progress=False)
    found = accuracies(again).accuracies.focused
    assert found is not None
    assert Path(found, supernet.FINAL).read_bytes() == Path(own.focused, supernet.FINAL).read_bytes()


def test_a_focused_supernet_needs_the_bit_operations_of_choices(problem: Problem, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the bit operations of choices"):
        supernet.train(MODEL, tmp_path, supernet.FocusedRecipe(least=1, most=2), progress=False)
    with pytest.raises(UserError, match="holds no supernet"):
        accuracies(problem).with_focused(tmp_path).accuracy(problem.space.uniform(1, 1))
