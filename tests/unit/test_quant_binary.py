"""Binary weights and activations: values, derivatives against closed forms, what Brevitas and a model file expect."""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import pytest
import torch
from torch import nn
from torch.nn import functional

from codesign import quant
from codesign.errors import UserError
from codesign.quant import bitat, react, sign
from codesign.quant.sign import binarize, magnitude, step
from codesign.train.checkpoint import is_quantizer


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_weights_are_the_mean_magnitude_with_a_sign() -> None:
    w = randn(4, 3, 3, 3)
    w[1] = 0
    scale = magnitude(w)
    assert scale.shape == (4, 1, 1, 1)
    torch.testing.assert_close(scale[:, 0, 0, 0][[0, 2, 3]], w.abs().flatten(1).mean(1)[[0, 2, 3]])
    assert scale[1] == sign.SMALLEST_SCALE, "a scale stays positive"
    assert magnitude(w, per_channel=False) == w.abs().mean()
    found = binarize(w, scale)
    assert torch.equal(found, scale * torch.where(w < 0, -1.0, 1.0))
    assert (found[1] > 0).all(), "sign(0) = +1"


def test_the_gradient_of_weights_is_clipped_at_one() -> None:
    w = torch.tensor([[-1.5, -0.999, -0.2, 0.0, 0.7, 1.001]], requires_grad=True)
    gradient = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    binarize(w, magnitude(w)).backward(gradient)
    assert w.grad is not None
    assert w.grad.tolist() == [[0.0, 2.0, 3.0, 4.0, 5.0, 0.0]]


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_step_and_its_derivative(smooth: bool, dtype: torch.dtype) -> None:
    x = randn(3, 5, 4, 4, dtype=dtype).requires_grad_()
    gradient = randn(3, 5, 4, 4, seed=1, dtype=dtype)
    y = step(x, smooth)
    y.backward(gradient)
    assert y.dtype == dtype
    assert torch.equal(y.detach(), (x >= 0).to(dtype))
    inside = x.detach().abs() < 1
    # Half of 2 + 2x on [-1, 0) and 2 - 2x on [0, 1).
    slope = torch.where(x < 0, 1 + x, 1 - x).detach() if smooth else torch.full_like(x, 0.5)
    expected = torch.where(inside, slope, torch.zeros_like(slope)) * gradient
    tolerance = 0.02 if dtype == torch.bfloat16 else 1e-6
    assert x.grad is not None
    torch.testing.assert_close(x.grad, expected, rtol=tolerance, atol=tolerance)


def test_zero_is_a_one() -> None:
    assert step(torch.tensor([-0.0, 0.0, -1e-30])).tolist() == [1.0, 1.0, 0.0]


class PublishedSign(torch.autograd.Function):
    """sign(x), -1 or +1, with the derivative of the papers: 1 inside (-1, 1), or 2 - 2|x| when smooth."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, smooth: bool) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.smooth = smooth
        return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        slope = 2 - 2 * x.abs() if ctx.smooth else torch.ones_like(x)
        return gradients[0] * torch.where(x.abs() < 1, slope, torch.zeros_like(x)), None


@pytest.mark.parametrize("smooth", [False, True])
def test_zeros_and_ones_are_minus_one_and_one_to_a_batch_norm(smooth: bool) -> None:
    """u in {0, 1} padded with 0 and v = 2u - 1 padded with -1: the same network, with the same gradients."""
    results = []
    for binary, outside in ((lambda x: step(x, smooth), 0.0), (lambda x: PublishedSign.apply(x, smooth), -1.0)):
        x = randn(6, 4, 5, 5).requires_grad_()
        weights = [randn(4, 4, 3, 3, seed=seed).requires_grad_() for seed in (1, 2, 3)]
        out = x
        for w in weights:
            norm = nn.BatchNorm2d(4, eps=1e-30).double()
            padded = functional.pad(binary(out), (1, 1, 1, 1), value=outside)
            out = norm(functional.conv2d(padded, binarize(w, magnitude(w))))
        (out * randn(*out.shape, seed=4)).sum().backward()
        results.append((out.detach(), x.grad, *(w.grad for w in weights)))
    torch.testing.assert_close(results[0], results[1], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["sign", "react", "bitat"])
def test_what_brevitas_is_told(method: str) -> None:
    conv = qnn.QuantConv2d(4, 6, 3, bias=False, weight_quant=quant.make(method, "weight", (1, True), {}))
    weight = conv.quant_weight()
    assert weight.scale.shape == (6, 1, 1, 1)
    assert weight.bit_width == 1
    assert weight.signed
    assert weight.zero_point == 0
    assert torch.equal(weight.value, magnitude(conv.weight) * torch.where(conv.weight < 0, -1.0, 1.0))
    single = qnn.QuantLinear(4, 6, bias=False, weight_quant=quant.make(method, "weight", (1, False), {}))
    assert single.quant_weight().scale.shape == ()
    assert all(is_quantizer(name) for name in conv.state_dict() if name != "weight")
    activation = quant.make(method, "relu", (4, 1), {}).eval()
    assert all(is_quantizer(name) for name in activation.state_dict())
    quantised = activation if isinstance(activation, qnn.QuantIdentity) else activation.step
    quantised.return_quant_tensor = True
    y = activation(randn(2, 4, 3, 3, dtype=torch.float32))
    assert set(y.value.unique().tolist()) == {0.0, 1.0}
    assert (y.scale, y.zero_point, y.bit_width, y.signed) == (1, 0, 1, False)


@pytest.mark.parametrize("method", ["sign", "react", "bitat"])
@pytest.mark.parametrize(("part", "arguments"), [("weight", (2, True)), ("relu", (4, 2))])
def test_more_than_one_bit_is_refused(method: str, part: str, arguments: tuple[object, ...]) -> None:
    with pytest.raises(UserError, match=rf"'{method}': {method} is binary, 1 bit, not 2; set the width to 1"):
        quant.make(method, part, arguments, {})


def test_the_shift_is_learned_per_channel() -> None:
    activation = react.relu(3, 1)
    with torch.no_grad():
        activation.shift_quant.value.copy_(torch.tensor([0.5, 0.0, -0.5]))
    x = torch.full((1, 3, 1, 2), -0.25)
    x[..., 1] = 0.25
    y = activation(x)
    assert y.flatten(0, 2).tolist() == [[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    y.sum().backward()
    # 1 - |x + b| at both positions of each channel.
    expected = [1 - 0.25 + 1 - 0.75, 2 * (1 - 0.25), 1 - 0.75 + 1 - 0.25]
    assert activation.shift_quant.value.grad.tolist() == expected
    flat = react.ChannelShift(3)(torch.zeros(2, 3, dtype=torch.bfloat16))
    assert flat.dtype == torch.bfloat16


def test_react_has_the_weights_of_sign() -> None:
    assert react.weight(1, True) is sign.weight(1, True)
    assert issubclass(bitat.weight(1, True), sign.SignWeightPerChannel)


@pytest.mark.parametrize("method", ["sign", "react"])
def test_an_export_by_brevitas_which_would_be_minus_one_and_one_is_refused(method: str) -> None:
    steps = [m for m in quant.make(method, "relu", (3, 1), {}).modules() if hasattr(m, "act_quant")]
    assert len(steps) == 1
    steps[0].act_quant.export_mode = False
    with pytest.raises(UserError, match="these are 0 and 1"):
        steps[0].act_quant.export_mode = True
