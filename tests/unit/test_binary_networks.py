"""Binary networks down to the hardware: integer graph, float64 witness, and the product that the C simulation uses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import numpy as np
import pytest
import torch
from torch import nn

from codesign import boards
from codesign.backends import hls4ml
from codesign.errors import UserError
from codesign.frontends.brevitas import Imported, import_brevitas
from codesign.frontends.brevitas_quantizers import read_grid
from codesign.frontends.brevitas_reference import differences
from codesign.ir import IntType, golden
from codesign.quant import layers, lsq, react, sign
from codesign.quant.choice import Method
from codesign.quant.widths import Widths
from codesign.train import topologies
from codesign.verify.compare import verify
from codesign.verify.frames import random_frames

SHAPE = (12, 12, 3)
BIREAL = {"channels": [8, 16], "units": [2, 2]}


def trained(topology: str, method: Method, options: dict[str, object]) -> nn.Module:
    """A network after a few steps, so that shifts, batch norms and steps are not those of the start."""
    torch.manual_seed(3)
    module = topologies.build(topology, layers.make(Widths(1, 1), method), SHAPE, 10, options)
    x = torch.from_numpy(frames(48, seed=9)).permute(0, 3, 1, 2).float() / 64
    module(x)
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), torch.arange(48) % 10).backward()
        optimizer.step()
    return module.eval()


def frames(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *SHAPE))


def imported(module: nn.Module) -> Imported:
    return import_brevitas(module, torch.zeros(1, 3, 12, 12), input_type=IntType(8, signed=False), input_scale=1 / 64)


@pytest.mark.parametrize(
    ("topology", "method", "options"),
    [
        ("bireal", Method("bitat", "react"), BIREAL),
        ("bireal", Method("sign", "sign"), BIREAL),
        ("resnet8", Method("react", "react"), {"width": 8}),
        ("digits_cnn", Method("sign", "sign"), {"channels": 8}),
    ],
)
def test_the_graph_computes_what_the_network_does(topology: str, method: Method, options: dict[str, object]) -> None:
    module = trained(topology, method, options)
    found = imported(module)
    x = frames(24)
    compared = list(differences(found, x))
    assert [entry for entry in compared if entry[1]] == []
    assert sum(count for _, _, count in compared) > 10_000
    with torch.no_grad():
        logits = module(torch.from_numpy(x).permute(0, 3, 1, 2).float() / 64)
    assert (golden.run(found.graph, x).argmax(1) == logits.argmax(1).numpy()).mean() > 0.9


def test_hidden_convolutions_are_exclusive_nors_and_thresholds() -> None:
    graph = imported(trained("bireal", Method("bitat", "react"), BIREAL)).graph
    one = IntType(1, signed=False)
    binary = [n for n in graph if n.op.name == "conv2d" and graph.edges[n.inputs[0]].type == one]
    assert len(binary) == 4
    for node in binary:
        assert set(np.unique(node.op.values())) == {-1, 1}
        assert graph.node(node.inputs[0]).op.name == "threshold"
    # The shift is part of the thresholds: besides these there are re-quantisations to 8 bits only.
    assert Counter(n.op.name for n in graph)["threshold"] == 4


def test_repeated_channels_are_a_convolution_of_zeros_and_ones() -> None:
    graph = imported(trained("bireal", Method("sign", "react"), BIREAL)).graph
    (repeat,) = [n for n in graph if n.op.name == "conv2d" and n.label == "cat"]
    assert np.array_equal(repeat.op.values()[0, 0], np.tile(np.eye(8), 2))


def test_a_learned_threshold_per_channel_is_exact() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        qnn.QuantIdentity(act_quant=lsq.LsqActSigned),
        react.relu(3, 1),
        qnn.QuantConv2d(3, 4, 1, bias=False, weight_quant=sign.SignWeightPerChannel),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
    with torch.no_grad():
        module[0].act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value.fill_(0.25)
        # The middle one is a multiple of the step: x + b = 0 is reached exactly, and is a one.
        module[1].shift_quant.value.copy_(torch.tensor([0.4, -3, 7.5]) * 0.25)
    found = imported(module.eval())
    assert [entry for entry in differences(found, frames(20)) if entry[1]] == []
    graph = found.lowering.unsimplified()
    one = IntType(1, signed=False)
    (threshold,) = [n.op for n in graph if n.op.name == "threshold" and graph.edges[n.name].type == one]
    assert threshold.thresholds.ravel().tolist() == [0, 3, -7]


def test_a_step_is_told_from_a_one_bit_grid() -> None:
    step = qnn.QuantIdentity(act_quant=sign.SignAct).eval()
    assert read_grid(step.act_quant, "a").rounding == "sign"
    ordinary = qnn.QuantReLU(act_quant=lsq.LsqActUnsigned, bit_width=1)
    ordinary(torch.rand(2, 3))
    grid = read_grid(ordinary.eval().act_quant, "a")
    assert (grid.rounding, grid.low, grid.high) == ("half_even", 0, 1)


class Joined(nn.Module):
    def __init__(self, join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.join = join
        self.first = qnn.QuantIdentity(act_quant=lsq.LsqActSigned)
        self.second = qnn.QuantIdentity(act_quant=lsq.LsqActSigned)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join(self.first(x), self.second(x))


@pytest.mark.parametrize(
    "join",
    [
        lambda a, b: torch.cat([a, b], 1),
        lambda a, b: torch.cat([a, a], 2),
        lambda a, b: torch.cat([a.flatten(1), a.flatten(1)], 1),
        lambda a, b: torch.cat([a, a]),
    ],
)
def test_other_concatenations_are_refused(join: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
    module = Joined(join)
    module(torch.randn(2, 3, 12, 12))
    with pytest.raises(UserError, match=r"the only concatenation supported is .* torch\.cat\(\[x, x\], 1\)\.$"):
        imported(module)


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["io_stream", "io_parallel"])
def test_the_c_simulation_equals_golden(io_type: str, tmp_path: Path) -> None:
    graph = imported(trained("bireal", Method("bitat", "react"), BIREAL)).graph
    project = hls4ml.emit(graph, boards.load("pynq-z2"), tmp_path / "p", io_type=io_type)
    result = verify(graph, project, random_frames(graph, 40, seed=1))
    assert result.differences == 0
    parameters = (project.folder / "firmware" / "parameters.h").read_text()
    assert parameters.count("codesign::exclusive_nor") == 4
