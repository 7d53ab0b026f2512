"""Widths that differ from layer to layer and from channel to channel, as a model file gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

MAX_BITS = 8
POST_BITS = 5
"""Most bits of weights of the kind "post", which has tables up to there."""

SCHEMES = ("uniform", "post")

SCHEME_OF = {"lsq": "uniform", "post": "post"}
"""Kind of weights by the name of the method, of those that have widths by layer and channel."""


class Mixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Widths of hidden layers that are not those of `Widths`.

    Attributes
    ----------
    weights : dict of str to int or tuple of int
        By path of the layer, such as "stack1.conv1": bits of its weights, one number or one per output channel.
        0 is a pruned channel, whose weights are all zero; 1 a binary one, ±step; 2 to 8 (5 for "post") bits.
    activations : dict of str to int
        By path of the activation, such as "stack1.act1": 1 to 8 bits.
    schemes : dict of str to str
        Kind of the weights of a layer of `weights`: "uniform" (LSQ) or "post"; that of the method of the network's
        weights unless given, which must then be "lsq" or "post".

    Raises
    ------
    ValueError
        Naming the layer and what is wrong with it.
    """

    weights: dict[str, int | tuple[int, ...]] = {}
    activations: dict[str, int] = {}
    schemes: dict[str, str] = {}

    def __post_init__(self) -> None:
        """Refuse widths and schemes that no quantizer has."""
        for name, scheme in self.schemes.items():
            if scheme not in SCHEMES:
                raise ValueError(f'the field \'mixed.schemes.{name}\' must be "uniform" or "post", found {scheme!r}')
            if name not in self.weights:
                raise ValueError(
                    f"the field 'mixed.schemes.{name}' is for a layer whose widths 'mixed.weights' must give too"
                )
        for name, bits in self.weights.items():
            most = POST_BITS if self.schemes.get(name) == "post" else MAX_BITS
            for width in (bits,) if isinstance(bits, int) else bits:
                if not 0 <= width <= most:
                    raise ValueError(f"the field 'mixed.weights.{name}' must be 0 to {most}, found {width}")
        for name, width in self.activations.items():
            if not 1 <= width <= MAX_BITS:
                raise ValueError(f"the field 'mixed.activations.{name}' must be 1 to {MAX_BITS}, found {width}")

    def widths_of(self, name: str, channels: int) -> tuple[int, ...]:
        """Return the widths of the weights of a layer, one per output channel.

        Raises
        ------
        ValueError
            When their number is not that of the channels.
        """
        bits = self.weights[name]
        if isinstance(bits, int):
            return (bits,) * channels
        if len(bits) != channels:
            raise ValueError(f"{name} has {channels} output channels, but 'mixed.weights' gives it {len(bits)} widths")
        return bits

    def scheme_of(self, name: str, method: str) -> str:
        """Return the kind of the weights of a layer of `weights`, "uniform" or "post".

        Parameters
        ----------
        name : str
            Path of the layer.
        method : str
            Of the weights of the network.

        Raises
        ------
        ValueError
            When the method has no widths by layer and the file does not say what the layer is to have instead, or the
            width of the layer is none of the kind's.
        """
        scheme = self.schemes.get(name, SCHEME_OF.get(method))
        if scheme is None:
            raise ValueError(
                f"[mixed.weights] names {name}, but {method} weights cannot have a width of their own; give "
                f'mixed.schemes.{name} = "uniform" (LSQ) or "post", or take the layer out'
            )
        own = self.weights[name]
        widest = max((own,) if isinstance(own, int) else own, default=0)
        if scheme == "post" and widest > POST_BITS:
            raise ValueError(
                f"the field 'mixed.weights.{name}' must be 0 to {POST_BITS} for post weights, found {widest}; lower "
                f'it or give mixed.schemes.{name} = "uniform"'
            )
        return scheme

    def words(self, part: str, bits: int) -> str:
        """Return the widths of "weights" or "activations" for people; `bits` is that of the layers not named."""
        named: Mapping[str, int | tuple[int, ...]] = self.weights if part == "weights" else self.activations
        found = {width for own in named.values() for width in ((own,) if isinstance(own, int) else own)}
        if not found:
            return f"{bits} bits"
        span = f"{min(found)} to {max(found)}" if len(found) > 1 else f"{min(found)}"
        count = f"{len(named)} layer{'s' * (len(named) > 1)}"
        return f"{span} bits in {count} with widths of their own, else {bits} bits"

    def toml(self) -> str:
        """Return the sections of a model file, each width list on one line; "" when there is nothing to say."""
        sections: list[tuple[str, dict[str, Any]]] = [
            ("weights", self.weights),
            ("activations", self.activations),
            ("schemes", self.schemes),
        ]
        lines: list[str] = []
        for section, values in sections:
            if values:
                lines += ["", f"[mixed.{section}]"] if lines else [f"[mixed.{section}]"]
            for name, value in values.items():
                plain = list(value) if isinstance(value, tuple) else value
                lines.append(f'"{name}" = ' + (f'"{plain}"' if isinstance(plain, str) else str(plain)))
        return "\n".join(lines) + "\n" if lines else ""
