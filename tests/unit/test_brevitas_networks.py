"""Imported Brevitas networks against their float64 witness, integer by integer, and against torch's float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from brevitas import nn as qnn
from brevitas.quant import (
    Int8ActPerTensorFixedPoint,
    Int8ActPerTensorFloat,
    Int8Bias,
    Int8WeightPerTensorFloat,
    Int16Bias,
    Int32Bias,
    ShiftedUint8ActPerTensorFloat,
    SignedBinaryActPerTensorConst,
    SignedBinaryWeightPerTensorConst,
    SignedTernaryActPerTensorConst,
    Uint8ActPerTensorFloat,
)
from torch import nn

from codesign.frontends.brevitas import Imported, import_brevitas
from codesign.frontends.brevitas_reference import FrozenModel, differences
from codesign.ir import IntType, golden
from codesign.quant import lsq

from .brevitas_networks import Network, batch_norm, settled

UINT8 = IntType(8, signed=False)


def frames(shape: tuple[int, ...], count: int = 12, seed: int = 0, kind: IntType = UINT8) -> np.ndarray:
    """Raw integers, channels last, of a module's (channels, height, width) or (features,)."""
    last = (*shape[1:], shape[0])
    return np.random.default_rng(seed).integers(kind.min, kind.max + 1, size=(count, *last))


def to_torch(imported: Imported, x: np.ndarray) -> torch.Tensor:
    real = x * imported.input_scale + imported.input_offset
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(real, -1, 1))).float()


def assert_exact(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    quantisers: int | None = None,
    equal: float = 0.95,
    count: int = 12,
    **options,
) -> Imported:
    """Import a settled module and hold golden, the witness and float32 against one another.

    `equal` is the least share of float32 outputs that must equal the witness: float32 may take a tie, or a value
    within its rounding of one, to the other side.
    """
    options.setdefault("input_type", UINT8)
    options.setdefault("input_scale", 1 / 256)
    imported = import_brevitas(model, torch.zeros(1, *shape), **options)
    x = frames(shape, count, kind=options["input_type"] or imported.graph.input.type)
    found = list(differences(imported, x))
    assert quantisers is None or len(found) == quantisers
    assert [entry for entry in found if entry[1]] == []
    assert all(compared for _, _, compared in found)
    frozen, _ = FrozenModel(imported).run_integers(x)
    frozen = frozen.reshape(len(x), -1)
    graph = imported.graph
    scale = graph.scales[graph.outputs[0]].factor
    integers = golden.run(graph, x)
    integers = (integers if integers.ndim == 2 else np.moveaxis(integers, -1, 1)).reshape(len(x), -1)
    # The bias of the logits rounds to half a unit; scales per channel meet by multipliers of 16 bits.
    assert scale > 0
    assert np.abs(integers * scale - frozen).max() <= scale * 0.51 + np.abs(frozen).max() * 2**-13
    with torch.no_grad():
        output = model(to_torch(imported, x))
    real = getattr(output, "value", output).double().numpy().reshape(len(x), -1)
    tolerance = 1e-5 * max(np.abs(frozen).max(), 1e-9)
    share = float((np.abs(real - frozen) <= tolerance).mean())
    assert share >= equal, f"{share:.3f} of the float32 outputs agree"
    return imported


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(seed: int):
    model = settled(Network(seed, size=10), (3, 10, 10))
    assert_exact(model, (3, 10, 10), equal=0.5, count=6)


def conv(inputs: int, outputs: int, kernel: int = 3, **options) -> nn.Module:
    options.setdefault("weight_quant", Int8WeightPerTensorFloat)
    options.setdefault("weight_bit_width", 4)
    options.setdefault("bias", False)
    return qnn.QuantConv2d(inputs, outputs, kernel, **options)


def dense(inputs: int, outputs: int, **options) -> nn.Module:
    options.setdefault("weight_quant", Int8WeightPerTensorFloat)
    options.setdefault("weight_bit_width", 4)
    options.setdefault("bias", True)
    return qnn.QuantLinear(inputs, outputs, **options)


class Wired(nn.Module):
    """A module whose forward pass is a function of its layers."""

    def __init__(self, forward, **layers: nn.Module) -> None:
        super().__init__()
        self.wiring = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wiring(self, x)


def seeded(make, shape: tuple[int, ...], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return settled(make(), shape)


def test_flatten_with_extent_reads_features_in_torch_order():
    def make() -> nn.Module:
        rng = np.random.default_rng(0)
        return nn.Sequential(
            conv(2, 3), batch_norm(3, rng), qnn.QuantReLU(bit_width=6), nn.Flatten(), batch_norm(48, rng, flat=True),
            qnn.QuantIdentity(bit_width=8), dense(48, 4),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), quantisers=2)


@pytest.mark.parametrize("bias_quant", [Int32Bias, Int16Bias, Int8Bias])
@pytest.mark.parametrize("output_quant", [None, Int8ActPerTensorFloat])
def test_biases_round_as_their_layers_round_them(bias_quant, output_quant):
    def make() -> nn.Module:
        first = conv(2, 4, bias=True, bias_quant=bias_quant, output_quant=output_quant, return_quant_tensor=True)
        with torch.no_grad():
            first.bias.mul_(10)
        return nn.Sequential(
            qnn.QuantIdentity(bit_width=8, return_quant_tensor=True), first,
            qnn.QuantReLU(bit_width=4, return_quant_tensor=True), nn.Flatten(), dense(64, 3, bias_quant=bias_quant),
        )  # fmt: skip

    model = seeded(make, (2, 6, 6))
    imported = assert_exact(model, (2, 6, 6))
    step = float((model[4].weight_quant.scale() * model[2].act_quant.scale()).detach())
    if bias_quant is not Int8Bias:  # whose own scale is another
        units = imported.biases["_4"] / step
        assert np.abs(units - np.rint(units)).max() < 1e-3
        assert np.abs(imported.biases["_4"] - model[4].bias.detach().numpy()).max() > 0


def test_a_bias_behind_a_pool_keeps_the_scale_that_the_layer_sees():
    def make() -> nn.Module:
        return nn.Sequential(
            conv(2, 4), qnn.QuantReLU(bit_width=4, return_quant_tensor=True), nn.AvgPool2d(2), nn.Flatten(),
            dense(16, 3, bias_quant=Int32Bias),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6))


def test_a_quantised_bias_without_an_input_scale_is_refused():
    from codesign.errors import UserError

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), dense(16, 3, bias_quant=Int32Bias)).eval()
    with pytest.raises(UserError, match="layer '1' cannot quantise its bias"):
        import_brevitas(model, torch.zeros(1, 1, 4, 4), input_scale=1 / 256)


def test_input_and_output_quantisers_of_layers():
    def make() -> nn.Module:
        first = conv(2, 4, input_quant=Int8ActPerTensorFloat, output_quant=Int8ActPerTensorFloat)
        return nn.Sequential(
            first, nn.ReLU(), conv(4, 4, input_quant=Uint8ActPerTensorFloat), nn.Flatten(),
            dense(16, 3, input_quant=Int8ActPerTensorFloat, input_bit_width=5),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), quantisers=4)


@pytest.mark.parametrize("padding", [0, 1])
def test_zero_points_keep_padding_zero(padding: int):
    def make() -> nn.Module:
        return nn.Sequential(
            conv(2, 4), qnn.QuantIdentity(act_quant=ShiftedUint8ActPerTensorFloat), conv(4, 4, padding=padding),
            qnn.QuantReLU(bit_width=4), nn.Flatten(), dense(64 if padding else 16, 3),
        )  # fmt: skip

    model = seeded(make, (2, 6, 6))
    assert int(model[1].act_quant.zero_point()) > 0
    assert_exact(model, (2, 6, 6))


def test_binary_weights_and_activations():
    def make() -> nn.Module:
        rng = np.random.default_rng(3)
        binary = {"weight_quant": SignedBinaryWeightPerTensorConst, "weight_scaling_const": 0.1}
        sign = {"act_quant": SignedBinaryActPerTensorConst, "max_val": 1.0, "min_val": -1.0}
        return nn.Sequential(
            conv(2, 4, **binary), batch_norm(4, rng), qnn.QuantIdentity(**sign), conv(4, 6, groups=2, **binary),
            batch_norm(6, rng), qnn.QuantHardTanh(**sign), nn.Flatten(), dense(24, 3, **binary),
        )  # fmt: skip

    imported = assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), quantisers=2)
    signs = [imported.graph.edges[node.name] for node in imported.graph if node.op.name == "threshold"]
    assert [edge.type for edge in signs] == [IntType(2, signed=True)] * 2


def test_ternary_activations():
    def make() -> nn.Module:
        ternary = {"act_quant": SignedTernaryActPerTensorConst, "max_val": 0.25, "min_val": -0.25}
        return nn.Sequential(conv(2, 4), qnn.QuantIdentity(**ternary), nn.Flatten(), dense(64, 3))

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), quantisers=1)


@pytest.mark.parametrize("shared", [False, True])
def test_quantised_additions(shared: bool):
    def wiring(m, x):
        x = m.act(m.conv(x))
        return m.last(m.act2(m.add(m.branch(x), x)).flatten(1))

    def make() -> nn.Module:
        options = {"input_quant": Int8ActPerTensorFloat, "output_quant": Int8ActPerTensorFloat}
        if shared:
            options = {"input_quant": Int8ActPerTensorFloat, "output_quant": None}
        return Wired(
            wiring, conv=conv(2, 4), act=qnn.QuantReLU(bit_width=5), branch=conv(4, 4, padding=1),
            add=qnn.QuantEltwiseAdd(**options), act2=qnn.QuantReLU(bit_width=4), last=dense(64, 3),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6))


FUNCTIONS = {
    "relu": lambda m, x: m.last(m.act(torch.relu(m.conv(x))).flatten(1)),
    "functional relu": lambda m, x: m.last(m.act(nn.functional.relu(m.conv(x))).flatten(start_dim=1)),
    "method relu": lambda m, x: m.last(torch.flatten(m.act(m.conv(x).relu()), 1)),
    "relu in place": lambda m, x: m.last(torch.flatten(m.act(nn.functional.relu(m.conv(x), inplace=True)), 1, -1)),
    "add": lambda m, x: (lambda a: m.last(m.act(torch.add(a, a)).flatten(1)))(m.act(m.conv(x))),
    "add method": lambda m, x: (lambda a: m.last(m.act(a.add(a)).flatten(1)))(m.act(m.conv(x))),
    "add in place": lambda m, x: (lambda a, b: m.last(m.act(a.add_(b)).flatten(1)))(m.act(m.conv(x)), m.act(m.conv(x))),
    "iadd": lambda m, x: m.last(m.act(_iadd(m.act(m.conv(x)), m.act(m.conv(x)))).flatten(1)),
    "view size": lambda m, x: (lambda a: m.last(a.view(a.size(0), -1)))(m.act(m.conv(x))),
    "view shape": lambda m, x: (lambda a: m.last(a.reshape(a.shape[0], -1)))(m.act(m.conv(x))),
    "view size()": lambda m, x: (lambda a: m.last(torch.reshape(a, (a.size()[0], -1))))(m.act(m.conv(x))),
    "view features": lambda m, x: m.last(m.act(m.conv(x)).view(-1, 64)),
    "mean": lambda m, x: m.head(m.act(m.conv(x)).mean((2, 3))),
    "mean keepdim": lambda m, x: m.head(torch.mean(m.act(m.conv(x)), dim=[-1, -2], keepdim=True).flatten(1)),
    "adaptive": lambda m, x: m.head(nn.functional.adaptive_avg_pool2d(m.act(m.conv(x)), 1).flatten(1)),
    "avg pool": lambda m, x: m.head(nn.functional.avg_pool2d(m.act(m.conv(x)), 4).flatten(1)),
    "max pool": lambda m, x: m.head(nn.functional.max_pool2d(m.act(m.conv(x)), 2, 3).flatten(1)),
    "dropout": lambda m, x: m.last(nn.functional.dropout(m.act(m.conv(x)), 0.5, m.training).flatten(1)),
    "value": lambda m, x: m.last(m.tensor(m.conv(x)).value.flatten(1)),
    "float": lambda m, x: m.last(m.act(m.conv(x)).float().contiguous().flatten(1)),
    "normalise": lambda m, x: m.last(m.act(m.conv((x - 0.45) / 0.3)).flatten(1)),
    "normalise channels": lambda m, x: m.last(m.act(m.conv((x - m.mean) * 4)).flatten(1)),
    "reversed": lambda m, x: m.last(m.act(1 - m.conv(2 * x + 1)).flatten(1)),
    "keywords": lambda m, x: m.last(input=m.act(m.conv(input=torch.mul(input=x, other=3))).flatten(1)),
}


def _iadd(a, b):
    a += b
    return a


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_methods(name: str):
    def make() -> nn.Module:
        model = Wired(
            FUNCTIONS[name], conv=conv(2, 4, bias=True), act=qnn.QuantReLU(bit_width=4), last=dense(64, 3),
            head=dense(4, 3), tensor=qnn.QuantReLU(bit_width=4, return_quant_tensor=True),
        )  # fmt: skip
        model.register_buffer("mean", torch.tensor([0.25, 0.75]).reshape(2, 1, 1))
        return model

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), equal=0.9)


def test_a_division_is_exact():
    # x / 3 at x = 9 is a tie of a grid of step 2, which the rounded factor 0.333… would miss.
    act = qnn.QuantIdentity(act_quant=Int8ActPerTensorFixedPoint, bit_width=8)
    model = Wired(
        lambda m, x: m.last(m.act(m.one(x) / 3)), one=dense(1, 1, bias=False, **UNIT), act=act, last=dense(1, 1)
    )
    torch.manual_seed(0)
    with torch.no_grad():
        model.one.weight.fill_(1.0)
    settle_step(model.act, 2.0)
    model.eval()
    imported = import_brevitas(model, torch.zeros(1, 1), input_scale=1.0)
    assert imported.lowering.requantizations["act"].grid.scale == 2
    x = np.arange(256)[:, None]
    assert sum(wrong for _, wrong, _ in differences(imported, x)) == 0
    edge = imported.lowering.requantizations["act"].edge_out
    traced = golden.run(imported.lowering.unsimplified(), x, trace=True)[edge][:, 0]
    real = model.act(torch.arange(256.0) / 3).double().numpy() / 2
    assert (traced[::3] == real[::3]).all()


UNIT = {"weight_quant": SignedBinaryWeightPerTensorConst, "weight_scaling_const": 1.0}


def settle_step(layer: nn.Module, step: float) -> None:
    """Give an 8-bit signed activation quantiser this scale."""
    layer.train()
    for _ in range(2):
        layer(torch.full((4096,), 127.9 * step) * torch.sign(torch.randn(4096)))
    layer.eval()


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_an_input_offset_per_channel_without_padding(groups: int):
    def make() -> nn.Module:
        return nn.Sequential(conv(4, 8, groups=groups), qnn.QuantReLU(bit_width=6), nn.Flatten(), dense(128, 3))

    assert_exact(seeded(make, (4, 6, 6)), (4, 6, 6), input_offset=[-0.5, 0.25, 0.125, -1.0])


def test_a_leading_quantiser_gives_the_input_type():
    def make() -> nn.Module:
        return nn.Sequential(
            qnn.QuantIdentity(act_quant=lsq.activation(5, signed=True)), conv(2, 4), qnn.QuantReLU(bit_width=4),
            nn.Flatten(), dense(64, 3),
        )  # fmt: skip

    imported = assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), input_type=None, input_scale=None)
    assert imported.graph.input.type == IntType(5, signed=True)


def test_an_integer_example_is_the_sensors():
    model = seeded(lambda: nn.Sequential(nn.Flatten(), dense(16, 3)), (1, 4, 4))
    graph = import_brevitas(model, torch.zeros(1, 1, 4, 4, dtype=torch.int8)).graph
    assert graph.input.type == IntType(8, signed=True)
    assert graph.scales["x0"].factor == 1.0


def test_wide_activations_are_exact_too():
    def make() -> nn.Module:
        return nn.Sequential(
            conv(2, 4), qnn.QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=16, narrow_range=False),
            nn.Flatten(), dense(64, 3),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), quantisers=1, equal=0.0)


def test_same_padding_and_strides():
    def make() -> nn.Module:
        return nn.Sequential(
            conv(2, 4, (2, 4), padding="same"), qnn.QuantReLU(bit_width=4), conv(4, 4, (3, 2), stride=(2, 1)),
            qnn.QuantReLU(bit_width=3), conv(4, 4, 1, stride=2, padding=(1, 0)), qnn.QuantReLU(bit_width=3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense(4, 3),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 7, 6)), (2, 7, 6), quantisers=3)


def test_a_layer_alone_and_a_users_subclass():
    class Mine(qnn.QuantLinear):
        """Only another name."""

    for kind in (qnn.QuantLinear, Mine):
        torch.manual_seed(0)
        model = kind(6, 3, bias=True, weight_quant=Int8WeightPerTensorFloat)
        assert_exact(model.eval(), (6,))
        assert_exact(nn.Sequential(model, qnn.QuantReLU(), kind(3, 2, bias=False)).eval(), (6,))


def test_a_reused_layer_and_a_shared_quantiser():
    def wiring(m, x):
        x = m.res(m.first(x))
        for _ in range(2):
            x = m.act(m.res(m.conv(x)) + m.res(x))
        return m.last(x.flatten(1))

    def make() -> nn.Module:
        return Wired(
            wiring, first=conv(2, 4), conv=conv(4, 4, padding=1, bias=True), act=qnn.QuantReLU(bit_width=4),
            res=qnn.QuantIdentity(act_quant=lsq.activation(8, signed=True)), last=dense(64, 3),
        )  # fmt: skip

    assert_exact(seeded(make, (2, 6, 6)), (2, 6, 6), equal=0.8)


def test_logits_of_a_negative_scale_keep_their_order():
    model = seeded(lambda: Wired(lambda m, x: -1 * m.last(x), last=dense(8, 3)), (8,))
    imported = assert_exact(model, (8,))
    x = frames((8,), 50)
    with torch.no_grad():
        expected = model(to_torch(imported, x)).argmax(1).numpy()
    assert (golden.run(imported.graph, x).argmax(1) == expected).mean() > 0.9


def test_unsigned_weights_get_a_sign_bit():
    torch.manual_seed(0)
    model = nn.Sequential(qnn.QuantLinear(6, 3, bias=False, weight_quant=UnsignedWeight)).eval()
    imported = assert_exact(model, (6,))
    assert imported.graph.nodes[0].op.weight_bits == (9, 9, 9)
    assert imported.graph.nodes[0].op.weight.max() > 127


class UnsignedWeight(Int8WeightPerTensorFloat):
    """Eight unsigned bits: weights below zero become zero."""

    signed = False
    narrow_range = False
