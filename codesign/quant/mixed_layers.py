"""Giving layers of a network widths of their own: its quantizers are replaced, its names stay."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import torch
from brevitas.inject import ExtendedInjector
from torch import Tensor, nn

from codesign import quant
from codesign.errors import UserError
from codesign.quant.brevitas_layers import BrevitasLayers
from codesign.quant.choice import Method
from codesign.quant.lsq_channels import LsqWeightChannels
from codesign.quant.mixed import SCHEME_OF, Mixed
from codesign.quant.post_channels import PostWeightChannels
from codesign.quant.recorded import Asked, RecordedLayers

KEY = "mixed_widths"


def give_widths(network: nn.Module, layers: RecordedLayers, mixed: Mixed) -> None:
    """Replace the quantizers of the layers that `mixed` names.

    Their state tells the widths, under the name `mixed_widths`. When weights are loaded whose quantizers had other
    widths, or none of their own, the steps are not loaded: they start from the loaded weights, as those of
    activations start from their first batch.

    Parameters
    ----------
    network : Module
        Made with `layers`; changed in place.
    layers : RecordedLayers
        Around `BrevitasLayers`.
    mixed : Mixed

    Raises
    ------
    UserError
        When the network has no such hidden layer, widths or the method of its weights do not fit it, or options of
        the method would be lost.
    """
    maker = layers.layers
    if not isinstance(maker, BrevitasLayers):
        raise UserError("[mixed] is for quantised networks; give widths.weight_bits and widths.activation_bits.")
    _require_methods(maker)
    asked = layers.by_name(network)
    _require_known("weights", mixed.weights, asked)
    _require_known("activations", mixed.activations, asked)
    for name in mixed.weights:
        layer = network.get_submodule(name)
        try:
            widths = mixed.widths_of(name, asked[name].channels)
            scheme = mixed.scheme_of(name, maker.method.weights)
        except ValueError as error:
            raise UserError(f"{error}.") from error
        _require_no_options(name, scheme, maker.method)
        kind = PostWeightChannels if scheme == "post" else LsqWeightChannels
        proxy = _proxy(kind.let(widths=widths), layer)
        _state_widths(proxy, widths)
        layer.weight_quant = proxy
    for name, bits in mixed.activations.items():
        widths_of_one = msgspec.structs.replace(maker.widths, activation_bits=bits)
        made = BrevitasLayers(widths_of_one, maker.method).relu(asked[name].channels)
        _state_widths(made.act_quant, (bits,))
        parent, _, own = name.rpartition(".")
        setattr(network.get_submodule(parent), own, made)


def require_loaded(network: nn.Module) -> None:
    """Raise `UserError` when weights of other widths than the network's were loaded into it last."""
    for name, module in network.named_modules():
        if getattr(getattr(module, "update_state_dict_impl", None), "differed", False):
            layer = name.rpartition(".")[0]
            raise UserError(f"its checkpoint was trained with other widths of {layer}; train the model again")


def _proxy(injector: type[ExtendedInjector], layer: nn.Module) -> Any:
    return injector.proxy_class(layer, injector)


def _state_widths(proxy: Any, widths: Sequence[int]) -> None:
    """Have a quantizer's state tell its widths, and refuse steps that were trained for others."""
    own = torch.tensor(widths, dtype=torch.uint8)
    proxy.register_buffer(KEY, own)
    proxy.update_state_dict_impl = _Keeper(own.clone())


class _Keeper:
    """Brevitas calls it before it loads a quantizer's state; what is copied with a network tells of the copy.

    Parameters
    ----------
    own : Tensor
        Widths of the quantizer.

    Attributes
    ----------
    differed : bool
        Whether the state that was loaded last had other widths, or none.
    """

    def __init__(self, own: Tensor) -> None:
        self.own, self.differed = own, False

    def __call__(self, prefix: str, state: dict[str, Tensor]) -> None:
        """Take a quantizer's tensors out of a state of other widths."""
        given = state.get(prefix + KEY)
        self.differed = given is None or not torch.equal(given.to(self.own.dtype), self.own)
        if self.differed:
            for key in [key for key in state if key.startswith(prefix)]:
                del state[key]


def _require_no_options(name: str, scheme: str, method: Method) -> None:
    """Raise `UserError` when a layer has the method of the network, and would not have its options."""
    if method.weight_options and SCHEME_OF.get(method.weights) == scheme:
        raise UserError(
            f"[mixed.weights] names {name}, whose weights take no options; remove [method.weight_options] "
            f"({', '.join(method.weight_options)}), or take the layer out."
        )


def _require_methods(maker: BrevitasLayers) -> None:
    """Raise `UserError` when a method acts on the quantizers of the whole network during a training."""
    for name in (maker.method.weights, maker.method.activations):
        if getattr(quant.method(name), "companion", None) is not None:
            raise UserError(f"[mixed] does not go with the [method] {name}, whose training acts on the whole network.")


def _require_known(section: str, named: Mapping[str, object], asked: Mapping[str, Asked]) -> None:
    """Raise `UserError` unless every name is that of a hidden layer of the right kind."""
    kind = "weights" if section == "weights" else "relu"
    known = [name for name, layer in asked.items() if layer.kind == kind and layer.hidden]
    for name in named:
        if name in known:
            continue
        if name in asked and asked[name].kind == kind:
            raise UserError(f"[mixed.{section}] names {name}, whose width is that of widths.{asked[name].field}.")
        what = "layer with weights" if section == "weights" else "activation"
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}? Known" if close else "known"
        raise UserError(f"[mixed.{section}]: there is no {what} '{name}'; {hint}: {', '.join(known) or 'none'}.")
