"""QKeras models of the zoo: the trained one, and training itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import data, zoo
from codesign.errors import UserError
from codesign.ir import golden

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qkeras") is None, reason="needs QKeras: pip install '.[qkeras]'"
)

TOML = """
title = "test"
framework = "qkeras"
dataset = "digits"
topology = "separable_residual"
input_scale = 0.0625

[topology_options]
width = 4

[widths]
weight_bits = 4
activation_bits = 4
first_weight_bits = 4
last_weight_bits = 4
last_activation_bits = 4
residual_bits = 4

[method]
weights = "quantized_bits"
activations = "quantized_relu"

[recipe]
epochs = 3
batch = 256
learning_rate = 0.01
optimizer = "adam"
validation = 200
seed = 5
"""


def model(folder: Path, *changes: tuple[str, str]) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    text = TOML
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "tiny.toml").write_text(text)
    return zoo.read(folder / "tiny.toml")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    from codesign.train.run import train

    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, train(model(folder), folder / "run", progress=False)


# The trained model ------------------------------------------------------------------------------------------


def test_digits_equals_the_float64_witness_and_keras_in_every_integer() -> None:
    from codesign.frontends import qkeras_reference
    from codesign.frontends.qkeras import import_qkeras
    from codesign.ir import IntType
    from codesign.train import keras_model

    trained = zoo.load("digits_qkeras_w4")
    network, dataset = trained.build(), data.load("digits")
    imported = import_qkeras(network, input_type=IntType(5, False), input_scale=trained.input_scale)
    random = np.random.default_rng(1).integers(0, 32, (700, 8, 8, 1), dtype=np.uint8)
    x = np.concatenate([dataset.x_test, random])
    found = list(qkeras_reference.differences(imported, x))
    assert {edge for edge, _, _ in found} == {r.edge_out for r in imported.lowering.requantizations.values()}
    assert sum(differing for _, differing, _ in found) == 0
    y = golden.run(imported.graph, x)
    factor = imported.graph.scales[imported.graph.outputs[0]].factor
    assert np.array_equal(y * factor, keras_model.logits(network, x, trained.input_scale))
    accuracy = 100 * float((y[: len(dataset.x_test)].argmax(1) == dataset.y_test).mean())
    assert accuracy >= 97.0
    assert trained.result.accuracy == pytest.approx(accuracy, abs=1e-3)
    assert trained.result.parameters == keras_model.parameters(network)
    assert trained.result.macs == keras_model.macs(network)
    kinds = {node.op.name for node in imported.graph}
    assert {"conv2d", "threshold", "add", "max_pool", "sum_pool", "dense"} <= kinds
    for node in imported.graph:
        if node.op.name in ("conv2d", "dense"):
            assert max(node.op.weight_bits) <= 4


def test_python_interface() -> None:
    import codesign

    network = zoo.load("digits_qkeras_w4").build()
    x = data.load("digits").x_test[:20]
    converted = codesign.from_qkeras(network, input_scale=1 / 16)
    assert np.array_equal(converted.run(x), golden.run(zoo.load("digits_qkeras_w4").graph(), x))


# Training ---------------------------------------------------------------------------------------------------


def test_interrupted_training_ends_with_the_same_bytes(
    undisturbed: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codesign.train import keras_loop
    from codesign.train.run import train

    _, expected = undisturbed
    tiny, folder = model(tmp_path), tmp_path / "run"
    steps = 0

    class Interrupted(keras_loop.Progress):
        def step(self) -> None:
            nonlocal steps
            steps += 1
            if steps == 7:  # in the middle of the second epoch of four steps
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras_loop, "Progress", Interrupted)
        with pytest.raises(UserError, match="after 1 of 3 epochs; the same command continues"):
            train(tiny, folder, progress=False)
    result = train(tiny, folder, progress=False)
    assert Path(result.checkpoint).read_bytes() == Path(expected.checkpoint).read_bytes()
    assert result.float_accuracy == expected.float_accuracy
    assert result.validation_accuracy == expected.validation_accuracy


def test_training_learns_and_its_checkpoint_is_read(undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    from codesign.train import checkpoint, keras_loop

    folder, result = undisturbed
    _, about = checkpoint.read(folder / "run" / keras_loop.STATE)
    first, *_, last = about["history"]
    assert last["loss"] < first["loss"]
    assert last["train_accuracy"] > first["train_accuracy"] + 10
    tiny = model(tmp_path)
    tiny.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    graph, dataset = tiny.graph(), data.load("digits")
    y = golden.run(graph, dataset.x_test)
    accuracy = 100 * float((y.argmax(1) == dataset.y_test).mean())
    assert accuracy == pytest.approx(result.float_accuracy, abs=0.5)


def test_damaged_checkpoints_are_refused(undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    _, result = undisturbed
    whole = Path(result.checkpoint).read_bytes()
    tiny = model(tmp_path)
    with pytest.raises(UserError, match="there is no checkpoint"):
        tiny.build()
    for damaged in (whole[:-100], b""):
        tiny.checkpoint_path.write_bytes(damaged)
        with pytest.raises(UserError, match="damaged"):
            tiny.build()
    wider = model(tmp_path / "wider", ("width = 4", "width = 6"))
    wider.checkpoint_path.write_bytes(whole)
    with pytest.raises(UserError, match="another network"):
        wider.build()


def test_another_recipe_in_the_folder_is_refused(undisturbed: tuple[Path, Any], tmp_path: Path) -> None:
    from codesign.train.run import train

    folder, _ = undisturbed
    other = model(tmp_path, ("learning_rate = 0.01", "learning_rate = 0.02"))
    with pytest.raises(UserError, match="another recipe"):
        train(other, folder / "run", progress=False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "epochs = 3\nema = 0.9", "recipe.ema"),
        ("epochs = 3", 'epochs = 3\nprecision = "bfloat16"', "recipe.precision"),
        ('"quantized_bits"', '"lsqq"', "no weight method 'lsqq'; did you mean lsq"),
        ('"quantized_bits"', '"asq"', "no weight method 'asq'"),
        ('"quantized_bits"', '"bitat"', "bitat is binary, 1 bit, not 4"),
        ('"quantized_bits"', '"brevitas_default"', "no weight method 'brevitas_default'"),
        ('"quantized_relu"', '"post"', "no activation method 'post'"),
        ('activations = "quantized_relu"', 'activations = "quantized_relu"\nedges = "pact"', "remove 'pact'"),
        ('activations = "quantized_relu"', 'activations = "lsq"\nedges = "post"', "no activation method 'post'"),
        (
            '"quantized_relu"',
            '"lsq"\n[method.weight_options]\nquantile = 0.9',
            "no options here; remove quantile",
        ),
        ('"quantized_relu"', '"asq"\n[method.activation_options]\nentries = 8', "entries must be 0 or 16 to 64"),
        ("separable_residual", "separable_residul", "did you mean separable_residual"),
        ("width = 4", "depth = 4", "no option 'depth'"),
        ("width = 4", 'width = "wide"', "refuses its options"),
        ("\nweight_bits = 4", "\nweight_bits = 32", "below 32"),
    ],
)
def test_wrong_model_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    from codesign.train.run import train

    with pytest.raises(UserError, match=message):
        train(model(tmp_path, (old, new)), tmp_path / "run", progress=False)


@pytest.mark.parametrize("method", ["quantized_po2", "ternary", "binary"])
def test_other_weight_methods_build_and_convert(tmp_path: Path, method: str) -> None:
    from codesign.frontends import qkeras_reference
    from codesign.frontends.qkeras import import_qkeras

    network = model(tmp_path, ('"quantized_bits"', f'"{method}"')).module()
    imported = import_qkeras(network, input_scale=1 / 16)
    x = np.random.default_rng(2).integers(0, 17, (1000, 8, 8, 1))
    assert sum(differing for _, differing, _ in qkeras_reference.differences(imported, x)) == 0
