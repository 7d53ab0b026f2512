"""DoReFa weights and activations: codes, gradients, and what the frontend reads."""

from __future__ import annotations

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import nn

from codesign import quant
from codesign.errors import UserError
from codesign.frontends.brevitas_quantizers import read_grid, read_weights
from codesign.quant.dorefa import DorefaActSigned, DorefaActUnsigned, DorefaWeight, DorefaWeightQuant

torch.set_num_threads(1)  # too little work to share


def formula(w: torch.Tensor, bits: int) -> torch.Tensor:
    """The weights of the paper in float64."""
    n = 2**bits - 1
    t = w.double().tanh()
    return 2 * ((t / (2 * t.abs().max()) + 0.5) * n).round() / n - 1


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_weights_are_the_formula_of_the_paper(bits: int) -> None:
    torch.manual_seed(bits)
    layer = qnn.QuantConv2d(4, 6, 3, weight_quant=quant.make("dorefa", "weight", (bits, True), {"rescale": False}))
    found = layer.quant_weight()
    torch.testing.assert_close(found.value.double(), formula(layer.weight, bits), rtol=1e-6, atol=0)
    assert found.scale == torch.tensor(1.0) / (2**bits - 1)
    scaled = qnn.QuantConv2d(4, 6, 3, weight_quant=DorefaWeight.let(bit_width=bits))
    scaled.load_state_dict(layer.state_dict())
    greatest = layer.weight.double().tanh().abs().max()
    torch.testing.assert_close(scaled.quant_weight().value.double(), greatest * formula(layer.weight, bits))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_weights_are_all_odd_integers_of_the_width(bits: int) -> None:
    torch.manual_seed(0)
    layer = qnn.QuantLinear(3000, 1, bias=False, weight_quant=DorefaWeight.let(bit_width=bits))
    found = layer.quant_weight()
    n = 2**bits - 1
    assert found.is_valid
    assert found.int().unique().tolist() == list(range(-n, n + 1, 2))
    weights = read_weights(layer, "fc")
    assert weights.codebook is None
    assert weights.bits == bits + 1
    assert np.array_equal((weights.values * weights.scale).astype(np.float32), found.value.detach().numpy())


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("rescale", [True, False])
def test_gradients_are_those_of_the_formula_with_rounding_as_the_identity(bits: int, rescale: bool) -> None:
    torch.manual_seed(1)
    w, gradient = torch.randn(40, dtype=torch.float64), torch.randn(40, dtype=torch.float64)
    quantizer = DorefaWeightQuant(bits, rescale).double()
    x = w.clone().requires_grad_()
    quantizer(x)[0].backward(gradient)
    # By hand: y = c · t / m, c a constant, t = tanh w, m = |t| at its greatest.
    t = w.tanh()
    at = int(t.abs().argmax())
    m = t[at].abs()
    c = m if rescale else 1.0
    dt = gradient * c / m
    dt[at] -= t[at].sign() * (gradient * t).sum() * c / m**2
    torch.testing.assert_close(x.grad, dt * (1 - t**2), rtol=1e-12, atol=1e-14)


def test_a_batch_norm_does_not_see_the_rescaling() -> None:
    x, found = torch.randn(30, 9, dtype=torch.float64), []
    gradient = torch.randn(30, 5, dtype=torch.float64)
    torch.manual_seed(2)
    weight = 0.2 * torch.randn(5, 9, dtype=torch.float64)
    for rescale in (False, True):
        w, norm = weight.clone().requires_grad_(), nn.BatchNorm1d(5, eps=1e-30).double()
        y = norm(x @ DorefaWeightQuant(3, rescale).double()(w)[0].T)
        y.backward(gradient)
        found.append((y, w.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_one_bit_weights_are_the_sign_times_the_mean_magnitude() -> None:
    layer = qnn.QuantLinear(4, 2, bias=False, weight_quant=DorefaWeight.let(bit_width=1))
    layer.load_state_dict({"weight": torch.tensor([[0.5, -1.0, 0.0, 0.25], [-0.25, 1.0, -0.5, 0.5]])}, strict=False)
    expected = [[0.5, -0.5, 0.5, 0.5], [-0.5, 0.5, -0.5, 0.5]]
    assert layer.quant_weight().value.tolist() == expected
    gradient = torch.randn(2, 4)
    layer.quant_weight().value.backward(gradient)
    assert torch.equal(layer.weight.grad, gradient)
    weights = read_weights(layer, "fc")
    assert weights.bits == 1
    assert (weights.codebook[weights.values] * weights.scale).tolist() == expected


@pytest.mark.parametrize("bits", [1, 4])
def test_layers_that_are_all_zero_stay_finite(bits: int) -> None:
    layer = qnn.QuantConv2d(3, 4, 3, weight_quant=DorefaWeight.let(bit_width=bits))
    layer.load_state_dict({"weight": torch.zeros(4, 3, 3, 3)}, strict=False)
    found = layer.quant_weight()
    assert found.scale > 0
    assert found.value.abs().max() < 1e-6
    layer(torch.randn(1, 3, 5, 5)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
    read_weights(layer, "layer")


@pytest.mark.parametrize("bits", [1, 4])
def test_weights_that_are_not_finite_are_refused_by_the_frontend(bits: int) -> None:
    for bad in (float("nan"), float("inf")):
        layer = qnn.QuantLinear(9, 3, bias=False, weight_quant=DorefaWeight.let(bit_width=bits))
        with torch.no_grad():
            layer.weight[1, 2] = bad
        with pytest.raises(UserError, match="layer 'fc' hold NaN or infinity"):
            read_weights(layer, "fc")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_activations_are_the_formula_of_the_paper(bits: int) -> None:
    n = 2**bits - 1
    x = torch.linspace(-0.5, 1.5, 1000).requires_grad_()  # without 1/2, where float32 blurs the tie
    act = qnn.QuantReLU(act_quant=DorefaActUnsigned, bit_width=bits, return_quant_tensor=True)
    y = act(x)
    torch.testing.assert_close(y.value, (x.clamp(0, 1) * n).round() / n, rtol=0, atol=1e-6)
    assert sorted(y.int().unique().tolist()) == list(range(2**bits))
    y.value.sum().backward()
    assert torch.equal(x.grad, ((x > 0) & (x < 1)).float())
    grid = read_grid(act.act_quant, "act")
    assert (grid.low, grid.high, grid.rounding) == (0, n, "half_even")


def test_signed_activations_are_symmetric() -> None:
    act = qnn.QuantIdentity(act_quant=DorefaActSigned, bit_width=3, return_quant_tensor=True)
    assert act(torch.linspace(-2, 2, 99)).int().unique().tolist() == [-3, -2, -1, 0, 1, 2, 3]
    grid = read_grid(act.act_quant, "act")
    assert (grid.low, grid.high) == (-3, 3)


def test_weights_and_activations_under_autocast() -> None:
    net = nn.Sequential(
        qnn.QuantConv2d(3, 4, 3, bias=False, weight_quant=DorefaWeight),
        qnn.QuantReLU(act_quant=DorefaActUnsigned, bit_width=4),
    )
    with torch.autocast("cpu", torch.bfloat16):
        y = net(torch.randn(2, 3, 6, 6))
        assert net[0].quant_weight().value.dtype == torch.float32
    assert y.dtype == torch.bfloat16
    y.float().sum().backward()
    assert torch.isfinite(net[0].weight.grad).all()
    assert net[0].weight.grad.abs().max() > 0


def test_one_signed_bit_is_refused() -> None:
    with pytest.raises(UserError, match=r"'dorefa'.* at least 2 bits"):
        quant.make("dorefa", "activation", (1, True), {})
