"""The widths with the least rise of the loss within a budget of bit operations, exactly (see `Program.proved`).

The rise is a sum over channels and activations, from a table. The bit operations of a layer are its
multiply-accumulates per channel, times the width of what it reads, times the sum of its channels' widths. So for each
layer only that sum matters, and the least rise for each sum is found by dynamic programming over the channels. What
is left is a knapsack (`codesign.search.knapsack`): one sum for each layer and one width for each activation.

References
----------
Yao et al., HAWQ-V3: dyadic neural network quantization, ICML 2021 (an integer program, layer by layer).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from codesign.search import knapsack
from codesign.search.measurements import Table
from codesign.search.space import Assignment, Space, WeightLayer

Granularity = Literal["channel", "layer"]
Widths = tuple[tuple[int, ...], str]
"""Of a layer: a width for each channel, and the kind of weights."""


@dataclass(frozen=True)
class Sums:
    """Sums of widths that a layer may have, ascending, with the least rise of each; a larger one rises less.

    Parameters
    ----------
    sums : int array of shape (n,)
    rise : array of shape (n,)
    widths : callable
        Told a sum, returns the widths that rise least.
    """

    sums: np.ndarray
    rise: np.ndarray
    widths: Callable[[int], Widths]


class Program:
    """A table of rises, to be minimised under any number of budgets.

    Parameters
    ----------
    space : Space
    rise : Table
        Finite numbers.
    granularity : {"channel", "layer"}
        Whether each channel has a width of its own, or each layer.

    Attributes
    ----------
    proved : bool
        Whether all that `solve` returned so far is the optimum for certain. Of programs with very many choices that
        are about as good, branch and bound may be cut off before it has looked at all of them.

    Raises
    ------
    ValueError
        When a rise is not finite.
    """

    def __init__(self, space: Space, rise: Table, granularity: Granularity = "channel") -> None:
        self.space, self.rise, self.proved = space, rise, True
        numbers = [*rise.activations.values(), *(rows for kind in rise.weights.values() for rows in kind.values())]
        if not all(np.all(np.isfinite(each)) for each in numbers):
            raise ValueError("a rise of the loss is no finite number")
        sums = channel_sums if granularity == "channel" else layer_sums
        self._sums = [sums(space, layer, rise) for layer in space.layers]
        readers: dict[str | None, list[int]] = {}
        for index, layer in enumerate(space.layers):
            readers.setdefault(layer.activation, []).append(index)
        # Layers that read something of a fixed width stand alone; those that read one activation, together.
        self._members: list[tuple[str | None, list[int]]] = [(None, [index]) for index in readers.pop(None, [])]
        self._members += [(one.name, readers.get(one.name, [])) for one in space.activations]
        self._groups = [self._group(name, members) for name, members in self._members]

    def _group(self, name: str | None, members: list[int]) -> knapsack.Group:
        layers = [self.space.layers[index] for index in members]
        widths = (layers[0].input_bits,) if name is None else self.space.activation_bits
        base = np.zeros(1) if name is None else np.asarray(self.rise.activations[name], dtype=float)
        own = [self._sums[index] for index in members]
        cost = [[layer.macs * bits * each.sums for layer, each in zip(layers, own, strict=True)] for bits in widths]
        return knapsack.Group(base, [each.rise for each in own], cost)

    def solve(self, budget: int) -> Assignment | None:
        """Return the assignment with the least rise within so many bit operations, or None.

        Of several with the same rise any may be returned; the same program always gives the same one. Within the
        budget it always is; whether its rise is the least for certain, `proved` tells.
        """
        solution = knapsack.solve(self._groups, budget - self.space.fixed_bit_operations)
        if solution is None:
            return None
        self.proved = self.proved and solution.proved
        weights: dict[str, Widths] = {}
        activations: dict[str, int] = {}
        for (name, members), (at, columns) in zip(self._members, solution.choices, strict=True):
            if name is not None:
                activations[name] = self.space.activation_bits[at]
            for index, column in zip(members, columns, strict=True):
                own = self._sums[index]
                weights[self.space.layers[index].name] = own.widths(int(own.sums[column]))
        return Assignment(
            {layer.name: weights[layer.name][0] for layer in self.space.layers},
            {one.name: activations[one.name] for one in self.space.activations},
            {layer.name: weights[layer.name][1] for layer in self.space.layers if weights[layer.name][1] != "uniform"},
        )

    def total(self, assignment: Assignment) -> float:
        """Return the rise of an assignment."""
        total = 0.0
        for layer in self.space.layers:
            rows = self.rise.weights[assignment.schemes.get(layer.name, "uniform")][layer.name]
            columns = [self.space.weight_bits.index(bits) for bits in assignment.weights[layer.name]]
            total += float(np.sum(rows[np.arange(layer.channels), columns]))
        for activation in self.space.activations:
            column = self.space.activation_bits.index(assignment.activations[activation.name])
            total += float(self.rise.activations[activation.name][column])
        return total


def channel_sums(space: Space, layer: WeightLayer, rise: Table) -> Sums:
    """Return the least rise for every sum of a layer's widths, each channel with a width of its own."""
    most = space.weight_bits[-1] * layer.channels
    totals, choices = [], []
    for kind in space.schemes:
        least = np.full(most + 1, np.inf)
        least[0] = 0.0
        taken = np.zeros((layer.channels, most + 1), dtype=np.uint8)
        for channel, row in enumerate(rise.weights[kind][layer.name]):
            following = np.full(most + 1, np.inf)
            for column, bits in enumerate(space.widths(kind)):
                shifted = np.full(most + 1, np.inf)
                shifted[bits:] = least[: most + 1 - bits] + row[column]
                better = shifted < following
                following[better] = shifted[better]
                taken[channel, better] = column
            least = following
        totals.append(least)
        choices.append(taken)
    stacked = np.stack(totals)
    kinds = np.argmin(stacked, axis=0)

    def widths(total: int) -> Widths:
        kind = int(kinds[total])
        found: list[int] = []
        for row in choices[kind][::-1]:
            found.append(space.weight_bits[row[total]])
            total -= found[-1]
        return tuple(reversed(found)), space.schemes[kind]

    return _useful(np.arange(most + 1), np.min(stacked, axis=0), widths)


def layer_sums(space: Space, layer: WeightLayer, rise: Table) -> Sums:
    """Return the rise for every sum of a layer's widths, all channels with the same width."""
    totals = np.full((len(space.schemes), len(space.weight_bits)), np.inf)
    for row, kind in enumerate(space.schemes):
        columns = len(space.widths(kind))
        totals[row, :columns] = np.sum(rise.weights[kind][layer.name], axis=0)[:columns]
    kinds = np.argmin(totals, axis=0)

    def widths(total: int) -> Widths:
        bits = total // layer.channels
        return (bits,) * layer.channels, space.schemes[int(kinds[space.weight_bits.index(bits)])]

    return _useful(np.array(space.weight_bits) * layer.channels, np.min(totals, axis=0), widths)


def _useful(sums: np.ndarray, rise: np.ndarray, widths: Callable[[int], Widths]) -> Sums:
    """Leave out sums that a smaller one beats or equals."""
    before = np.concatenate([[np.inf], np.minimum.accumulate(rise)[:-1]])
    kept = rise < before
    return Sums(sums[kept].astype(np.int64), rise[kept], widths)
