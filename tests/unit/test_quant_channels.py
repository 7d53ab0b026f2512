"""Weights with a width per output channel: codes, gradients against closed forms, equality with the plain methods."""

from __future__ import annotations

import brevitas.nn as qnn
import pytest
import torch

from codesign.quant.lsq import LsqWeightPerChannel, code_range, lsq
from codesign.quant.lsq_channels import Codes, LsqWeightChannels
from codesign.quant.post import PostWeightPerChannel, levels_of
from codesign.quant.post_channels import PostWeightChannels, Tables

WIDTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8)


def drawn(channels: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Weights, steps and an arriving gradient."""
    generator = torch.Generator().manual_seed(7)
    v = torch.randn(channels, 4, 3, 3, generator=generator, dtype=torch.float64)
    step = 0.1 + torch.rand(channels, 1, 1, 1, generator=generator, dtype=torch.float64)
    gradient = torch.randn(v.shape, generator=generator, dtype=torch.float64)
    return v.to(dtype), step.to(dtype), gradient.to(dtype)


def test_every_width_has_its_values_and_its_gradients() -> None:
    v, step, gradient = drawn(len(WIDTHS))
    v[1, 0, 0] = torch.tensor([0.0, 1.0, -1.5])  # sign(0), and where the derivative of the sign ends
    v.requires_grad_()
    step.requires_grad_()
    y = Codes(WIDTHS, 4).quantise(v, step)
    y.backward(gradient)
    for channel, bits in enumerate(WIDTHS):
        w, s, g = v.detach()[channel], step.detach()[channel], gradient[channel]
        count = w.numel()
        if bits == 0:
            value, slope, passed, high = torch.zeros_like(w), torch.zeros_like(w), torch.zeros_like(w), 1
        elif bits == 1:
            sign = torch.where(w >= 0, 1.0, -1.0).double()
            value, slope, passed, high = s * sign, sign, (w.abs() < 1).double(), 1
        else:
            low, high = code_range(bits, signed=True, narrow=True)
            u = w / s
            inside = (u > low) & (u < high)
            value = s * u.clamp(low, high).round()
            slope = torch.where(inside, u.round() - u, u.clamp(low, high))
            passed = inside.double()
        assert torch.equal(y.detach()[channel], value)
        assert torch.equal(v.grad[channel], passed * g)
        torch.testing.assert_close(step.grad[channel].sum(), (slope * g).sum() / (count * high) ** 0.5)
    assert (y[0] == 0).all()
    assert not torch.signbit(y[0]).any()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_widths_are_lsq_to_the_last_bit(bits: int, dtype: torch.dtype) -> None:
    v, step, gradient = drawn(6, dtype)
    low, high = code_range(bits, signed=True, narrow=True)
    found = []
    for quantise in (
        lambda v, s: lsq(v, s, low, high, 1.0 / (v[0].numel() * high) ** 0.5),
        Codes((bits,) * 6, 4).quantise,
    ):
        a, b = v.clone().requires_grad_(), step.clone().requires_grad_()
        y = quantise(a, b)
        y.backward(gradient)
        found.append((y.detach(), a.grad, b.grad))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_layers_of_equal_widths_are_those_of_lsq_from_the_first_step_on() -> None:
    def layer(kind: type, **settings: object) -> qnn.QuantConv2d:
        torch.manual_seed(3)
        return qnn.QuantConv2d(4, 6, 3, weight_quant=kind.let(**settings))

    plain, own = layer(LsqWeightPerChannel, bit_width=3), layer(LsqWeightChannels, widths=(3,) * 6)
    for made in (plain, own):
        made.quant_weight().value.square().sum().backward()
    assert torch.equal(plain.quant_weight().value, own.quant_weight().value)
    assert torch.equal(plain.quant_weight().scale, own.quant_weight().scale)
    assert torch.equal(plain.weight.grad, own.weight.grad)
    steps = [made.weight_quant.tensor_quant.scaling_impl.value.grad for made in (plain, own)]
    assert torch.equal(*steps)


def test_one_channel_of_a_layer_does_not_depend_on_the_others() -> None:
    v, step, _ = drawn(len(WIDTHS))
    together = Codes(WIDTHS, 4).quantise(v, step)
    for channel, bits in enumerate(WIDTHS):
        alone = Codes((bits,), 4).quantise(v[channel : channel + 1], step[channel : channel + 1])
        assert torch.equal(alone[0], together[channel])


def test_first_steps() -> None:
    v, _, _ = drawn(3)
    steps = Codes((0, 1, 4), 4).first_steps(v).flatten()
    mean = v.abs().flatten(1).mean(1)
    torch.testing.assert_close(steps, torch.stack([2 * mean[0], mean[1], 2 * mean[2] / 7**0.5]))


def test_levels_of_a_width_are_the_upper_ones_of_the_next() -> None:
    for bits in (2, 3, 4):
        narrow, wide = levels_of(bits), levels_of(bits + 1)
        factor = wide[-1] // narrow[-1]
        assert {factor * level for level in narrow} <= set(wide)


def test_post_of_equal_widths_is_post() -> None:
    for bits in (2, 3, 4, 5):
        found = []
        for kind, settings in (
            (PostWeightPerChannel, {"bit_width": bits}),
            (PostWeightChannels, {"widths": (bits,) * 6}),
        ):
            torch.manual_seed(3)
            layer = qnn.QuantConv2d(4, 6, 3, weight_quant=kind.let(**settings))
            quantised = layer.quant_weight()
            quantised.value.square().sum().backward()
            quantizer = layer.weight_quant.tensor_quant
            found.append((quantised.value, quantised.scale, layer.weight.grad, quantizer.alpha.grad))
            found[-1] += (quantizer.codes(layer.weight),)
        for one, other in zip(*found, strict=True):
            assert torch.equal(one, other)


def test_post_channels_are_codes_into_the_table_of_the_widest() -> None:
    widths = (0, 1, 2, 3, 4, 5)
    torch.manual_seed(5)
    layer = qnn.QuantConv2d(4, 6, 3, weight_quant=PostWeightChannels.let(widths=widths))
    quantizer = layer.weight_quant.tensor_quant
    book = torch.tensor(quantizer.codebook)
    quantised = layer.quant_weight()
    integers = book[quantizer.codes(layer.weight)]
    torch.testing.assert_close(integers * quantised.scale, quantised.value, rtol=2**-22, atol=0)
    top = book.max()
    assert (integers[0] == 0).all()
    assert set(integers[1].abs().unique().tolist()) == {top.item()}
    for channel, bits in enumerate(widths[2:], 2):
        allowed = {level * top.item() // levels_of(bits)[-1] for level in levels_of(bits)}
        assert set(integers[channel].abs().unique().tolist()) <= allowed
    quantised.value.square().sum().backward()
    assert (layer.weight.grad[0] == 0).all()
    assert quantizer.alpha.grad[0] == 0
    alone = Tables((4,)).quantise(layer.weight[4:5], quantizer.clip()[4:5])
    assert torch.equal(alone[0], quantised.value[4])


@pytest.mark.parametrize("kind", [LsqWeightChannels, PostWeightChannels])
def test_the_number_of_widths_is_that_of_the_channels(kind: type) -> None:
    with pytest.raises(ValueError, match="6 output channels, but 2 widths"):
        qnn.QuantConv2d(4, 6, 3, weight_quant=kind.let(widths=(3, 3)))
