"""The accuracy benchmark: what each row is, which version a result is of, and what a margin shows."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from codesign import data, quant, zoo
from codesign.errors import UserError
from codesign.quant.asq import AsqQuant
from codesign.quant.post import START as POST_START
from codesign.quant.pot import START as POT_START
from codesign.train import checkpoint, evaluate
from codesign.train.run import TrainResult

from .accuracy_bench import ROOT, bench, result, results_of

__all__ = ["bench"]

DISTILLED = {"teacher": "resnet9_teacher_fp", "weight": 0.9, "temperature": 4.0, "pool": 10}
# Weights, activations, their options, whether distilled.
LOW_BIT: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], bool]] = {
    "lsq": ("lsq", "lsq", {}, {}, False),
    "lsq_fast": ("lsq", "lsq", {}, {}, False),
    "lsq_distilled": ("lsq", "lsq", {}, {}, True),
    "asq": ("lsq", "asq", {}, {"entries": 16}, False),
    "asq_continuous": ("lsq", "asq", {}, {"entries": 0}, False),
    "post": ("post", "lsq", {}, {}, False),
    "asqpost": ("post", "asq", {}, {"entries": 16}, False),
    "pot": ("pot", "lsq", {}, {}, False),
    "apot": ("apot", "lsq", {}, {}, False),
    "pact": ("dorefa", "pact", {}, {}, False),
    "dorefa": ("dorefa", "dorefa", {}, {}, False),
    "brevitas_default": ("brevitas_default", "brevitas_default", {}, {}, False),
    "qkeras": ("quantized_bits", "quantized_relu", {}, {}, False),
    "sign": ("sign", "sign", {}, {}, False),
    "react": ("sign", "react", {}, {}, False),
    "bitat": ("bitat", "sign", {}, {}, False),
    "bitat_identity": ("bitat", "sign", {"correlation": "identity"}, {}, False),
    "bitat_react": ("bitat", "react", {}, {}, False),
}
# Learning rate and weight decay.
RATES = {4: (0.05, 1e-4), 3: (0.05, 5e-5), 2: (0.05, 2.5e-5), 1: (0.1, 0.0)}


def row(bench: ModuleType, key: str) -> Any:
    return next(row for row in bench.rows.ROWS if row.key == key)


def test_each_row_is_the_method_that_it_is_called(bench: ModuleType, tmp_path: Path) -> None:
    """Read back from the model files that are trained."""
    store = bench.runs.Store(tmp_path)
    for run in bench.runs.plan([1]):
        model, bits = store.model(run), run.row.bits
        weights, activations, weight_options, activation_options, distilled = LOW_BIT[run.row.name]
        method = model.method
        assert (method.weights, method.activations, method.edges) == (weights, activations, "lsq"), run.name
        assert (method.weight_options, method.activation_options) == (weight_options, activation_options), run.name
        widths = model.widths
        assert (widths.weight_bits, widths.activation_bits) == (bits, bits)
        assert (widths.first_weight_bits, widths.last_weight_bits, widths.last_activation_bits) == (8, 8, 8)
        assert model.recipe is not None
        assert (model.recipe.learning_rate, model.recipe.weight_decay) == RATES[bits], run.name
        steps = {"lsq_fast": 10.0, "qkeras": 1.0}.get(run.row.name, 0.2)
        assert model.recipe.step_rate == steps, run.name
        distillation = model.recipe.distillation
        found = {name: getattr(distillation, name) for name in DISTILLED} if distillation else None
        assert found == (DISTILLED if distilled else None), run.name
        assert (model.framework == "qkeras") == (run.row.name == "qkeras")


def test_post_and_pot_at_2_bits_are_one_row(bench: ModuleType) -> None:
    one = row(bench, "post_w2")
    assert one.label == "POST = POT"
    assert [other.label for other in bench.rows.ROWS if other.name == "post"] == ["POST", "POST", "POST = POT"]
    # Which the name of the training does not tell: its results would count for others.
    assert bench.rows.model_file(one, 1).startswith('title = "POST at 2 bits, seed 1"')
    pot, post = (quant.method(name) for name in ("pot", "post"))
    assert pot.levels_of(2) == post.levels_of(2)
    assert POT_START[2] == POST_START[2]
    summary = bench.summary.summarise(results_of(bench, post_w4=(87.0,), post_w2=(84.0,)))
    assert "| POST = POT* | 84.00 |" in bench.table.markdown(summary)
    picture = bench.plot.svg(summary, {})
    assert ">POST</text>" in picture
    assert ">POST = POT</text>" not in picture


# Versions ---------------------------------------------------------------------------------------------------


def test_a_result_tells_its_start_and_its_teacher(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.runs.Store(tmp_path)
    digests = {
        key: hashlib.sha256((ROOT / "models" / f"{name}.safetensors").read_bytes()).hexdigest()
        for key, name in (("start_sha256", "resnet8_fp"), ("teacher_sha256", "resnet9_teacher_fp"))
    }
    for run in bench.runs.plan([1], only=["lsq_w4", "lsq_distilled_w4"]):
        found = bench.runs.execute(store, run, lambda *_: {"accuracy": 80.0})
        told = {key: found[key] for key in digests if key in found}
        assert told == (digests if run.row.distilled else {"start_sha256": digests["start_sha256"]})
        assert store.current(run) == found


@pytest.mark.parametrize(
    ("key", "changed", "stale"),
    [
        ("lsq_w4", "start_sha256", True),
        ("lsq_distilled_w4", "start_sha256", True),
        ("lsq_distilled_w4", "teacher_sha256", True),
        ("lsq_w4", "teacher_sha256", False),
    ],
)
def test_a_result_of_another_start_is_of_another_version(
    bench: ModuleType, tmp_path: Path, key: str, changed: str, stale: bool
) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=[key])[0]
    code = bench.versions.code_digest(run.row)
    # One that does not tell stays valid.
    store.write(run, result(88.0, code=code))
    assert store.current(run)["accuracy"] == 88.0
    store.write(run, result(88.0, code=code, **{changed: "another"}))
    assert (store.current(run) is None) == stale
    assert store.result(run)["accuracy"] == 88.0
    summary = bench.summary.summarise([(run.row, 1, store.result(run))])
    assert summary["rows"][0]["stale"] == stale
    # Of two versions in a row, the present one counts.
    summary = bench.summary.summarise([(run.row, 1, store.result(run)), (run.row, 2, result(80.0, code=code))])
    assert summary["rows"][0]["left_out"] == ([1] if stale else [])


def test_a_changed_start_trains_in_another_folder(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = bench.runs.Store(tmp_path)
    run = bench.runs.plan([1], only=["lsq_w4"])[0]
    model = store.model(run)
    folders = [store.training(run, model)]
    with monkeypatch.context() as patch:
        patch.setattr(bench.runs, "origins", lambda *_: {"start_sha256": "another"})
        folders.append(store.training(run, model))
    assert folders[0] != folders[1]
    # A training that was begun before names told the start goes on.
    earlier = folders[0].with_name(folders[0].name.rpartition("-")[0])
    earlier.mkdir(parents=True)
    assert store.training(run, model) == earlier
    # But not when it was of another.
    store.write(run, result(88.0, code=bench.versions.code_digest(run.row), start_sha256="another"))
    assert store.training(run, model) == folders[0]


def test_every_result_of_the_checkout_is_of_the_present_version(bench: ModuleType) -> None:
    """Otherwise the table marks its row: train it anew, or say in `versions.SAME` why it is the same."""
    kept = ROOT / "benchmarks" / "accuracy" / "runs"
    for path in kept.glob("*.json"):
        found = json.loads(path.read_bytes())
        own = row(bench, found["row"])
        assert bench.versions.version_of(own, found) == bench.versions.code_digest(own), path.name


def test_a_version_that_is_the_same_counts_as_the_one_that_is_named(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.versions, "SAME", {"earlier": "later"})
    qkeras = row(bench, "qkeras_w4")
    assert bench.versions.version_of(qkeras, {"code": "earlier"}) == "later"
    assert bench.versions.version_of(qkeras, {"code": "another"}) == "another"


def test_the_committed_table_and_picture_are_those_of_the_kept_runs(bench: ModuleType, tmp_path: Path) -> None:
    folder = ROOT / "benchmarks" / "accuracy"
    store = bench.runs.Store(tmp_path, folder / "runs")
    runs = bench.runs.plan(None)
    summary = bench.summary.summarise([(r.row, r.seed, found) for r in runs if (found := store.result(r))])
    assert json.loads((folder / "results.json").read_bytes()) == summary
    assert (folder / "table.md").read_text() == bench.table.markdown(summary)
    lanes = json.loads((ROOT / "benchmarks" / "lut_per_mac" / "results.json").read_bytes())
    assert (folder / "accuracy.svg").read_text() == bench.plot.svg(summary, lanes)


# Folded out -------------------------------------------------------------------------------------------------


@pytest.fixture
def digits(bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A store where the run `asq_w4_s1` is a network for digits whose first adapter is random."""
    text = """
title = "t"
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625
[widths]
weight_bits = 3
activation_bits = 3
[method]
activations = "asq"
[method.activation_options]
entries = 0
[recipe]
epochs = 1
learning_rate = 0.1
"""
    monkeypatch.setattr(bench.runs, "model_file", lambda *_: text)
    store = bench.runs.Store(tmp_path / "mine", tmp_path / "kept")
    run = bench.runs.plan([1], only=["asq_w4"])[0]
    model = store.model(run)
    torch.manual_seed(3)
    module = model.module()
    checkpoint.load_weights(module, ROOT / "models" / "digits_cnn_w3.safetensors", partial=True, steps=False)
    first = next(layer for layer in module.modules() if isinstance(layer, AsqQuant))
    torch.nn.init.normal_(first.adapter.output.weight, std=30.0)
    evaluate.logits(module, data.load("digits").x_train[:64], model.input_scale)
    weights = store.training(run, model) / f"{model.name}.safetensors"
    checkpoint.write(weights, module.state_dict())
    code = bench.versions.code_digest(run.row)
    store.write(run, result(12.5, code=code, checkpoint_sha256=checkpoint.sha256(weights)))
    return store, run, weights


def test_steps_are_folded_out_of_finished_networks(bench: ModuleType, digits: Any) -> None:
    store, run, weights = digits
    store.commit(run)
    lines: list[str] = []
    assert bench.folded.add(store, [run, *bench.runs.plan([1], only=["lsq_w4"])], lines.append) == 1
    found = store.current(run)
    assert lines == [f"asq_w4_s1: 12.50 %, folded out {found['folded']['accuracy']:.2f} %"]
    assert found["accuracy"] == 12.5
    # By hand: the factors of all training images, their mean in the place of the adapter.
    images, module = data.load("digits"), store.model(run).module()
    checkpoint.load_weights(module, weights)
    layers = {n.split(".act_quant.")[0]: m for n, m in module.named_modules() if isinstance(m, AsqQuant)}
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda q, _, out, n=name: seen[n].append((out[1] / q.step).flatten()))
    evaluate.logits(module, images.x_train, 1 / 16)
    factors = {name: torch.cat(found) for name, found in seen.items()}
    means = {name: float(of_all.mean()) for name, of_all in factors.items()}
    assert found["folded"]["factors"] == pytest.approx(means, abs=1e-4)
    assert any(float(of_all.std()) > 0.1 for of_all in factors.values())
    adaptive = evaluate.accuracy(module, images.x_test, images.y_test, 1 / 16)
    for name, layer in layers.items():
        layer.fix(means[name])
    by_hand = evaluate.accuracy(module, images.x_test, images.y_test, 1 / 16)
    assert found["folded"]["accuracy"] == pytest.approx(by_hand, abs=0.6)
    assert adaptive != pytest.approx(by_hand, abs=0.6)
    # Once is enough; what is kept has it, and one that lacks it takes nothing away.
    assert bench.folded.add(store, [run], lines.append) == 0
    assert store.commit(run)
    assert json.loads((store.committed / "asq_w4_s1.json").read_text())["folded"] == found["folded"]
    store.write(run, {key: value for key, value in found.items() if key != "folded"})
    assert store.current(run)["folded"] == found["folded"]
    assert not store.commit(run)
    # Of other weights it says nothing.
    store.write(run, {key: value for key, value in found.items() if key != "folded"} | {"checkpoint_sha256": "b"})
    assert "folded" not in store.current(run)


def test_another_checkpoint_is_not_taken_for_that_of_the_result(bench: ModuleType, digits: Any) -> None:
    store, run, weights = digits
    lines: list[str] = []
    weights.write_bytes(weights.read_bytes()[:-4] + b"abcd")
    assert bench.folded.add(store, [run], lines.append) == 0
    weights.unlink()
    assert bench.folded.add(store, [run], lines.append) == 0
    assert "is not the checkpoint that the result was measured on" in lines[0]
    assert "its checkpoint is where it was trained" in lines[1]
    assert "folded" not in store.result(run)


def test_the_table_has_what_is_left_without_adaptivity(bench: ModuleType) -> None:
    found = results_of(bench, asq_w4=(88.0, 88.2, 88.4), lsq_w4=(87.5, 87.6, 87.7), lsq_fast_w4=(88.0, 88.1, 88.2))
    none = bench.table.markdown(bench.summary.summarise(found))
    assert 'only as far as it remains against "LSQ, fast steps"' in none
    assert "None was evaluated so yet" in none
    assert "at 4 bits against the same networks with their steps folded out, accuracy: not measured yet." in none
    # Folded out it loses 1.0, 1.1 and 1.2 points.
    for _, seed, one in found:
        if one["accuracy"] >= 88.0 and _.name == "asq":
            one["folded"] = {"accuracy": round(one["accuracy"] - 0.9 - seed / 10, 2), "factors": {}}
    text = bench.table.markdown(json.loads(json.dumps(bench.summary.summarise(found))))
    assert "| ASQ, 16 steps | 4 | 3 | 88.20 | 87.10 | +1.10 | [+0.85, +1.35] |" in text
    question = "ASQ, 16 steps at 4 bits against the same networks with their steps folded out, accuracy"
    assert f"{question}: +1.10 [+0.85, +1.35], 3 seeds: **ASQ, 16 steps at 4 bits wins**." in text
    assert "ASQ, 16 steps at 4 bits against LSQ, fast steps at 4 bits, accuracy: +0.10" in text
    assert "LSQ, fast steps at 4 bits against LSQ at 4 bits, accuracy: +0.50" in text
    # A diverged training of the one row is told once.
    found = results_of(bench, asq_w4=(88.0, None))
    found[0][2]["folded"] = {"accuracy": 87.0, "factors": {}}
    text = bench.table.markdown(bench.summary.summarise(found))
    assert (
        f"{question}: +1.00 over 1 seed that ended on both sides, 1 of 2 trainings of ASQ, 16 steps at 4 bits div"
        in text
    )
    assert text.count("1 of 2 trainings of ASQ, 16 steps at 4 bits diverged, 1 of 2") == 0


# What is said -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "says"),
    [
        # The mean is within the margin of 0.2, and the interval is not.
        ((-0.3, -0.1, 0.1), "-0.10 [-0.60, +0.40], 3 seeds: **not shown**"),
        # The mean is beyond it, and the interval is not wholly.
        ((-0.5, -0.3, -0.1), "-0.30 [-0.80, +0.20], 3 seeds: **not shown**"),
        ((-0.14, -0.13, -0.12), "-0.13 [-0.15, -0.11], 3 seeds: **shown**"),
        ((-0.52, -0.50, -0.48), "-0.50 [-0.55, -0.45], 3 seeds: **refuted**"),
    ],
)
def test_a_margin_is_shown_by_the_whole_interval(bench: ModuleType, differences: tuple[float, ...], says: str) -> None:
    left = tuple(88.0 + difference for difference in differences)
    found = results_of(bench, lsq_w4=(88.0, 88.0, 88.0), asqpost_w4=left)
    text = bench.table.markdown(bench.summary.summarise(found))
    assert f"ASQ + POST at 4 bits is at most 0.2 points below LSQ at 4 bits: {says}." in text


def test_the_table_says_which_learning_rate_is_for_which_width(bench: ModuleType) -> None:
    text = bench.table.markdown(bench.summary.summarise(results_of(bench, lsq_w4=(88.0,))))
    assert "peak learning rate 0.05 (0.1 at 1 bit) with a cosine" in text


def test_more_seeds_than_intervals_are_made_of_are_told(bench: ModuleType) -> None:
    assert bench.intervals.estimate([1.0] * 21).mean == 1.0
    with pytest.raises(UserError, match="22 seeds are more than intervals are made of here; choose 21 at most"):
        bench.summary.summarise(results_of(bench, lsq_w4=(88.0,) * 22))


# Evaluation -------------------------------------------------------------------------------------------------


def test_scaled_inputs_are_evaluated_with_and_without_clipping(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trained network stands for the training; what is evaluated is checked by hand."""
    model = zoo.load("digits_cnn_w3")
    trained = TrainResult(str(model.checkpoint_path), 97.5, None, 360, 1, 10, 77, 12, "digest")
    monkeypatch.setattr(bench.training, "train", lambda *_, **__: trained)
    found = bench.training.train_and_evaluate(model, tmp_path, tmp_path, under_scaled_inputs=True)
    images, module = data.load("digits"), model.build()
    x, high = images.x_test.astype(int), 2**images.input_bits - 1

    def accuracy(inputs: Any) -> float:
        return round(evaluate.accuracy(module, inputs, images.y_test, model.input_scale), 4)

    assert found["unclipped"] == {"2": accuracy(2 * x)}
    assert found["scaled"] == {"0.5": accuracy((x + 1) // 2), "2": accuracy((2 * x).clip(0, high))}
    # All three differ from the network as it is, and from one another.
    assert len({accuracy(x), *found["scaled"].values(), *found["unclipped"].values()}) == 4
    assert found["accuracy"] == 97.5
    assert "scaled" not in bench.training.train_and_evaluate(model, tmp_path, tmp_path, under_scaled_inputs=False)


def test_clipped_values_are_those_above_the_range(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = zoo.load("digits_cnn_w3")
    monkeypatch.setattr(bench.runs.Store, "model", lambda *_: shipped)
    store = bench.runs.Store(tmp_path)
    run, asq = bench.runs.plan([1], only=["lsq_w4", "asq_w4"])
    module = shipped.module()
    checkpoint.load_weights(module, ROOT / "models" / "digits_cnn_w3.safetensors")
    # The second activation reaches a quarter as far as it was trained to.
    module.act2.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value.data /= 4
    weights = store.training(run, shipped) / "digits_cnn_w3.safetensors"
    checkpoint.write(weights, module.state_dict())
    code = bench.versions.code_digest(run.row)
    store.write(run, result(12.5, code=code, checkpoint_sha256=checkpoint.sha256(weights)))
    store.write(asq, result(12.5, code=bench.versions.code_digest(asq.row)))
    before: list[torch.Tensor] = []
    module.act2.register_forward_hook(lambda _, inputs, __: before.append(inputs[0]))
    evaluate.logits(module, data.load("digits").x_test[:64], shipped.input_scale)
    values = torch.cat([getattr(one, "value", one) for one in before])
    # Of levels 0 to 7.
    top = 7 * float(module.act2.act_quant.scale().detach())
    expected = float((values[values > 0] > top * 1.0001).float().mean())
    found = bench.clipped.shares(shipped, weights, images=64)
    assert found["act2"] == pytest.approx(expected)
    assert found["act2"] > 0.2 > found["act1"] > 0
    lines: list[str] = []
    bench.clipped.tell(store, [run, asq], lines.append)
    (line,) = lines
    assert line.startswith("lsq_w4_s1: act1 ")
    weights.unlink()
    bench.clipped.tell(store, [run], lines.append)
    assert "skipped" in lines[1]
