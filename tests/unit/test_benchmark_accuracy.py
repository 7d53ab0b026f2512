"""The accuracy benchmark: its statistics, its runs and their resuming, its text and plot."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from brevitas.nn import QuantConv2d
from scipy import stats

from codesign import quant, zoo
from codesign.errors import DivergedError, UserError
from codesign.quant import apot, post, pot
from codesign.train.run import TrainResult

from .accuracy_bench import ROOT, bench, result, results_of

LANES = ("lsq", "brevitas_default", "dorefa", "pact", "pot", "post", "apot")

__all__ = ["bench"]


def test_quantiles_are_those_of_student(bench: ModuleType) -> None:
    expected = [stats.t.ppf(0.975, degrees) for degrees in range(1, len(bench.intervals.QUANTILES) + 1)]
    assert pytest.approx(expected, abs=6e-5) == bench.intervals.QUANTILES


def test_interval_by_hand(bench: ModuleType) -> None:
    # Mean 2, standard deviation 1, three values: half width 4.3027 / sqrt(3).
    found = bench.intervals.estimate([1.0, 2.0, 3.0])
    assert (found.n, found.mean) == (3, 2.0)
    assert (found.low, found.high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    one = bench.intervals.estimate([5.0])
    assert (one.mean, one.low, one.high) == (5.0, None, None)
    with pytest.raises(ValueError, match="not 0"):
        bench.intervals.estimate([])


def test_differences_are_paired_by_seed(bench: ModuleType) -> None:
    # The seeds differ by points, the methods by exactly 0.5: only pairing sees that.
    found = bench.intervals.paired({1: 80.5, 2: 85.5, 3: 90.5, 9: 0.0}, {1: 80.0, 2: 85.0, 3: 90.0, 4: 1.0})
    assert (found.n, found.mean, found.low, found.high) == (3, 0.5, 0.5, 0.5)
    assert bench.intervals.verdict(found) == "higher"
    assert bench.intervals.paired({1: 1.0}, {2: 1.0}) is None


def test_verdicts(bench: ModuleType) -> None:
    estimate = bench.intervals.Estimate
    verdict = bench.intervals.verdict
    assert verdict(None) == "missing"
    assert verdict(estimate(1, 3.0)) == "one seed"
    assert verdict(estimate(3, -1.0, -2.0, -0.1)) == "lower"
    assert verdict(estimate(3, 1.0, -0.1, 2.1)) == "open"


def test_rows_are_those_asked_for(bench: ModuleType) -> None:
    keys = [row.key for row in bench.rows.ROWS]
    assert len(set(keys)) == len(keys)
    methods = ["pact", "dorefa", "brevitas_default", "lsq", "lsq_distilled", "apot", "pot", "asq", "post", "asqpost"]
    expected = {f"{name}_w{bits}" for name in methods for bits in (4, 3, 2)}
    expected |= {"asq_continuous_w4", "sign_w1", "react_w1", "bitat_w1", "bitat_identity_w1"}
    expected |= {"bitat_react_w1", "qkeras_w4", "qkeras_w2", "lsq_fast_w4", "lsq_fast_w2"}
    # The same training as post_w2.
    expected -= {"pot_w2"}
    assert set(keys) == expected
    assert {row.name for row in bench.rows.ROWS} <= set(bench.plot.STYLE)
    asked = {key for c in bench.comparisons.comparisons() for key in (c.left, c.right)}
    assert asked <= expected


def test_model_files_are_read_and_differ_only_in_the_method(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    recipes = {}
    for run in bench.runs.plan([2]):
        model = store.model(run)
        assert model.recipe is not None
        assert (model.recipe.seed, model.recipe.validation, model.recipe.init_from) == (2, 0, "resnet8_fp")
        assert model.sibling("resnet8_fp").widths.is_float
        if run.row.framework == "brevitas" and not run.row.distilled:
            if run.row.name == "lsq_fast":
                assert model.recipe.step_rate == 10
                model = msgspec.structs.replace(model, recipe=msgspec.structs.replace(model.recipe, step_rate=0.2))
            recipes.setdefault(run.row.bits, set()).add(repr(model.recipe))
    assert {bits: len(found) for bits, found in recipes.items()} == {4: 1, 3: 1, 2: 1, 1: 1}
    asq = store.model(next(run for run in bench.runs.plan([1]) if run.row.key == "asqpost_w3"))
    assert (asq.method.weights, asq.method.activations, asq.method.activation_options) == (
        "post",
        "asq",
        {"entries": 16},
    )


def test_results_that_come_with_the_checkout_count(bench, tmp_path):
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    store = bench.runs.Store(mine, theirs)
    assert not store.commit(run)
    store.write(run, result(88.0, code="of an earlier version"))
    assert not store.commit(run)
    assert store.result(run)["accuracy"] == 88.0
    store.write(run, result(87.5, code=bench.versions.code_digest(run.row)))
    assert store.commit(run)
    assert not store.commit(run)
    elsewhere = bench.runs.Store(tmp_path / "elsewhere", theirs)
    assert elsewhere.current(run)["accuracy"] == 87.5
    # What the present code gave counts before what an earlier one gave, wherever it lies.
    elsewhere.write(run, result(80.0, code="of an earlier version"))
    assert elsewhere.result(run)["accuracy"] == 87.5


def test_plan_orders_chooses_and_shards(bench: ModuleType) -> None:
    plan = bench.runs.plan
    whole = plan([1, 2, 3])
    assert [run.seed for run in whole] == sorted(run.seed for run in whole)
    assert [run.name for run in whole[:2]] == ["lsq_w4_s1", "asq_w4_s1"]
    shards = [run.name for i in (1, 2, 3) for run in plan([1, 2, 3], shard=(i, 3))]
    assert sorted(shards) == sorted(run.name for run in whole)
    assert [run.name for run in plan([4], only=["bitat*"])] == [
        "bitat_w1_s4",
        "bitat_identity_w1_s4",
        "bitat_react_w1_s4",
    ]
    # Without seeds, those that each row of the table has.
    own = plan(None)
    assert [run.name for run in own[: len(whole)]] == [run.name for run in whole]
    assert [run.name for run in own[len(whole) :]] == [
        f"{name}_s{seed}"
        for seed in (4, 5)
        for name in ("lsq_w4", "pot_w4", "asqpost_w4", "bitat_w1", "bitat_identity_w1")
    ]
    with pytest.raises(UserError, match="no row is called 'lsq_w9'"):
        plan([1], only=["lsq_w4", "lsq_w9"])


def never(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
    raise AssertionError("trained again")


def test_a_run_is_trained_once_and_continues_in_its_folder(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    folders: list[Path] = []

    def killed(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
        folders.append(folder)
        folder.mkdir(parents=True)
        (folder / "state").write_text("epoch 4")
        raise KeyboardInterrupt

    def finishes(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
        folders.append(folder)
        assert (folder / "state").read_text() == "epoch 4"
        return {"accuracy": 87.5}

    with pytest.raises(KeyboardInterrupt):
        bench.runs.execute(store, run, killed)
    assert store.result(run) is None
    assert bench.runs.execute(store, run, finishes)["accuracy"] == 87.5
    assert folders[0] == folders[1]
    assert bench.runs.execute(store, run, never)["accuracy"] == 87.5
    # Another recipe is another run: neither result nor folder is taken for its own.
    longer = bench.runs.plan([1], epochs=20, only=["lsq_w4"])[0]
    assert store.result(longer) is None
    with pytest.raises(KeyboardInterrupt):
        bench.runs.execute(store, longer, killed)
    assert folders[2] != folders[0]


def test_a_training_that_diverges_is_a_result(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bench.runs.Store(tmp_path)
    run, other = bench.runs.plan([1, 2], only=["pact_w2"])

    def diverges(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
        raise DivergedError("the loss is no longer finite in epoch 2.")

    def refused(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
        raise UserError("the checkpoint is missing.")

    assert bench.runs.execute(store, run, diverges)["diverged"] == "the loss is no longer finite in epoch 2."
    assert bench.runs.outcome(store.result(run)) == "diverged"
    # What only could not be made is none.
    with pytest.raises(UserError, match="the checkpoint is missing"):
        bench.runs.execute(store, other, refused)
    assert store.result(other) is None
    # Another attempt would go the same way, so there is none.
    assert "diverged" in bench.runs.execute(store, run, never)
    lines: list[str] = []
    bench.pool.work(store, [run], 1, lambda run: pytest.fail("trained again"), lines.append)
    assert lines == ["1 runs, 1 done before"]
    assert bench.pool._outcome(store, run, bench.pool.DONE).endswith(
        ": diverged, 0.0 min: the loss is no longer finite in epoch 2."
    )
    # Until its code changes.
    monkeypatch.setattr(bench.runs, "code_digest", lambda row: "another")
    assert bench.runs.execute(store, run, lambda *_: {"accuracy": 80.0})["accuracy"] == 80.0


def test_a_run_calls_the_training_loop(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bench.runs.Store(tmp_path)
    first, second = bench.runs.plan([1], only=["pact_w4", "dorefa_w4"])

    def train(model: zoo.Model, folder: Path, threads: int, answers: Path) -> TrainResult:
        if model.method.activations == "dorefa":
            raise DivergedError("the loss is no longer finite in epoch 1.")
        assert (threads, answers) == (1, ROOT / "build" / "train" / "teacher")
        return TrainResult("a.safetensors", 87.25, None, 10_000, 1, 10, 77, 12, "digest")

    monkeypatch.setattr(bench.training, "train", train)
    monkeypatch.setattr("codesign.train.precision.has_bfloat16", lambda: False)
    with pytest.raises(UserError, match="trained in bfloat16, which this processor is not fast in"):
        bench.runs.execute(store, first)
    monkeypatch.setattr("codesign.train.precision.has_bfloat16", lambda: True)
    assert bench.runs.execute(store, first)["accuracy"] == 87.25
    assert bench.runs.execute(store, second)["diverged"] == "the loss is no longer finite in epoch 1."


def test_a_result_of_another_version_is_replaced(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    folders: list[Path] = []

    def trainer(model: zoo.Model, folder: Path, run: Any) -> dict[str, Any]:
        folders.append(folder)
        return {"accuracy": 80.0 + len(folders)}

    assert bench.runs.execute(store, run, trainer)["accuracy"] == 81.0
    monkeypatch.setattr(bench.runs, "code_digest", lambda row: "another")
    assert (store.result(run)["accuracy"], store.current(run)) == (81.0, None)
    started: list[Any] = []

    def start(run: Any) -> subprocess.Popen[bytes]:
        started.append(run)
        bench.runs.execute(store, run, trainer)
        return subprocess.Popen([sys.executable, "-S", "-c", ""])

    lines: list[str] = []
    assert bench.pool.work(store, [run], 1, start, lines.append, pause=0.01) == []
    assert (started, lines[0]) == ([run], "1 runs, 0 done before")
    assert store.current(run)["accuracy"] == 82.0
    assert folders[0] != folders[1]


def test_a_damaged_result_counts_as_none(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    store.write(run, {"accuracy": 1.0})
    assert store.result(run) is not None
    path = tmp_path / "results" / f"{run.name}.json"
    path.write_text(path.read_text()[:40])
    assert store.result(run) is None


def test_two_processes_do_not_train_the_same_run(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    with store.locked(run), pytest.raises(bench.runs.BusyError):
        bench.runs.execute(store, run, lambda model, folder, run: {"accuracy": 0.0})


def process(bench: ModuleType, store: Any, run: Any) -> subprocess.Popen[bytes]:
    """A process that does what the real one does, without training: it writes a result, refuses, or crashes."""
    code = {"pot": 2, "apot": 1}.get(run.row.name, 0)
    store.log(run).parent.mkdir(parents=True, exist_ok=True)
    store.log(run).write_text("first line\nthe last line\n")
    if code == 0:
        store.write(run, result(87.0, code=bench.versions.code_digest(run.row)))
    return subprocess.Popen([sys.executable, "-S", "-c", f"raise SystemExit({code})"])


def test_the_pool_goes_on_past_what_cannot_be_made(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bench.runs.Store(tmp_path)
    runs = bench.runs.plan([1], only=["lsq_w4", "asq_w4", "post_w4", "pot_w4", "apot_w4"])
    looks: list[str] = []

    def obstacle(store: Any, run: Any) -> str | None:
        looks.append(run.row.name)
        return "no such method yet" if run.row.name == "asq" and looks.count("asq") < 3 else None

    monkeypatch.setattr(bench.pool, "obstacle", obstacle)
    lines: list[str] = []
    store.write(runs[0], result(80.0, code=bench.versions.code_digest(runs[0].row)))
    failed = bench.pool.work(store, runs, 1, lambda run: process(bench, store, run), lines.append, pause=0.01)
    assert [run.row.name for run in failed] == ["apot"]
    assert lines[0] == "5 runs, 1 done before"
    assert lines[1] == "asq_w4_s1: skipped: no such method yet"
    assert "pot_w4_s1: skipped: the last line" in "\n".join(lines)
    assert "apot_w4_s1: failed: the last line" in "\n".join(lines)
    # The method that was missing at first came in time.
    assert {run.row.name for run in runs if store.result(run)} == {"lsq", "asq", "post"}


def test_a_missing_method_is_an_obstacle(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    lsq = bench.runs.plan([1], only=["lsq_w4"])[0]
    assert bench.pool.obstacle(store, lsq) is None
    future = bench.runs.Run(replace(lsq.row, weights="future"), 1)
    assert bench.pool.obstacle(store, future) == "there is no codesign/quant/future.py yet"


def test_the_digest_follows_imports(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in bench.rows.ROWS if row.key == "post_w4")

    def write(name: str, text: str) -> str:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return str(bench.versions.code_digest(row))

    monkeypatch.setattr(bench.versions, "PACKAGE", tmp_path)
    write("quant/grid", "LEVELS = 3\n")
    write("quant/late", "LATE = 1\n")
    write("quant/near", "NEAR = 1\n")
    write("train/run", "from codesign.train import ema, progress, keras_loop\n")
    for name in ("train/ema", "train/progress", "train/keras_loop", "quant/other"):
        write(name, "x = 1\n")
    text = (
        "from codesign.quant.grid import LEVELS\nfrom . import near\n\n\ndef f():{}\n    import codesign.quant.late\n"
    )
    first = write("quant/post", f'"""One."""\n{text.format("")}')
    assert write("quant/post", f'"""Two."""\n\n{text.format("  # a comment")}') == first
    for name in ("quant/other", "train/progress", "train/keras_loop"):
        assert write(name, "x = 2\n") == first
    found = {first}
    for name in ("quant/grid", "quant/late", "quant/near", "train/ema", "train/run", "quant/lsq", "data/cifar10"):
        found.add(write(name, "x = 2\n"))
    assert len(found) == 8


def test_the_digest_covers_what_trains_a_row(bench: ModuleType) -> None:
    def names(key: str) -> set[str]:
        return set(bench.versions.sources(next(row for row in bench.rows.ROWS if row.key == key)))

    modules = ("run", "batches", "optimizer", "precision", "recipe", "ema", "evaluate", "checkpoint")
    loop = {f"train.{name}" for name in modules}
    brevitas = loop | {"training", "quant.lsq", "quant.brevitas_layers", "quant.companion", "train.topologies.resnet8"}
    assert names("lsq_w4") >= brevitas | {"quant.quantizer", "quant.choice", "data.cifar10"}
    assert names("bitat_react_w1") >= brevitas | {"quant.bitat", "quant.react", "quant.sign"}
    assert names("asqpost_w4") >= brevitas | {"quant.asq", "quant.asq_adapter", "quant.post", "quant.codebook"}
    assert names("lsq_distilled_w4") - names("lsq_w4") == {"train.distillation"}
    assert not {name for name in names("lsq_w4") if "keras" in name or "post" in name}
    assert names("qkeras_w4") >= {
        "train.keras_loop",
        "train.keras_layers",
        "train.keras_topologies.resnet8",
        "training",
    }


def test_rows_of_an_earlier_version_are_named(bench: ModuleType) -> None:
    rows = {row.key: row for row in bench.rows.ROWS}
    fresh = results_of(bench, lsq_w4=(88.0, 88.1, 88.2))
    text = bench.table.markdown(bench.summary.summarise(fresh))
    assert "version" not in text
    old = [(rows["pot_w4"], seed, result(87.0 + seed / 10)) for seed in (1, 2, 3)]
    # A row whose seeds are of two versions counts those of the present one.
    mixed = [*results_of(bench, apot_w4=(87.0, 87.2)), (rows["apot_w4"], 3, result(10.0))]
    summary = bench.summary.summarise([*fresh, *old, *mixed])
    text = bench.table.markdown(summary)
    assert "Trained with an earlier version of code or start: POT at 4 bits." in text
    assert "Rows marked ‡ were trained with an earlier version of code or start." in text
    assert "| POT‡ | 87.20 | 3 |" in text
    assert "**POT at 4 bits loses** (POT at 4 bits trained with an earlier version of code or start)." in text
    assert "| APoT* | 87.10 | 2 |" in text
    assert "APoT at 4 bits: left out, as of another version of code or start: seed 3." in text
    assert "Trained with an earlier version of code or start: POT at 4 bits." in bench.plot.svg(summary, {})
    # Where none is of the present one, most seeds decide.
    old.append((rows["pot_w4"], 4, result(10.0, code="b")))
    text = bench.table.markdown(bench.summary.summarise([*fresh, *old]))
    assert "| POT‡ | 87.20 | 3 |" in text
    assert "POT at 4 bits: left out, as of another version of code or start: seed 4." in text


def test_a_row_with_a_diverged_seed_claims_nothing(bench: ModuleType) -> None:
    found = results_of(
        bench,
        lsq_w2=(84.0, 84.1, 84.2),
        pact_w2=(80.0, None, 80.1),
        dorefa_w2=(None, None, None),
        apot_w2=(82.0, 82.1, 82.2),
        lsq_w4=(88.0, 88.1, None),
        asqpost_w4=(88.0, 88.1, 88.2),
    )
    summary = json.loads(json.dumps(bench.summary.summarise(found)))
    text = bench.table.markdown(summary)
    assert "| PACT† | 80.05 | 2 of 3 | 80.00, diverged, 80.10 | -4.05 | – |" in text
    assert "| DoReFa† | – | 0 of 3 | diverged, diverged, diverged | – | – |" in text
    assert text.index("| APoT |") < text.index("| PACT† |") < text.index("| DoReFa† |")
    says = "-4.05 over 2 seeds that ended on both sides, 1 of 3 trainings of PACT at 2 bits diverged: no claim."
    assert f"PACT at 2 bits against LSQ at 2 bits, accuracy: {says}" in text
    says = "3 of 3 trainings of DoReFa at 2 bits diverged: no claim."
    assert f"DoReFa at 2 bits against LSQ at 2 bits, accuracy: {says}" in text
    assert "PACT at 2 bits, seed 2, diverged: the loss is no longer finite in epoch 3." in text
    # The reference diverged: its whole width claims nothing, margins neither.
    question = "ASQ + POST at 4 bits is at most 0.2 points below LSQ at 4 bits"
    assert f"{question}: +0.00 over 2 seeds that ended on both sides, 1 of 3 trainings of LSQ at 4 bits div" in text
    assert "**APoT at 2 bits loses**" in text
    by_row = {row["row"]: row for row in summary["rows"]}
    assert by_row["pact_w2"]["estimate"] == {"n": 2, "mean": 80.05, "low": None, "high": None}
    assert by_row["dorefa_w2"]["estimate"] is None
    assert summary["images"] == 10_000
    picture = bench.plot.svg(summary, {"xc7": {"uniform": {"2": 9.0}}})
    assert "the mark is the mean of the others: LSQ at 4 bits (1 of 3), PACT at 2 bits (1 of 3)." in picture
    assert "Not drawn, as every training diverged: DoReFa at 2 bits." in picture
    nothing = bench.summary.summarise(results_of(bench, dorefa_w2=(None,)))
    assert "| DoReFa*† | – | 0 of 1 | diverged | – | – |" in bench.table.markdown(nothing)
    assert "Not drawn" in bench.plot.svg(nothing, {})


def test_scaled_inputs_are_rounded_and_clipped(bench: ModuleType) -> None:
    scaled = bench.training.scaled
    x = np.array([0, 1, 2, 3, 127, 128, 255], np.uint8)
    assert scaled(x, 2.0, 8, False).tolist() == [0, 2, 4, 6, 254, 255, 255]
    assert scaled(x, 0.5, 8, False).tolist() == [0, 1, 1, 2, 64, 64, 128]
    assert scaled(np.array([-128, -1, 100], np.int8), 2.0, 8, True).tolist() == [-128, -2, 127]
    assert scaled(x, 2.0, 8, False).dtype == np.uint8


def test_what_the_table_says(bench: ModuleType) -> None:
    found = results_of(
        bench,
        lsq_w4=(87.0, 88.0, 89.0),
        asqpost_w4=(87.05, 88.06, 89.04),
        pot_w4=(86.0, 87.1, 87.9),
        apot_w4=(87.5, 87.5, 89.5),
        sign_w1=(76.0,),
        bitat_w1=(78.0,),
        lsq_w2=(84.0, 84.0, 84.0),
        dorefa_w2=(83.0, 83.1),
        lsq_w3=(87.0, 87.0),
        post_w3=(86.0, 86.0),
    )
    summary = json.loads(json.dumps(bench.summary.summarise(found)))
    text = bench.table.markdown(summary)
    assert "| POT | 87.00 | 3 | 86.00, 87.10, 87.90 | -1.00 | [-1.25, -0.75] |" in text
    assert "| LSQ | 88.00 | 3 | 87.00, 88.00, 89.00 | – | – |" in text
    assert "| DoReFa* | 83.05 | 2 |" in text
    assert (
        "POT at 4 bits against LSQ at 4 bits, accuracy: -1.00 [-1.25, -0.75], 3 seeds: **POT at 4 bits loses**." in text
    )
    assert "APoT at 4 bits against LSQ at 4 bits, accuracy: +0.17 [-1.27, +1.60], 3 seeds: no difference shown" in text
    assert (
        "ASQ + POST at 4 bits is at most 0.2 points below LSQ at 4 bits: +0.05 [+0.03, +0.07], 3 seeds: **shown**."
        in text
    )
    assert "ASQ + POST at 4 bits against POT at 4 bits, accuracy: +1.05" in text
    assert "**ASQ + POST at 4 bits wins**" in text
    assert "BiTAT at 1 bit against sign at 1 bit, accuracy: +2.00 with one seed: no claim." in text
    assert text.count("BiTAT at 1 bit against sign at 1 bit") == 1
    assert "BiTAT at 1 bit against BiTAT with C = I at 1 bit, accuracy: not measured yet." in text
    said = "POST at 3 bits against LSQ at 3 bits, accuracy: -1.00 [-1.00, -1.00], 2 seeds (fewer than asked for): "
    assert f"{said}no claim." in text


def test_scaled_inputs_compare_what_is_lost(bench: ModuleType) -> None:
    rows = {row.key: row for row in bench.rows.ROWS}
    lsq, asq = rows["lsq_w4"], rows["asq_w4"]
    code, other = bench.versions.code_digest(lsq), bench.versions.code_digest(asq)
    found = []
    for seed in (1, 2, 3):
        # LSQ is better as it is, and loses 10 points; ASQ loses 4 (and a little noise).
        found.append((lsq, seed, result(88.0, scaled={"2": 78.0}, unclipped={"2": 70.0}, code=code)))
        scaled = {"2": 83.0 + seed / 100}
        found.append((asq, seed, result(87.0, scaled=scaled, unclipped={"2": 80.0}, code=other)))
    text = bench.table.markdown(bench.summary.summarise(found))
    assert "accuracy kept under inputs × 2: +6.02 [+6.00, +6.04], 3 seeds: **ASQ, 16 steps at 4 bits wins**." in text
    assert "| LSQ | 4 | 3 | 88.00 | – | 78.00 | 70.00 |" in text


def test_nothing_measured_yet(bench: ModuleType) -> None:
    summary = bench.summary.summarise([])
    assert "There is no result yet." in bench.table.markdown(summary)
    assert "There is no result yet." in bench.plot.svg(summary, {})


def test_the_plot_marks_every_row(bench: ModuleType) -> None:
    found = results_of(bench, lsq_w4=(87.0, 88.0), post_w4=(87.5,), sign_w1=(76.0,))
    summary = bench.summary.summarise(found)

    def marks(picture: str) -> int:
        root = ET.fromstring(picture)
        space = "{http://www.w3.org/2000/svg}"
        return len(root.findall(f"{space}circle")) + len(root.findall(f"{space}polygon"))

    # Once in the left panel and once in the legend; in the right panel only where the lane was measured.
    without = bench.plot.svg(summary, {})
    assert marks(without) == 6
    assert "no lane has been measured yet" in without
    lanes = {"xc7": {"uniform": {"4": 20.0}, "binary": {"1": 2.0}}}
    assert marks(bench.plot.svg(summary, lanes)) == 8
    # A lane that was not measured is said to be missing.
    picture = bench.plot.svg(summary, lanes)
    assert "Not on the right, as no lane was measured for their weights: POST at 4 bits." in picture
    assert "Not on the right" not in bench.plot.svg(summary, {"xc7": lanes["xc7"] | {"post": {"4": 30.0}}})


@pytest.mark.parametrize(
    "key", [f"{name}_w{bits}" for name in LANES for bits in (4, 3, 2) if (name, bits) != ("pot", 2)]
)
def test_the_lane_of_a_row_takes_its_integers(bench: ModuleType, key: str) -> None:
    row = next(row for row in bench.rows.ROWS if row.key == key)
    layer = QuantConv2d(64, 8, 3, weight_quant=quant.make(row.weights, "weight", (row.bits, True), row.weight_options))
    torch.manual_seed(1)
    layer.weight.data.normal_()
    weight = layer.quant_weight()
    integers = {round(float(i), 3) for i in (weight.value / weight.scale).detach().flatten()}
    uniform = 2 ** (row.bits - 1) - 1
    levels = {
        "uniform": range(uniform + 1),
        "odd": range(1, 2**row.bits, 2),
        "pot": pot.levels_of(row.bits),
        "post": post.levels_of(row.bits),
        "apot": apot.levels_of(row.bits),
    }[row.lane]
    assert integers <= {sign * level for level in levels for sign in (1, -1)}
    assert len(integers) > 2 ** (row.bits - 1)


def test_the_script_reads_its_command_line(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "accuracy" / "bench.py"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), *arguments, "--folder", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    # Of a length that no kept result has.
    done = run("status", "--only", "lsq_w*", "--seeds", "1,2", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 of 6 runs done"
    assert run("status", "--only", "nothing").returncode == 2
    assert run("status", "--shard", "4/3").returncode == 2
    refused = run("run", "--jobs", "0")
    assert (refused.returncode, "at least 1 process" in refused.stderr) == (2, True)
    part = run("all", "--only", "lsq_w4")
    assert (part.returncode, "all makes the whole table" in part.stderr) == (2, True)


def test_all_makes_no_table_of_a_part(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("accuracy_script", ROOT / "benchmarks" / "accuracy" / "bench.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    done: list[str] = []
    for name in ("run", "folded", "write_table"):
        monkeypatch.setattr(script, name, lambda *_, name=name: done.append(name) or 0)
    monkeypatch.setattr(script, "draw", lambda: done.append("draw") or 0)
    store, runs = bench.runs.Store(tmp_path), bench.runs.plan([1], only=["lsq_w4", "asq_w4"])
    for made, missing in ((0, "2 of 2 runs are missing, lsq_w4_s1 first"), (2, "asq_w4_s1 is not folded out")):
        for run in runs[:made]:
            store.write(run, {"accuracy": 88.0, "model_file": bench.rows.model_file(run.row, 1, run.epochs)} | {
                "code": bench.versions.code_digest(run.row)
            })  # fmt: skip
        with pytest.raises(UserError, match=missing):
            script.everything(store, runs, 1)
    assert done == ["run", "run", "folded"]
    found = store.result(runs[1])
    store.write(runs[1], found | {"folded": {"accuracy": 87.0}})
    assert script.everything(store, runs, 1) == 0
    assert done[3:] == ["run", "folded", "write_table", "draw"]
