"""What has no exact integer form is refused in one sentence that names the layer."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from brevitas import nn as qnn
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerTensorFloat,
    ShiftedUint8WeightPerTensorFloat,
    Uint8ActPerTensorFloat,
)
from torch import nn

from codesign.errors import UserError
from codesign.frontends.brevitas import from_brevitas
from codesign.ir import IntType
from codesign.quant import lsq

HOSTILE = '"; system("rm -rf /")'
INJECTED = '"); raise SystemExit("injected") #'
QUANTISED = {"weight_quant": Int8WeightPerTensorFloat, "bias": False}


def conv(**options) -> nn.Module:
    return qnn.QuantConv2d(2, 4, 3, **QUANTISED, **options)


def last(features: int = 64) -> nn.Module:
    return qnn.QuantLinear(features, 3, **QUANTISED)


class Wired(nn.Module):
    def __init__(self, forward: Callable, **layers: nn.Module) -> None:
        super().__init__()
        self.wiring = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wiring(self, x)


def refused(model: nn.Module, *words: str, shape: tuple[int, ...] = (2, 6, 6), **options) -> None:
    """Import must fail with one sentence that holds all of `words`."""
    options.setdefault("input_scale", 1 / 256)
    with pytest.raises(UserError) as caught:
        from_brevitas(model, options.pop("example", torch.zeros(1, *shape)), **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def between(layer: nn.Module, *more: nn.Module) -> nn.Module:
    """conv, the layer called "bad", flatten, dense."""
    model = nn.Sequential()
    model.add_module("conv", conv())
    model.add_module("bad", layer)
    for index, other in enumerate(more):
        model.add_module(f"more{index}", other)
    model.add_module("flatten", nn.Flatten())
    model.add_module("last", last())
    return model


ACT = {"bit_width": 4}


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: nn.Conv2d(4, 4, 3, padding=1), ("float weights", "QuantConv2d")),
        (lambda: nn.Linear(4, 4), ("float weights", "QuantLinear")),
        (lambda: nn.LayerNorm(4), ("LayerNorm", "not supported")),
        (lambda: nn.ConvTranspose2d(4, 4, 3), ("ConvTranspose2d", "not supported")),
        (lambda: nn.LeakyReLU(), ("LeakyReLU", "not supported")),
        (lambda: nn.Sigmoid(), ("Sigmoid", "not supported")),
        (lambda: qnn.QuantSigmoid(), ("Sigmoid", "QuantReLU")),
        (lambda: qnn.QuantTanh(), ("Tanh", "QuantHardTanh")),
        (lambda: qnn.QuantConv2d(4, 4, 3, dilation=2, padding=2, **QUANTISED), ("dilation",)),
        (lambda: qnn.QuantConv2d(4, 4, 3, padding=1, padding_mode="circular", **QUANTISED), ("padding",)),
        (lambda: qnn.QuantConv2d(4, 4, 3, padding=1, weight_quant=None, bias=False), ("float weights",)),
        (lambda: qnn.QuantIdentity(act_quant=None), ("switched off",)),
        (lambda: qnn.QuantConvTranspose2d(4, 4, 3, **QUANTISED), ("QuantConvTranspose2d", "not supported")),
        (lambda: nn.MaxPool2d(3, 1, padding=1), ("padded",)),
        (lambda: nn.MaxPool2d(3, ceil_mode=True), ("ceil mode",)),
        (lambda: nn.MaxPool2d(3, dilation=2), ("dilated",)),
        (lambda: nn.AvgPool2d(3, 1, padding=1), ("padded",)),
        (lambda: nn.AvgPool2d(2, divisor_override=3), ("divisor",)),
        (lambda: nn.AdaptiveAvgPool2d(2), ("only 1",)),
        (lambda: nn.AdaptiveAvgPool2d((None, 1)), ("only 1",)),
        (lambda: qnn.TruncAvgPool2d(2), ("truncates",)),
        (lambda: qnn.TruncAdaptiveAvgPool2d(1), ("truncates",)),
        (lambda: nn.BatchNorm2d(4, track_running_stats=False), ("running statistics",)),
        (lambda: nn.BatchNorm2d(5), ("5 entries for 4 channels",)),
        (lambda: nn.Flatten(0), ("flattens",)),
        (lambda: nn.Flatten(1, 2), ("flattens",)),
        (lambda: nn.Flatten(2), ("flattens",)),
        (
            lambda: qnn.QuantIdentity(
                act_quant=Int8ActPerTensorFloat, scaling_per_output_channel=True,
                per_channel_broadcastable_shape=(1, 4, 1, 1), scaling_stats_permute_dims=(1, 0, 2, 3),
            ),
            ("one scale per tensor",),
        ),
        (lambda: nn.Upsample(scale_factor=2), ("Upsample", "not supported")),
    ],
)  # fmt: skip
def test_layers_are_refused_by_name(layer: Callable[[], nn.Module], words: tuple[str, ...]):
    refused(between(layer()), "'bad'", *words)


@pytest.mark.parametrize(
    "make",
    [
        lambda: between(nn.ReLU(), qnn.QuantConv2d(4, 4, 3, padding=1, **QUANTISED)),
        lambda: between(nn.ReLU(), nn.AvgPool2d(2)),
        lambda: between(nn.ReLU()),
    ],
)
def test_an_activation_must_be_quantised_before_it_is_summed(make: Callable[[], nn.Module]):
    refused(make(), "not quantised")


def test_a_network_must_not_end_in_a_bare_activation():
    refused(nn.Sequential(conv(), nn.ReLU()), "ends in '1'", "not quantised")
    refused(nn.Sequential(conv(), nn.Flatten()), "flattened frame")
    refused(nn.Sequential(nn.Flatten(), nn.Identity(), nn.ReLU()), "flattened frame")
    refused(nn.Sequential(nn.Identity()), "no layer that computes")


def test_a_constant_network_is_refused():
    model = nn.Sequential(last(6), nn.BatchNorm1d(3)).eval()
    nn.init.zeros_(model[1].weight)
    refused(model, "constant", shape=(6,))


def wired(forward: Callable, **more: nn.Module) -> nn.Module:
    act, quick = qnn.QuantReLU(**ACT), nn.ReLU(inplace=True)
    model = Wired(forward, conv=conv(), act=act, last=last(), quick=quick, same=last(), square=conv(padding=1), **more)
    model.register_buffer("row", torch.arange(4.0))
    model.register_buffer("channels", torch.rand(4, 1, 1))
    return model


def body(m: Wired, x: torch.Tensor) -> torch.Tensor:
    return m.act(m.conv(x))


FORWARDS: dict[str, tuple[Callable, tuple[str, ...]]] = {
    "branch on data": (lambda m, x: m.conv(x) if x.sum() > 0 else x, ("cannot be traced", "Wired")),
    "several values": (lambda m, x: (body(m, x), x), ("several values",)),
    "a dict": (lambda m, x: {"logits": body(m, x)}, ("several values",)),
    "sigmoid": (lambda m, x: torch.sigmoid(body(m, x)), ("'sigmoid'", "not supported")),
    "negation": (lambda m, x: -body(m, x), ("'neg'",)),
    "product": (lambda m, x: body(m, x) * body(m, x), ("combines two activations by mul",)),
    "difference": (lambda m, x: body(m, x) - body(m, x), ("combines two activations by sub",)),
    "division by x": (lambda m, x: 1 / body(m, x), ("only division by a constant",)),
    "division by zero": (lambda m, x: body(m, x) / 0.0, ("by zero",)),
    "floor division": (lambda m, x: torch.div(m.conv(x), 2, rounding_mode="floor"), ("rounding_mode",)),
    "alpha": (lambda m, x: torch.add(body(m, x), body(m, x), alpha=2), ("alpha",)),
    "alpha method": (lambda m, x: (lambda a: a.add(a, alpha=2))(body(m, x)), ("alpha",)),
    "constant per column": (lambda m, x: m.act(m.conv(x) + m.row), ("shape (channels, 1, 1)",)),
    "constant nan": (lambda m, x: m.act(m.conv(x) * float("nan")), ("finite",)),
    "flat constant per channel": (lambda m, x: m.last(m.act(m.conv(x)).flatten(1) + m.channels), ("constant",)),
    "mean of rows": (lambda m, x: body(m, x).mean(2), ("averages over axes 2",)),
    "mean of all": (lambda m, x: body(m, x).mean(), ("averages over axes None",)),
    "mean of channels": (lambda m, x: body(m, x).mean((1, 2)), ("averages over axes",)),
    "pool of features": (
        lambda m, x: nn.functional.adaptive_avg_pool2d(m.last(body(m, x).flatten(1)), 1),
        ("flat features",),
    ),
    "padded pool": (lambda m, x: nn.functional.max_pool2d(body(m, x), 2, padding=1), ("padded",)),
    "pool of indices": (
        lambda m, x: nn.functional.max_pool2d(body(m, x), 2, return_indices=True)[0],
        ("max_pool2d_with_indices",),
    ),
    "partial flatten": (lambda m, x: body(m, x).flatten(1, 2), ("flattens axes 1 to 2",)),
    "flatten of all": (lambda m, x: body(m, x).flatten(), ("flattens axes 0",)),
    "odd view": (lambda m, x: body(m, x).view(1, -1), ("reshapes",)),
    "view by channels": (lambda m, x: (lambda a: a.view(a.size(1), -1))(body(m, x)), ("reshapes",)),
    "view of other size": (lambda m, x: m.last(body(m, x).view(-1, 32)), ("reshapes",)),
    "slice": (lambda m, x: body(m, x)[:, :2], ("'getitem'",)),
    "dropout at work": (lambda m, x: nn.functional.dropout(body(m, x), 0.5), ("drops values",)),
    "flat plus dense": (lambda m, x: (lambda f: f + m.square_dense(f))(body(m, x).flatten(1)), ("another order",)),
    "broadcast": (lambda m, x: body(m, x) + body(m, x).mean((2, 3), keepdim=True), ("equal shapes",)),
    "unrelated": (lambda m, x: body(m, x) + m.other(m.conv(x)), ("unrelated scales",)),
    "read after work in place": (
        lambda m, x: (lambda a: m.act(m.quick(a) + a))(m.conv(x)),
        ("'quick'", "in place", "read again"),
    ),
    "read after relu_": (lambda m, x: (lambda a: m.act(a.relu_() + a))(m.conv(x)), ("in place",)),
    "read after work on a view": (
        lambda m, x: (lambda a: (lambda f: m.same(f.add_(1)) + m.last(a.flatten(1)))(a.flatten(1)))(body(m, x)),
        ("in place",),
    ),
    "view read after work": (
        lambda m, x: (lambda a: (lambda f: m.same(a.add_(1).flatten(1)) + m.last(f))(a.view(-1, 64)))(body(m, x)),
        ("in place",),
    ),
    "read after add": (lambda m, x: (lambda a: m.act(a.add_(1) + a))(body(m, x)), ("in place",)),
    "dense without flatten": (lambda m, x: m.last(body(m, x)), ("'last'", "put a flatten")),
    "wrong features": (lambda m, x: m.last(nn.functional.max_pool2d(body(m, x), 2).flatten(1)), ("'last'",)),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_forward_passes_are_refused(name: str):
    forward, words = FORWARDS[name]
    torch.manual_seed(0)
    more = {"square_dense": last(64), "other": qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat)}
    more["square_dense"] = qnn.QuantLinear(64, 64, **QUANTISED)
    model = wired(forward, **more)
    model.train()
    with torch.no_grad():
        for step in range(2):
            h = model.act(torch.randn(64, 4) * 3)
            model.other(h * (step + 0.7) - 0.3)
    refused(model, *words)


def test_several_inputs_are_refused():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = conv()

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return self.first(x) + y

    refused(Two(), "several inputs")


def test_a_name_never_runs():
    # torch.fx writes names into Python source that it executes.
    model = nn.Sequential()
    model.add_module(INJECTED, conv())
    assert from_brevitas(model, torch.zeros(1, 2, 6, 6), input_scale=1 / 256).nodes[0].label == INJECTED


@pytest.mark.parametrize("kind", ["conv", "activation"])
def test_a_hostile_name_is_only_a_name(kind: str):
    model = nn.Sequential()
    model.add_module(HOSTILE, nn.Conv2d(2, 4, 3) if kind == "conv" else qnn.QuantSigmoid())
    refused(model, HOSTILE)
    good = nn.Sequential()
    good.add_module(HOSTILE, conv())
    good.register_buffer("unused", torch.zeros(1))
    graph = from_brevitas(good, torch.zeros(1, 2, 6, 6), input_scale=1 / 256)
    assert [(node.name, node.label) for node in graph] == [("n0", HOSTILE)]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("place", ["weight", "bias", "scale", "norm"])
def test_what_is_no_number_is_refused(place: str, value: float):
    torch.manual_seed(0)
    layer = qnn.QuantConv2d(2, 4, 3, weight_quant=Int8WeightPerTensorFloat, bias=True)
    model = nn.Sequential(layer, nn.BatchNorm2d(4), qnn.QuantReLU(act_quant=lsq.activation(4, signed=False))).eval()
    index = {"norm": 1, "scale": 2}.get(place, 0)
    target = {"weight": layer.weight, "bias": layer.bias, "norm": model[1].running_mean}
    with torch.no_grad():
        if place == "scale":
            scaling = model[2].act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl
            scaling.value.fill_(value)
        else:
            target[place].view(-1)[0] = value
    refused(model, f"layer '{index}'")


def test_weights_of_other_kinds_are_refused():
    refused(
        nn.Sequential(qnn.QuantConv2d(2, 4, 3, weight_quant=ShiftedUint8WeightPerTensorFloat, bias=False)),
        "layer '0'", "zero point",
    )  # fmt: skip
    layer = conv()
    with torch.no_grad():
        layer.weight.fill_(torch.nan)
    refused(nn.Sequential(layer), "layer '0'", "NaN")


def test_padding_needs_a_zero_that_is_zero():
    model = nn.Sequential(conv(padding=1)).eval()
    refused(model, "'0'", "pads", input_offset=-0.5)
    refused(model, "'0'", "pads", input_offset=[0.0, 0.25])
    graph = from_brevitas(model, torch.zeros(1, 2, 6, 6), input_scale=1 / 256, input_offset=0.0)
    assert graph.output.shape == (6, 6, 4)


def test_channels_of_different_scales_do_not_sum():
    refused(nn.Sequential(conv()), "'0'", "different scales", input_scale=[1.0, 0.5])
    refused(nn.Sequential(conv()), "3 entries for 2 channels", input_scale=[1.0, 0.5, 2.0])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.bool, torch.complex64])
def test_an_example_must_tell_the_width(dtype: torch.dtype):
    example = torch.zeros(1, 2, 6, 6, dtype=dtype)
    refused(nn.Sequential(conv()), "input_type", example=example, input_scale=None)
    if dtype == torch.int64:
        graph = from_brevitas(nn.Sequential(conv()), example, input_type=IntType(5, signed=True))
        assert graph.input.type == IntType(5, signed=True)


def test_an_example_has_a_frame():
    refused(nn.Sequential(conv()), "(frames, channels, height, width)", example=torch.zeros(2, 6, 6))
    refused(nn.Sequential(conv()), "expects 2 input channels", example=torch.zeros(1, 3, 6, 6))


def test_a_float_input_needs_a_scale_or_a_quantiser():
    refused(nn.Sequential(conv()), "input_scale", input_scale=None)
    refused(nn.Sequential(nn.Flatten(), last(72)), "input_scale", input_scale=None)


def test_a_quantiser_that_lies_is_refused():
    layer = qnn.QuantReLU(act_quant=Uint8ActPerTensorFloat, **ACT)
    model = nn.Sequential(conv(), layer).eval()
    layer(torch.rand(8, 4, 4, 4))
    from_brevitas(model, torch.zeros(1, 2, 6, 6), input_scale=1 / 256)
    inner = layer.act_quant.fused_activation_quant_proxy

    class Skewed(nn.Module):
        def __init__(self, inside: nn.Module) -> None:
            super().__init__()
            self.inside = inside

        def forward(self, x: torch.Tensor) -> tuple:
            value, *rest = self.inside(x)
            return (value * 1.01, *rest)

    inner.tensor_quant = Skewed(inner.tensor_quant)
    refused(model, "'1'")


def test_integers_that_do_not_fit_are_refused_by_name():
    wide = nn.Sequential(last(6)).eval()
    refused(wide, "'0'", "62 bits", shape=(6,), input_type=IntType(60, signed=True))


def test_a_model_elsewhere_is_asked_back():
    model = nn.Sequential(nn.Identity())
    model.add_module("meta", nn.Linear(2, 2, device="meta"))
    refused(model, "'meta.weight'", "model.cpu()")


def test_refusals_are_sentences():
    with pytest.raises(UserError) as caught:
        from_brevitas(between(nn.Sigmoid()), torch.zeros(1, 2, 6, 6), input_scale=1 / 256)
    assert re.fullmatch(r"[^\n]+\.|[^\n]+README", str(caught.value))
    assert np.isfinite(len(str(caught.value)))
