"""Quantisation methods for QKeras against those for Brevitas: the same values and gradients for the same numbers."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import brevitas.nn as qnn
import numpy as np
import pytest
import torch

from codesign import quant
from codesign.errors import UserError

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qkeras") is None, reason="needs QKeras: pip install '.[qkeras]'"
)

INPUTS, OUTPUTS = 1000, 100
IMAGES = (40, 16, 13, 13)

WEIGHTS = [(name, bits) for name in ("lsq", "dorefa") for bits in (2, 3, 4, 8)]
WEIGHTS += [(name, bits) for name in ("post", "pot", "apot") for bits in (2, 3, 4, 5)]
WEIGHTS += [("dorefa", 1), ("sign", 1), ("react", 1), ("bitat", 1)]

ACTIVATIONS = [(name, bits, False) for name in ("lsq", "pact", "dorefa") for bits in (1, 2, 3, 4, 8)]
ACTIVATIONS += [(name, bits, True) for name in ("lsq", "pact", "dorefa") for bits in (2, 4, 8)]
ACTIVATIONS += [("sign", 1, False), ("react", 1, False)]


@pytest.fixture(scope="module")
def env() -> SimpleNamespace:
    """TensorFlow, Keras and QKeras, imported once when a test needs them."""
    from codesign.quant import keras as methods
    from codesign.quant.qkeras_runtime import runtime

    tf, keras, qkeras = runtime()
    return SimpleNamespace(tf=tf, keras=keras, q=qkeras, methods=methods)


def close(found: Any, expected: Any) -> bool:
    """Whether gradients agree but for the order of their sums."""
    found, expected = np.asarray(found), np.asarray(expected)
    return bool(np.abs(found - expected).max() <= 2e-4 * np.abs(expected).max() + 1e-7)


def codes(values: Any, scale: Any) -> Any:
    """The integers that values are of a scale."""
    return np.rint(np.asarray(values) / scale)


# Weights ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "bits"), WEIGHTS)
@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_equal_those_of_brevitas(env: SimpleNamespace, name: str, bits: int, per_channel: bool) -> None:
    torch.manual_seed(bits)
    layer = qnn.QuantLinear(
        INPUTS, OUTPUTS, bias=False, weight_quant=quant.make(name, "weight", (bits, per_channel), {})
    )
    with torch.no_grad():
        layer.weight.normal_(0, 0.4).mul_(torch.rand(OUTPUTS, 1) + 0.5)[0, :4] = torch.tensor([0.0, -0.0, 1.0, -1.0])
    layer.weight_quant.init_tensor_quant()
    expected, scale = layer.quant_weight().value, layer.quant_weight().scale.detach().numpy().T
    upstream = torch.randn_like(expected)
    (expected * upstream).sum().backward()

    kernel = env.tf.Variable(layer.weight.detach().numpy().T)
    quantizer = env.methods.make(name, "weight", (bits, per_channel, False), {})
    first = quantizer(kernel)
    learned = [p for p in layer.weight_quant.parameters() if p is not layer.weight]
    assert len(learned) == len(quantizer.trainable_variables)
    for variable, parameter in zip(quantizer.trainable_variables, learned, strict=True):
        # Both start from the weights alike, and go on from the same number.
        assert close(variable.numpy().ravel(), parameter.detach().numpy().ravel())
        variable.assign(parameter.detach().numpy().reshape(variable.shape))
    with env.tf.GradientTape() as tape:
        found = quantizer(kernel)
        loss = env.tf.reduce_sum(found * upstream.numpy().T)
    differing = codes(found, scale) != codes(expected.detach().T, scale)
    assert int(differing.sum()) == 0
    # To the last bit, unless the scale itself is a sum over the weights.
    equal = np.array_equal(found, expected.detach().T)
    assert equal or (bits == 1 and close(found, expected.detach().T))
    assert np.mean(codes(first, scale) != codes(found, scale)) < 1e-3
    gradients = tape.gradient(loss, [kernel, *quantizer.trainable_variables])
    assert close(gradients[0].numpy().T, layer.weight.grad)
    for gradient, parameter in zip(gradients[1:], learned, strict=True):
        assert close(gradient.numpy().ravel(), parameter.grad.numpy().ravel())


@pytest.mark.parametrize(("name", "bits"), [("lsq", 3), ("post", 4), ("sign", 1)])
def test_depthwise_weights_have_a_scale_per_channel(env: SimpleNamespace, name: str, bits: int) -> None:
    w = np.random.default_rng(1).normal(0, 0.3, (3, 3, 5, 1)).astype(np.float32)
    depthwise = env.methods.make(name, "weight", (bits, True, True), {})(env.tf.Variable(w))
    plain = env.methods.make(name, "weight", (bits, True, False), {})(env.tf.Variable(w.transpose(0, 1, 3, 2)))
    assert np.array_equal(depthwise.numpy().transpose(0, 1, 3, 2), plain.numpy())


# Activations ------------------------------------------------------------------------------------------------


def torch_activation(name: str, bits: int, signed: bool, options: dict[str, Any]) -> Any:
    if not signed and quant.offers(name, "relu"):
        return quant.make(name, "relu", (IMAGES[1], bits), options)
    made = quant.make(name, "activation", (bits, signed), options)
    return qnn.QuantIdentity(act_quant=made) if signed else qnn.QuantReLU(act_quant=made)


def compare(env: SimpleNamespace, module: Any, quantizer: Any, pairs: dict[str, str], shape: tuple[int, ...]) -> None:
    """Compare values and gradients; `pairs` has the names of torch's parameters by those of Keras' attributes."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(shape, generator=generator) * (1 + torch.rand(shape[0], *(1,) * (len(shape) - 1)))
    to_last = (0, *range(2, len(shape)), 1)
    images = env.tf.Variable(x.numpy().transpose(to_last))
    with torch.no_grad():
        module(x)
    quantizer(env.tf.constant(images))
    parameters = dict(module.named_parameters())
    for attribute, parameter in pairs.items():
        variable, value = getattr(quantizer, attribute), parameters[parameter]
        with torch.no_grad():
            if "step" in attribute or "clip" in attribute:
                value *= 0.9  # so that both clips are met
            if attribute == "shift":
                value.uniform_(-0.5, 0.5, generator=generator)
        variable.assign(value.detach().numpy().T.reshape(variable.shape))
    assert {id(v) for v in quantizer.trainable_variables} == {id(getattr(quantizer, a)) for a in pairs}
    x.requires_grad_()
    expected = module(x)
    upstream = torch.randn(shape, generator=generator)
    (expected * upstream).sum().backward()
    with env.tf.GradientTape() as tape:
        found = quantizer(images)
        loss = env.tf.reduce_sum(found * upstream.numpy().transpose(to_last))
    gradients = tape.gradient(loss, [images, *(getattr(quantizer, a) for a in pairs)])
    theirs = expected.detach().numpy().transpose(to_last)
    if getattr(quantizer, "entries", 1):
        differing = found.numpy() != theirs
    else:
        # The adapter sums floats, so that factors may differ in their last bits, but no code may.
        assert np.abs(found - theirs).max() < 1e-5
        scale = adaptive_scale(module, x).numpy().transpose(to_last)
        differing = codes(found, scale) != codes(theirs, scale)
    assert int(differing.sum()) == 0
    assert close(gradients[0], x.grad.numpy().transpose(to_last))
    for (attribute, name), gradient in zip(pairs.items(), gradients[1:], strict=True):
        assert close(gradient.numpy().ravel(), parameters[name].grad.numpy().T.ravel()), attribute


def adaptive_scale(module: Any, x: torch.Tensor) -> torch.Tensor:
    inner = module.act_quant.fused_activation_quant_proxy.tensor_quant
    return inner(x.detach().clamp_min(0))[1].detach()


@pytest.mark.parametrize(("name", "bits", "signed"), ACTIVATIONS)
def test_activations_equal_those_of_brevitas(env: SimpleNamespace, name: str, bits: int, signed: bool) -> None:
    module = torch_activation(name, bits, signed, {})
    quantizer = env.methods.make(name, "activation", (bits, signed), {})
    (parameter,) = [n for n, _ in module.named_parameters()] or [""]
    attribute = {"lsq": "step", "pact": "clip", "react": "shift"}.get(name)
    compare(env, module, quantizer, {attribute: parameter} if attribute else {}, IMAGES)


ADAPTER = {
    "step": "scaling_impl.value",
    "output_weights": "adapter.output.weight",
    "output_bias": "adapter.output.bias",
}
HIDDEN = {"hidden_weights": "adapter.hidden.weight", "hidden_bias": "adapter.hidden.bias"}
QUANTISED = {
    "input_step": "input_quant.scaling_impl.value",
    "output_weight_step": "adapter.output.weight_quant.tensor_quant.scaling_impl.value",
}
QUANTISED_HIDDEN = {
    "hidden_step": "adapter.hidden_quant.scaling_impl.value",
    "hidden_weight_step": "adapter.hidden.weight_quant.tensor_quant.scaling_impl.value",
}


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("entries", [0, 16, 64])
@pytest.mark.parametrize("shape", [IMAGES, (60, 4, 21, 21), (2000, 64)])
def test_adaptive_steps_equal_those_of_brevitas(
    env: SimpleNamespace, bits: int, entries: int, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(bits)
    module = quant.make("asq", "relu", (shape[1], bits), {"entries": entries})
    inner = module.act_quant.fused_activation_quant_proxy.tensor_quant
    with torch.no_grad():
        inner.adapter.output.weight.normal_(0, 0.7)
    quantizer = env.methods.make("asq", "activation", (bits, False), {"entries": entries})
    hidden = shape[1] >= 8
    pairs = ADAPTER | (HIDDEN if hidden else {}) | (QUANTISED if entries else {})
    pairs |= QUANTISED_HIDDEN if hidden and entries else {}
    prefix = next(n for n, m in module.named_modules() if m is inner)
    compare(env, module, quantizer, {a: f"{prefix}.{n}" for a, n in pairs.items()}, shape)


@pytest.mark.parametrize("entries", [0, 16])
@pytest.mark.parametrize("channels", [4, 32])
def test_an_adapter_starts_like_that_of_brevitas(env: SimpleNamespace, channels: int, entries: int) -> None:
    torch.manual_seed(channels)
    module = quant.make("asq", "relu", (channels, 4), {"entries": entries})
    theirs = module.act_quant.fused_activation_quant_proxy.tensor_quant.adapter
    quantizer = env.methods.make("asq", "activation", (4, False), {"entries": entries})
    quantizer(env.tf.random.stateless_normal((10, 5, 5, channels), (1, 2)))
    assert quantizer.output_bias.numpy() == theirs.output.bias.item() == 1
    assert quantizer.output_weights.shape == theirs.output.weight.T.shape
    assert 0 < np.abs(quantizer.output_weights).max() < 0.05
    if entries:
        step = theirs.output.weight_quant.tensor_quant.scaling_impl.value.item()
        assert float(quantizer.output_weight_step) == step == 2.0**-8
    if channels == 32:
        weights, hidden = quantizer.hidden_weights.numpy(), theirs.hidden.weight.detach().numpy().T
        assert weights.shape == hidden.shape
        assert min(weights.sum(0).min(), hidden.sum(0).min()) >= 0
        for found in (weights, hidden):
            assert 0.95 / np.sqrt(channels) < np.abs(found).max() <= 1 / np.sqrt(channels)
            assert (found < 0).mean() > 0.2
        assert not quantizer.hidden_bias.numpy().any()
        assert not theirs.hidden.bias.any()
        if entries:
            expected = 2 * np.abs(weights).mean() / np.sqrt(127)
            assert float(quantizer.hidden_weight_step) == pytest.approx(expected, rel=1e-5)


# Use --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "part", "arguments", "options", "message"),
    [
        ("lsqq", "weight", (4, True, False), {}, "did you mean lsq"),
        ("post", "activation", (4, False), {}, "not for activations; these are: asq, bitat, dorefa"),
        ("asq", "weight", (4, True, False), {}, "not for weights; these are: apot, bitat, dorefa"),
        ("post", "weight", (6, True, False), {}, "2 to 5 bits, not for 6"),
        ("post", "weight", (4, True, False), {"quantile": 2.0}, "above 0 and at most 1"),
        ("post", "weight", (4, True, False), {"entries": 2}, "no option 'entries' there; it accepts quantile"),
        ("asq", "activation", (4, False), {"entries": 8}, "0 or 16 to 64"),
        ("asq", "activation", (4, True), {}, "not negative"),
        ("asq", "activation", (4, False), {"seed": 3}, "no option 'seed' there"),
        ("pact", "activation", (4, False), {"decay": -1.0}, "0 or positive"),
        ("lsq", "weight", (1, True, False), {}, "at least 2 bits"),
        ("sign", "weight", (2, True, False), {}, "binary, 1 bit, not 2"),
        ("react", "activation", (1, True), {}, "operands of an addition"),
    ],
)
def test_wrong_uses_are_refused(
    env: SimpleNamespace, name: str, part: str, arguments: Any, options: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        env.methods.make(name, part, arguments, options)
