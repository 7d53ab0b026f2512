"""The end of a search: which candidates are trained, what counts, and where the model is written."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from codesign import boards, zoo
from codesign.backends.rtl.options import Options
from codesign.cli import search_options
from codesign.errors import UserError
from codesign.search import finalists, publish
from codesign.search.finish import MOST_MISSES, Finish, Trained
from codesign.search.problem import Evaluation, Objective
from tests.unit.search_problem import problem

SOURCE = zoo.load("digits_cnn_w3")
PROBLEM = problem()
FOCUS = (100, 200)
ASKED = publish.asked(PROBLEM, FOCUS, 6)


@dataclass(frozen=True)
class Pretended(Finish):
    """Trains nothing: by number of bit operations, what held-out examples say and whether it is too large."""

    after: dict[int, tuple[float, bool]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def trained(self, one: Evaluation, measuring: Any) -> Trained:
        self.asked.append(one.bit_operations)
        accuracy, large = self.after.get(one.bit_operations, (50.0, False))
        return Trained(
            one,
            msgspec.structs.replace(one, accuracy=accuracy),
            SOURCE,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            {"lut": (2.0, 1.0)} if large else {},
        )


def pretended(after: dict[int, tuple[float, bool]]) -> tuple[Pretended, list[Evaluation]]:
    made = problem()
    recipe = SOURCE.recipe
    assert recipe is not None
    finish = Pretended(
        made, SOURCE, boards.load("pynq-z2"), Options(), "new", Path("none"), recipe, Path("none"), after=after
    )
    found = [
        Evaluation(made.space.uniform(bits, bits), 60.0 + bits, 100 + bits) for bits in (3, 1, 8, 5, 4, 2, 8, 6, 7)
    ]
    return finish, found


def test_the_best_are_trained_once_each_and_held_out_examples_decide():
    finish, found = pretended({108: (71.0, False), 107: (75.0, False), 106: (73.0, False)})
    best, trained = finish.best(found, 3, contextlib.nullcontext)  # type: ignore[arg-type]
    assert finish.asked == [108, 107, 106]
    assert len(trained) == 3
    assert best.proposed.bit_operations == 107


def test_what_is_too_large_once_trained_counts_for_nothing():
    finish, found = pretended({108: (99.0, True), 106: (99.0, True)})
    best, trained = finish.best(found, 2, contextlib.nullcontext)  # type: ignore[arg-type]
    assert finish.asked == [108, 107, 106, 105]
    assert not best.exceeded
    assert best.proposed.bit_operations == 105  # of the same accuracy, fewer bit operations
    assert len(trained) == 4


def test_a_search_gives_up_where_all_are_too_large():
    finish, found = pretended(dict.fromkeys(range(200), (99.0, True)))
    best, _ = finish.best(found, 1, contextlib.nullcontext)  # type: ignore[arg-type]
    assert best.exceeded
    assert best.proposed.bit_operations == 108
    assert len(finish.asked) == MOST_MISSES + 1


def test_further_finalists_are_of_other_kinds():
    finish, _ = pretended({})
    space = finish.problem.space

    def candidate(weights: int, activations: int, accuracy: float, spoilt: int = 0) -> Evaluation:
        one = space.uniform(weights, activations)
        name = space.layers[0].name
        bits = (max(1, weights - 1),) * spoilt + one.weights[name][spoilt:]
        one = msgspec.structs.replace(one, weights={**one.weights, name: bits})
        return Evaluation(one, accuracy, 100 * weights + 10 * activations + spoilt)

    # Those around the best one differ by parts of a bit; one bit more of all activations is another kind.
    found = [candidate(2, 2, 80.0 - spoilt, spoilt) for spoilt in range(3)]
    mixed = candidate(1, 5, 75.0)
    reads = {**mixed.assignment.activations, space.activations[0].name: 4}
    mixed = msgspec.structs.replace(
        mixed, assignment=msgspec.structs.replace(mixed.assignment, activations=reads), bit_operations=149
    )
    found += [candidate(1, 4, 76.0), mixed, candidate(1, 5, 74.0), candidate(3, 1, 70.0)]
    finish.best(found, 4, contextlib.nullcontext)  # type: ignore[arg-type]
    assert finish.asked == [220, 140, 150, 310]
    # The best of all where no other kind is left, and what is too large once trained does not stand for its kind.
    finish, _ = pretended({220: (99.0, True)})
    finish.best(found, 6, contextlib.nullcontext)  # type: ignore[arg-type]
    assert finish.asked == [220, 221, 140, 150, 310, 222, 149]


def test_finalists_are_told_beside_one_another():
    from codesign.cli import search_words

    finish, found = pretended({108: (71.0, True), 107: (75.0, False)})
    best, trained = finish.best(found, 2, contextlib.nullcontext)  # type: ignore[arg-type]
    (shown,) = search_words.finalists(best, trained)
    cells = [list(map(str, column.cells)) for column in shown.columns]
    assert cells[0] == ["1", "2", "3"]
    assert cells[1:4] == [["68.00", "67.00", "66.00"], ["–"] * 3, ["71.00", "75.00", "50.00"]]
    assert cells[6] == cells[7] == ["8.00", "7.00", "6.00"]
    assert cells[8] == ["0"] * 3
    assert cells[9] == ["too large", "the best", ""]
    assert search_words.finalists(best, [best]) == []
    schemes = {layer.name: "post" for layer in finish.problem.space.layers[:1]}
    proposed = best.proposed
    proposed = msgspec.structs.replace(
        proposed, assignment=msgspec.structs.replace(proposed.assignment, schemes=schemes)
    )
    (shown,) = search_words.finalists(best, [replace(best, proposed=proposed), best])
    assert [*map(str, shown.columns[8].cells)] == ["1", "0"]


def test_what_exceeds_and_what_differs_is_said():
    from codesign.cli import search_words
    from codesign.verify.compare import FirstDifference, VerifyResult

    finish, found = pretended(dict.fromkeys(range(200), (99.0, True)))
    best = replace(
        finish.best(found, 1, contextlib.nullcontext)[0],  # type: ignore[arg-type]
        exceeded={"lut": (2100.0, 2000.0), "bram36": (4.5, 4.0), "bit_operations": (11.0, 10.0)},
    )
    said = search_words.what_exceeds(best)
    assert (
        "takes 2,100 LUT where 2,000 are allowed, 4.5 BRAM36 where 4 are allowed, 11 bit operations where 10 are"
        in said
    )
    assert "Nothing was written" in said
    first = FirstDifference("n3", "conv2d", "conv", (0, 1), 5, 6)
    said = search_words.what_differs(best, VerifyResult(1234, 16, 9, 5000, first))
    assert said.startswith("digits_cnn_w3: the hardware differs from the golden executor in 1,234 integers, first")
    assert str(first) in said


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({}, " --fastest"),
        ({"cycles": 9216}, " --cycles 9216"),
        ({"frames_per_second": 1250.5, "dsp": 0}, " --fps 1250.5 --dsp 0"),
        ({"cycles": 9216, "lut": 5000}, " --cycles 9216 --lut 5000"),
    ],
)
def test_what_was_published_comes_with_the_next_command(given: dict[str, Any], options: str):
    from codesign.cli import search_words
    from codesign.verify.compare import VerifyResult

    finish, found = pretended({})
    best, _ = finish.best(found, 1, contextlib.nullcontext)  # type: ignore[arg-type]
    work = SimpleNamespace(board=boards.load("pynq-z2"))
    estimate = SimpleNamespace(lut=(1000.4, 1200.6))
    asked = {"cycles": None, "frames_per_second": None, "dsp": None, "lut": None, **given}
    same = VerifyResult(0, 16, 9, 5000, None)
    sized = replace(best, estimate=estimate)  # type: ignore[arg-type]
    trained, equal, there = search_words.published(sized, same, work, Path("new.toml"), asked)  # type: ignore[arg-type]
    assert trained.endswith("108 bit operations by estimate (1,000 to 1,201 LUT).")
    assert equal == "5,000 integers on 9 edges equal the golden executor (16 vectors)."
    command = "codesign synth digits_cnn_w3 --backend rtl --board pynq-z2"
    assert there == f"The model is new.toml. Next: {command}{options}"
    # An earlier one by that name is told, and where it still is.
    earlier = SimpleNamespace(
        measured=SimpleNamespace(checkpoint_sha256="0"), result=SimpleNamespace(validation_accuracy=97.125)
    )
    told = search_words.published(best, same, work, Path("new.toml"), asked, earlier)  # type: ignore[arg-type]
    assert told[1].startswith(
        "It replaces what an earlier search had found, which has 97.12 % on held-out examples and is"
    )
    assert str(Path(best.model.path).parents[1]) in told[1]
    assert len(search_words.published(best, same, work, Path("new.toml"), asked, best.model)) == 3  # type: ignore[arg-type]
    # Where no synthesis was measured, nothing is known of speed.
    trained, _, there = search_words.published(best, same, work, Path("new.toml"), asked)  # type: ignore[arg-type]
    assert "estimate" not in trained
    parts = "".join(f" --{key} {asked[key]}" for key in ("dsp", "lut") if asked[key] is not None)
    assert there == f"The model is new.toml. Next: {command}{parts}"


def test_the_distance_of_candidates_is_told_in_bits():
    space = PROBLEM.space
    one = space.uniform(2, 2)
    assert finalists.distance(one, one) == 0
    assert finalists.distance(one, space.uniform(1, 4)) == finalists.distance(space.uniform(1, 4), one) == 3
    name = space.layers[0].name
    half = tuple(bits + place % 2 for place, bits in enumerate(one.weights[name]))
    other = msgspec.structs.replace(one, weights={**one.weights, name: half})
    assert finalists.distance(one, other) == pytest.approx((np.mean(half) - 2) / len(space.layers))
    post = msgspec.structs.replace(one, schemes={layer.name: "post" for layer in space.layers})
    assert finalists.distance(one, post) == 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("CODESIGN_MODELS", str(folder))
    return folder


def trained_model(folder: Path) -> zoo.Model:
    folder.mkdir()
    (folder / "new.toml").write_bytes(Path(SOURCE.path).read_bytes())
    (folder / "new.safetensors").write_bytes(SOURCE.checkpoint_path.read_bytes())
    return zoo.read(folder / "new.toml")


def test_a_model_is_written_whole_and_replaced_by_its_own_search_alone(home: Path, tmp_path: Path):
    from codesign.verify import vectors

    folder, model = tmp_path / "search", trained_model(tmp_path / "trained")
    document = vectors.record(model.graph(), None, 2)
    path = publish.require_free("new", folder)
    written = publish.publish(model, ASKED, document, path, folder)
    assert (written.path, written.measured) == (str(home / "new.toml"), model.measured)
    assert vectors.changes(written.graph(), vectors.load(home / "new.vectors.json"), None) == []
    assert publish.require_free("new", folder) == path
    publish.require_same(ASKED, path, folder)
    publish.require_same(publish.asked(problem(), FOCUS, 6), home / "newer.toml", folder)
    aims = replace(PROBLEM, objective=Objective.parse("accuracy,lut=0.1"))
    others = [publish.asked(one, FOCUS, 6) for one in (problem(budget=0.5), aims)]
    others += [publish.asked(PROBLEM, focus, 5) for focus in (FOCUS, (100, 201), None)]
    assert publish.asked(PROBLEM, None, 5) == publish.asked(PROBLEM, None, 6)
    for another in others:
        with pytest.raises(UserError, match="new was found with other options or by another version"):
            publish.require_same(another, path, folder)
    with pytest.raises(UserError, match=r"new is another model, in .*; choose another name by --name"):
        publish.require_free("new", tmp_path / "other")
    path.write_text(path.read_text() + "# changed\n")
    with pytest.raises(UserError, match="new is another model"):
        publish.require_free("new", folder)


def killed_after(writes: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many files be written and no more."""
    real, done = publish.atomic_write, []

    def write(target: Any, content: Any) -> None:
        if len(done) == writes:
            raise KeyboardInterrupt
        done.append(target)
        real(target, content)

    patch.setattr(publish, "atomic_write", write)


def test_a_kill_before_the_model_file_is_written_leaves_the_name_free(home: Path, tmp_path: Path, monkeypatch):
    from codesign.verify import vectors

    folder, model = tmp_path / "search", trained_model(tmp_path / "trained")
    document = vectors.record(model.graph(), None, 2)
    path = publish.require_free("new", folder)
    for left in range(3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            killed_after(left, patch)
            publish.publish(model, ASKED, document, path, folder)
        assert publish.require_free("new", folder) == path
        assert not path.exists()
    publish.publish(model, ASKED, document, path, folder)
    # The same where a model of this search is replaced by another.
    zoo.record(model, {"accuracy": 12.5})
    for left in range(3):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            killed_after(left, patch)
            publish.publish(zoo.read(Path(model.path)), ASKED, document, path, folder)
        assert publish.require_free("new", folder) == path
    (folder / "published.json").write_text("[]")
    with pytest.raises(UserError, match="another model"):
        publish.require_free("new", folder)
    assert json.loads((folder / "published.json").read_text()) == []


def test_a_source_that_is_not_known_by_its_name_is_refused(tmp_path: Path):
    publish.require_source(SOURCE)
    with pytest.raises(UserError, match="set CODESIGN_MODELS to"):
        publish.require_source(trained_model(tmp_path / "trained"))
    copied = msgspec.structs.replace(SOURCE, path=str(tmp_path / "digits_cnn_w3.toml"))
    with pytest.raises(UserError, match="set CODESIGN_MODELS to"):
        publish.require_source(copied)


@pytest.mark.parametrize(
    ("text", "number"), [("50M", 50_000_000), ("1.5k", 1500), ("12345", 12345), ("2G", 2 * 10**9), (None, None)]
)
def test_budgets_are_numbers_with_units(text: str | None, number: int | None):
    assert search_options.operations(text) == number


@pytest.mark.parametrize("text", ["", "M", "-5", "0", "1e6", "5 M M", "٣", "0.0001"])
def test_other_budgets_are_refused(text: str):
    with pytest.raises(UserError, match="--budget is a number of bit operations"):
        search_options.operations(text)


def test_widths_are_ranges_and_lists():
    assert search_options.widths("0-8", "--weight-bits", 0) == tuple(range(9))
    assert search_options.widths("2,8,4", "--weight-bits", 0) == (2, 4, 8)
    assert search_options.widths("0, 1-3", "--weight-bits", 0) == (0, 1, 2, 3)
    for text in ("", "1-", "4-2", "a", "0-9", "1,,2"):
        with pytest.raises(UserError, match="--weight-bits are widths from 0 to 8"):
            search_options.widths(text, "--weight-bits", 0)
    for text in ("0,1", "5"):
        with pytest.raises(UserError, match="leaves nothing to choose"):
            search_options.widths(text, "--weight-bits", 0)


def test_settings_of_a_strategy():
    assert search_options.settings(("granularity=layer", "a=b=c")) == {"granularity": "layer", "a": "b=c"}
    for texts in (("granularity",), ("=4",), ("a=1", "a=2")):
        with pytest.raises(UserError, match="KEY=VALUE"):
            search_options.settings(texts)
