"""ResNet-8 in QKeras: the torch network's function, and a training that starts from its weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from codesign import zoo
from codesign.errors import UserError
from codesign.quant.choice import Method
from codesign.quant.layers import FloatLayers
from codesign.quant.widths import Widths
from codesign.train import checkpoint, evaluate, topologies

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("qkeras") is None, reason="needs QKeras: pip install '.[qkeras]'"
)

TOML = """
title = "test"
framework = "qkeras"
dataset = "digits"
topology = "resnet8"
input_scale = 0.0625

[topology_options]
width = 4

[widths]
weight_bits = 4
activation_bits = 4

[method]
weights = "quantized_bits"
activations = "quantized_relu"

[recipe]
init_from = "start"
epochs = 1
batch = 256
learning_rate = 1e-9
seed = 5
"""


def randomised(module: nn.Module) -> nn.Module:
    """The network with statistics and factors as after a training."""
    torch.manual_seed(3)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
    return module


def without_quantizers(network: Any) -> Any:
    from codesign.quant.qkeras_runtime import runtime

    for layer in network.layers:
        if hasattr(layer, "kernel_quantizer_internal"):
            layer.kernel_quantizer = layer.kernel_quantizer_internal = None
            layer.bias_quantizer = layer.bias_quantizer_internal = None
        elif type(layer).__name__ == "QActivation":
            layer.quantizer = runtime().tf.identity if layer.name.endswith("res") else runtime().tf.nn.relu
    return network


@pytest.mark.parametrize("shape", [(16, 16, 3), (15, 13, 1)])
def test_float_network_is_that_of_torch(tmp_path: Path, shape: tuple[int, ...]) -> None:
    from codesign.train import keras_model, keras_start, keras_topologies
    from codesign.train.keras_layers import KerasLayers

    module = randomised(topologies.build("resnet8", FloatLayers(), shape, 10, {"width": 4})).eval()
    checkpoint.write(tmp_path / "start.safetensors", module.state_dict())
    layers = KerasLayers(Widths(weight_bits=4, activation_bits=4), Method("quantized_bits", "quantized_relu"), 1)
    network = keras_topologies.build("resnet8", layers, shape, 10, {"width": 4})
    assert keras_model.parameters(network) == evaluate.parameters(module)
    assert keras_model.macs(network) == evaluate.macs(module, shape)
    keras_start.load(network, tmp_path / "start.safetensors", "brevitas", steps=False)
    x = np.random.default_rng(1).integers(0, 256, (20, *shape))
    expected = evaluate.logits(module, x, 1 / 64)
    found = keras_model.logits(without_quantizers(network), x, 1 / 64)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("weights", "activations", "bits"), [("post", "asq", 4), ("sign", "react", 1), ("dorefa", "pact", 3)]
)
def test_parameters_are_counted_as_in_torch(tmp_path: Path, weights: str, activations: str, bits: int) -> None:
    from codesign.train import keras_model

    text = TOML.replace('init_from = "start"\n', "").replace("width = 4", "width = 8")
    text = text.replace("_bits = 4", f"_bits = {bits}")
    text = text.replace("quantized_bits", weights).replace("quantized_relu", activations)
    counts = []
    for framework, count in (("qkeras", keras_model.parameters), ("brevitas", evaluate.parameters)):
        (tmp_path / "tiny.toml").write_text(text.replace("qkeras", framework))
        counts.append(count(zoo.read(tmp_path / "tiny.toml").module()))
    assert counts[0] == counts[1]


def test_dense_weights_follow_the_order_in_which_keras_flattens(tmp_path: Path) -> None:
    from codesign.quant.qkeras_runtime import runtime
    from codesign.train import keras_start

    _, keras, qkeras = runtime()
    inputs = keras.layers.Input((2, 3, 5))
    network = keras.Model(inputs, qkeras.QDense(4, name="dense")(keras.layers.Flatten()(inputs)))
    module = nn.Sequential()
    module.add_module("flatten", nn.Flatten())
    module.add_module("dense", nn.Linear(30, 4))
    checkpoint.write(tmp_path / "start.safetensors", module.state_dict())
    keras_start.load(network, tmp_path / "start.safetensors", "brevitas", steps=False)
    x = torch.randn(7, 5, 2, 3)
    found = network(x.permute(0, 2, 3, 1).numpy()).numpy()
    assert np.abs(found - module(x).detach().numpy()).max() < 1e-5


def test_training_starts_from_torch_weights(tmp_path: Path) -> None:
    from codesign.train.run import train

    start = TOML.replace('"qkeras"', '"brevitas"').replace('init_from = "start"\n', "")
    start = start.replace("_bits = 4", "_bits = 32").split("[method]")[0]
    (tmp_path / "start.toml").write_text(start)
    module = randomised(zoo.read(tmp_path / "start.toml").module())
    checkpoint.write(tmp_path / "start.safetensors", module.state_dict())
    (tmp_path / "tiny.toml").write_text(TOML)
    result = train(zoo.read(tmp_path / "tiny.toml"), tmp_path / "run", progress=False)
    found, _ = checkpoint.read(Path(result.checkpoint))
    # The learning rate changes nothing that can be seen; the statistics move by one epoch of six batches.
    kernel = module.state_dict()["stack2.conv1.weight"].permute(2, 3, 1, 0)
    assert torch.allclose(found["stack2_conv1/kernel"], kernel, atol=1e-6)
    assert not torch.allclose(found["bn/moving_mean"], module.state_dict()["bn.running_mean"], atol=1e-3)
    # Other weights to start from are another training.
    module.stem.weight.data.mul_(2)
    checkpoint.write(tmp_path / "start.safetensors", module.state_dict())
    with pytest.raises(UserError, match="another recipe"):
        train(zoo.read(tmp_path / "tiny.toml"), tmp_path / "run", progress=False)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    from codesign.train import keras_start

    (tmp_path / "tiny.toml").write_text(TOML)
    network = zoo.read(tmp_path / "tiny.toml").module()
    for width, message in ((6, "has shape"), (4, "lacks stem/kernel")):
        module = topologies.build("resnet8", FloatLayers(), (8, 8, 1), 10, {"width": width})
        state = {n: t for n, t in module.state_dict().items() if width != 4 or not n.startswith("stem")}
        checkpoint.write(tmp_path / "other.safetensors", state)
        with pytest.raises(UserError, match=message):
            keras_start.load(network, tmp_path / "other.safetensors", "brevitas", steps=False)
