"""Every baseline method in a whole network: from float weights, through a short training, to integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from codesign import data
from codesign.api import from_brevitas
from codesign.frontends.brevitas import import_brevitas
from codesign.frontends.brevitas_reference import compared
from codesign.ir import IntType
from codesign.quant import layers
from codesign.quant.choice import Method
from codesign.quant.widths import Widths
from codesign.train import checkpoint, topologies
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "bits"), [("post", 4), ("pot", 3), ("apot", 4), ("dorefa", 2), ("pact", 3)])
def test_the_simulated_hardware_equals_the_network(name: str, bits: int) -> None:
    network = from_brevitas(
        trained(name, bits, steps=12), torch.zeros(1, 1, 8, 8), input_type=IntType(8, False), input_scale=SCALE
    )
    result = network.verify(images(6)[0])
    assert result, result.first_difference
