"""ASQ: equal to LSQ where it must be, gradients against closed forms, decisions against integers."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import nn

from codesign.quant.asq import AsqQuant
from codesign.quant.asq_adapter import codebook
from codesign.quant.asq_function import FLOOR
from codesign.quant.lsq import LsqQuant, lsq

SHAPES = [(6, 16, 5, 4), (6, 16), (1, 16, 3, 3), (1, 16), (4, 5, 3, 3), (3, 8, 7)]


def values(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 1) -> torch.Tensor:
    """Return what a ReLU may give: a third zeros, samples of different sizes."""
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(shape, generator=generator, dtype=torch.float64) + 0.5).clamp_min(0)
    return (x * torch.linspace(0.5, 2.0, len(x)).view(-1, *(1,) * (x.ndim - 1))).to(dtype)


def spread(quantizer: AsqQuant, size: float = 0.5) -> None:
    """Let the adapter's outputs differ between samples."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        weight = quantizer.adapter.output.weight
        weight.copy_(size * (torch.rand(weight.shape, generator=generator) - 0.2))
        quantizer.adapter.output.bias.fill_(0.6)


def constant(quantizer: AsqQuant, t: float = 1.0) -> None:
    """Let the adapter give `t` whatever it sees."""
    with torch.no_grad():
        quantizer.adapter.output.weight.zero_()
        quantizer.adapter.output.bias.fill_(t)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("entries", [0, 16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("last", [False, True])
def test_without_adaptation_it_is_lsq_bit_for_bit(
    shape: tuple[int, ...], entries: int, dtype: torch.dtype, last: bool
) -> None:
    x = values(shape, dtype)
    if last:
        x = x.movedim(1, -1).contiguous().movedim(-1, 1)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(dtype)
    quantizer = AsqQuant(3, shape[1], entries).to(dtype)
    constant(quantizer)
    reference = LsqQuant(3, False, False, ()).to(dtype)
    first = LsqQuant(8, False, False, ()).to(dtype)

    own = x.clone().requires_grad_()
    y, scale, zero, bits = quantizer(own)
    y.backward(gradient)
    other = x.clone().requires_grad_()
    expected, expected_scale, _, _ = reference(first(other)[0] if entries else other)
    expected.backward(gradient)

    assert torch.equal(y, expected)
    assert y.dtype == dtype
    assert torch.equal(own.grad, other.grad)
    assert torch.equal(quantizer.step, expected_scale), "set by the first batch alike"
    assert torch.equal(scale, expected_scale.expand(scale.shape))
    assert scale.shape == (shape[0], *(1,) * (len(shape) - 1))
    assert (zero, bits) == (0, 3)
    # Summed in another order.
    torch.testing.assert_close(quantizer.scaling_impl.value.grad, reference.scaling_impl.value.grad)
    if entries:
        torch.testing.assert_close(quantizer.input_quant.scaling_impl.value.grad, first.scaling_impl.value.grad)


def closed_form(quantizer: AsqQuant, x: torch.Tensor, gradient: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return result and gradients by the formulas of the paper, the adapter's by autograd."""
    step, high, count = quantizer.step.detach(), quantizer.high, x[0].numel()
    parameters = dict(quantizer.adapter.named_parameters())
    x = x.clone().requires_grad_()
    rounded, sources = x, [x, *parameters.values()]
    if quantizer.input_quant is not None:
        first = quantizer.input_quant
        rounded = lsq(x, first.scaling_impl(), 0, first.high, 1 / math.sqrt(count * first.high))
        sources.append(first.scaling_impl.value)
    t = quantizer.adapter(rounded.flatten(2).mean(2) if x.ndim > 2 else rounded)
    if quantizer.codebook is None:
        beta = t.detach().clamp_min(FLOOR)
        lowest, highest = FLOOR, math.inf
    else:
        distance = (t.detach().unsqueeze(1) - quantizer.codebook).abs()
        beta = quantizer.codebook[distance.argmin(1)]
        lowest, highest = quantizer.codebook[0], quantizer.codebook[-1]
    each = (step * beta).view(-1, *(1,) * (x.ndim - 1))
    v = rounded.detach() / each
    inside = (v > 0) & (v < high)
    h = torch.where(inside, v.round() - v, torch.where(v <= 0, 0.0, float(high)))
    total = (gradient * h).flatten(1).sum(1)
    beta_gradient = total * step
    blocked = ((t.detach() < lowest) & (beta_gradient > 0)) | ((t.detach() > highest) & (beta_gradient < 0))
    t_gradient = torch.where(blocked, 0.0, beta_gradient)
    found = torch.autograd.grad([rounded, t], sources, [torch.where(inside, gradient, 0.0), t_gradient])
    return {
        "y": each * v.clamp(0, high).round(),
        "step": (total * beta).sum() / math.sqrt(high * count),
        "x": found[0],
        **dict(zip(parameters, found[1:], strict=False)),
        **({"input_step": found[-1]} if quantizer.input_quant is not None else {}),
    }


@pytest.mark.parametrize("entries", [0, 16, 48])
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("size", [2.0, 20.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_the_closed_forms(shape: tuple[int, ...], bits: int, entries: int, size: float) -> None:
    torch.manual_seed(0)
    quantizer = AsqQuant(bits, shape[1], entries).double()
    x = values(shape)
    quantizer(x)
    spread(quantizer, size)
    gradient = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = closed_form(quantizer, x, gradient)
    own = x.clone().requires_grad_()
    y, scale, _, _ = quantizer(own)
    y.backward(gradient)
    if len(x) > 3 and size < 3:
        assert len(scale.unique()) > 1, "the samples have different steps"
    torch.testing.assert_close(y, expected["y"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(own.grad, expected["x"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(quantizer.scaling_impl.value.grad, expected["step"], rtol=1e-9, atol=1e-12)
    for name, parameter in quantizer.adapter.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-9, atol=1e-12)
    if entries:
        found = quantizer.input_quant.scaling_impl.value.grad
        torch.testing.assert_close(found, expected["input_step"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("entries", "t"), [(0, 0.0), (0, -3.0), (16, 0.0), (16, -3.0)])
def test_below_the_floor_only_raising_gradients_pass(entries: int, t: float) -> None:
    quantizer = AsqQuant(2, 16, entries)
    x = values((2, 16, 4, 4), torch.float32)
    quantizer(x)
    constant(quantizer, t)
    scale = quantizer(x)[1]
    torch.testing.assert_close(scale.flatten(), (quantizer.step * FLOOR).expand(2))
    # At so small a step nearly all is clipped, and a larger step makes a larger y.
    for sign, passes in ((-1.0, True), (1.0, False)):
        quantizer.zero_grad()
        (sign * quantizer(x)[0]).sum().backward()
        assert bool(quantizer.adapter.output.bias.grad != 0) == passes


def test_above_the_codebook_only_lowering_gradients_pass() -> None:
    quantizer = AsqQuant(4, 16, 16)
    x = values((1, 16, 4, 4), torch.float32)
    quantizer(x)
    constant(quantizer, 9.0)
    assert (quantizer(x)[1] == quantizer.step * quantizer.codebook[-1]).all()
    grown = torch.autograd.grad(quantizer(x)[0].sum(), quantizer.scaling_impl.value)[0]
    for sign in (-1.0, 1.0):
        quantizer.zero_grad()
        (sign * quantizer(x)[0]).sum().backward()
        assert bool(quantizer.adapter.output.bias.grad != 0) == (sign * grown > 0)


def test_the_continuous_factor_leaves_its_floor() -> None:
    """The released code's factor cannot: behind its ReLU there is no gradient."""
    quantizer = AsqQuant(4, 16, 0)
    x = values((8, 16, 4, 4), torch.float32)
    quantizer(x)
    constant(quantizer, -0.5)
    optimizer = torch.optim.SGD(quantizer.adapter.parameters(), lr=0.05)
    for _ in range(200):
        loss = ((quantizer(x)[0] - x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (quantizer(x)[1] / quantizer.step).mean() > 0.5


@pytest.mark.parametrize("entries", [16, 17, 32, 64])
def test_codebook(entries: int) -> None:
    found = codebook(entries)
    assert found.shape == (entries,)
    assert (found.diff() > 0).all()
    assert found[0] == FLOOR
    assert 1.0 in found
    assert 3 < found[-1] < 5
    ratios = found[1:] / found[:-1]
    assert ratios.max() / ratios.min() < 1.02
    thresholds = AsqQuant(4, 8, entries).thresholds
    for tensor in (found, thresholds):
        assert torch.equal(tensor.half().float(), tensor), "kept by checkpoints in half precision"
    assert torch.equal(thresholds.double(), (found.double()[1:] + found.double()[:-1]) / 2)


def test_a_tie_takes_the_larger_factor() -> None:
    quantizer = AsqQuant(4, 8, 16)
    x = values((1, 8), torch.float32)
    for index, threshold in enumerate(quantizer.thresholds.tolist()):
        constant(quantizer, threshold)
        assert quantizer(x)[1] == quantizer.step * quantizer.codebook[index + 1]
        constant(quantizer, math.nextafter(threshold, 0.0) - 1e-6)
        assert quantizer(x)[1] == quantizer.step * quantizer.codebook[index]


def exact_dense(layer: nn.Linear, inputs: list[int], scale: Fraction) -> list[Fraction]:
    weight = layer.quant_weight()
    rows, step = weight.int().tolist(), Fraction(weight.scale.item())
    return [
        scale * step * sum(w * i for w, i in zip(row, inputs, strict=True)) + Fraction(bias)
        for row, bias in zip(rows, layer.bias.tolist(), strict=True)
    ]


@pytest.mark.parametrize("channels", [5, 16])
def test_hardware_mode_is_arithmetic_of_integers(channels: int) -> None:
    """The codes follow from integer sums, integer weights and thresholds alone, in exact fractions."""
    torch.manual_seed(0)
    quantizer = AsqQuant(3, channels, 32)
    x = values((12, channels, 4, 3), torch.float32)
    quantizer(x)
    spread(quantizer)
    quantizer.eval()
    with torch.no_grad():
        y, scale, _, _ = quantizer(x)
        codes = quantizer.input_quant(x)[0] / quantizer.input_quant.scaling_impl()
    input_step = Fraction(quantizer.input_quant.scaling_impl().item())
    step = Fraction(quantizer.step.item())
    entries = [Fraction(b) for b in quantizer.codebook.tolist()]
    chosen = set()
    for k, frame in enumerate(codes.round().int()):
        sums = frame.flatten(1).sum(1).tolist()
        scale_in = input_step / frame[0].numel()
        if quantizer.adapter.hidden is not None:
            hidden_step = Fraction(quantizer.adapter.hidden_quant.scaling_impl().item())
            hidden = exact_dense(quantizer.adapter.hidden, sums, scale_in)
            sums = [min(max(round(h / hidden_step), 0), 255) for h in hidden]
            scale_in = hidden_step
        (t,) = exact_dense(quantizer.adapter.output, sums, scale_in)
        index = sum(t >= Fraction(threshold) for threshold in quantizer.thresholds.tolist())
        chosen.add(index)
        expected = [min(round(c * input_step / (step * entries[index])), 7) for c in frame.flatten().tolist()]
        assert (y[k] / scale[k]).round().int().flatten().tolist() == expected
    assert len(chosen) > 2


@pytest.mark.parametrize("entries", [0, 16])
def test_any_order_in_memory(entries: int) -> None:
    """What a transposing layer leaves behind, and a gradient that lies in another order than the input."""
    x = values((4, 6, 5, 8), torch.float32).transpose(1, 3)
    gradient = torch.randn(4, 5, 6, 8).movedim(3, 1)
    quantizer = AsqQuant(4, 8, entries)
    quantizer(x)
    spread(quantizer)
    found = []
    for source in (x, x.contiguous(), x.contiguous(memory_format=torch.channels_last)):
        own = source.detach().requires_grad_()
        y = quantizer(own)[0]
        y.backward(gradient)
        found.append((y.detach(), own.grad))
    for y, of_x in found[1:]:
        # Sums of floats differ in their last bits with the order, those of integers do not.
        torch.testing.assert_close(y, found[0][0], rtol=0 if entries else 1e-5, atol=0)
        torch.testing.assert_close(of_x, found[0][1], rtol=1e-5, atol=1e-7)


def test_steps_start_from_the_first_batch() -> None:
    x = values((16, 8, 4, 4), torch.float32)
    quantizer = AsqQuant(4, 8, 0)
    quantizer(x)
    torch.testing.assert_close(quantizer.step, 2 * x.mean() / math.sqrt(15))
    quantizer(100 * x)
    torch.testing.assert_close(quantizer.step, 2 * x.mean() / math.sqrt(15))
    hardware = AsqQuant(4, 8, 16)
    hardware(torch.zeros_like(x))
    assert not hardware.scaling_impl.is_set, "nothing is known from a batch of zeros"
    hardware(x)
    torch.testing.assert_close(hardware.input_quant.scaling_impl(), 2 * x.mean() / math.sqrt(255))
    torch.testing.assert_close(hardware.step, 2 * x.mean() / math.sqrt(15), rtol=0.05, atol=0.0)
    assert hardware.adapter.hidden_quant.scaling_impl.is_set


def test_training_gives_each_sample_its_step() -> None:
    """Samples of three sizes: no single step suits all, and the adapter learns what to do."""
    generator = torch.Generator().manual_seed(0)
    size = torch.tensor([0.25, 1.0, 4.0]).repeat(40).view(-1, 1, 1, 1)
    x = torch.randn(120, 8, 4, 4, generator=generator).abs() * size
    losses = {}
    for name in ("asq", "continuous", "lsq"):
        torch.manual_seed(0)
        quantizer = LsqQuant(3, False, False, ()) if name == "lsq" else AsqQuant(3, 8, 16 * (name == "asq"))
        quantizer(x)
        optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.01)
        for _ in range(150):
            # Relative to what a sample is like, as after a batch norm.
            loss = (((quantizer(x)[0] - x) / size) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses[name] = loss.item()
    assert losses["asq"] < 0.5 * losses["lsq"]
    assert losses["continuous"] < 0.5 * losses["lsq"]
