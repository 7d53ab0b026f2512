"""A candidate as one vector of widths: all output channels in the order of the layers, then all activations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from codesign.search.space import Assignment, Space


class Coordinates:
    """Turns assignments into vectors and back, and counts bit operations on vectors.

    Parameters
    ----------
    space : Space

    Attributes
    ----------
    size, channels : int
        Length of a vector; its first `channels` entries are widths of weights.
    slices : tuple of slice
        Where the channels of each layer lie.
    reads : tuple of int or None
        For each layer where the width of what it reads lies, if that may be chosen.
    owner : int array of shape (channels,)
        Number of the layer of each channel.
    lowest, least, highest : int array of shape (size,)
        Narrowest width, narrowest but 0, and widest of each entry.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        ends = np.cumsum([0, *(layer.channels for layer in space.layers)])
        self.slices = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
        self.channels = int(ends[-1])
        self.size = self.channels + len(space.activations)
        place = {layer.name: self.channels + index for index, layer in enumerate(space.activations)}
        self.reads = tuple(None if layer.activation is None else place[layer.activation] for layer in space.layers)
        self.macs = np.array([layer.macs for layer in space.layers], dtype=np.int64)
        self._fixed = np.array([layer.input_bits for layer in space.layers], dtype=np.int64)
        self._chosen = np.array([where is not None for where in self.reads], dtype=bool)
        self._place = np.array([0 if where is None else where for where in self.reads], dtype=np.int64)
        self.owner = np.repeat(np.arange(len(space.layers)), np.diff(ends))
        self.lowest, self.highest = self._each(space.weight_bits[0], space.activation_bits[0]), self._each(
            space.weight_bits[-1], space.activation_bits[-1]
        )  # fmt: skip
        self.least = self._each(next(bits for bits in space.weight_bits if bits), space.activation_bits[0])

    def _each(self, weight: int, activation: int) -> np.ndarray:
        values = np.full(self.size, weight, dtype=np.int64)
        values[self.channels :] = activation
        return values

    def flatten(self, assignment: Assignment) -> np.ndarray:
        """Return the widths of an assignment: int64, shape (size,)."""
        parts = [assignment.weights[layer.name] for layer in self.space.layers]
        parts.append(tuple(assignment.activations[layer.name] for layer in self.space.activations))
        return np.array([bits for part in parts for bits in part], dtype=np.int64)

    def assignment(self, widths: np.ndarray, schemes: Mapping[str, str] | None = None) -> Assignment:
        """Return the assignment of a vector; layers without a kind of weights get the first of the space.

        One with a width that its kind does not have is uniform.
        """
        values = [int(bits) for bits in widths]
        given = schemes or {}
        kinds = {layer.name: given.get(layer.name, self.space.schemes[0]) for layer in self.space.layers}
        for name, part in zip(kinds, self.slices, strict=True):
            if kinds[name] != "uniform" and max(values[part]) > self.space.widths(kinds[name])[-1]:
                kinds[name] = "uniform"
        return Assignment(
            {
                layer.name: tuple(values[part])
                for layer, part in zip(self.space.layers, self.slices, strict=True)
            },
            {layer.name: values[self.channels + index] for index, layer in enumerate(self.space.activations)},
            {name: kind for name, kind in kinds.items() if kind != "uniform"},
        )  # fmt: skip

    def per_layer(self, widths: np.ndarray) -> np.ndarray:
        """Return the sum of the widths of each layer's channels, for a vector or for rows of them."""
        starts = [part.start for part in self.slices]
        return np.add.reduceat(widths[..., : self.channels], starts, axis=-1)

    def read_widths(self, widths: np.ndarray) -> np.ndarray:
        """Return for each layer the width of what it reads."""
        return np.where(self._chosen, widths[..., self._place], self._fixed)

    def bit_operations(self, widths: np.ndarray) -> int:
        """Return the bit operations of a frame, as `Space.bit_operations` does."""
        return self.space.fixed_bit_operations + int(
            np.sum(self.macs * self.read_widths(widths) * self.per_layer(widths))
        )

    def per_bit(self, widths: np.ndarray) -> np.ndarray:
        """Return for each entry the bit operations that one bit of it makes while the others stay."""
        result = np.zeros(self.size, dtype=np.float64)
        result[: self.channels] = (self.macs * self.read_widths(widths))[self.owner]
        sums = self.macs * self.per_layer(widths)
        np.add.at(result, self._place[self._chosen], sums[self._chosen])
        return result

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Return the nearest widths that may be chosen; half-way goes down."""
        result = np.empty(self.size, dtype=np.int64)
        result[: self.channels] = nearest(values[: self.channels], self.space.weight_bits)
        result[self.channels :] = nearest(values[self.channels :], self.space.activation_bits)
        return result


def nearest(values: np.ndarray, allowed: Sequence[int]) -> np.ndarray:
    """Return for each value the nearest of the allowed widths (ascending); half-way goes down."""
    steps = np.array(allowed)
    return steps[np.searchsorted((steps[1:] + steps[:-1]) / 2, values)]
