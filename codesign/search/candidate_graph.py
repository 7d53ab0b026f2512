"""The integer graph of a choice of widths, with the weights that the supernet has: what hardware is estimated for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch import Tensor, nn

from codesign.quant.switchable import SwitchableReLU, activation_layers, weight_layers
from codesign.search.mixed_model import given_widths
from codesign.search.space import Assignment

if TYPE_CHECKING:
    from codesign.ir import Graph
    from codesign.zoo import Model


def learned_steps(model: Model) -> Model:
    """Return a model whose activations have learned steps, as those of a supernet do."""
    method = msgspec.structs.replace(model.method, activations="lsq", activation_options={})
    return msgspec.structs.replace(model, method=method)


def candidate_graph(model: Model, supernet: nn.Module, chosen: Assignment) -> Graph:
    """Return the integer graph of a choice, through the same frontend as that of a trained model.

    Weights and steps are those of the supernet, batch norm statistics too. A training that follows changes them, so
    that sizes which depend on the values of weights change a little; widths, shapes and clocks stay.

    Parameters
    ----------
    model : codesign.zoo.Model
        Whose supernet it is.
    supernet : Module
        In evaluation mode; not changed.
    chosen : Assignment
        A point of its space.
    """
    given = given_widths(learned_steps(model), chosen)
    network = given.module()
    _fill(network, supernet, chosen)
    return given.imported_of(network.eval()).graph


@torch.no_grad()
def _fill(network: nn.Module, supernet: nn.Module, chosen: Assignment) -> None:
    """Give a network of these widths the weights of the supernet, and the steps that it has for them."""
    layers, activations = weight_layers(supernet), activation_layers(supernet)
    own = tuple(f"{name}.{kind}_quant." for kind, part in (("weight", layers), ("act", activations)) for name in part)
    state = {name: tensor for name, tensor in supernet.state_dict().items() if not name.startswith(own)}
    expected = network.state_dict()
    lost = [name for name in expected if name not in state and not name.startswith(own)]
    assert not lost, lost  # noqa: S101 - both are made by one topology
    network.load_state_dict({name: state[name] for name in expected if name in state}, strict=False)
    for name, layer in layers.items():
        module: Any = network.get_submodule(name)
        binary = torch.tensor([bits == 1 for bits in chosen.weights[name]]).view(layer.weight_quant.shape)
        module.weight.copy_(layer.weight_quant.latent(layer.weight, binary))
        quantizer = module.weight_quant.tensor_quant
        post = chosen.schemes.get(name) == "post"
        known = layer.weight_quant.post_bits if post else layer.weight_quant.bits
        steps = layer.weight_quant.alphas if post else layer.weight_quant.steps
        assert steps is not None  # noqa: S101 - there are POST widths
        rows = torch.tensor([known.index(bits) for bits in chosen.weights[name]])
        _set(quantizer.alpha if post else quantizer.scaling_impl.value, steps[rows, torch.arange(len(rows))])
    for name, activation in activations.items():
        _set(_step_of(network, name), _chosen_step(activation, chosen.activations[name]))


def _step_of(network: nn.Module, name: str) -> Tensor:
    proxy: Any = network.get_submodule(name).act_quant
    step: Tensor = proxy.fused_activation_quant_proxy.tensor_quant.scaling_impl.value
    return step


def _chosen_step(activation: SwitchableReLU, bits: int) -> Tensor:
    return activation.act_quant.steps[activation.act_quant.bits.index(bits)]


def _set(parameter: Tensor, values: Tensor) -> None:
    parameter.copy_(values.view(parameter.shape))
