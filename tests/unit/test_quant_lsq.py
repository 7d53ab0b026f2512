"""LSQ: codes, gradients against closed forms, and what a Brevitas user expects of a quantizer."""

from __future__ import annotations

import math
from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
from torch import nn

from codesign.quant.lsq import (
    LsqActSigned,
    LsqActUnsigned,
    LsqWeightPerChannel,
    LsqWeightPerTensor,
    code_range,
    lsq,
)


def closed_form(
    v: torch.Tensor, step: torch.Tensor, low: int, high: int, gradient: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The formulas of the paper, element by element."""
    scaled = v / step
    inside = (scaled > low) & (scaled < high)
    slope = torch.where(inside, scaled.round() - scaled, torch.where(scaled <= low, float(low), float(high)))
    return torch.where(inside, gradient, 0.0), (slope * gradient).sum_to_size(step.shape)


@pytest.mark.parametrize(("low", "high"), [(0, 7), (-3, 3), (0, 255), (-128, 127), (-1, 1)])
@pytest.mark.parametrize("shape", [(), (5, 1, 1, 1)])
def test_gradients_are_those_of_the_paper(low: int, high: int, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    v = torch.randn(5, 4, 3, 3, dtype=torch.float64, generator=generator)
    gradient = torch.randn(v.shape, dtype=torch.float64, generator=generator)
    step = (0.1 + torch.rand(shape, dtype=torch.float64, generator=generator)).requires_grad_()
    v.requires_grad_()
    y = lsq(v, step, low, high, 0.25)
    y.backward(gradient)
    expected_v, expected_step = closed_form(v.detach(), step.detach(), low, high, gradient)
    assert torch.equal(v.grad, expected_v)
    torch.testing.assert_close(step.grad, 0.25 * expected_step, rtol=1e-12, atol=1e-12)
    assert torch.equal(y, step * (v / step).clamp(low, high).round())


def test_ties_round_to_even() -> None:
    v = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 9.0, -9.0])
    assert lsq(v, torch.tensor(1.0), -3, 3).tolist() == [0, 2, 2, 0, -2, 3, -3]


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "expected"),
    [(2, True, True, (-1, 1)), (3, True, True, (-3, 3)), (8, True, False, (-128, 127)), (4, False, False, (0, 15))],
)
def test_ranges(bits: int, signed: bool, narrow: bool, expected: tuple[int, int]) -> None:
    assert code_range(bits, signed, narrow) == expected


def test_one_signed_bit_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 bits"):
        code_range(1, True, True)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize(("quantizer", "channels"), [(LsqWeightPerChannel, True), (LsqWeightPerTensor, False)])
def test_weights_are_integers_times_a_scale(bits: int, quantizer: type, channels: bool) -> None:
    torch.manual_seed(0)
    layer = qnn.QuantConv2d(4, 6, 3, weight_quant=quantizer, weight_bit_width=bits)
    weight = layer.quant_weight()
    high = 2 ** (bits - 1) - 1
    assert weight.scale.shape == ((6, 1, 1, 1) if channels else ())
    assert (weight.scale > 0).all()
    assert weight.bit_width == bits
    assert weight.zero_point == 0
    codes = weight.int()
    assert codes.abs().max() <= high
    assert torch.equal(codes * weight.scale, weight.value)
    expected = 2 * layer.weight.abs().mean(dim=(1, 2, 3) if channels else None) / math.sqrt(high)
    torch.testing.assert_close(weight.scale.flatten(), expected.flatten())


def test_depthwise_and_dense_layers() -> None:
    depthwise = qnn.QuantConv2d(8, 8, 3, groups=8, weight_quant=LsqWeightPerChannel.let(bit_width=3))
    assert depthwise.quant_weight().scale.shape == (8, 1, 1, 1)
    dense = qnn.QuantLinear(5, 3, bias=True, weight_quant=LsqWeightPerChannel.let(bit_width=2))
    assert dense.quant_weight().scale.shape == (3, 1)
    assert set(dense.quant_weight().int().unique().tolist()) <= {-1, 0, 1}
    assert dense(torch.randn(2, 5)).shape == (2, 3)


def test_an_all_zero_channel_keeps_a_positive_step() -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[0] = 0
    quantised = qnn.QuantLinear(4, 2, bias=True, weight_quant=LsqWeightPerChannel)
    quantised.load_state_dict(layer.state_dict(), strict=False)
    assert (quantised.quant_weight().scale > 0).all()
    assert torch.isfinite(quantised.quant_weight().value).all()


def test_the_step_stays_positive_whatever_the_parameter_becomes() -> None:
    act = qnn.QuantReLU(act_quant=LsqActUnsigned, bit_width=3)
    act(torch.rand(4, 5))
    with torch.no_grad():
        for parameter in act.parameters():
            parameter.copy_(-0.25)
    assert act.act_quant.scale() == 0.25
    assert act(torch.tensor([[0.6]])) == 0.5


def test_activations_start_from_their_first_batch() -> None:
    x = torch.randn(16, 3, 4, 4)
    act = qnn.QuantReLU(act_quant=LsqActUnsigned, bit_width=4, return_quant_tensor=True)
    y = act(x)
    expected = 2 * x.clamp_min(0).mean() / math.sqrt(15)
    torch.testing.assert_close(y.scale, expected)
    assert not y.signed
    assert y.int().min() >= 0
    assert y.int().max() <= 15
    assert torch.equal(act(100 * x).scale, y.scale)


def test_asking_for_the_scale_does_not_set_it() -> None:
    act = qnn.QuantIdentity(act_quant=LsqActSigned)
    act.act_quant.scale()
    x = torch.randn(8, 4)
    assert act(x).abs().max() > 0.1
    torch.testing.assert_close(act.act_quant.scale(), 2 * x.abs().mean() / math.sqrt(127))


def test_signed_activations_use_the_full_range() -> None:
    act = qnn.QuantIdentity(act_quant=LsqActSigned, bit_width=3, return_quant_tensor=True)
    act(torch.randn(64, 10))
    codes = act(torch.linspace(-99, 99, 500).view(50, 10)).int()
    assert (codes.min(), codes.max()) == (-4, 3)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = qnn.QuantConv2d(3, 3, 3, padding=1, weight_quant=LsqWeightPerChannel, weight_bit_width=3)
        self.res = qnn.QuantIdentity(act_quant=LsqActSigned, return_quant_tensor=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.res(self.conv(x)) + self.res(x)


def test_a_shared_quantizer_adds_integers() -> None:
    net = Residual().train()
    total = net(torch.randn(2, 3, 5, 5))
    net.eval()
    total = net(torch.randn(2, 3, 5, 5))
    codes = total.value / net.res.act_quant.scale()
    torch.testing.assert_close(codes, codes.round(), rtol=0, atol=1e-4)


def test_state_survives_saving_and_loading() -> None:
    first, second = Residual(), Residual()
    first(torch.randn(2, 3, 5, 5))
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(first.eval()(x).value, second.eval()(x).value)
    assert [k for k in first.state_dict() if "scaling_impl.value" in k]


def test_a_float_checkpoint_sets_the_steps_of_its_weights() -> None:
    plain = nn.Conv2d(3, 4, 3)
    quantised = qnn.QuantConv2d(3, 4, 3, bias=True, weight_quant=LsqWeightPerTensor, weight_bit_width=4)
    missing = quantised.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all("_quant" in name for name in missing)
    expected = 2 * plain.weight.abs().mean() / math.sqrt(7)
    torch.testing.assert_close(quantised.quant_weight().scale, expected)


def test_steps_stay_float32_under_autocast() -> None:
    net = Residual()
    with torch.autocast("cpu", torch.bfloat16):
        net(torch.randn(2, 3, 5, 5)).value.float().sum().backward()
    for name, parameter in net.named_parameters():
        if "scaling_impl" in name:
            assert parameter.dtype == torch.float32
            assert parameter.grad is not None
            assert torch.isfinite(parameter.grad).all()


def test_training_moves_the_steps_towards_the_data() -> None:
    """A step far too small grows until the range covers the values."""
    x = torch.randn(4000)
    step = torch.tensor(0.01, requires_grad=True)
    optimizer = torch.optim.SGD([step], lr=0.05)
    before = None
    for _ in range(300):
        loss = ((lsq(x, step, -3, 3) - x) ** 2).mean()
        before = before or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    # The best uniform step for N(0, 1) with seven levels is near 0.65.
    assert 0.5 < step.item() < 0.8
    assert loss.item() < 0.1 * before


def test_export_to_qonnx(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from brevitas.export import export_qonnx

    net = nn.Sequential(
        qnn.QuantConv2d(3, 4, 3, weight_quant=LsqWeightPerChannel, weight_bit_width=3),
        qnn.QuantReLU(act_quant=LsqActUnsigned, bit_width=3),
    )
    net(torch.randn(2, 3, 6, 6))
    path = str(tmp_path / "net.onnx")
    export_qonnx(net.eval(), torch.randn(1, 3, 6, 6), path, dynamo=False)
    quantisers = [node for node in onnx.load(path).graph.node if node.op_type == "Quant"]
    assert len(quantisers) == 2
