"""PACT activations: codes, the gradient of the clip, its decay, and what a Brevitas user expects."""

from __future__ import annotations

import math

import brevitas.nn as qnn
import pytest
import torch

from codesign import quant
from codesign.errors import UserError
from codesign.frontends.brevitas_quantizers import read_grid
from codesign.quant.clipped import clipped
from codesign.quant.pact import DECAY, PactActSigned, PactActUnsigned, PactQuant

torch.set_num_threads(1)  # too little work to share


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 7), (0, 255), (-3, 3)])
def test_gradients_are_those_of_the_clip(low: int, high: int) -> None:
    generator = torch.Generator().manual_seed(1)
    v = torch.randn(6, 4, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
    gradient = torch.randn(v.shape, dtype=torch.float64, generator=generator)
    alpha = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    y = clipped(v, alpha / high, low, high)
    y.backward(gradient)
    bottom = alpha.detach() * low / high
    inside = (v > bottom) & (v < alpha)
    assert torch.equal(v.grad, torch.where(inside, gradient, 0.0))
    slope = (v >= alpha).double() - ((v <= bottom) & (low < 0)).double()
    torch.testing.assert_close(alpha.grad, (slope * gradient).sum(), rtol=1e-12, atol=1e-12)
    step = alpha.detach() / high
    assert torch.equal(y, (v.detach() / step).clamp(low, high).round() * step)


def test_the_gradient_is_numerically_that_of_clipping() -> None:
    """With so many codes that rounding does not matter."""
    v = torch.linspace(-1, 2, 40, dtype=torch.float64)
    alpha = torch.tensor(0.77, dtype=torch.float64, requires_grad=True)
    clipped(v, alpha / 2**30, 0, 2**30).square().sum().backward()
    small = 1e-5
    change = [float(v.clamp(0, 0.77 + d).square().sum()) for d in (-small, small)]
    assert float(alpha.grad) == pytest.approx((change[1] - change[0]) / (2 * small), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_and_memory_orders(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    v = torch.randn(8, 16, 6, 6).to(dtype).to(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(v.shape).to(dtype)
    alpha = torch.tensor(1.0, requires_grad=True)
    y = clipped(v, alpha / 15, 0, 15)
    y.backward(gradient)
    assert y.dtype == v.grad.dtype == dtype
    assert y.is_contiguous(memory_format=torch.channels_last)
    expected = (gradient.float() * (v >= 1)).sum()
    torch.testing.assert_close(alpha.grad, expected, rtol=1e-5, atol=1e-4)


def test_the_first_batch_sets_the_clip() -> None:
    torch.manual_seed(0)
    x = torch.randn(16, 3, 4, 4)
    act = qnn.QuantReLU(act_quant=PactActUnsigned, bit_width=4, return_quant_tensor=True)
    act.act_quant.scale()  # looking does not set it
    y = act(x)
    alpha = 2 * x.clamp_min(0).mean() * math.sqrt(15)
    torch.testing.assert_close(y.scale, alpha / 15)
    assert not y.signed
    assert (y.int().min(), y.bit_width) == (0, 4)
    assert y.value.max() <= alpha * 1.0001
    assert torch.equal(act(100 * x).scale, y.scale)
    grid = read_grid(act.act_quant, "act")
    assert (grid.low, grid.high, grid.rounding) == (0, 15, "half_even")


def test_a_batch_of_zeros_leaves_it_to_the_next() -> None:
    act = qnn.QuantReLU(act_quant=PactActUnsigned, bit_width=4)
    assert torch.equal(act(torch.zeros(5)), torch.zeros(5))
    act(torch.ones(5))
    torch.testing.assert_close(act.act_quant.scale(), torch.tensor(2 / math.sqrt(15)))


def test_signed_activations_are_symmetric() -> None:
    act = qnn.QuantIdentity(act_quant=PactActSigned, bit_width=3, return_quant_tensor=True)
    act(torch.randn(64, 10))
    assert {-3, 3} <= set(act(torch.linspace(-99, 99, 500)).int().unique().tolist()) <= set(range(-3, 4))
    grid = read_grid(act.act_quant, "act")
    assert (grid.low, grid.high) == (-3, 3)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_the_decay_adds_to_the_gradient_of_the_clip(decay: float) -> None:
    quantizer = PactQuant(4, False, decay)
    x = torch.tensor([0.5, 1.0, 3.0, 7.0])
    with torch.no_grad():
        quantizer.alpha.fill_(2.0)
    quantizer(x)[0].sum().backward()
    assert quantizer.alpha.grad == 2 + decay * 2.0


def test_the_clip_settles_where_gradient_and_decay_balance() -> None:
    """Of (y - x)² / 2 averaged over x uniform in [0, 1] the gradient is -(1 - α)² / 2; the decay adds decay · α."""
    torch.manual_seed(0)
    x, quantizer = torch.rand(20_000), PactQuant(8, False, 0.1)
    quantizer(x)
    optimizer = torch.optim.SGD(quantizer.parameters(), lr=1.0)
    for _ in range(60):
        optimizer.zero_grad()
        (((quantizer(x)[0] - x) ** 2).mean() / 2).backward()
        optimizer.step()
    # (1 - α)² / 2 = α / 10
    assert quantizer.alpha.item() == pytest.approx(1.1 - math.sqrt(0.21), abs=0.01)


def test_the_scale_stays_positive_whatever_the_parameter_becomes() -> None:
    act = qnn.QuantReLU(act_quant=PactActUnsigned, bit_width=2)
    act(torch.rand(4, 5))
    with torch.no_grad():
        for parameter in act.parameters():
            parameter.copy_(-0.75)
    assert act.act_quant.scale() == 0.25
    assert act(torch.tensor([[0.6]])) == 0.5


def test_state_survives_saving_and_loading() -> None:
    first, second = (qnn.QuantReLU(act_quant=PactActUnsigned, bit_width=4) for _ in range(2))
    x = torch.rand(3, 7)
    first(x)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(10 * x), first(10 * x))
    assert all("_quant" in name for name in first.state_dict())


def test_options() -> None:
    chosen = quant.make("pact", "activation", (4, False), {"decay": 0.25})
    assert qnn.QuantReLU(act_quant=chosen).act_quant.fused_activation_quant_proxy.tensor_quant.decay == 0.25
    standard = quant.make("pact", "activation", (4, False), {})
    assert qnn.QuantReLU(act_quant=standard).act_quant.fused_activation_quant_proxy.tensor_quant.decay == DECAY
    with pytest.raises(UserError, match=r"decay .* not -1\.0"):
        quant.make("pact", "activation", (4, False), {"decay": -1.0})
    with pytest.raises(UserError, match="not for weights"):
        quant.make("pact", "weight", (4, True), {})
