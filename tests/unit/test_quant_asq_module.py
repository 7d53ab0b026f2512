"""ASQ as a Brevitas user meets it: quantizers, networks, checkpoints, tracing, fold-out."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
from torch import nn

from codesign import quant, zoo
from codesign.errors import UserError
from codesign.frontends.brevitas import from_brevitas
from codesign.frontends.brevitas_trace import trace
from codesign.ir.serialize import digest
from codesign.quant import asq
from codesign.quant.asq import (
    AsqActUnsigned,
    AsqActUnsigned2b,
    AsqActUnsigned3b,
    AsqActUnsigned4b,
    AsqActUnsigned5b,
    AsqQuant,
    fold_out,
)
from codesign.quant.asq_adapter import codebook
from codesign.quant.choice import Method
from codesign.quant.layers import make
from codesign.quant.lsq import LsqActUnsigned
from codesign.quant.widths import Widths
from codesign.train import topologies
from codesign.train.checkpoint import is_quantizer
from codesign.train.progress import Progress
from codesign.train.run import train

PREFIX = "act_quant.fused_activation_quant_proxy.tensor_quant."


def inner(layer: nn.Module) -> AsqQuant:
    found = layer.act_quant.fused_activation_quant_proxy.tensor_quant
    assert isinstance(found, AsqQuant)
    return found


def varied(module: nn.Module, size: float = 1.0) -> None:
    """Let all adapters give different samples different steps."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for quantizer in (m for m in module.modules() if isinstance(m, AsqQuant)):
            weight = quantizer.adapter.output.weight
            weight.copy_(size * torch.rand(weight.shape, generator=generator))
            quantizer.adapter.output.bias.fill_(0.4)


def network(activations: str = "asq", **options: int) -> nn.Module:
    torch.manual_seed(0)
    layers = make(Widths(weight_bits=3, activation_bits=3), Method(activations=activations, activation_options=options))
    return topologies.build("digits_cnn", layers, (8, 8, 1), 10, {"channels": 8})


def images(count: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) * torch.arange(
        1.0, count + 1
    ).view(-1, 1, 1, 1)


@pytest.mark.parametrize(
    ("quantizer", "bits"),
    [
        (AsqActUnsigned, 8),
        (AsqActUnsigned2b, 2),
        (AsqActUnsigned3b, 3),
        (AsqActUnsigned4b, 4),
        (AsqActUnsigned5b, 5),
        (AsqActUnsigned.let(bit_width=6), 6),
    ],
)
@pytest.mark.parametrize("options", [{}, {"entries": 0}, {"entries": 32, "input_bits": 10}])
def test_as_the_quantizer_of_a_brevitas_relu(quantizer: type, bits: int, options: dict[str, int]) -> None:
    torch.manual_seed(0)
    act = qnn.QuantReLU(act_quant=quantizer, channels=16, return_quant_tensor=True, **options)
    x = torch.randn(5, 16, 6, 6) * torch.arange(1.0, 6.0).view(-1, 1, 1, 1)
    act(x)
    varied(act)
    y = act(x)
    assert y.bit_width == bits
    assert y.zero_point == 0
    assert not y.signed
    assert y.scale.shape == (5, 1, 1, 1)
    assert len(y.scale.unique()) > 1
    codes = y.value / y.scale
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-4)
    assert torch.equal(y.int().float(), codes.round())
    assert codes.min() == 0
    assert codes.max() <= 2**bits - 1
    assert inner(act).entries == options.get("entries", 16)
    assert inner(act).high == 2**bits - 1
    if options.get("entries", 16):
        assert inner(act).input_quant.high == 2 ** options.get("input_bits", 8) - 1
        entries = inner(act).codebook
        factors = (y.scale / inner(act).step).flatten()
        assert (factors.unsqueeze(1) - entries).abs().min(1).values.max() < 1e-6


def test_bits_and_zero_point_are_known_and_the_scale_is_not() -> None:
    act = asq.relu(16, 4)
    act(torch.rand(3, 16, 4, 4))
    assert act.act_quant.bit_width() == 4
    assert act.act_quant.zero_point() == 0
    assert not act.act_quant.is_signed
    with pytest.raises(UserError, match="depends on its input"):
        act.act_quant.scale()


@pytest.mark.parametrize("channels", [4, 8, 20])
def test_the_adapter_is_as_wide_as_the_paper_says(channels: int) -> None:
    adapter = AsqQuant(4, channels).adapter
    if channels < 8:
        assert adapter.hidden is None
        assert adapter.hidden_quant is None
        assert adapter.output.weight.shape == (1, channels)
    else:
        assert adapter.hidden.weight.shape == (channels // 4, channels)
        assert adapter.output.weight.shape == (1, channels // 4)
        assert adapter.hidden_quant.high == 255
    assert adapter.output.bias == 1
    for layer in (adapter.hidden, adapter.output):
        if layer is not None:
            weight = layer.quant_weight()
            assert weight.bit_width == 8
            assert weight.scale.shape == ()
            assert weight.int().abs().max() > 0


def test_training_starts_near_lsq() -> None:
    torch.manual_seed(0)
    outputs = AsqQuant(4, 1000).adapter.output.weight
    assert 0.008 < outputs.std() < 0.012
    act = asq.relu(64, 4, entries=0)
    x = torch.randn(50, 64, 4, 4)
    act(x)
    factors = act.act_quant.fused_activation_quant_proxy.tensor_quant(x.relu())[1] / inner(act).step
    assert (factors - 1).abs().max() < 0.2


def test_hidden_units_start_alive() -> None:
    torch.manual_seed(0)
    for channels in (8, 16, 32):
        adapter = AsqQuant(4, channels).adapter
        assert (adapter.hidden(torch.ones(1, channels)) >= 0).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"entries": 8}, "entries must be 0 or 16 to 64, found 8"),
        ({"entries": 65}, "entries must be 0 or 16 to 64, found 65"),
        ({"input_bits": 1}, "input_bits must be 2 to 16, found 1"),
        ({"input_bits": 17}, "input_bits must be 2 to 16, found 17"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], words: str) -> None:
    with pytest.raises(UserError, match=rf"the quantisation method 'asq': {words}\."):
        quant.make("asq", "relu", (16, 4), options)


def test_unknown_options_and_weights_are_refused() -> None:
    with pytest.raises(UserError, match="has no option 'codes' there; it accepts entries, input_bits"):
        quant.make("asq", "relu", (16, 4), {"codes": 3})
    with pytest.raises(UserError, match="'asq' is not for weights"):
        quant.make("asq", "weight", (4, True), {})


def test_channels_are_needed_and_checked() -> None:
    with pytest.raises(ValueError, match="needs channels="):
        qnn.QuantReLU(act_quant=AsqActUnsigned4b)
    with pytest.raises(UserError, match=r"made for 16 channels got values of shape \(2, 8, 4, 4\)"):
        asq.relu(16, 4)(torch.rand(2, 8, 4, 4))


def test_all_of_its_state_belongs_to_a_quantizer() -> None:
    net = network()
    names = [name for name, _ in net.named_parameters() if "tensor_quant" in name and "act1" in name]
    assert len(names) == 9  # s, the input's step, two layers with bias and step each, the hidden step
    assert all(is_quantizer(name) for name in names)


@pytest.mark.parametrize("entries", [0, 16])
def test_state_and_copies(entries: int) -> None:
    net, x = network(entries=entries), images()
    net(x)
    varied(net)
    net(x).sum().backward()
    net.eval()
    expected = net(x)
    assert torch.equal(copy.deepcopy(net)(x), expected)
    fresh = network(entries=entries)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh.eval()(x), expected)
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("entries", [0, 16])
def test_a_sample_does_not_depend_on_its_batch(entries: int) -> None:
    net, x = network(entries=entries), images()
    net(x)
    varied(net)
    net.eval()
    with torch.no_grad():
        together = net(x)
        alone = torch.cat([net(x[k : k + 1]) for k in range(len(x))])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_tracing_keeps_it_one_layer() -> None:
    net, x = network(), images()
    net(x)
    varied(net)
    traced = trace(net)
    labels = [node.meta.get("label") for node in traced.graph.nodes if node.op == "call_module"]
    assert labels.count("act1") == labels.count("act2") == 1
    assert not [label for label in labels if "adapter" in label]
    assert torch.equal(traced(x), net(x))


def test_dense_networks() -> None:
    layers = make(Widths(weight_bits=4, activation_bits=4), Method(activations="asq"))
    net = topologies.build("mlp", layers, (20,), 3, {"hidden": [32, 16, 8]})
    x = torch.randn(40, 20)
    for _ in range(2):
        net(x).square().sum().backward()
    net.eval()
    assert net(x[:1]).shape == (1, 3)
    assert sum(isinstance(m, AsqQuant) for m in net.modules()) == 2, "the last activation is one of the edges"


def test_under_autocast_decisions_stay_float32() -> None:
    act = asq.relu(16, 4)
    x = torch.randn(8, 16, 8, 8).bfloat16().contiguous(memory_format=torch.channels_last)
    act(x.float())
    varied(act)
    wide = inner(act)(x.relu().float())
    with torch.autocast("cpu", torch.bfloat16):
        narrow = inner(act)(x.relu())
        narrow[0].float().sum().backward()
    assert narrow[0].dtype == torch.bfloat16
    assert narrow[1].dtype == torch.float32
    assert torch.equal(narrow[1], wide[1])
    assert torch.equal(narrow[0], wide[0].bfloat16())
    for name, parameter in act.named_parameters():
        assert parameter.grad.dtype == torch.float32, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("entries", [0, 16])
def test_folded_out_it_is_lsq_with_the_mean_step(entries: int) -> None:
    torch.manual_seed(0)
    act, x = asq.relu(16, 3, entries=entries), torch.rand(40, 16, 4, 4) * torch.rand(40, 1, 1, 1)
    act(x)
    varied(act)
    quantizer = inner(act)
    expected = (quantizer(x)[1] / quantizer.step).mean()
    act.train()
    factors = fold_out(act, [x[:30], x[30:]])
    assert act.training
    assert list(factors) == [PREFIX[:-1]]
    assert quantizer.fixed_factor == pytest.approx(expected.item(), rel=1e-6)
    assert quantizer.fixed_factor == factors[PREFIX[:-1]]
    plain = qnn.QuantReLU(act_quant=LsqActUnsigned, bit_width=3)
    plain(x)
    with torch.no_grad():
        plain.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value.copy_(
            quantizer.step * quantizer.constant
        )
    assert torch.equal(act(x), plain(x))
    assert torch.equal(act.act_quant.scale(), plain.act_quant.scale())
    assert act.act_quant.bit_width() == 3
    assert act.act_quant.zero_point() == 0
    own, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    act(own).sum().backward()
    plain(other).sum().backward()
    assert torch.equal(own.grad, other.grad)

    again = asq.relu(16, 3, entries=entries)
    again.load_state_dict(act.state_dict())
    assert inner(again).fixed_factor == quantizer.fixed_factor
    assert torch.equal(again(x), act(x))
    quantizer.fix(None)
    assert quantizer.fixed_factor is None
    assert len(quantizer(x)[1]) == 40


def test_a_folded_out_network_becomes_the_integers_of_lsq() -> None:
    """The same graph as that of an LSQ network with the mean steps."""
    net, x = network(), images(20)
    net(x)
    varied(net)
    assert len(fold_out(net, [x])) == 2
    twin = network("lsq")
    twin(x)
    state = net.state_dict()
    for name in ("act1", "act2"):
        quantizer = inner(getattr(net, name))
        state[f"{name}.{PREFIX}scaling_impl.value"] = (quantizer.step * quantizer.constant).detach()
    twin.load_state_dict({name: t for name, t in state.items() if name in twin.state_dict()})
    net.eval()
    twin.eval()
    assert torch.equal(net(x), twin(x))
    one, two = (from_brevitas(m, torch.zeros(1, 1, 8, 8), input_scale=1 / 16) for m in (net, twin))
    assert digest(one) == digest(two)


def test_fold_out_says_what_it_misses() -> None:
    with pytest.raises(UserError, match="has no ASQ activation to fold out"):
        fold_out(network("lsq"), [images()])
    net = network()
    net(images())
    with pytest.raises(UserError, match="saw no sample"):
        fold_out(net, [])
    assert not any(m._forward_hooks for m in net.modules())
    with pytest.raises(ValueError, match="must be positive"):
        inner(net.act1).fix(-1.0)


def test_steps_of_an_lsq_network_are_taken_over() -> None:
    """Both call the step alike, so that a checkpoint of one starts the other."""
    plain = qnn.QuantReLU(act_quant=LsqActUnsigned, bit_width=4)
    plain(torch.rand(4, 16, 4, 4))
    act = asq.relu(16, 4)
    missing = act.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    x = 10 * torch.rand(4, 16, 4, 4)
    act(x)
    assert torch.equal(inner(act).step, plain.act_quant.scale())
    torch.testing.assert_close(inner(act).input_quant.scaling_impl(), 2 * x.mean() / math.sqrt(255))


TOML = """
title = "test"
framework = "brevitas"
dataset = "digits"
topology = "digits_cnn"
input_scale = 0.0625
topology_options = {channels = 8}
widths = {weight_bits = 3, activation_bits = 3}

[method]
weights = "post"
activations = "asq"

[method.activation_options]
entries = 20

[recipe]
epochs = 2
batch = 64
learning_rate = 0.05
step_rate = 0.2
ema = 0.98
validation = 100
storage = "float16"
"""


def test_a_model_file_trains_it_and_an_interrupted_training_ends_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.toml").write_text(TOML)
    model = zoo.read(tmp_path / "tiny.toml")
    expected = train(model, tmp_path / "whole", progress=False)
    assert expected.float_accuracy > 30
    steps = 0

    def interrupt(self: Progress) -> None:
        nonlocal steps
        steps += 1
        if steps > 25:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", interrupt)
        with pytest.raises(UserError, match="stopped after 1 of 2 epochs"):
            train(model, tmp_path / "halves", progress=False)
    assert train(model, tmp_path / "halves", progress=False).checkpoint_sha256 == expected.checkpoint_sha256
    Path(expected.checkpoint).rename(tmp_path / "tiny.safetensors")
    net = model.build()
    quantizer = inner(net.act2)
    assert torch.equal(quantizer.codebook, codebook(20)), "exact in half precision"
    assert quantizer.entries == 20
