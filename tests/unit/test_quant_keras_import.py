"""Networks of our methods for QKeras: saved, loaded, and as integers."""

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
width = 8

[widths]
weight_bits = {bits}
activation_bits = {bits}

[method]
weights = "{weights}"
activations = "{activations}"

[recipe]
epochs = 1
batch = 256
learning_rate = 0.01
step_rate = 0.2
seed = 5
"""

NETWORKS = [("lsq", "lsq", 2), ("dorefa", "pact", 3), ("post", "asq", 4), ("apot", "lsq", 4), ("bitat", "bitat", 1)]
MORE_NETWORKS = [
    ("lsq", "lsq", 4),
    ("lsq", "asq", 2),
    ("post", "lsq", 4),
    ("pot", "quantized_relu", 3),
    ("dorefa", "dorefa", 1),
    ("quantized_bits", "asq", 3),
    ("sign", "sign", 1),
    ("sign", "react", 1),
]


def settled(folder: Path, weights: str, activations: str, bits: int, **changes: Any) -> Any:
    """A network that has seen one batch and has statistics as after a training."""
    text = TOML.format(weights=weights, activations=activations, bits=bits)
    (folder / "tiny.toml").write_text(text)
    network = zoo.read(folder / "tiny.toml").module()
    rng = np.random.default_rng(bits)
    for layer in network.layers:
        if type(layer).__name__ == "BatchNormalization":
            n = layer.gamma.shape
            layer.set_weights(
                [rng.normal(1, 0.3, n), rng.normal(0, 0.4, n), rng.normal(0, 0.3, n), rng.uniform(0.3, 1.5, n)]
            )
        for name in ("shift", "output_weights"):
            variable = getattr(getattr(layer, "quantizer", None), name, None)
            if variable is not None:
                variable.assign(rng.normal(0, 0.5, variable.shape))
    network(data.load("digits").x_train[:64].astype(np.float32) / 16, training=False)
    return network


@pytest.mark.parametrize(
    ("weights", "activations", "bits"),
    [*NETWORKS, *(pytest.param(*network, marks=pytest.mark.slow) for network in MORE_NETWORKS)],
)
def test_integers_are_those_of_the_float64_network(tmp_path: Path, weights: str, activations: str, bits: int) -> None:
    from codesign.frontends import qkeras_reference
    from codesign.frontends.qkeras import import_qkeras
    from codesign.ir import IntType
    from codesign.train import keras_model

    network = settled(tmp_path, weights, activations, bits)
    imported = import_qkeras(network, input_type=IntType(5, False), input_scale=1 / 16)
    x = data.load("digits").x_test[:200]
    found = list(qkeras_reference.differences(imported, x))
    assert {edge for edge, _, _ in found} == {r.edge_out for r in imported.lowering.requantizations.values()}
    assert sum(differing for _, differing, _ in found) == 0
    y = golden.run(imported.graph, x) * imported.graph.scales[imported.graph.outputs[0]].factor
    expected = keras_model.logits(network, x, 1 / 16)
    # Keras computes in float32, which may round a code to its neighbour here and there.
    assert np.mean(np.abs(y - expected).max(1) < 0.02 * np.abs(expected).max()) > 0.9
    adaptive = {"frame_buffer", "select_threshold"} <= {node.op.name for node in imported.graph}
    assert adaptive == (activations == "asq")


@pytest.mark.parametrize("kind", ["keras", "json", *(pytest.param(k, marks=pytest.mark.slow) for k in ("h5", "tf"))])
def test_saved_networks_are_loaded_with_what_they_learned(tmp_path: Path, kind: str) -> None:
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    network = settled(tmp_path, "post", "asq", 4)
    known: dict[str, Any] = {}
    qkeras.utils._add_supported_quantized_objects(known)
    if kind == "json":
        network.save_weights(tmp_path / "weights.h5")
        loaded = keras.models.model_from_json(network.to_json(), custom_objects=known)
        loaded.load_weights(tmp_path / "weights.h5")
    else:
        path = tmp_path / ("network" + {"keras": ".keras", "h5": ".h5", "tf": ""}[kind])
        network.save(path, save_format=kind)
        loaded = keras.models.load_model(path, custom_objects=known, compile=False)
    x = data.load("digits").x_test[:50].astype(np.float32) / 16
    assert np.array_equal(network(x), loaded(x))
    assert [v.shape for v in network.trainable_variables] == [v.shape for v in loaded.trainable_variables]


def test_quantizers_are_rebuilt_from_strings_and_configurations() -> None:
    from codesign.quant import keras as methods
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    for name, part, arguments, options in (
        ("lsq", "weight", (3, False, True), {}),
        ("post", "weight", (4, True, False), {"quantile": 0.9}),
        ("apot", "weight", (4, True, False), {"alpha": 2.5}),
        ("dorefa", "weight", (4, True, False), {"rescale": False}),
        ("sign", "weight", (1, False, False), {}),
        ("bitat", "weight", (1, True, True), {"correlation": "identity", "block": 16, "progressive": 0.5}),
        ("lsq", "activation", (3, True), {}),
        ("pact", "activation", (3, False), {"decay": 1e-3}),
        ("asq", "activation", (3, False), {"entries": 32, "input_bits": 6}),
        ("react", "activation", (1, False), {}),
    ):
        quantizer = methods.make(name, part, arguments, options)
        assert "None" not in str(quantizer)
        again = qkeras.get_quantizer(str(quantizer))
        assert type(again) is type(quantizer)
        assert str(again) == str(quantizer)
        config = keras.utils.serialize_keras_object(quantizer)
        assert str(keras.utils.deserialize_keras_object(config)) == str(quantizer)


def test_learned_parameters_reach_optimizer_and_checkpoint(tmp_path: Path) -> None:
    from codesign.train import checkpoint, keras_model
    from codesign.train.run import train

    (tmp_path / "tiny.toml").write_text(TOML.format(weights="post", activations="asq", bits=4))
    model = zoo.read(tmp_path / "tiny.toml")
    result = train(model, tmp_path / "run", progress=False)
    fresh = keras_model.variables(model.module())
    tensors, _ = checkpoint.read(Path(result.checkpoint))
    learned = [name for name in tensors if checkpoint.is_quantizer(name)]
    assert {name.split("/")[0] for name in learned} == {
        "stem", "stem_act", "depthwise", "depthwise_act", "pointwise", "res", "add_act", "wide", "wide_act", "dense"
    }  # fmt: skip
    assert set(tensors) == set(fresh)
    start = [n for n in learned if n.startswith(("wide/", "pointwise/"))]
    assert all((tensors[n].numpy() != fresh[n].numpy()).any() for n in start)
    model.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    x = data.load("digits").x_test
    accuracy = 100 * float((golden.run(model.graph(), x).argmax(1) == data.load("digits").y_test).mean())
    assert accuracy == pytest.approx(result.float_accuracy, abs=1.0)


def test_adapters_start_from_the_seed_of_the_recipe_and_the_layer(tmp_path: Path) -> None:
    def fresh(seed: int, activations: str = "asq") -> Any:
        text = TOML.format(weights="post", activations=activations, bits=4).replace("seed = 5", f"seed = {seed}")
        (tmp_path / "tiny.toml").write_text(text)
        return zoo.read(tmp_path / "tiny.toml").module()

    def adapters(network: Any) -> list[np.ndarray]:
        quantizers = [layer.quantizer for layer in network.layers if type(layer).__name__ == "QActivation"]
        found = [q for q in quantizers if hasattr(q, "output_weights")]
        return [np.concatenate([q.hidden_weights.numpy().ravel(), q.output_weights.numpy().ravel()]) for q in found]

    network = fresh(5)
    first, again, other = adapters(network), adapters(fresh(5)), adapters(fresh(6))
    # Three activations of eight channels each.
    assert {values.shape for values in first} == {(18,)}
    assert len(first) == 3
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    everyone = np.array([*first, *other])
    assert len(np.unique(everyone[:, 0])) == len(np.unique(everyone[:, 16])) == len(everyone)
    # Kernels start from the same numbers, whatever quantizes the activations.
    plain = fresh(5, "lsq")
    assert all(np.array_equal(network.get_layer(n).kernel, plain.get_layer(n).kernel) for n in ("stem", "wide"))


def test_only_steps_learn_at_the_rate_of_steps(tmp_path: Path) -> None:
    from codesign.train import checkpoint, keras_loop, keras_model

    text = TOML.format(weights="post", activations="asq", bits=4)
    text = text.replace("step_rate = 0.2", 'step_rate = 1e-7\nweight_decay = 0.01\noptimizer = "adam"')
    (tmp_path / "tiny.toml").write_text(text)
    model = zoo.read(tmp_path / "tiny.toml")
    assert model.recipe is not None
    training = keras_loop._Training(model, model.recipe, tmp_path / "run", resume=False, progress=False)
    named = keras_model.variables(training.network)
    start = {name: variable.numpy() for name, variable in named.items() if variable.trainable}
    found, _ = checkpoint.read(Path(training.run().checkpoint))
    moved = {name: np.abs(found[name].numpy() - value).max() for name, value in start.items()}
    adapter = {f"act_quant.adapter.{layer}.{part}" for layer in ("hidden", "output") for part in ("weight", "bias")}
    assert adapter <= {name.split("/")[1] for name in moved}
    for name, change in moved.items():
        own = name.split("/")[1]
        steps = checkpoint.is_quantizer(own) and own not in adapter
        assert change < 1e-6 if steps else change > 1e-4, name
    decaying = {name for name, variable in named.items() if keras_loop._decays(variable)}
    assert decaying == {name for name in start if name.endswith("kernel")}


def test_a_folded_out_step_is_lsq(tmp_path: Path) -> None:
    from codesign.frontends import qkeras_reference
    from codesign.frontends.qkeras import import_qkeras
    from codesign.quant.keras import asq

    network = settled(tmp_path, "lsq", "asq", 4)
    x = data.load("digits").x_test[:100]
    means = asq.fold_out(network, [x.astype(np.float32) / 16])
    assert set(means) == {"stem_act", "depthwise_act", "add_act"}
    assert all(0.1 < mean < 5 for mean in means.values())
    imported = import_qkeras(network, input_scale=1 / 16)
    assert "select_threshold" not in {node.op.name for node in imported.graph}
    assert sum(differing for _, differing, _ in qkeras_reference.differences(imported, x)) == 0
    with pytest.raises(UserError, match="no ASQ activation"):
        asq.fold_out(network, [])


def test_what_has_no_integers_is_refused(tmp_path: Path) -> None:
    from codesign.frontends.qkeras import import_qkeras
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    for activation, message in (
        ("AsqActivation(4, entries=0)", "continuous factor"),
        ("AsqActivation(4)", "has no step yet"),
        ("PactActivation(4)", "has no step yet"),
        ("DorefaWeight(4)", "'act' is DorefaWeight, a quantizer for weights"),
        ("SignWeight(False)", "'act' is SignWeight, a quantizer for weights"),
    ):
        inputs = keras.layers.Input((8, 8, 3))
        x = qkeras.QConv2D(4, 3, kernel_quantizer="LsqWeight(4)", use_bias=False)(inputs)
        x = keras.layers.Flatten()(qkeras.QActivation(activation, name="act")(x))
        network = keras.Model(inputs, qkeras.QDense(3, kernel_quantizer="LsqWeight(4, per_channel=False)")(x))
        with pytest.raises(UserError, match=message):
            import_qkeras(network)


def test_plain_keras_training_sets_and_learns_steps() -> None:
    from codesign.quant import keras as methods
    from codesign.quant.keras.post import PostWeight
    from codesign.quant.qkeras_runtime import runtime

    _, keras, qkeras = runtime()
    methods.register()
    inputs = keras.layers.Input((8, 8, 1))
    start = keras.initializers.HeNormal(seed=1)
    x = qkeras.QConv2D(8, 3, kernel_quantizer=PostWeight(4), kernel_initializer=start, use_bias=False, name="conv")(
        inputs
    )
    x = qkeras.QActivation("AsqActivation(3)", name="act")(x)
    dense = qkeras.QDense(10, kernel_quantizer="LsqWeight(4, per_channel=False)", name="dense")
    network = keras.Model(inputs, dense(keras.layers.Flatten()(x)))
    conv, quantizer = network.get_layer("conv"), network.get_layer("act").quantizer
    assert float(quantizer.step) == 0
    clips = conv.kernel_quantizer_internal.clip.numpy()
    assert (clips > 0).all()
    network.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images = data.load("digits")
    network.fit(images.x_train[:256] / 16.0, images.y_train[:256], batch_size=64, shuffle=False, verbose=0)
    assert (conv.kernel_quantizer_internal.clip.numpy() != clips).any()
    for variable in (quantizer.step, quantizer.input_step, quantizer.output_weight_step):
        assert 1e-4 < float(variable) < 1
    assert len(network.trainable_variables) == 2 + 9 + 3


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_learned_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codesign.train import keras_loop
    from codesign.train.run import train

    text = TOML.format(weights="post", activations="asq", bits=4).replace("epochs = 1", "epochs = 2")
    (tmp_path / "tiny.toml").write_text(text)
    model, steps = zoo.read(tmp_path / "tiny.toml"), 0
    expected = train(model, tmp_path / "whole", progress=False)

    class Interrupted(keras_loop.Progress):
        def step(self) -> None:
            nonlocal steps
            steps += 1
            if steps == 7:  # in the second epoch of five steps
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras_loop, "Progress", Interrupted)
        with pytest.raises(UserError, match="after 1 of 2 epochs"):
            train(model, tmp_path / "run", progress=False)
    result = train(model, tmp_path / "run", progress=False)
    assert Path(result.checkpoint).read_bytes() == Path(expected.checkpoint).read_bytes()


@pytest.mark.parametrize(("name", "least"), [("digits_qkeras_asq_w4", 99.0), ("fashion_qkeras_post_w4", 90.5)])
def test_trained_models_equal_the_float64_witness(name: str, least: float) -> None:
    from codesign.frontends import qkeras_reference

    model = zoo.load(name)
    assert model.measured == model.result
    assert min(model.result.accuracy or 0, model.result.float_accuracy or 0) > least
    imported = model.imported_qkeras()
    x = np.random.default_rng(1).integers(0, imported.graph.input.type.max + 1, (40, *imported.graph.input.shape))
    assert sum(differing for _, differing, _ in qkeras_reference.differences(imported, x)) == 0
    codebooks = [node.op.codebook for node in imported.graph if getattr(node.op, "codebook", None) is not None]
    assert len(codebooks) == 3
    assert all(len(codebook) <= 15 for codebook in codebooks)
