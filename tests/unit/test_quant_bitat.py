"""BiTAT: transform, error in both forms, partly binary weights, schedule, and what a training keeps of it."""

from __future__ import annotations

from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
from torch import nn
from torch.nn import functional

from codesign import quant, zoo
from codesign.errors import UserError
from codesign.quant import bitat, companion, react
from codesign.quant.bitat_companion import Layer
from codesign.quant.bitat_transform import (
    PartlyBinaryFunction,
    PenaltyFunction,
    correlation_blocks,
    directions,
    project,
)
from codesign.quant.sign import binarize, magnitude
from codesign.train import checkpoint
from codesign.train.progress import Progress
from codesign.train.run import train

BLOCK = 16
DIMENSIONS = 54


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def dense(blocks: torch.Tensor, dimensions: int = DIMENSIONS) -> torch.Tensor:
    """The block-diagonal matrix in full."""
    return torch.block_diag(*blocks)[:dimensions, :dimensions]


@pytest.fixture
def columns() -> torch.Tensor:
    """Inputs of a 3x3 convolution on six correlated binary channels, as its kernel sees them."""
    smooth = functional.avg_pool2d(randn(10, 6, 12, 12), 3, 1, 1)
    return functional.unfold((smooth > 0.1).float(), 3, padding=1, stride=2)


def test_correlations_are_those_of_the_kernels_inputs(columns: torch.Tensor) -> None:
    blocks = correlation_blocks(columns, BLOCK)
    assert blocks.shape == (4, 16, 16)
    x = columns.transpose(0, 1).reshape(DIMENSIONS, -1)
    x = x - x.mean(1, keepdim=True)
    whole = x @ x.T / x.shape[1]
    for start in range(0, DIMENSIONS, BLOCK):
        part = slice(start, min(start + BLOCK, DIMENSIONS))
        torch.testing.assert_close(dense(blocks)[part, part], whole[part, part], rtol=1e-5, atol=1e-6)
    assert not blocks[3, 6:].any(), "nothing beyond the dimensions"


def test_the_transform_is_orthonormal_and_diagonalises(columns: torch.Tensor) -> None:
    blocks = correlation_blocks(columns, BLOCK)
    transform, importance = directions(blocks, DIMENSIONS)
    v = dense(transform)
    torch.testing.assert_close(v @ v.T, torch.eye(DIMENSIONS), rtol=0, atol=1e-5)
    s = importance[importance >= 0]
    assert len(s) == DIMENSIONS
    torch.testing.assert_close(v.T @ torch.diag(s) @ v, dense(blocks), rtol=0, atol=1e-5)


def test_both_forms_of_the_error_agree(columns: torch.Tensor) -> None:
    blocks = correlation_blocks(columns, BLOCK)
    transform, importance = directions(blocks, DIMENSIONS)
    w = randn(5, 6, 3, 3)
    error = (w - binarize(w, magnitude(w))).flatten(1)
    trace = torch.trace(error @ dense(blocks) @ error.T)
    rotated = error @ dense(transform).T
    by_direction = (rotated.square().sum(0) * importance[importance >= 0]).sum()
    torch.testing.assert_close(trace, by_direction, rtol=1e-5, atol=1e-5)
    # And they are the mean square of what the outputs lose, within the blocks.
    first = columns.transpose(0, 1).reshape(DIMENSIONS, -1)[:BLOCK]
    lost = error[:, :BLOCK] @ (first - first.mean(1, keepdim=True))
    only = torch.trace(error[:, :BLOCK] @ blocks[0] @ error[:, :BLOCK].T)
    torch.testing.assert_close(lost.square().sum() / first.shape[1], only, rtol=1e-4, atol=1e-5)


def test_the_penalty_is_the_relative_error_and_its_gradient_the_closed_form(columns: torch.Tensor) -> None:
    blocks = correlation_blocks(columns, BLOCK)
    # The memory order of weights in training must not matter.
    w = randn(5, 6, 3, 3).to(memory_format=torch.channels_last).requires_grad_()
    scale = magnitude(w)
    value = PenaltyFunction.apply(w, scale, blocks)
    value.backward(torch.tensor(3.0))
    rows, c = w.detach().flatten(1), dense(blocks)
    error = rows - (torch.where(w < 0, -1.0, 1.0) * scale).flatten(1)
    size = torch.trace(rows @ c @ rows.T)
    torch.testing.assert_close(value.detach(), torch.trace(error @ c @ error.T) / size)
    torch.testing.assert_close(w.grad.flatten(1), 3 * 2 * error @ c / size)


def test_partly_binary_weights_are_binary_in_the_chosen_directions(columns: torch.Tensor) -> None:
    transform, _ = directions(correlation_blocks(columns, BLOCK), DIMENSIONS)
    chosen = (torch.arange(4 * BLOCK) % 3 == 0).view(4, BLOCK, 1)
    kept = transform * chosen
    projection = torch.bmm(kept.transpose(1, 2), kept)
    w = randn(5, 6, 3, 3)
    w[0] *= 3  # some beyond 1
    v = w.clone().requires_grad_()
    scale, gradient = magnitude(w), randn(5, 6, 3, 3, seed=4)
    found = PartlyBinaryFunction.apply(v, scale, projection)
    found.backward(gradient)
    binary = torch.where(w < 0, -scale, scale)
    matrix, directions_of = dense(projection), dense(transform).T
    torch.testing.assert_close(found.flatten(1), w.flatten(1) - (w - binary).flatten(1) @ matrix, rtol=1e-5, atol=1e-5)
    rotated, expected = found.detach().flatten(1) @ directions_of, binary.flatten(1) @ directions_of
    is_binary = chosen.flatten()[:DIMENSIONS]
    torch.testing.assert_close(rotated[:, is_binary], expected[:, is_binary], rtol=1e-4, atol=1e-5)
    real = w.flatten(1) @ directions_of
    torch.testing.assert_close(rotated[:, ~is_binary], real[:, ~is_binary], rtol=1e-4, atol=1e-5)
    # Through w: g (I - P); through B: g P where |w| < 1.
    through = gradient.flatten(1) @ matrix
    closed = gradient.flatten(1) - through + torch.where(w.flatten(1).abs() < 1, through, 0.0)
    torch.testing.assert_close(v.grad.flatten(1), closed, rtol=1e-5, atol=1e-5)


def test_projecting_with_blocks_is_a_matrix_product() -> None:
    blocks = randn(2, 8, 8)
    blocks = blocks + blocks.transpose(1, 2)
    w = randn(3, 13)
    torch.testing.assert_close(project(w, blocks), w @ dense(blocks, 13), rtol=1e-5, atol=1e-5)


class Net(nn.Module):
    """Two binary convolutions and a binary dense layer."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        kind = quant.make("bitat", "weight", (1, True), {"block": 16, **options})
        self.act1, self.act2, self.act3 = (react.relu(channels, 1) for channels in (4, 8, 8))
        self.conv1 = qnn.QuantConv2d(4, 8, 3, padding=1, bias=False, weight_quant=kind)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = qnn.QuantConv2d(8, 8, 3, stride=2, groups=2, bias=False, weight_quant=kind)
        self.bn2 = nn.BatchNorm2d(8)
        self.dense = qnn.QuantLinear(8, 5, bias=True, weight_quant=kind)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn1(self.conv1(self.act1(x)))
        x = self.bn2(self.conv2(self.act2(x)))
        return self.dense(self.act3(x.mean((2, 3))))

    @property
    def layers(self) -> list[nn.Module]:
        return [self.conv1, self.conv2, self.dense]


def used(layer: nn.Module) -> torch.Tensor:
    return layer.quant_weight().value.detach()


def share(layer: nn.Module) -> str:
    if torch.equal(used(layer), layer.weight):
        return "real"
    return "binary" if torch.equal(used(layer), binarize(layer.weight, magnitude(layer.weight))) else "between"


def test_layers_become_binary_from_the_bottom() -> None:
    net, x = Net(progressive=0.6), randn(16, 4, 8, 8)
    statistics = {name: t.clone() for name, t in net.state_dict().items()}
    acting = companion.make(net, ("lsq", "bitat"))
    assert acting is not None
    assert acting.penalty() is None, "no turn has begun"
    seen = []
    for progress in (0.0, 0.1, 0.19, 0.2, 0.35, 0.4, 0.5, 0.6, 0.9):
        acting.before_step(progress, x)
        seen.append([share(layer) for layer in net.layers])
    assert seen == [
        ["real", "real", "real"],
        ["between", "real", "real"],
        ["between", "real", "real"],
        ["binary", "real", "real"],
        ["binary", "between", "real"],
        ["binary", "binary", "real"],
        ["binary", "binary", "between"],
        ["binary", "binary", "binary"],
        ["binary", "binary", "binary"],
    ]
    penalty = acting.penalty()
    assert penalty is not None
    assert 0 < float(penalty.detach()) < 0.03 * 3
    assert net.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, statistics[name]), f"measuring changed {name}"


def test_a_training_that_ends_early_leaves_binary_weights() -> None:
    net, x = Net(progressive=0.9), randn(16, 4, 8, 8)
    acting = companion.make(net, ("bitat",))
    assert acting is not None
    acting.before_step(0.5, x)
    assert "real" in [share(layer) for layer in net.layers]
    acting.finish()
    assert [share(layer) for layer in net.layers] == ["binary"] * 3


def test_the_least_important_directions_go_first() -> None:
    net, x = Net(), randn(16, 4, 8, 8)
    layer = Layer("conv1", net.conv1, net.conv1.weight_quant.tensor_quant)
    layer.begin(layer.measure(net, x))
    _, importance = directions(layer.correlation, 36)
    error = (net.conv1.weight - binarize(net.conv1.weight, magnitude(net.conv1.weight))).detach().flatten(1)
    rotated = error @ dense(layer.transform, 36).T
    costs = (rotated.square().sum(0), importance[importance >= 0])
    order = costs[1].argsort()
    for count in (9, 18, 27):
        layer.set_fraction(count / 36)
        change = (net.conv1.weight - used(net.conv1)).detach().flatten(1)
        found = torch.trace(change @ dense(layer.correlation, 36) @ change.T)
        expected = (costs[0] * costs[1])[order[:count]].sum()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["conv1", "conv2", "dense"])
def test_correlations_are_measured_where_the_layer_reads(name: str) -> None:
    net, x = Net(), randn(16, 4, 8, 8)
    module = net.get_submodule(name)
    layer = Layer(name, module, module.weight_quant.tensor_quant)
    entered: list[torch.Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    found = layer.measure(net, x)
    handle.remove()
    # The covariance of the pre-activations under any weights, within one block.
    probe = torch.zeros_like(module.weight)
    size = min(16, layer.dimensions)
    probe.flatten(1)[:, :size] = randn(1, size, seed=5)
    if name == "dense":
        out = entered[0] @ probe.T
        variance = out[:, 0].var(correction=0)
    else:
        out = functional.conv2d(entered[0], probe, None, module.stride, module.padding, 1, module.groups)
        # Equal weights in both groups, whose inputs are samples of one distribution.
        variance = out[:, [0, -1]].transpose(0, 1).reshape(-1).var(correction=0) if name == "conv2" else out[:, 0].var()
    row = probe.flatten(1)[0, :size]
    torch.testing.assert_close(row @ found[0, :size, :size] @ row, variance, rtol=1e-3, atol=1e-5)


def test_identity_takes_the_inputs_themselves_as_directions() -> None:
    net = Net(correlation="identity")
    acting = companion.make(net, ["bitat"])
    acting.before_step(0.4 * 0.5 / 3, torch.full((1, 4, 8, 8), torch.nan))
    rows, binary = used(net.conv1).flatten(1), binarize(net.conv1.weight, magnitude(net.conv1.weight)).flatten(1)
    assert torch.equal(rows[:, 18:], net.conv1.weight.flatten(1)[:, 18:])
    torch.testing.assert_close(rows[:, :18], binary[:, :18])


def test_the_state_gives_the_same_weights_again() -> None:
    net, x = Net(), randn(16, 4, 8, 8)
    acting = companion.make(net, ["bitat"])
    acting.before_step(0.2, x)
    kept = {name: t.clone() for name, t in acting.tensors().items()}
    assert kept.keys() == {"conv1", "conv2"}
    before = [used(layer) for layer in net.layers]
    again = companion.make(net, ["bitat"])
    again.restore(kept)
    again.before_step(0.2, torch.full_like(x, torch.nan))
    for layer, expected in zip(net.layers, before, strict=True):
        assert torch.equal(used(layer), expected)


def test_a_network_without_such_weights_has_no_companion() -> None:
    assert companion.make(nn.Sequential(qnn.QuantConv2d(1, 1, 1)), ("lsq", "bitat", "react")) is None


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (qnn.QuantConv1d(2, 2, 3, weight_quant=bitat.weight(1, True)), "'0' is a QuantConv1d"),
        (qnn.QuantConv2d(2, 2, 3, padding="same", weight_quant=bitat.weight(1, True)), "'0' needs padding in numbers"),
        (
            qnn.QuantConv2d(2, 2, 3, padding=1, padding_mode="reflect", weight_quant=bitat.weight(1, True)),
            "'0' needs padding in numbers and of zeros",
        ),
    ],
    ids=["1-d", "same", "reflect"],
)
def test_layers_whose_inputs_are_no_columns_are_refused(layer: nn.Module, words: str) -> None:
    with pytest.raises(UserError, match=words):
        companion.make(nn.Sequential(layer), ("bitat",))


def test_a_layer_that_is_never_called_is_named() -> None:
    class Unused(Net):
        def __init__(self) -> None:
            super().__init__()
            self.conv1.extra = qnn.QuantLinear(2, 2, bias=False, weight_quant=bitat.weight(1, True))

    acting = companion.make(net := Unused(), ("bitat",))
    assert acting is not None
    with pytest.raises(UserError, match=r"'conv1.extra' has BiTAT weights, but the network does not call it"):
        for progress in (0.0, 0.2, 0.3):
            acting.before_step(progress, randn(16, 4, 8, 8))
    assert net.training


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"correlation": "input"}, "'correlation'"),
        ({"block": 0}, "'block'"),
        ({"penalty": -1.0}, "'penalty'"),
        ({"penalty": float("inf")}, "'penalty'"),
        ({"progressive": 1.0}, "'progressive'"),
        ({"blocks": 3}, "no option 'blocks' there; it accepts correlation, block, penalty, progressive"),
    ],
)
def test_options_are_checked(options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        quant.make("bitat", "weight", (1, True), options)


TOML = """
title = "test"
framework = "brevitas"
dataset = "digits"
topology = "bireal"
input_scale = 0.0625

[topology_options]
channels = [4, 8]
units = [2, 1]

[widths]
weight_bits = 1
activation_bits = 1

[method]
weights = "{weights}"
activations = "react"
{more}

[recipe]
epochs = 4
batch = 64
learning_rate = 0.01
optimizer = "adam"
precision = "bfloat16"
ema = 0.9
crop_padding = 1
validation = 800
"""


def model(folder: Path, weights: str = "bitat", more: str = "") -> zoo.Model:
    folder.mkdir(exist_ok=True)
    (folder / f"{weights}.toml").write_text(TOML.format(weights=weights, more=more))
    return zoo.read(folder / f"{weights}.toml")


def test_a_training_stopped_between_two_layers_continues_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = model(tmp_path, more="[method.weight_options]\nblock = 16\nprogressive = 0.7\npenalty = 0.1")
    whole = train(tiny, tmp_path / "whole", progress=False)
    counted = 0

    def interrupt(self: Progress) -> None:
        nonlocal counted
        counted += 1
        if counted in (12, 22):  # of nine in an epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "step", interrupt)
    for done, begun in ((1, 1), (2, 3)):
        with pytest.raises(UserError, match=f"stopped after {done} of 4"):
            train(tiny, tmp_path / "parts", progress=False)
        state, _ = checkpoint.read(tmp_path / "parts" / "state.safetensors")
        assert len([name for name in state if name.startswith("companion/")]) == begun
    assert train(tiny, tmp_path / "parts", progress=False).checkpoint_sha256 == whole.checkpoint_sha256
    # Nothing of the companion is left: the checkpoint is that of any binary network.
    plain = model(tmp_path, weights="sign")
    tensors, _ = checkpoint.read(Path(whole.checkpoint))
    assert tensors.keys() == plain.module().state_dict().keys()
    other, own = plain.module(), tiny.module()
    for module in (other, own):
        checkpoint.load_weights(module, Path(whole.checkpoint))
    x = randn(8, 1, 8, 8)
    assert torch.equal(other.eval()(x), own.eval()(x))


def test_c_and_the_penalty_change_what_is_learned(tmp_path: Path) -> None:
    digests = set()
    for number, more in enumerate(("", 'correlation = "identity"', "penalty = 0.0", "progressive = 0.1")):
        tiny = model(tmp_path / str(number), more=f"[method.weight_options]\nblock = 16\n{more}")
        digests.add(train(tiny, tmp_path / str(number) / "run", progress=False).checkpoint_sha256)
    assert len(digests) == 4
