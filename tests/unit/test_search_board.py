"""Candidates of a model on a board: graphs of the supernet's weights, costs, and what strategies measure."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from codesign import boards, data, zoo
from codesign.backends.rtl.options import Options
from codesign.errors import UserError
from codesign.estimate.corrections import Correction
from codesign.ir import golden
from codesign.ir.ops import Conv2d, Threshold
from codesign.quant.switchable import SwitchableWeights, activation_layers, weight_layers
from codesign.search import code_version, prepare, strategies
from codesign.search.board_evaluator import BoardEvaluator
from codesign.search.evaluate import evaluate
from codesign.search.problem import Constraint, Objective, Problem
from codesign.search.run import search
from codesign.search.space import Assignment, Space
from codesign.search.supernet import ModelEvaluator
from codesign.train.supernet import SupernetRecipe

BOARD = boards.load("pynq-z2")
RECIPE = SupernetRecipe(epochs=1, subnets=1, post=True)


@pytest.fixture(scope="module", autouse=True)
def quick(uncompiled: None) -> Iterator[None]:
    """Sizes of layers are from a tenth of the estimates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("codesign.search.profile._DENSE", 1)
        yield


@pytest.fixture(scope="module")
def supernet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("supernets")
    return prepare.prepare_supernet(zoo.load("digits_cnn_w3"), folder, RECIPE, progress=False)


def made(supernet: Path, options: Options, **settings: object) -> Problem:
    model = zoo.load("digits_cnn_w3")
    return prepare.problem_of(model, supernet, BOARD, options, Objective(), **settings)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def problem(supernet: Path) -> Problem:
    return made(supernet, Options(cycles=5000))


@pytest.fixture(scope="module")
def evaluator(problem: Problem) -> BoardEvaluator:
    assert isinstance(problem.evaluator, BoardEvaluator)
    return problem.evaluator


def several(space: Space) -> Assignment:
    """Widths of all kinds: pruned, binary, POST."""
    return Assignment(
        {"depthwise": tuple(i % 6 for i in range(16)), "pointwise": tuple((i + 2) % 9 for i in range(32))},
        {"act1": 4, "act2": 2},
        {"depthwise": "post"},
    )


def test_the_supernet_lies_where_its_content_says(supernet: Path) -> None:
    model = zoo.load("digits_cnn_w3")
    assert prepare.prepare_supernet(model, supernet.parent, RECIPE, progress=False) == supernet
    other = SupernetRecipe(epochs=1, subnets=1, post=True, weight_bits=(1, 2))
    assert prepare.prepare_supernet(model, supernet.parent, other, progress=False) != supernet


def test_the_graph_of_a_candidate_decides_as_the_supernet_does(supernet: Path, evaluator: BoardEvaluator) -> None:
    own = ModelEvaluator("digits_cnn_w3", supernet, calibration=0)
    dataset = data.load("digits")
    model = zoo.load("digits_cnn_w3")
    assert model.recipe is not None
    _, held = dataset.split(model.recipe.validation, model.recipe.seed)
    for chosen in (own.space.uniform(4, 4), own.space.uniform(3, 2), several(own.space)):
        graph = own.graph(chosen)
        answers = golden.run(graph, dataset.x_train[held]).reshape(len(held), -1).argmax(1)
        accuracy = 100 * np.mean(answers == dataset.y_train[held])
        assert accuracy == pytest.approx(own.accuracy(chosen), abs=1.01)


def test_the_graph_of_a_candidate_has_its_widths(evaluator: BoardEvaluator) -> None:
    chosen = several(evaluator.space)
    graph = evaluator.accuracies.graph(chosen)
    layers = {node.label: node for node in graph if isinstance(node.op, Conv2d)}
    uniform = layers["pointwise"].op
    assert isinstance(uniform, Conv2d)
    for channel, bits in enumerate(chosen.weights["pointwise"]):
        values = uniform.values()[..., channel]
        most = 2 ** (bits - 1) - 1 if bits > 1 else bits
        assert np.abs(values).max() <= most
        assert bits < 2 or np.abs(values).max() > 0
    post = layers["depthwise"].op
    assert isinstance(post, Conv2d)
    assert post.codebook is not None
    assert all(
        (np.count_nonzero(post.values()[..., c]) == 0) == (b == 0) for c, b in enumerate(chosen.weights["depthwise"])
    )
    widths = [graph.edges[node.name].type.bits for node in graph if isinstance(node.op, Threshold)]
    assert widths == [4, 2]


def test_graphs_do_not_depend_on_what_came_before(evaluator: BoardEvaluator) -> None:
    from codesign.ir import digest

    space = evaluator.space
    first = digest(evaluator.accuracies.graph(space.uniform(4, 4)))
    evaluator.accuracy(space.uniform(2, 2))
    evaluator.sensitivity()
    assert digest(evaluator.accuracies.graph(space.uniform(4, 4))) == first


def test_costs_are_within_the_constraint_and_fall_with_the_widths(problem: Problem, evaluator: BoardEvaluator) -> None:
    space = evaluator.space
    assert problem.constraint.limits["cycles_per_frame"] == 5000
    wide, narrow = evaluator.cost(space.uniform(8, 8)), evaluator.cost(space.uniform(2, 2))
    assert wide["lut"] > narrow["lut"]
    assert set(wide) == {"lut", "ff", "bram36", "dsp", "cycles_per_frame"}
    found = evaluate(problem, several(space))
    assert not problem.constraint.exceeded(found.bit_operations, found.cost)
    assert found.cost == pickle.loads(pickle.dumps(evaluator)).cost(several(space))  # noqa: S301


def test_limits_that_bind_are_kept_to(supernet: Path) -> None:
    small = msgspec.structs.replace(BOARD, lut=1500, name="small")
    model = zoo.load("digits_cnn_w3")
    tight = prepare.problem_of(model, supernet, small, Options(cycles=3000, dsp=2), Objective(), 900_000)
    assert tight.constraint.limits["dsp"] == 2
    found = evaluate(tight, tight.space.uniform(8, 8))
    assert found.repaired
    assert found.cost["lut"] <= 1500
    assert found.cost["dsp"] <= 2
    assert found.cost["cycles_per_frame"] <= 3000
    assert found.bit_operations <= 900_000
    part = prepare.problem_of(model, supernet, BOARD, Options(cycles=3000, lut=1500), Objective())
    assert part.constraint.limits["lut"] == 1500
    best = search(part, "profiled", evaluations=8).best
    assert best is not None
    assert best.cost["lut"] <= 1500
    assert best.cost["dsp"] > 3
    hopeless = prepare.problem_of(model, supernet, BOARD, Options(cycles=10), Objective())
    with pytest.raises(UserError, match=r"even the narrowest widths take .* cycles per frame"):
        evaluate(hopeless, hopeless.space.uniform(2, 2))


@pytest.mark.parametrize(("board", "lut"), [("icebreaker", 4200), ("tang-nano-20k", 3500), ("ulx3s-12f", 4000)])
def test_limits_of_boards_with_smaller_tables_are_kept_to(supernet: Path, board: str, lut: int) -> None:
    device = boards.load(board)
    problem = prepare.problem_of(
        zoo.load("digits_cnn_w3"), supernet, device, Options(cycles=9216, lut=lut), Objective()
    )
    wide = problem.evaluator.cost(problem.space.uniform(8, 8))
    assert wide["lut"] > lut
    best = search(problem, "greedy", evaluations=3).best
    assert best is not None
    assert best.cost["lut"] <= lut
    assert best.cost["cycles_per_frame"] <= 9216
    assert best.cost["dsp"] <= device.dsp
    assert not problem.constraint.exceeded(best.bit_operations, best.cost)


def test_room_is_kept_for_what_training_changes(supernet: Path, problem: Problem) -> None:
    limited = made(supernet, Options(cycles=3000, lut=1500), bit_operations=900_000)
    roomy = prepare.with_room(limited)
    evaluator = roomy.evaluator
    assert isinstance(evaluator, BoardEvaluator)
    assert evaluator.options == Options(cycles=3000, lut=1470)
    assert roomy.constraint == Constraint(900_000, {**limited.constraint.limits, "lut": 1470.0})
    assert roomy.digest() != limited.digest()
    found = evaluate(roomy, roomy.space.uniform(2, 2))
    assert found.cost["lut"] <= 1470
    # Without a limit given, that of the board gives way; folding leaves more than that free in any case.
    of_board = prepare.with_room(problem)
    assert of_board.constraint.limits["lut"] == 52_136  # of 53,200
    assert of_board.evaluator is problem.evaluator
    assert of_board.reserve == 1064
    # One that is no limit, since the board has no more, stays none.
    whole = prepare.with_room(made(supernet, Options(cycles=5000, lut=BOARD.lut)))
    assert isinstance(whole.evaluator, BoardEvaluator)
    assert whole.evaluator.options.lut == BOARD.lut
    free = dataclasses.replace(problem, constraint=Constraint(900_000))
    assert prepare.with_room(free) is free


def test_a_limit_that_only_the_room_exceeds_is_told_as_such(supernet: Path) -> None:
    unlimited = made(supernet, Options(cycles=3000, dsp=0))
    least = unlimited.evaluator.cost(unlimited.space.uniform(0, 1))["lut"]
    limited = made(supernet, Options(cycles=3000, dsp=0, lut=int(least)))
    evaluate(limited, limited.space.uniform(0, 1))
    roomy = prepare.with_room(limited)
    with pytest.raises(UserError, match=r"take [\d,]+ lut, more than [\d,]+: of the [\d,]+ allowed"):
        evaluate(roomy, roomy.space.uniform(0, 1))


def test_the_identity_tells_problems_apart(supernet: Path, problem: Problem) -> None:
    assert made(supernet, Options(cycles=5000)).digest() == problem.digest()
    others = [
        made(supernet, Options(cycles=5001)),
        made(supernet, Options(fastest=True)),
        made(supernet, Options(cycles=5000, dsp=0)),
        made(supernet, Options(cycles=5000, lut=9000)),
        made(supernet, Options(cycles=5000), images=50),
        made(supernet, Options(cycles=5000), fine_tuning=3),
        made(supernet, Options(cycles=5000), bit_operations=10**6),
    ]
    assert len({one.digest() for one in [*others, problem]}) == 8


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy_finds_something(supernet: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What each of them measures, it gets; what it asks for, there is."""
    from codesign.search.strategies import autoqb

    monkeypatch.setattr(autoqb, "_STEPS", 2)
    monkeypatch.setattr(autoqb, "_PRACTICE", 20)
    own = made(supernet, Options(cycles=9216), bit_operations=900_000, images=50)
    # Costs are tested elsewhere.
    monkeypatch.setattr(BoardEvaluator, "cost", lambda self, one: dict.fromkeys(own.constraint.limits, 0.0))
    settings = {"nipq": {"steps": 2}, "qbitopt": {"rounds": 2}}.get(name)
    found = search(own, name, evaluations=4, options=settings)
    assert found.best is not None
    assert all(one.bit_operations <= 900_000 for one in found.evaluations)
    for one in found.evaluations:
        own.space.check(one.assignment)


def test_tables_are_those_of_their_definition(evaluator: BoardEvaluator) -> None:
    space, loaded = evaluator.space, evaluator.accuracies._loaded
    table = evaluator.distortion()
    layer = weight_layers(loaded.network)["pointwise"]
    # Steps of the least squared error, which those that are learned no longer are.
    fresh = SwitchableWeights(layer.weight, layer.weight_quant.bits, post=True)
    assert not torch.allclose(fresh.steps[3:], layer.weight_quant.steps[3:], rtol=1e-3)
    for scheme, bits in (("uniform", 3), ("post", 4), ("uniform", 0)):
        fresh.choose((bits,) * 32, scheme)
        error = (fresh(layer.weight) - layer.weight).detach().double().square().flatten(1).sum(1)
        np.testing.assert_allclose(table.weights[scheme]["pointwise"][:, bits], error.numpy(), rtol=1e-6)
    assert table.weights["post"]["pointwise"].shape == (32, 9)
    assert (table.activations["act1"][:-1] >= table.activations["act1"][1:]).all()
    rises = evaluator.sensitivity()
    assert rises.weights["uniform"]["depthwise"].shape == (16, 9)
    assert set(rises.weights) == set(space.schemes)


def test_squared_gradients_against_autograd(evaluator: BoardEvaluator) -> None:
    own = evaluator.accuracies
    loaded, space = own._loaded, own.space
    found = own.squared_gradients(space.uniform(4, 4), images=5)
    images, labels = loaded.examples(5)
    network = loaded.network
    layer, act = weight_layers(network)["pointwise"], activation_layers(network)["act2"]
    total, by_act = 0.0, 0.0
    with own._ready(space.uniform(4, 4)):
        loaded.calibrate(own.calibration)
        assert layer.frozen is not None
        layer.frozen.requires_grad_()
        seen = []
        hook = act.register_forward_hook(lambda _layer, _inputs, output: seen.append(output))
        for image, label in zip(images.split(1), labels.split(1), strict=True):
            loss = F.cross_entropy(network(image), label)
            by_weight, by_output = torch.autograd.grad(loss, [layer.frozen, seen.pop()])
            total += float(by_weight[7].double().square().sum())
            by_act += float(by_output.double().square().sum())
        hook.remove()
    assert found.weights["pointwise"][7] == pytest.approx(total / 5, rel=1e-3)
    assert found.activations["act2"] == pytest.approx(by_act / 5, rel=1e-3)


def test_curvature_is_the_mean_of_the_fisher_diagonal(evaluator: BoardEvaluator) -> None:
    own = evaluator.accuracies
    found = own.curvature(images=4)
    loaded = own._loaded
    with own._ready(None):
        loaded.calibrate(own.calibration)
        images, _ = loaded.examples(4)
        answers = loaded.network(images).detach().softmax(1)
        drawn = torch.multinomial(answers, 1, generator=torch.Generator().manual_seed(0))[:, 0]
        weight = weight_layers(loaded.network)["depthwise"].weight
        total = 0.0
        for image, label in zip(images.split(1), drawn.split(1), strict=True):
            (gradient,) = torch.autograd.grad(F.cross_entropy(loaded.network(image), label), [weight])
            total += float(gradient[3].double().square().sum())
    assert found.weights["depthwise"][3] == pytest.approx(total / 4 / 9, rel=1e-3)


def test_masks_move_the_answers_and_are_the_same_each_time(evaluator: BoardEvaluator) -> None:
    own = evaluator.accuracies
    found = own.masking(64)
    assert found == own.masking(64)
    assert set(found) == {layer.name for layer in own.space.layers}
    assert all(value > 0.01 for value in found.values())
    before = own.accuracy(own.space.uniform(4, 4))
    own.masking(64)
    assert own.accuracy(own.space.uniform(4, 4)) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"framework": "qkeras"}, "is of the framework qkeras; a search takes one of brevitas"),
        ({"recipe": None}, "holds out no training examples"),
        ({"path": "/nowhere/digits_cnn_w3.toml"}, "is not trained yet; run codesign train"),
    ],
)
def test_what_cannot_be_searched_is_told_first(change: dict[str, object], sentence: str) -> None:
    model = msgspec.structs.replace(zoo.load("digits_cnn_w3"), **change)
    with pytest.raises(UserError, match=sentence):
        prepare.require_searchable(model)


def test_where_no_synthesis_was_measured_bit_operations_alone_count(supernet: Path, problem: Problem) -> None:
    model, board = zoo.load("digits_cnn_w3"), msgspec.structs.replace(boards.load("zcu104"), family="versal")
    bare = prepare.problem_of(model, supernet, board, Options(), Objective(), 900_000)
    assert bare.constraint == Constraint(900_000)
    assert bare.digest() != problem.digest()
    found = evaluate(bare, bare.space.uniform(8, 8))
    assert found.repaired
    assert found.bit_operations <= 900_000
    assert found.cost == {}
    assert found.accuracy == problem.evaluator.accuracy(found.assignment)
    assert pickle.loads(pickle.dumps(bare.evaluator)).identity() == bare.evaluator.identity()  # noqa: S301
    assert [one for one in strategies.names() if not strategies.usable(one, type(bare.evaluator))] == ["ohq"]
    assert strategies.usable("ohq", type(problem.evaluator))
    with pytest.raises(UserError, match="'ohq' needs layer costs, which is not measured here"):
        strategies.make("ohq", bare, 0, 1, {})
    best = search(bare, "greedy", evaluations=2).best
    assert best is not None
    assert best.cost == {}


def test_costs_are_corrected_by_reports_of_the_same_design(supernet: Path, tmp_path: Path) -> None:
    correction = Correction(
        tmp_path / "vivado-zynq-7000.toml",
        "vivado",
        ["2024.1"],
        {"lut": 1.5, "ff": 1.0, "bram36": 1.0, "dsp": 1.0},
        {},
        {},
        {"lut": 1.0, "ff": 1.0},
        reports=1,
        nodes=6,
    )
    problem = made(supernet, Options(cycles=4999))
    corrected = made(supernet, Options(cycles=4999), correction=correction)
    asked = problem.space.uniform(3, 3)
    plain, found = problem.evaluator.cost(asked), corrected.evaluator.cost(asked)
    assert found["lut"] == pytest.approx(1.5 * plain["lut"], abs=2)
    assert found["ff"] == plain["ff"]
    sizes, plain_sizes = (each.evaluator.pair_costs() for each in (corrected, problem))
    assert sizes.lut.rest == pytest.approx(1.5 * plain_sizes.lut.rest)
    assert sizes.lut.layers["uniform"]["depthwise"] == pytest.approx(
        1.5 * plain_sizes.lut.layers["uniform"]["depthwise"]
    )
    assert sizes.dsp.rest == plain_sizes.dsp.rest
    again = pickle.loads(pickle.dumps(corrected.evaluator))  # noqa: S301 - our own
    assert again.cost(asked) == found
    assert corrected.digest() != problem.digest()


def test_another_version_of_the_code_is_another_problem(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    before = problem.digest()
    monkeypatch.setattr("codesign.search.accuracy_evaluator.code_digest", lambda: "of another version")
    assert problem.digest() != before


def test_the_version_is_that_of_what_evaluates_and_not_of_what_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("search/repair.py", "search/strategies/haq.py", "estimate/blocks/add.py", "cli/main.py", "zoo.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n")
    monkeypatch.setattr(code_version.codesign, "__path__", [str(tmp_path)])
    found = []
    for name in ("search/strategies/haq.py", "cli/main.py", "search/repair.py", "estimate/blocks/add.py", "zoo.py"):
        (tmp_path / name).write_text("x = 2\n")
        found.append(code_version.code_digest.__wrapped__())
    assert found[0] == found[1]
    assert len(set(found)) == 4


def test_sizes_are_those_of_designs_that_use_blocks_where_tables_are_few(evaluator: BoardEvaluator) -> None:
    def asked(**options: int) -> Options:
        return BoardEvaluator(evaluator.accuracies, BOARD, Options(cycles=5000, **options))._for_sizes

    assert asked() == asked(lut=BOARD.lut) == Options(cycles=5000)
    assert asked(lut=1000) == asked(lut=2000) == Options(cycles=5000, dsp=BOARD.dsp)
    assert asked(lut=1000, dsp=3) == Options(cycles=5000, dsp=3)
    # There, outputs would share blocks.
    other = BoardEvaluator(evaluator.accuracies, boards.load("ulx3s-85f"), Options(cycles=5000, lut=1000))
    assert other._for_sizes == Options(cycles=5000)


def test_sizes_of_layers_add_up_to_what_is_estimated_and_are_kept(
    problem: Problem, evaluator: BoardEvaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, where = evaluator.pair_costs(), problem.space
    blockless = BoardEvaluator(evaluator.accuracies, BOARD, Options(cycles=5000, dsp=0))
    assert found.bare is not None
    for bits, read in ((1, 1), (1, 8), (8, 1), (8, 8)):
        row, column = where.weight_bits.index(bits), where.activation_bits.index(read)
        cost, bare = evaluator.cost(where.uniform(bits, read)), blockless.cost(where.uniform(bits, read))
        for own, of, name in ((found.lut, cost, "lut"), (found.dsp, cost, "dsp"), (found.bare, bare, "lut")):
            total = own.rest + sum(rows[row, column] for rows in own.layers["uniform"].values())
            total += sum(values[column] for values in own.activations.values())
            assert total == pytest.approx(of[name], abs=1)
    monkeypatch.setattr("codesign.search.profile.pair_costs", lambda *_: 1 / 0)
    again = evaluator.pair_costs()
    for old, new in ((found.lut, again.lut), (found.dsp, again.dsp)):
        assert all(np.array_equal(new.layers["post"][name], rows) for name, rows in old.layers["post"].items())
        assert new.rest == old.rest
