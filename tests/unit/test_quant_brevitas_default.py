"""Brevitas' own default quantizers, and the one thing changed: activations are set by their first batch."""

from __future__ import annotations

import brevitas.nn as qnn
import pytest
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Uint8ActPerTensorFloat

from codesign import quant
from codesign.errors import UserError
from codesign.frontends.brevitas_quantizers import read_grid

torch.set_num_threads(1)  # too little work to share


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_are_those_of_brevitas(bits: int) -> None:
    torch.manual_seed(0)
    ours = qnn.QuantConv2d(3, 4, 3, weight_quant=quant.make("brevitas_default", "weight", (bits, True), {}))
    theirs = qnn.QuantConv2d(3, 4, 3, weight_quant=Int8WeightPerChannelFloat, weight_bit_width=bits)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.quant_weight().value, theirs.quant_weight().value)
    assert ours.quant_weight().scale.shape == (4, 1, 1, 1)
    whole = qnn.QuantLinear(3, 4, bias=False, weight_quant=quant.make("brevitas_default", "weight", (bits, False), {}))
    assert whole.quant_weight().scale.numel() == 1


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_activations_are_those_of_brevitas_after_one_batch(bits: int, signed: bool) -> None:
    torch.manual_seed(0)
    x, next_x = torch.randn(8, 3, 5, 5), 2 * torch.randn(8, 3, 5, 5)
    kind = qnn.QuantIdentity if signed else qnn.QuantReLU
    theirs = Int8ActPerTensorFloat if signed else Uint8ActPerTensorFloat
    found = []
    for quantizer in (
        quant.make("brevitas_default", "activation", (bits, signed), {}),
        theirs.let(bit_width=bits, collect_stats_steps=1),
    ):
        act = kind(act_quant=quantizer)
        first, v = act(x), next_x.clone().requires_grad_()
        y = act(v)
        (y * next_x).sum().backward()
        scale = next(act.parameters())
        found.append((first, y, v.grad, scale.grad, act.eval()(next_x)))
    for ours, expected in zip(*found, strict=True):
        assert torch.equal(ours, expected)
    assert found[0][3] != 0


def test_the_scale_is_a_parameter_of_the_state_from_the_first_batch() -> None:
    act = qnn.QuantReLU(act_quant=quant.make("brevitas_default", "activation", (4, False), {}))
    names = set(act.state_dict())
    assert len(names) == 1
    with torch.no_grad():
        act(torch.rand(4, 9))
    ((name, stored),) = act.state_dict().items()
    assert {name} == names
    (parameter,) = act.parameters()
    # The very tensor, which averages and a resumed training write to.
    assert stored.data_ptr() == parameter.data_ptr()
    with torch.no_grad():
        stored.fill_(3.0)
    assert act.eval()(torch.tensor([[9.0]])) == 3.0
    assert act.train()(torch.tensor([[9.0]])) == 3.0


def test_a_state_written_over_a_fresh_quantizer_counts_as_set() -> None:
    act = qnn.QuantReLU(act_quant=quant.make("brevitas_default", "activation", (4, False), {}))
    with torch.no_grad():
        next(iter(act.state_dict().values())).fill_(3.0)
    assert act(torch.tensor([[9.0]])) == 3.0


def test_state_survives_saving_and_loading() -> None:
    first, second, third = (
        qnn.QuantReLU(act_quant=quant.make("brevitas_default", "activation", (4, False), {})) for _ in range(3)
    )
    third.load_state_dict(second.state_dict())  # not set in either
    x = torch.rand(3, 7)
    first(x)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(10 * x), first(10 * x))
    assert torch.equal(third(x), first(x))
    grid = read_grid(second.act_quant, "act")
    assert (grid.low, grid.high) == (0, 15)


def test_one_signed_bit_is_refused() -> None:
    with pytest.raises(UserError, match=r"'brevitas_default'.* at least 2 bits"):
        quant.make("brevitas_default", "weight", (1, True), {})
