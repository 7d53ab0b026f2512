"""The parts of training: schedule, loss, averages, batch norm, checkpoints, topologies."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from codesign import zoo
from codesign.errors import UserError
from codesign.quant import layers
from codesign.quant.choice import Method
from codesign.quant.widths import Widths
from codesign.train import checkpoint, distillation, evaluate, precision, strided, topologies
from codesign.train.batches import batches, channels_last, to_tensor
from codesign.train.ema import Average, overwrite
from codesign.train.optimizer import make_optimizer
from codesign.train.recipe import Recipe, learning_rate


def net(name: str = "digits_cnn", bits: int = 32, shape: tuple[int, ...] = (8, 8, 1), **options: object) -> nn.Module:
    torch.manual_seed(0)
    return topologies.build(name, layers.make(Widths(bits, bits), Method()), shape, 10, options)


def test_schedules() -> None:
    cosine = Recipe(epochs=10, learning_rate=0.2, warmup_epochs=2)
    assert learning_rate(cosine, 0) == pytest.approx(0.01)
    assert learning_rate(cosine, 2) == pytest.approx(0.2)
    assert learning_rate(cosine, 6) == pytest.approx(0.1)
    assert learning_rate(cosine, 10) == pytest.approx(0)
    linear = Recipe(epochs=10, learning_rate=0.2, schedule="linear")
    assert [learning_rate(linear, t) for t in (0, 5, 10)] == pytest.approx([0.2, 0.1, 0])


@pytest.mark.parametrize("native", [False, True])
def test_bfloat16_is_for_processors_that_have_it(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: native)
    assert precision.here("bfloat16") == ("bfloat16" if native else "float32")
    assert precision.here("float32") == "float32"
    layer, x = nn.Linear(3, 2), torch.ones(1, 3)
    with precision.autocast("bfloat16"):
        assert layer(x).dtype == (torch.bfloat16 if native else torch.float32)
    with precision.autocast("float32"):
        assert layer(x).dtype == torch.float32


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch has no oneDNN here")
def test_whether_bfloat16_is_fast_is_what_torch_says() -> None:
    assert precision.has_bfloat16() is torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        assert precision.has_bfloat16()


def test_strided_pointwise_convolutions_are_computed_over_the_pixels_they_read() -> None:
    torch.manual_seed(1)
    others = [
        nn.Conv2d(8, 8, 3, stride=2),
        nn.Conv2d(8, 4, 1),
        nn.Conv2d(16, 4, 1, stride=2),
        nn.Conv2d(4, 4, 1, stride=2, groups=4),
        nn.Conv2d(4, 4, 1, stride=2, padding=1),
    ]
    network = channels_last(nn.Sequential(nn.Conv2d(4, 8, 1, stride=(2, 3)), *others))
    images = torch.randn(5, 4, 9, 7).contiguous(memory_format=torch.channels_last)
    first = network[0]
    read = images[:, :, ::2, ::3]
    expected = torch.einsum("nchw,dc->ndhw", read, first.weight[:, :, 0, 0]) + first.bias[:, None, None]
    # Sent to another process, and back.
    guarded = pickle.loads(pickle.dumps(strided.guarded(network)))  # noqa: S301
    answers = guarded[0](images)
    torch.testing.assert_close(answers, expected)
    answers.square().sum().backward()
    wanted = torch.autograd.grad(expected.square().sum(), network[0].weight)[0]
    torch.testing.assert_close(guarded[0].weight.grad, wanted)
    torch.testing.assert_close(guarded[0](images[0]), expected[0])
    assert guarded[0].stride == (2, 3)
    assert ["_conv_forward" in vars(layer) for layer in guarded] == [True, *(False for _ in others)]


def test_networks_of_models_are_guarded(tmp_path: Path) -> None:
    text = 'title = "t"\nframework = "brevitas"\ndataset = "digits"\ntopology = "resnet8"\ninput_scale = 0.0625\n'
    text += "[topology_options]\nwidth = 4\n[widths]\nweight_bits = 3\nactivation_bits = 3\n"
    (tmp_path / "m.toml").write_text(text)
    found = [layer for layer in zoo.read(tmp_path / "m.toml").module().modules() if "_conv_forward" in vars(layer)]
    assert [layer.in_channels for layer in found] == [4, 8]


def test_input_is_exact_and_channels_first() -> None:
    x = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape(2, 3, 4, 5)
    tensor = to_tensor(x, 1 / 64)
    assert tensor.shape == (2, 5, 3, 4)
    assert tensor.dtype == torch.float32
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal((tensor * 64).permute(0, 2, 3, 1), torch.from_numpy(x).float())
    assert to_tensor(x.reshape(2, -1), 0.5).shape == (2, 60)


def test_every_example_once_an_epoch() -> None:
    members = np.arange(100, 165)
    taken = list(batches(members, 16, seed=1, epoch=0))
    assert [len(b) for b in taken] == [16] * 4
    assert len(set(np.concatenate(taken))) == 64
    assert set(np.concatenate(taken)) <= set(members)
    assert not np.array_equal(taken[0], next(batches(members, 16, seed=1, epoch=1)))
    assert not np.array_equal(taken[0], next(batches(members, 16, seed=2, epoch=0)))
    assert np.array_equal(taken[0], next(batches(members, 16, seed=1, epoch=0)))
    assert [len(b) for b in batches(members[:5], 16, seed=1, epoch=0)] == [5]


def test_distillation_loss_against_its_definition() -> None:
    generator = torch.Generator().manual_seed(3)
    student = torch.randn(6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    weight, temperature = 0.7, 3.0
    p, q = (torch.softmax(t / temperature, 1) for t in (teacher, student))
    divergence = (p * (p.log() - q.log())).sum(1).mean()
    entropy = -torch.log_softmax(student, 1)[torch.arange(6), labels].mean()
    found = distillation.loss(student, teacher, labels, weight, temperature)
    torch.testing.assert_close(found, weight * temperature**2 * divergence + (1 - weight) * entropy)
    # Gradient of the divergence: T (q - p) / N; of the cross entropy: (softmax - one-hot) / N.
    found.backward()
    one_hot = torch.nn.functional.one_hot(labels, 4)
    expected = weight * temperature * (q - p) / 6 + (1 - weight) * (torch.softmax(student, 1) - one_hot) / 6
    torch.testing.assert_close(student.grad, expected.detach())


def test_averages_follow_the_weights() -> None:
    module = nn.Linear(3, 2)
    start = module.weight.detach().clone()
    average = Average(module, 0.9)
    with torch.no_grad():
        module.weight.add_(1.0)
    average.update()
    # The first update keeps a tenth of the old average: min(0.9, 1 / 10).
    torch.testing.assert_close(average.tensors["weight"], start + 0.9)
    with average.applied(module):
        torch.testing.assert_close(module.weight.detach(), start + 0.9)
    torch.testing.assert_close(module.weight.detach(), start + 1.0)


def test_overwriting_keeps_the_parameters_an_optimizer_knows() -> None:
    module = net(bits=3)
    before = dict(module.named_parameters())
    overwrite(module, {name: torch.ones_like(t) for name, t in module.state_dict().items()})
    for name, parameter in module.named_parameters():
        assert parameter is before[name]
        assert (parameter == 1).all()


def test_batch_norm_statistics_are_the_mean_over_the_sample() -> None:
    module = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4))
    x = np.random.default_rng(0).integers(0, 50, (500, 4), dtype=np.uint8)
    evaluate.recompute_batch_norm(module, x, 0.5, batch=250)
    np.testing.assert_allclose(module[1].running_mean, 0.5 * x.mean(0), rtol=1e-5)
    assert module[1].momentum == 0.1


def test_only_weights_decay_and_steps_have_their_own_rate() -> None:
    module = net(bits=3)
    groups = make_optimizer(module, Recipe(1, 0.1, weight_decay=0.5, step_rate=0.2)).param_groups
    names = {name: group for group in groups for name in group["param_names"]}
    assert names.keys() == dict(module.named_parameters()).keys()
    for name, group in names.items():
        step = "scaling_impl" in name
        weight = name.endswith("weight") and "bn" not in name
        assert group["weight_decay"] == (0.5 if weight and not step else 0)
        assert group["rate"] == (0.2 if step else 1.0)


@pytest.mark.parametrize("name", topologies.names())
def test_float_and_quantised_networks_share_their_names(name: str) -> None:
    shape = (60,) if name == "mlp" else (16, 16, 3)
    plain, quantised = net(name, 32, shape), net(name, 3, shape)
    extra = quantised.state_dict().keys() - plain.state_dict().keys()
    assert plain.state_dict().keys() <= quantised.state_dict().keys()
    assert extra
    assert all(checkpoint.is_quantizer(key) for key in extra)
    assert evaluate.parameters(plain) == evaluate.parameters(quantised)
    x = np.random.default_rng(0).integers(0, 255, (4, *shape), dtype=np.uint8)
    assert evaluate.logits(quantised, x, 1 / 64).shape == (4, 10)


def test_resnet8_is_that_of_mlperf_tiny() -> None:
    module = net("resnet8", 32, (32, 32, 3))
    assert evaluate.parameters(module) == 77_946
    assert evaluate.macs(module, (32, 32, 3)) == 12_501_632


def test_resnet8_computes_with_integers() -> None:
    """Every value that enters a convolution or a dense layer is an integer times a scale."""
    module = net("resnet8", 3, (16, 16, 3)).eval()
    x = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    evaluate.logits(module, x, 1 / 64)
    entered: dict[str, torch.Tensor] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda _, args, __, n=name: entered.update({n: args[0].detach()}))
    evaluate.logits(module, x, 1 / 64)
    scale = {"stem": 1 / 64, "stack1.conv1": module.act.act_quant.scale().item()}
    scale["stack1.conv2"] = module.stack1.act1.act_quant.scale().item()
    scale["stack3.conv2"] = module.stack3.act1.act_quant.scale().item()
    scale["dense"] = module.stack3.act2.act_quant.scale().item() / 16
    for name, step in scale.items():
        codes = entered[name].double() / step
        torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-3)
    assert (entered["stack1.conv1"].double() / scale["stack1.conv1"]).round().max() <= 7
    assert module.dense.quant_weight().scale.shape == ()
    assert module.dense.quant_weight().bit_width == module.stem.quant_weight().bit_width == 8
    assert module.stack2.shortcut.quant_weight().bit_width == 3


def test_bad_topologies_and_options() -> None:
    with pytest.raises(UserError, match="did you mean resnet8"):
        net("resnet-8")
    with pytest.raises(UserError, match="has no option 'depth'; it accepts width"):
        net("resnet8", 32, (32, 32, 3), depth=3)
    with pytest.raises(UserError, match="refuses its options"):
        net("resnet8", 32, (32, 32, 3), width="wide")
    with pytest.raises(UserError, match="at least one positive size"):
        net("mlp", 32, (60,), hidden=[])
    with pytest.raises(UserError, match="no quantisation method 'lqs'; did you mean lsq"):
        layers.make(Widths(3, 3), Method("lqs")).conv(1, 1, 1)


def test_checkpoints_round_trip_and_name_what_is_wrong(tmp_path: Path) -> None:
    module, path = net(bits=3), tmp_path / "m.safetensors"
    evaluate.logits(module.train(), np.ones((4, 8, 8, 1), np.uint8), 1.0)
    checkpoint.write(path, module.state_dict(), {"epoch": 3, "loss": math.pi})
    tensors, about = checkpoint.read(path)
    assert about == {"epoch": 3, "loss": math.pi}
    assert all(torch.equal(t, module.state_dict()[name]) for name, t in tensors.items())
    other = net(bits=3)
    checkpoint.load_weights(other, path)
    assert all(torch.equal(t, other.state_dict()[name]) for name, t in tensors.items())
    with pytest.raises(UserError, match="it has act1"):
        checkpoint.load_weights(net(bits=32), path)
    with pytest.raises(UserError, match=r"has shape \(16,\), the network needs \(8,\)"):
        checkpoint.load_weights(net(bits=3, channels=8), path)
    with pytest.raises(UserError, match=r"it lacks bn\.weight"):
        checkpoint.load_weights(net("resnet8", 3, (8, 8, 1)), path, partial=True)
    for damage in (path.read_bytes()[:-9], path.read_bytes()[:20], b"", b"\x80\x04pickle"):
        path.write_bytes(damage)
        with pytest.raises(UserError, match=r"m\.safetensors is damaged"):
            checkpoint.read(path)
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoint.read(tmp_path / "absent.safetensors")


def test_a_float_checkpoint_goes_into_a_quantised_network(tmp_path: Path) -> None:
    plain, path = net(bits=32), tmp_path / "float.safetensors"
    checkpoint.write(path, plain.state_dict())
    quantised = net(bits=4)
    with torch.no_grad():
        quantised.pointwise.weight.mul_(100)
    checkpoint.load_weights(quantised, path, partial=True)
    assert torch.equal(quantised.pointwise.weight, plain.pointwise.weight)
    expected = 2 * plain.pointwise.weight.abs().mean(dim=(1, 2, 3)) / math.sqrt(7)
    torch.testing.assert_close(quantised.pointwise.quant_weight().scale.flatten(), expected)
    with pytest.raises(UserError, match="it lacks"):
        checkpoint.load_weights(quantised, path)


def test_channels_last_changes_no_value() -> None:
    module = net(bits=32)
    x = torch.randn(2, 1, 8, 8)
    before = module.eval()(x)
    torch.testing.assert_close(channels_last(module)(x), before)
    assert module.pointwise.weight.is_contiguous(memory_format=torch.channels_last)


def test_methods_refuse_options_that_they_do_not_have() -> None:
    with pytest.raises(UserError, match="'lsq' has no option 'entries' there; it accepts none"):
        layers.make(Widths(3, 3), Method(weight_options={"entries": 3})).conv(1, 1, 1)
    with pytest.raises(UserError, match="'lsq' has no option 'entries' there; it accepts none"):
        layers.make(Widths(3, 3), Method(activation_options={"entries": 3})).relu(4)
    with pytest.raises(UserError, match="'lsq': signed values need at least 2 bits here, not 1"):
        layers.make(Widths(1, 3), Method()).conv(1, 1, 1)
    with pytest.raises(UserError, match="'asq' is not for weights; these are: apot, bitat, "):
        layers.make(Widths(3, 3), Method(weights="asq")).conv(1, 1, 1)
    # TOML has a whole number where the option is a float.
    assert layers.make(Widths(3, 3), Method("apot", weight_options={"alpha": 3})).conv(1, 1, 1).weight.shape[0] == 1


def test_a_method_for_edges_is_none_that_stands_in_the_place_of_a_relu() -> None:
    edge = layers.make(Widths(3, 3), Method(edges="sign"))
    for make in (edge.residual, lambda: edge.relu(4, last=True)):
        with pytest.raises(UserError, match="'sign' is for the ReLUs of hidden layers alone") as caught:
            make()
        named = str(caught.value).partition("these are: ")[2].rstrip(".").split(", ")
        assert {"lsq", "dorefa", "pact"} <= set(named)
        for name in named:
            assert layers.make(Widths(3, 3), Method(edges=name)).residual() is not None
    with pytest.raises(UserError, match="'post' is not for activations") as caught:
        layers.make(Widths(3, 3), Method(activations="post")).relu(4)
    assert str(caught.value).endswith("for the ReLUs of hidden layers asq, bitat, react, sign too.")


def test_the_network_within_an_adaptive_step_learns_as_fast_as_the_one_around_it() -> None:
    torch.manual_seed(0)
    module = topologies.build("digits_cnn", layers.make(Widths(4, 4), Method(activations="asq")), (8, 8, 1), 10, {})
    groups = make_optimizer(module, Recipe(epochs=1, learning_rate=0.1, step_rate=0.2, weight_decay=0.1)).param_groups
    rates = {name: (g["rate"], g["weight_decay"]) for g in groups for name in g["param_names"]}
    inside = "act1.act_quant.fused_activation_quant_proxy.tensor_quant."
    for part in ("weight", "bias"):
        assert rates[f"{inside}adapter.output.{part}"] == rates[f"{inside}adapter.hidden.{part}"] == (1.0, 0.0)
    assert rates[f"{inside}scaling_impl.value"] == rates["stem.weight_quant.tensor_quant.scaling_impl.value"]
    assert rates[f"{inside}adapter.output.weight_quant.tensor_quant.scaling_impl.value"] == (0.2, 0.0)
    assert rates["stem.weight"] == (1.0, 0.1)
    plain = topologies.build("digits_cnn", layers.make(Widths(4, 4), Method()), (8, 8, 1), 10, {})
    # 16 to 4 to 1 units, weights and biases, twice.
    assert evaluate.parameters(module) - evaluate.parameters(plain) == 2 * (16 * 4 + 4 + 4 + 1)
