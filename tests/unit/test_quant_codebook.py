"""POST, POT and APoT weights: levels, gradients, squared error, and what a Brevitas user expects."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import nn

from codesign import quant
from codesign.errors import UserError
from codesign.frontends.brevitas_quantizers import read_weights
from codesign.quant import apot, post, pot
from codesign.quant.codebook import CodebookFunction, codebook_of
from codesign.quant.lsq import lsq
from codesign.quant.post import PostWeight2b, PostWeight3b, PostWeight4b, PostWeight5b, PostWeightPerTensor
from codesign.quant.steps import SMALLEST_STEP

METHODS = {"post": post, "pot": pot, "apot": apot}
torch.set_num_threads(1)  # too little work to share

every_method = pytest.mark.parametrize("name", METHODS)
every_width = pytest.mark.parametrize("bits", [2, 3, 4, 5])


def quantised(
    v: torch.Tensor, alpha: torch.Tensor, module: ModuleType, bits: int, scale: float, clipped: bool
) -> torch.Tensor:
    levels = torch.tensor(module.levels_of(bits), dtype=torch.float32)
    return CodebookFunction.apply(v, alpha, levels, (levels[1:] + levels[:-1]) / 2, scale, clipped)


def nearest(u: torch.Tensor, levels: tuple[int, ...]) -> torch.Tensor:
    """The level nearest to each of u, as a share of the greatest, by looking at all of them."""
    table = torch.tensor(codebook_of(levels), dtype=u.dtype) / levels[-1]
    return table[(u[..., None] - table).abs().argmin(-1)]


def test_levels_of_post_are_halves_and_their_products_with_181_over_256() -> None:
    assert post.levels_of(2) == (0, 1)
    assert post.levels_of(3) == (0, 128, 181, 256)
    assert post.levels_of(4) == (0, 128, 181, 256, 362, 512, 724, 1024)
    for bits in (3, 4, 5):
        levels = post.levels_of(bits)
        exact = [Fraction(181 if i % 2 else 256, 256 << (i // 2)) for i in range(2 ** (bits - 1) - 1)]
        assert [Fraction(level, levels[-1]) for level in levels] == [0, *reversed(exact)]
        np.testing.assert_allclose(np.array(exact, float), [2 ** (-i / 2) for i in range(len(exact))], rtol=1.2e-4)
        assert math.gcd(*levels) == 1


def test_levels_of_pot_and_apot() -> None:
    assert pot.levels_of(3) == (0, 1, 2, 4)
    assert pot.levels_of(5) == (0, *(2**i for i in range(15)))
    assert apot.levels_of(3) == pot.levels_of(3)
    # Sums of {0, 1/2, 1/4, 1/16} and {0, 1/8} over the greatest, 5/8.
    expected = sorted({(a + b) / 0.625 for a in (0, 0.5, 0.25, 0.0625) for b in (0, 0.125)})
    np.testing.assert_allclose(np.array(apot.levels_of(4)) / 10, expected, rtol=1e-15)
    rows = (0, 1 / 2, 1 / 8, 1 / 32), (0, 1 / 4, 1 / 16, 1 / 64)
    expected = sorted({(a + b) / 0.75 for a in rows[0] for b in rows[1]})
    np.testing.assert_allclose(np.array(apot.levels_of(5)) / 48, expected, rtol=1e-15)


@every_method
@every_width
def test_codes_fit_the_width_and_are_never_more(name: str, bits: int) -> None:
    torch.manual_seed(bits)
    layer = qnn.QuantLinear(400, 30, bias=False, weight_quant=quant.make(name, "weight", (bits, True), {}))
    with torch.no_grad():
        layer.weight.copy_(torch.randn(30, 400))
    found = layer.quant_weight().int().unique().tolist()
    assert set(found) <= set(codebook_of(METHODS[name].levels_of(bits)))
    assert len(found) <= 2**bits - 1
    assert len(codebook_of(METHODS[name].levels_of(bits))) == 2**bits - 1
    if bits == 2:
        assert set(found) == {-1, 0, 1}


@every_method
@every_width
@pytest.mark.parametrize("shape", [(), (5, 1, 1, 1)])
@pytest.mark.parametrize("clipped", [True, False])
def test_gradients_are_those_of_the_closed_form(name: str, bits: int, shape: tuple[int, ...], clipped: bool) -> None:
    generator = torch.Generator().manual_seed(bits)
    w = torch.randn(5, 4, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
    gradient = torch.randn(w.shape, dtype=torch.float64, generator=generator)
    alpha = (0.5 + torch.rand(shape, dtype=torch.float64, generator=generator)).requires_grad_()
    y = quantised(w, alpha, METHODS[name], bits, 0.25, clipped)
    y.backward(gradient)

    u = (w / alpha).detach()
    q = nearest(u.clamp(-1, 1), METHODS[name].levels_of(bits))
    torch.testing.assert_close(y, alpha * q, rtol=1e-14, atol=0)
    inside = u.abs() <= 1
    assert 0.1 < inside.double().mean() < 0.99
    assert torch.equal(w.grad, torch.where(inside, gradient, 0.0) if clipped else gradient)
    slope = torch.where(inside, q - u, u.sign())
    torch.testing.assert_close(alpha.grad, 0.25 * (slope * gradient).sum_to_size(shape), rtol=1e-12, atol=1e-12)


@every_method
def test_gradients_are_those_of_autograd_where_rounding_counts_as_a_constant(name: str) -> None:
    torch.manual_seed(3)
    w, alpha = torch.randn(500, dtype=torch.float64), torch.tensor(1.5, dtype=torch.float64)
    gradient, found = torch.randn(500, dtype=torch.float64), []
    for straight in (False, True):
        x, a = w.clone().requires_grad_(), alpha.clone().requires_grad_()
        if straight:
            u = (x / a).clamp(-1, 1)
            y = a * (u + (nearest(u, METHODS[name].levels_of(4)) - u).detach())
        else:
            y = quantised(x, a, METHODS[name], 4, 1.0, True)
        y.backward(gradient)
        found.append((x.grad, a.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


def test_half_way_goes_to_the_smaller_level_on_both_sides() -> None:
    middle = torch.tensor([0.75, -0.75, 0.375, -0.375, 0.0625, -0.0625], dtype=torch.float64)
    assert quantised(middle, torch.tensor(1.0), pot, 3, 1.0, True).tolist() == [0.5, -0.5, 0.25, -0.25, 0, 0]


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ("uniform", (0.1915, 0.0477, 0.01346, 0.00407)),
        ("pot", (0.1915, 0.0483, 0.0378, 0.0377)),
        ("post", (0.1915, 0.0694, 0.01344, 0.00986)),
    ],
)
def test_squared_error_on_normal_weights(grid: str, expected: tuple[float, ...]) -> None:
    """At the best scale. A scale searched less finely leaves up to a tenth more, which the figures allow for."""
    for bits, value in zip((2, 3, 4, 5), expected, strict=True):
        assert 0.9 * value < best_error(grid, bits) < 1.015 * value


def test_post_has_about_a_third_of_the_squared_error_of_powers_of_two_at_4_bits() -> None:
    assert best_error("post", 4) / best_error("pot", 4) == pytest.approx(0.356, abs=0.02)


def best_error(grid: str, bits: int) -> float:
    """Least mean squared error over scales, on 40,000 normal values spread evenly in probability."""
    probability = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000
    v = torch.special.ndtri(probability)
    high = 2 ** (bits - 1) - 1
    errors = []
    for alpha in torch.linspace(1.0, 5.0, 81, dtype=torch.float64):
        y = (
            lsq(v, alpha / high, -high, high)
            if grid == "uniform"
            else quantised(v, alpha, METHODS[grid], bits, 1.0, True)
        )
        errors.append(float(((y - v) ** 2).mean()))
    return min(errors)


@every_width
def test_scales_start_near_the_best(bits: int) -> None:
    """On normal weights, the first scale has at most a fifth more squared error than the best."""
    torch.manual_seed(0)
    weight = torch.randn(1, 20_000)
    for name in ("post", "pot"):
        layer = qnn.QuantLinear(20_000, 1, bias=False, weight_quant=quant.make(name, "weight", (bits, True), {}))
        layer.load_state_dict({"weight": weight}, strict=False)
        error = float(((layer.quant_weight().value.detach() - weight) ** 2).mean())
        assert error < 1.2 * best_error(name, bits)


def test_scales_start_at_a_quantile_of_each_channel() -> None:
    torch.manual_seed(0)
    layer = qnn.QuantConv2d(8, 4, 3, weight_quant=PostWeight4b)
    expected = torch.quantile(layer.weight.detach().abs().flatten(1), 0.99, dim=1)
    torch.testing.assert_close(layer.quant_weight().scale.flatten() * 1024, expected)
    chosen = qnn.QuantConv2d(8, 4, 3, weight_quant=quant.make("post", "weight", (4, False), {"quantile": 0.5}))
    torch.testing.assert_close(
        chosen.quant_weight().scale * 1024, chosen.weight.detach().abs().median(), rtol=0.02, atol=0
    )


@pytest.mark.parametrize(
    ("quantizer", "bits"), [(PostWeight2b, 2), (PostWeight3b, 3), (PostWeight4b, 4), (PostWeight5b, 5)]
)
def test_public_quantizers_and_their_quantised_tensors(quantizer: type, bits: int) -> None:
    torch.manual_seed(1)
    layer = qnn.QuantConv2d(6, 5, 3, weight_quant=quantizer)
    weight = layer.quant_weight()
    assert weight.scale.shape == (5, 1, 1, 1)
    assert weight.is_valid
    assert weight.zero_point == 0
    assert set(weight.int().unique().tolist()) <= set(codebook_of(post.levels_of(bits)))
    assert torch.equal(weight.int() * weight.scale, weight.value)
    by_keyword = qnn.QuantConv2d(6, 5, 3, weight_quant=PostWeightPerTensor, weight_bit_width=bits)
    assert by_keyword.quant_weight().scale.shape == ()
    assert by_keyword.quant_weight().bit_width == weight.bit_width


@every_method
@every_width
@pytest.mark.parametrize("per_channel", [True, False])
def test_the_frontend_reads_codes_and_integers(name: str, bits: int, per_channel: bool) -> None:
    torch.manual_seed(bits)
    quantizer = quant.make(name, "weight", (bits, per_channel), {})
    layers = (
        qnn.QuantConv2d(6, 4, 3, weight_quant=quantizer),
        qnn.QuantConv2d(8, 8, 3, groups=8, weight_quant=quantizer),
        qnn.QuantLinear(20, 7, bias=False, weight_quant=quantizer),
    )
    table = codebook_of(METHODS[name].levels_of(bits))
    for layer in layers:
        weights = read_weights(layer, "layer")
        assert weights.bits == bits
        if bits == 2:
            assert weights.codebook is None
            integers = weights.values
            assert set(np.unique(integers)) <= {-1, 0, 1}
        else:
            assert tuple(weights.codebook) == table
            assert weights.values.min() >= 0
            integers = weights.codebook[weights.values]
        value = layer.quant_weight().value.detach().numpy()
        scale = weights.scale.reshape(-1, *(1,) * (value.ndim - 1))
        assert weights.scale.shape == ((len(value),) if per_channel and name != "apot" else (1,))
        assert np.array_equal((integers * scale).astype(np.float32), value)


@every_method
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_the_frontend(name: str, bad: float) -> None:
    layer = qnn.QuantLinear(9, 3, bias=False, weight_quant=quant.make(name, "weight", (4, True), {}))
    with torch.no_grad():
        layer.weight[1, 2] = bad
    with pytest.raises(UserError, match="layer 'fc' hold NaN or infinity"):
        read_weights(layer, "fc")


def test_nan_is_not_hidden_by_a_level() -> None:
    y = quantised(torch.tensor([0.5, float("nan")]), torch.tensor(1.0), post, 4, 1.0, True)
    assert torch.isnan(y).tolist() == [False, True]


@every_method
def test_channels_that_are_all_zero(name: str) -> None:
    layer = qnn.QuantConv2d(3, 4, 3, weight_quant=quant.make(name, "weight", (4, True), {}))
    weight = torch.randn(4, 3, 3, 3)
    weight[1] = 0
    if name == "apot":
        weight[:] = 0  # one scale in all
    layer.load_state_dict({"weight": weight}, strict=False)
    found = layer.quant_weight()
    assert (found.scale > 0).all()
    assert torch.equal(found.value[1], torch.zeros(3, 3, 3))
    layer(torch.randn(1, 3, 5, 5)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()
    read_weights(layer, "layer")


def test_sparse_channels_start_at_their_greatest_weight() -> None:
    layer = qnn.QuantLinear(1000, 1, bias=False, weight_quant=PostWeight4b)
    weight = torch.zeros(1, 1000)
    weight[0, 7] = 0.5
    layer.load_state_dict({"weight": weight}, strict=False)
    assert layer.quant_weight().scale * 1024 == 0.5


@every_method
def test_the_scale_stays_positive_whatever_the_parameter_becomes(name: str) -> None:
    layer = qnn.QuantLinear(9, 3, bias=False, weight_quant=quant.make(name, "weight", (4, True), {}))
    before = layer.quant_weight()
    alpha = layer.weight_quant.tensor_quant.alpha
    with torch.no_grad():
        alpha.neg_()
    assert torch.equal(layer.quant_weight().value, before.value)
    with torch.no_grad():
        alpha.zero_()
    assert (layer.quant_weight().scale > 0).all()
    assert layer.quant_weight().scale.max() < SMALLEST_STEP


@every_method
def test_weights_stay_float32_under_autocast_and_keep_their_memory_order(name: str) -> None:
    layer = qnn.QuantConv2d(16, 8, 3, weight_quant=quant.make(name, "weight", (4, True), {}))
    layer = layer.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        value = layer.quant_weight().value
        layer(torch.randn(2, 16, 6, 6).to(memory_format=torch.channels_last)).float().square().sum().backward()
    assert value.dtype == torch.float32
    assert value.is_contiguous(memory_format=torch.channels_last)
    for parameter in layer.parameters():
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", [*METHODS, "dorefa"])
def test_an_export_by_brevitas_which_would_be_of_other_weights_is_refused(name: str) -> None:
    layer = qnn.QuantLinear(9, 3, bias=False, weight_quant=quant.make(name, "weight", (4, True), {})).eval()
    layer.weight_quant.export_mode = False
    with pytest.raises(UserError, match="cannot export weights"):
        layer.weight_quant.export_mode = True


@pytest.mark.parametrize("bits", [1, 6, 8])
@every_method
def test_other_widths_are_refused(name: str, bits: int) -> None:
    with pytest.raises(UserError, match=f"'{name}': it has tables for 2 to 5 bits, not for {bits}"):
        quant.make(name, "weight", (bits, True), {})


@pytest.mark.parametrize(
    ("name", "option", "value"), [("post", "quantile", 0.0), ("pot", "quantile", 1.5), ("apot", "alpha", -1.0)]
)
def test_options_out_of_range_are_refused(name: str, option: str, value: float) -> None:
    with pytest.raises(UserError, match=f"{value}"):
        quant.make(name, "weight", (4, True), {option: value})


class Normalised(nn.Module):
    """Weights as the authors' code of APoT has them: in standard deviations, behind them a batch norm."""

    def __init__(self, rescaled: bool) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.rescaled = rescaled
        self.weight = nn.Parameter(0.1 * torch.randn(6, 12, dtype=torch.float64) + 0.02)
        self.alpha = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.norm = nn.BatchNorm1d(6, eps=1e-30).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, deviation = self.weight.detach().mean(), self.weight.detach().std()
        if self.rescaled:
            w = quantised(self.weight - mean, self.alpha * deviation, apot, 4, 1.0, False)
        else:
            w = quantised((self.weight - mean) / deviation, self.alpha, apot, 4, 1.0, False)
        return self.norm(x @ w.T)


def test_a_batch_norm_does_not_see_that_apot_multiplies_by_the_deviation_again() -> None:
    x, gradient = torch.randn(50, 12, dtype=torch.float64), torch.randn(50, 6, dtype=torch.float64)
    found = []
    for rescaled in (False, True):
        net = Normalised(rescaled)
        y = net(x)
        y.backward(gradient)
        found.append((y, net.weight.grad, net.alpha.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-9)


def test_apot_passes_the_gradient_of_weights_wherever_they_lie() -> None:
    """POT and POST hold weights beyond ±α."""
    torch.manual_seed(4)
    for name, passes in (("apot", True), ("pot", False), ("post", False)):
        layer = qnn.QuantLinear(200, 3, bias=False, weight_quant=quant.make(name, "weight", (3, True), {}))
        quantizer = layer.weight_quant.tensor_quant
        with torch.no_grad():
            layer.weight.normal_()
            quantizer.alpha.fill_(0.7)
        w, alpha = quantizer.scaled(layer.weight.detach())
        beyond = w.abs() > alpha
        assert 0.3 < beyond.float().mean() < 0.7
        upstream = torch.randn(3, 200)
        (layer.quant_weight().value * upstream).sum().backward()
        assert torch.equal(layer.weight.grad, upstream if passes else upstream * ~beyond), name


def test_apot_of_a_layer_is_the_formula() -> None:
    torch.manual_seed(2)
    layer = qnn.QuantConv2d(5, 4, 3, weight_quant=quant.make("apot", "weight", (4, True), {}))
    w = layer.weight.detach().double()
    u = ((w - w.mean()) / w.std() / 3).clamp(-1, 1)
    expected = 3 * w.std() * nearest(u, apot.levels_of(4))
    torch.testing.assert_close(layer.quant_weight().value.double(), expected, rtol=1e-6, atol=0)
