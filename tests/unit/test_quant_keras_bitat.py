"""BiTAT for QKeras: the same schedule, weights, penalty and gradients as for Brevitas; trainings end binary."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import nn

from codesign import data, quant, zoo
from codesign.errors import DivergedError, UserError
from codesign.ir import golden
from codesign.quant import companion, react

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
weight_bits = 1
activation_bits = 1

[method]
weights = "bitat"
activations = "bitat"

[method.weight_options]
block = 16
progressive = 0.5

[recipe]
epochs = 3
batch = 256
learning_rate = 0.05
step_rate = 0.2
seed = 5
"""


@pytest.fixture(scope="module")
def env() -> SimpleNamespace:
    """TensorFlow, Keras, QKeras and the method, imported once."""
    from codesign.quant.keras import bitat
    from codesign.quant.qkeras_runtime import runtime

    tf, keras, qkeras = runtime()
    return SimpleNamespace(tf=tf, keras=keras, q=qkeras, bitat=bitat)


@pytest.fixture(autouse=True)
def seeded(env: SimpleNamespace) -> None:
    """Trainings of other tests make operations deterministic for the whole process, which asks for a seed."""
    env.keras.utils.set_random_seed(1)


class Torch(nn.Module):
    """A convolution, a depthwise one with a stride, a dense layer."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        kind = quant.make("bitat", "weight", (1, True), options)
        self.act = nn.ModuleList(react.relu(channels, 1) for channels in (4, 8, 8))
        self.conv = qnn.QuantConv2d(4, 8, 3, padding=1, bias=False, weight_quant=kind)
        self.depthwise = qnn.QuantConv2d(8, 8, 3, stride=2, groups=8, bias=False, weight_quant=kind)
        self.dense = qnn.QuantLinear(8 * 9, 5, bias=False, weight_quant=kind)
        with torch.no_grad():
            # Some latent weights lie where the derivative of the sign is 0.
            for layer in self.layers:
                layer.weight.mul_(6)

    @property
    def layers(self) -> list[Any]:
        return [self.conv, self.depthwise, self.dense]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise(self.act[1](self.conv(self.act[0](x)) - 1))
        # As Keras flattens.
        return self.dense(self.act[2](x).permute(0, 2, 3, 1).flatten(1))


def of_keras(env: SimpleNamespace, theirs: Torch, **options: object) -> Any:
    """The same network with the same weights for Keras."""
    kind, deep = (str(env.bitat.weight(1, True, depthwise, **options)) for depthwise in (False, True))
    x = inputs = env.keras.Input((8, 8, 4))
    x = env.q.QActivation("ReactActivation()")(x)
    x = env.q.QConv2D(8, 3, padding="same", use_bias=False, kernel_quantizer=kind, name="conv")(x)
    x = env.q.QActivation("ReactActivation()")(x - 1)
    x = env.q.QDepthwiseConv2D(3, strides=2, use_bias=False, depthwise_quantizer=deep, name="depthwise")(x)
    x = env.keras.layers.Flatten()(env.q.QActivation("ReactActivation()")(x))
    network = env.keras.Model(inputs, env.q.QDense(5, use_bias=False, kernel_quantizer=kind, name="dense")(x))
    for layer in theirs.layers:
        name = next(n for n, module in theirs.named_modules() if module is layer)
        network.get_layer(name).set_weights([keras_kernel(layer.weight.detach(), name == "depthwise")])
    return network


def keras_kernel(w: torch.Tensor, depthwise: bool) -> np.ndarray:
    """Weights of torch in the order of Keras."""
    order = (1, 0) if w.ndim == 2 else (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
    return w.permute(order).numpy()


def kernels(network: Any) -> list[Any]:
    return [network.get_layer(name) for name in ("conv", "depthwise", "dense")]


def used(layer: Any) -> Any:
    """The quantised weights of a Keras layer, outputs first as torch has them."""
    if "depthwise" in layer.name:
        return layer.depthwise_quantizer_internal(layer.depthwise_kernel).numpy().transpose(2, 3, 0, 1)
    w = layer.kernel_quantizer_internal(layer.kernel).numpy()
    return w.T if w.ndim == 2 else w.transpose(3, 2, 0, 1)


@pytest.mark.parametrize("options", [{"block": 16}, {"block": 64, "correlation": "identity", "penalty": 0.5}])
def test_schedule_weights_penalty_and_gradients_are_those_of_brevitas(
    env: SimpleNamespace, options: dict[str, Any]
) -> None:
    theirs = Torch(**options)
    network = of_keras(env, theirs, **options)
    x = torch.randn(16, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    images = x.numpy().transpose(0, 2, 3, 1)
    before, acting = companion.make(theirs, ("bitat",)), env.bitat.companion(network)
    assert before is not None
    stages = set()
    for progress in (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.5):
        before.before_step(progress, x)
        acting.before_step(progress, images)
        for name, blocks in before.tensors().items():
            torch.testing.assert_close(acting.tensors()[name], blocks, rtol=1e-4, atol=1e-5)
            # Directions of nearly equal importance may come in another order: go on from the same numbers.
        acting.restore(before.tensors())
        acting.before_step(progress, images)
        for layer, other in zip(kernels(network), theirs.layers, strict=True):
            expected = other.quant_weight().value.detach()
            np.testing.assert_allclose(used(layer), expected, rtol=1e-4, atol=1e-5)
            stages.add("real" if torch.equal(expected, other.weight) else len(expected.abs().flatten(1).unique()))
        theirs.zero_grad()
        expected, penalty = theirs(x), before.penalty()
        (expected.square().sum() + (0 if penalty is None else penalty)).backward()
        with env.tf.GradientTape() as tape:
            found = network(images, training=True)
            assert len(network.losses) == 3
            own = sum(network.losses)
            loss = env.tf.reduce_sum(found**2) + own
        assert float(own) == pytest.approx(0.0 if penalty is None else penalty.item(), rel=1e-4)
        gradients = tape.gradient(loss, network.trainable_variables)
        named = {v.name: g for v, g in zip(network.trainable_variables, gradients, strict=True)}
        for layer, other in zip(kernels(network), theirs.layers, strict=True):
            gradient = keras_kernel(other.weight.grad, layer.name == "depthwise")
            own_gradient = next(g for name, g in named.items() if name.startswith(f"{layer.name}/"))
            assert np.abs(own_gradient - gradient).max() <= 1e-3 * np.abs(gradient).max()
    assert "real" in stages
    assert len(stages) > 2


def test_correlations_see_what_the_kernel_sees_also_where_keras_pads_one_side(env: SimpleNamespace) -> None:
    x = inputs = env.keras.Input((7, 8, 3))
    layer = env.q.QConv2D(
        4, (3, 2), strides=2, padding="same", use_bias=False, kernel_quantizer="BitatWeight(block=8)", name="conv"
    )
    network = env.keras.Model(inputs, layer(x))
    images = np.random.default_rng(1).normal(size=(6, 7, 8, 3)).astype(np.float32)
    (one,) = env.bitat.companion(network).layers
    columns = one._columns(env.tf.constant(images))
    # Columns are what the kernel is multiplied with.
    rows = layer.kernel.numpy().transpose(3, 2, 0, 1).reshape(4, 18)
    expected = env.tf.nn.conv2d(images, layer.kernel, 2, "SAME").numpy()
    np.testing.assert_allclose(rows @ columns, expected.reshape(6, -1, 4).transpose(0, 2, 1), rtol=1e-4, atol=1e-5)


class Watch:
    """What a schedule makes of a network in `fit`, step by step."""

    def __new__(cls, env: SimpleNamespace, network: Any, x: Any = None, y: Any = None) -> Any:
        class Callback(env.keras.callbacks.Callback):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.seen: list[list[int]] = []
                self.losses: list[tuple[float, float]] = []

            def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
                self.seen.append([magnitudes(layer) for layer in kernels(network)])
                if x is not None and batch == 0:
                    out = network(x, training=True)
                    self.expected = float(network.loss(y, out)) + float(sum(network.losses))

            def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
                if x is not None and batch == 0:
                    self.losses.append((logs["loss"], self.expected))

        return Callback()


def magnitudes(layer: Any) -> int:
    """How many magnitudes the weights of an output channel have: 1 where they are binary."""
    return len(np.unique(np.abs(used(layer)[0])))


def compiled(env: SimpleNamespace, **options: Any) -> tuple[Any, Any, Any]:
    """A network, inputs and labels."""
    network = of_keras(env, Torch())
    network.compile("sgd", env.keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    rng = np.random.default_rng(1)
    return network, rng.normal(size=(64, 8, 8, 4)).astype(np.float32), rng.integers(0, 5, 64)


def test_fit_takes_the_layers_through_their_turns_and_leaves_them_binary(env: SimpleNamespace, tmp_path: Path) -> None:
    network, x, y = compiled(env)
    variables = len(network.weights)
    network.fit(x, y, batch_size=16, verbose=0)  # a step that knows of no schedule is traced
    network.predict(x, verbose=0)
    for _ in range(2):
        watch = Watch(env, network, x[:16], y[:16])
        network.fit(
            x, y, epochs=6, batch_size=16, shuffle=False, verbose=0, callbacks=[env.bitat.BitatSchedule(x), watch]
        )
        assert len(watch.seen) == 24
        assert min(watch.seen[0]) > 1, "all are real at first"
        assert watch.seen[12] == [1, 1, 1], "all are binary after their turns"
        assert any(1 in stage and max(stage) > 1 for stage in watch.seen), "one after the other"
        assert [magnitudes(layer) for layer in kernels(network)] == [1, 1, 1]
        # The step that is trained is that of these weights, with the penalty.
        assert [trained for trained, _ in watch.losses] == pytest.approx([own for _, own in watch.losses], rel=1e-4)
    assert len(network.weights) == variables
    # A fit without a schedule is one of a binary network.
    network.optimizer.learning_rate.assign(0.0)
    (loss,) = network.fit(x, y, batch_size=16, verbose=0).history["loss"]
    assert loss == pytest.approx(float(network.loss(y, network(x))), rel=1e-4)
    assert network(x[:4], training=True) is not None
    assert not network.losses
    np.testing.assert_allclose(network.predict(x, verbose=0), network(x), rtol=1e-4, atol=1e-4)
    network.save(tmp_path / "network.keras")
    loaded = env.keras.models.load_model(
        tmp_path / "network.keras", custom_objects={"QActivation": env.q.QActivation, "QConv2D": env.q.QConv2D,
        "QDepthwiseConv2D": env.q.QDepthwiseConv2D, "QDense": env.q.QDense}, compile=False,
    )  # fmt: skip
    assert np.array_equal(loaded(x), network(x))


@pytest.mark.parametrize(
    ("steps_per_execution", "initial_epoch", "first"), [(1, 0, 0.0), (2, 0, 0.0), (1, 3, 0.5)]
)  # fmt: skip
def test_the_schedule_knows_how_far_the_training_is(
    env: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, steps_per_execution: int, initial_epoch: int, first: float
) -> None:
    network, x, y = compiled(env, steps_per_execution=steps_per_execution)
    seen: list[float] = []
    monkeypatch.setattr(env.bitat.KerasBitat, "before_step", lambda _, progress, x: seen.append(progress))
    schedule = env.bitat.BitatSchedule(x)
    network.fit(x, y, epochs=6, initial_epoch=initial_epoch, batch_size=16, verbose=0, callbacks=[schedule])
    assert seen[0] == first
    assert seen[-1] == pytest.approx((24 - steps_per_execution) / 24)
    assert len(seen) == (6 - initial_epoch) * 4 / steps_per_execution


def test_a_generator_needs_the_number_of_steps_and_a_training_that_ends_early_says_so(env: SimpleNamespace) -> None:
    network, x, y = compiled(env)
    rows = env.tf.data.Dataset.from_generator(
        lambda: ((x[n : n + 16], y[n : n + 16]) for n in range(0, 64, 16)),
        output_signature=(env.tf.TensorSpec((16, 8, 8, 4)), env.tf.TensorSpec((16,), env.tf.int64)),
    )
    with pytest.raises(UserError, match="give BitatSchedule"):
        network.fit(rows, epochs=3, verbose=0, callbacks=[env.bitat.BitatSchedule(x)])
    assert not kernels(network)[0].kernel_quantizer_internal.under_way
    watch, stop = Watch(env, network), env.keras.callbacks.LambdaCallback()
    network.fit(rows, epochs=3, verbose=0, callbacks=[env.bitat.BitatSchedule(x, steps_per_epoch=4), watch])
    assert min(watch.seen[0]) > 1
    assert watch.seen[-1] == [1, 1, 1]
    stop.on_epoch_end = lambda epoch, logs: setattr(network, "stop_training", True)
    with pytest.warns(UserWarning, match="ended at 8% of its epochs"):
        network.fit(x, y, epochs=10, batch_size=16, verbose=0, callbacks=[env.bitat.BitatSchedule(x), stop])
    assert [magnitudes(layer) for layer in kernels(network)] == [1, 1, 1]


def test_what_is_under_way_is_no_finished_network(env: SimpleNamespace) -> None:
    from codesign.frontends.qkeras import import_qkeras

    network, x, y = compiled(env)
    stop = env.keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: 1 // (2 - batch))
    with pytest.raises(ZeroDivisionError):
        network.fit(x, y, epochs=10, batch_size=16, verbose=0, callbacks=[env.bitat.BitatSchedule(x), stop])
    with pytest.raises(UserError, match="in the middle of a BiTAT training"):
        import_qkeras(network, input_scale=1.0)
    network.predict(x, verbose=0)  # traced with weights that are real in part
    env.bitat.companion(network).finish()
    assert [magnitudes(layer) for layer in kernels(network)] == [1, 1, 1]
    np.testing.assert_allclose(network.predict(x, verbose=0), network(x), rtol=1e-4, atol=1e-4)
    assert network.evaluate(x, y, verbose=0) == pytest.approx(float(network.loss(y, network(x))), rel=1e-4)


def test_measuring_leaves_statistics_alone_and_halves_are_trained_in_float32(env: SimpleNamespace) -> None:
    env.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        x = inputs = env.keras.Input((8, 8, 4))
        x = env.q.QConv2D(8, 3, use_bias=False, kernel_quantizer="BitatWeight()", name="first")(x)
        x = env.keras.layers.BatchNormalization()(x)
        x = env.q.QConv2D(4, 3, use_bias=False, kernel_quantizer="BitatWeight(per_channel=False)", name="conv")(x)
        network = env.keras.Model(inputs, env.keras.layers.GlobalAveragePooling2D()(x))
    finally:
        env.keras.mixed_precision.set_global_policy("float32")
    network.compile("sgd", "mse")
    images = np.random.default_rng(1).normal(size=(16, 8, 8, 4)).astype(np.float32)
    acting = env.bitat.companion(network)
    before = [v.numpy() for v in network.weights]
    acting.before_step(0.3, images)
    assert all((v.numpy() == old).all() for v, old in zip(network.weights, before, strict=True))
    acting.finish()
    network.fit(images, np.zeros((16, 4)), epochs=4, verbose=0, callbacks=[env.bitat.BitatSchedule(images)])
    w = network.get_layer("conv").kernel_quantizer_internal(network.get_layer("conv").kernel)
    assert len(np.unique(np.abs(w))) == 1, "one scale in all"


def test_a_network_that_is_no_bitat_network_is_refused(env: SimpleNamespace) -> None:
    plain = env.keras.Sequential([env.keras.Input((4,)), env.q.QDense(2, kernel_quantizer="SignWeight()")])
    assert env.bitat.companion(plain) is None
    plain.compile("sgd", "mse")
    with pytest.raises(UserError, match="leave BitatSchedule out"):
        plain.fit(np.zeros((4, 4)), np.zeros((4, 2)), verbose=0, callbacks=[env.bitat.BitatSchedule(np.zeros((4, 4)))])
    row = env.keras.Sequential([env.keras.Input((8, 3)), env.q.QConv1D(2, 3, kernel_quantizer="BitatWeight()")])
    with pytest.raises(UserError, match="QConv1D; BiTAT has weights for"):
        env.bitat.companion(row)
    inner = env.keras.Sequential([env.keras.Input((4,)), env.q.QDense(2, kernel_quantizer="BitatWeight()")])
    outer = env.keras.Sequential([env.keras.Input((4,)), inner])
    with pytest.raises(UserError, match="within another layer or network"):
        env.bitat.companion(outer)
    later = env.keras.Sequential([env.q.QDense(2, kernel_quantizer="BitatWeight()")])
    with pytest.raises(UserError, match="whose input shape is known"):
        env.bitat.companion(later)
    shared = env.bitat.BitatWeight()
    twins = [env.keras.Input((4,)), *(env.q.QDense(4, kernel_quantizer=shared, name=name) for name in ("a", "b"))]
    with pytest.raises(UserError, match="'b' has the BiTAT quantizer of another layer"):
        env.bitat.companion(env.keras.Sequential(twins))
    layer, inputs = env.q.QDense(4, kernel_quantizer="BitatWeight()", name="twice"), env.keras.Input((4,))
    with pytest.raises(UserError, match="'twice' is called 2 times"):
        env.bitat.companion(env.keras.Model(inputs, layer(layer(inputs))))
    # One call here, and one in another network, is one.
    again = env.keras.Sequential([env.keras.Input((4,)), layer])
    assert env.bitat.companion(again).layers[0].measure(again, np.eye(4, dtype=np.float32)).shape == (1, 64, 64)
    deep = env.q.QDepthwiseConv2D(3, depthwise_quantizer="BitatWeight()", name="deep")
    with pytest.raises(UserError, match="depthwise=True"):
        env.bitat.companion(env.keras.Sequential([env.keras.Input((8, 8, 3)), deep]))
    with pytest.raises(DivergedError, match="no longer finite"):
        env.bitat.companion(again).before_step(0.1, np.full((2, 4), np.nan, np.float32))


def test_a_training_by_recipe_is_the_same_when_interrupted_and_ends_in_its_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from codesign.train import checkpoint, keras_loop
    from codesign.train.run import train

    (tmp_path / "tiny.toml").write_text(TOML)
    model, steps = zoo.read(tmp_path / "tiny.toml"), 0
    expected = train(model, tmp_path / "whole", progress=False)

    class Interrupted(keras_loop.Progress):
        def step(self) -> None:
            nonlocal steps
            steps += 1
            if steps == 7:  # in the second epoch of five steps, when two layers are not binary yet
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(keras_loop, "Progress", Interrupted)
        with pytest.raises(UserError, match="after 1 of 3 epochs"):
            train(model, tmp_path / "run", progress=False)
    result = train(model, tmp_path / "run", progress=False)
    assert Path(result.checkpoint).read_bytes() == Path(expected.checkpoint).read_bytes()
    assert any(name.startswith("companion/") for name in checkpoint.read(tmp_path / "run" / "state.safetensors")[0])
    model.checkpoint_path.write_bytes(Path(result.checkpoint).read_bytes())
    graph, digits = model.graph(), data.load("digits")
    accuracy = 100 * float((golden.run(graph, digits.x_test).argmax(1) == digits.y_test).mean())
    assert accuracy == pytest.approx(result.float_accuracy, abs=1.0)
    codebooks = [node.op.codebook for node in graph if getattr(node.op, "codebook", None) is not None]
    assert [list(codebook) for codebook in codebooks] == [[-1, 1]] * 3


def test_the_training_loop_takes_steps_of_the_stage_with_its_penalty(env: SimpleNamespace, tmp_path: Path) -> None:
    from codesign.train import keras_loop

    (tmp_path / "tiny.toml").write_text(TOML.replace("block = 16", "block = 16\npenalty = 5.0"))
    model = zoo.read(tmp_path / "tiny.toml")
    assert model.recipe is not None
    training = keras_loop._Training(model, model.recipe, tmp_path / "run", resume=False, progress=False)
    digits = data.load("digits")
    x, y = digits.x_train[:32].astype(np.float32) / 16, env.tf.constant(digits.y_train[:32])
    cross_entropy = env.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for progress, begun in ((0.0, 1), (0.25, 2), (0.6, 3)):
        training.companion.before_step(progress, x)
        expected = float(cross_entropy(y, training.network(x, training=True)))
        assert sum(float(each) > 0.01 for each in training.network.losses) == begun
        penalty = float(sum(training.network.losses))
        loss, _ = training.step(env.tf.constant(x), y)
        assert float(loss) == pytest.approx(expected + penalty, rel=1e-4)
