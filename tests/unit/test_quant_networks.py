"""Every baseline method in a whole network: from float weights, through a short training, to integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from codesign import data, zoo
from codesign.api import from_brevitas
from codesign.errors import UserError
from codesign.frontends.brevitas import import_brevitas
from codesign.frontends.brevitas_reference import compared
from codesign.ir import IntType
from codesign.quant import layers
from codesign.quant.choice import Method
from codesign.quant.widths import Widths
from codesign.train import checkpoint, run, topologies
from codesign.train.ema import overwrite

# These networks are too small to share among threads.
torch.set_num_threads(1)

METHODS = {
    "post": Method(weights="post"),
    "pot": Method(weights="pot"),
    "apot": Method(weights="apot"),
    "dorefa": Method(weights="dorefa", activations="dorefa"),
    "pact": Method(weights="dorefa", activations="pact"),
    "brevitas": Method(weights="brevitas_default", activations="brevitas_default"),
    "brevitas edges": Method(weights="post", edges="brevitas_default"),
    "dorefa edges": Method(weights="dorefa", activations="pact", edges="dorefa"),
}
SCALE = 1 / 16
every_method = pytest.mark.parametrize("name", METHODS)


def build(name: str, bits: int) -> nn.Module:
    widths = Widths(weight_bits=bits, activation_bits=bits)
    return topologies.build("digits_cnn", layers.make(widths, METHODS[name]), (8, 8, 1), 10, {})


def build_float() -> nn.Module:
    return topologies.build("digits_cnn", layers.make(Widths(), Method()), (8, 8, 1), 10, {})


def images(count: int) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Digits as integers and as the network sees them, and their labels."""
    dataset = data.load("digits")
    raw = dataset.x_train[:count]
    return (
        raw,
        torch.from_numpy(raw.astype(np.float32)).permute(0, 3, 1, 2) * SCALE,
        torch.from_numpy(dataset.y_train[:count].copy()),
    )


def trained(name: str, bits: int, steps: int = 25) -> nn.Module:
    torch.manual_seed(bits)
    net = build(name, bits).train()
    _, x, y = images(256)
    net(x[:64])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(steps):
        part = slice(64 * (step % 4), 64 * (step % 4) + 64)
        loss = F.cross_entropy(net(x[part]), y[part])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    return net.eval()


@every_method
@pytest.mark.parametrize("bits", [2, 4])
def test_a_trained_network_equals_its_integers(name: str, bits: int) -> None:
    net = trained(name, bits)
    raw, x, _ = images(60)
    imported = import_brevitas(net, torch.zeros(1, 1, 8, 8), input_type=IntType(8, False), input_scale=SCALE)
    compared_integers = 0
    for edge, expected, found in compared(imported, raw):
        assert np.array_equal(expected, found), edge
        compared_integers += found.size
    assert compared_integers > 10_000
    network = from_brevitas(net, torch.zeros(1, 1, 8, 8), input_type=IntType(8, False), input_scale=SCALE)
    with torch.no_grad():
        assert (network.run(raw).argmax(1) == net(x).argmax(1).numpy()).mean() > 0.95


@every_method
def test_scales_fit_the_float_weights_that_are_loaded_later(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    plain = build_float()
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.mul_(0.1)  # nothing that a fresh network has
    checkpoint.write(tmp_path / "plain.safetensors", plain.state_dict())
    net = build(name, 4)
    checkpoint.load_weights(net, tmp_path / "plain.safetensors", partial=True)
    quantised = [m for m in net.modules() if hasattr(m, "quant_weight")]
    assert len(quantised) == 4
    originals = [m for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer, original in zip(quantised, originals, strict=True):
        assert torch.equal(layer.weight, original.weight)
        error = (layer.quant_weight().value - original.weight).square().mean() / original.weight.square().mean()
        # The step of LSQ starts wide at the 8-bit ends; the rest is at 4 bits.
        assert error < 0.06


@every_method
def test_a_trained_state_is_restored_bit_for_bit(name: str, tmp_path: Path) -> None:
    net = trained(name, 3, steps=12)
    _, x, _ = images(20)
    checkpoint.write(tmp_path / "net.safetensors", net.state_dict())
    loaded, resumed = build(name, 3), build(name, 3).train()
    checkpoint.load_weights(loaded, tmp_path / "net.safetensors")
    # As a training that goes on: one batch, then the state is written over.
    with torch.no_grad():
        resumed(5 * x)
    overwrite(resumed, net.state_dict())
    with torch.no_grad():
        assert torch.equal(loaded.eval()(x), net(x))
        assert torch.equal(resumed.eval()(x), net(x))
        assert torch.equal(resumed.train()(x), net.train()(x))


@every_method
def test_trainable_parts_of_quantizers_are_known_as_such(name: str) -> None:
    own = {name for name, _ in build_float().named_parameters()}
    others = {name for name, _ in build(name, 4).named_parameters()} - own
    assert all(checkpoint.is_quantizer(other) for other in others)


TOML = """
title = "test"
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625
topology_options = {{ channels = 4 }}
widths = {{ weight_bits = {bits}, activation_bits = {bits} }}
{method}

[recipe]
epochs = 2
batch = 128
learning_rate = 0.05
weight_decay = 1e-4
step_rate = 0.2
ema = 0.98
precision = "bfloat16"
validation = 100
seed = 1
{more}
"""


@pytest.mark.parametrize("method", ["post", "apot", "pact", "brevitas_default"])
def test_a_training_from_a_float_model_resumes_bit_for_bit(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plain.toml").write_text(TOML.format(bits=32, method="", more=""))
    plain = zoo.read(tmp_path / "plain.toml")
    checkpoint.write(plain.checkpoint_path, plain.module().state_dict())
    weights, activations = {"pact": ("dorefa", "pact"), "brevitas_default": (method, method)}.get(
        method, (method, "lsq")
    )
    text = f'method = {{ weights = "{weights}", activations = "{activations}" }}'
    (tmp_path / "net.toml").write_text(TOML.format(bits=3, method=text, more='init_from = "plain"'))
    net = zoo.read(tmp_path / "net.toml")
    whole = run.train(net, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patch:
        original = run.Training._one_epoch

        def once(self: run.Training) -> None:
            if self.epoch:
                raise KeyboardInterrupt
            original(self)

        patch.setattr(run.Training, "_one_epoch", once)
        with pytest.raises(UserError, match="stopped after 1 of 2"):
            run.train(net, tmp_path / "parts", progress=False)
    assert run.train(net, tmp_path / "parts", progress=False).checkpoint_sha256 == whole.checkpoint_sha256


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bits"), [("post", 4), ("pot", 3), ("apot", 4), ("dorefa", 2), ("pact", 3)])
def test_the_simulated_hardware_equals_the_network(name: str, bits: int) -> None:
    network = from_brevitas(
        trained(name, bits, steps=12), torch.zeros(1, 1, 8, 8), input_type=IntType(8, False), input_scale=SCALE
    )
    result = network.verify(images(6)[0])
    assert result, result.first_difference
