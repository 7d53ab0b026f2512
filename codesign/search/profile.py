"""What each layer and activation takes at each pair of widths, from estimates of networks with one pair everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from codesign.search.measurements import PairCosts, PairSizes
from codesign.search.space import Assignment, Space

if TYPE_CHECKING:
    from codesign.backends.rtl.estimation import Estimate

_DENSE = 6
"""Bits up to which every width is estimated; of those beyond only the widest."""


def pair_costs(space: Space, estimated: Callable[[Assignment], Estimate]) -> PairCosts:
    """Return sizes by pairs of widths; between the widths that are estimated they are interpolated.

    Parameters
    ----------
    space : Space
    estimated : callable
        Returns the estimate of a candidate; operators are told by their labels.
    """
    luts: dict[str, _Grid] = {}
    blocks: dict[str, _Grid] = {}
    reads = _some(space.activation_bits)
    for kind in space.schemes:
        schemes = {} if kind == "uniform" else {layer.name: kind for layer in space.layers}
        luts[kind], blocks[kind] = {}, {}
        for bits in _some(space.widths(kind)):
            for read in reads:
                found = estimated(msgspec.structs.replace(space.uniform(bits, read), schemes=schemes))
                luts[kind][bits, read] = _by_label(found, "lut")
                blocks[kind][bits, read] = _by_label(found, "dsp")
    return PairCosts(_sizes(space, luts), _sizes(space, blocks))


_Grid = dict[tuple[int, int], Mapping[str, float]]
"""By width of weights and of activations what each label takes."""


def _by_label(found: Estimate, resource: str) -> dict[str, float]:
    amounts: dict[str, float] = defaultdict(float)
    for each in found.operators:
        amounts[each.label] += getattr(each.amount, resource)
    return amounts


def _sizes(space: Space, grids: Mapping[str, _Grid]) -> PairSizes:
    reads = _some(space.activation_bits)
    layers: dict[str, dict[str, np.ndarray]] = {}
    for kind, grid in grids.items():
        widths = _some(space.widths(kind))
        layers[kind] = {
            layer.name: _filled(
                _table(grid, layer.name, widths, reads), widths, space.weight_bits, reads, space.activation_bits
            )
            for layer in space.layers
        }
    # What makes activations, and the rest, hardly depend on the kind of the weights.
    kind, grid = next(iter(grids.items()))
    activations = {
        one.name: np.interp(
            space.activation_bits, reads, _table(grid, one.name, _some(space.widths(kind)), reads).mean(0)
        )
        for one in space.activations
    }
    names = [*layers[kind], *activations]
    rests = [sum(own.values()) - sum(own.get(name, 0.0) for name in names) for own in grid.values()]
    return PairSizes(layers, activations, float(np.mean(rests)))


def _table(
    grid: Mapping[tuple[int, int], Mapping[str, float]], label: str, widths: Sequence[int], reads: Sequence[int]
) -> np.ndarray:
    """Return the lookup tables of a label: shape (widths of weights, widths of activations)."""
    return np.array([[grid[bits, read].get(label, 0.0) for read in reads] for bits in widths])


def _some(widths: Sequence[int]) -> list[int]:
    return [bits for bits in widths if bits <= _DENSE or bits == widths[-1]]


def _filled(
    values: np.ndarray, widths: Sequence[int], all_widths: Sequence[int], reads: Sequence[int], all_reads: Sequence[int]
) -> np.ndarray:
    """Return values on all widths, linear between those that there are, and constant beyond them."""
    rows = np.stack([np.interp(all_reads, reads, row) for row in values])
    return np.stack([np.interp(all_widths, widths, column) for column in rows.T], axis=1)
