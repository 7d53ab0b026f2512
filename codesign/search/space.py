"""What a search may choose: a width for each output channel of each weight layer, and for each activation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from codesign.quant.mixed import POST_BITS

MAX_BITS = 8
PRUNED, BINARY = 0, 1
SCHEMES = ("uniform", "post")


class WeightLayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A convolution or dense layer whose widths may be chosen.

    Attributes
    ----------
    name : str
        Path of the module, such as "stack1.conv1".
    channels : int
        Output channels: each has a width of its own.
    weights : int
        Weights of one output channel.
    macs : int
        Multiply-accumulates of one output channel in one frame.
    kernel, stride : int
        Of the convolution; 1 for a dense layer.
    size : int
        Height (and width) of the output; 1 for a dense layer.
    depthwise : bool
        Whether each output channel sees one input channel.
    activation : str or None
        The activation that it reads, when its width may be chosen.
    input_bits : int
        Width of what it reads, when that is fixed.
    """

    name: str
    channels: int
    weights: int
    macs: int
    kernel: int = 1
    stride: int = 1
    size: int = 1
    depthwise: bool = False
    activation: str | None = None
    input_bits: int = 8


class ActivationLayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An activation whose width may be chosen.

    Attributes
    ----------
    name : str
        Path of the module, such as "stack1.act1".
    channels : int
    elements : int
        Values of one frame.
    """

    name: str
    channels: int
    elements: int


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A choice of widths: one point of a space.

    Attributes
    ----------
    weights : dict of str to tuple of int
        For each weight layer a width per output channel: 0 pruned, 1 binary, 2 to 8.
    activations : dict of str to int
        For each activation 1 to 8.
    schemes : dict of str to str
        "post" for weight layers with non-uniform weights; others are uniform.
    """

    weights: dict[str, tuple[int, ...]]
    activations: dict[str, int]
    schemes: dict[str, str] = {}

    def digest(self) -> str:
        """Return a short digest of the choice, the same for the same widths."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that may be chosen for a network.

    Attributes
    ----------
    layers : tuple of WeightLayer
        In the order of the network.
    activations : tuple of ActivationLayer
    weight_bits, activation_bits : tuple of int
        Widths that may be chosen, ascending.
    schemes : tuple of str
        Kinds of weights that may be chosen.
    fixed_bit_operations : int
        Bit operations of one frame in the layers whose widths are not chosen.
    """

    layers: tuple[WeightLayer, ...]
    activations: tuple[ActivationLayer, ...]
    weight_bits: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8)
    activation_bits: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    schemes: tuple[str, ...] = ("uniform",)
    fixed_bit_operations: int = 0

    def widths(self, scheme: str) -> tuple[int, ...]:
        """Return the widths that weights of a kind may have, ascending: POST has no more than 5 bits."""
        most = POST_BITS if scheme == "post" else MAX_BITS
        return tuple(bits for bits in self.weight_bits if bits <= most)

    def check(self, chosen: Assignment) -> None:
        """Refuse what is not a point of this space.

        Raises
        ------
        ValueError
            Naming the layer and what is wrong with it.
        """
        _same_names("weight layer", chosen.weights, [layer.name for layer in self.layers])
        _same_names("activation", chosen.activations, [layer.name for layer in self.activations])
        for layer in self.layers:
            bits = chosen.weights[layer.name]
            if len(bits) != layer.channels:
                raise ValueError(f"{layer.name} has {layer.channels} output channels, but {len(bits)} widths are given")
            if wrong := sorted(set(bits) - set(self.weight_bits)):
                raise ValueError(f"{layer.name} cannot have weights of {wrong[0]} bits here")
        for activation in self.activations:
            if chosen.activations[activation.name] not in self.activation_bits:
                width = chosen.activations[activation.name]
                raise ValueError(f"{activation.name} cannot have {width} bits here")
        for name, scheme in chosen.schemes.items():
            if name not in chosen.weights:
                raise ValueError(f"there is no weight layer {name}")
            if scheme not in self.schemes:
                raise ValueError(f"{name} cannot have weights of the kind '{scheme}' here")
            if wrong := sorted(set(chosen.weights[name]) - set(self.widths(scheme))):
                raise ValueError(f"{name} cannot have weights of {wrong[0]} bits of the kind '{scheme}'")

    def uniform(self, weight_bits: int, activation_bits: int) -> Assignment:
        """Return the same width for all weights, and for all activations."""
        return Assignment(
            {layer.name: (weight_bits,) * layer.channels for layer in self.layers},
            {layer.name: activation_bits for layer in self.activations},
        )

    def bit_operations(self, chosen: Assignment) -> int:
        """Return the sum over all multiply-accumulates of a frame of weight bits times activation bits."""
        total = self.fixed_bit_operations
        for layer in self.layers:
            width = layer.input_bits if layer.activation is None else chosen.activations[layer.activation]
            total += layer.macs * width * sum(chosen.weights[layer.name])
        return total


def _same_names(kind: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    if missing := [name for name in known if name not in given]:
        raise ValueError(f"the {kind} {missing[0]} has no width")
    if extra := [name for name in given if name not in known]:
        raise ValueError(f"there is no {kind} {extra[0]}")
