"""What each layer and activation takes at each pair of widths, from estimates of networks with one pair everywhere."""

from __future__ import annotations

import itertools
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
"""Bits up to which every width is estimated; of those beyond only the widest, and the narrowest of all."""


Estimated = Callable[[Assignment], "Estimate"]
"""Returns the estimate of a candidate; operators are told by their labels."""


def pair_costs(space: Space, estimated: Estimated, bare: Estimated | None = None) -> PairCosts:
    """Return sizes by pairs of widths; between the widths that are estimated they are interpolated.

    Parameters
    ----------
    space : Space
    estimated : callable
    bare : callable, optional
        The same without multiplier blocks. It is asked only where there are blocks in the other designs.
    """
    found = _grids(space, estimated)
    luts, blocks = ({kind: _of(grid, name) for kind, grid in found.items()} for name in ("lut", "dsp"))
    without = None
    if bare is not None and any(any(own.values()) for grid in blocks.values() for own in grid.values()):
        without = _sizes(space, {kind: _of(grid, "lut") for kind, grid in _grids(space, bare).items()})
    return PairCosts(_sizes(space, luts), _sizes(space, blocks), without)


def _grids(space: Space, estimated: Estimated) -> dict[str, dict[tuple[int, int], Estimate]]:
    found: dict[str, dict[tuple[int, int], Estimate]] = {}
    for kind in space.schemes:
        schemes = {} if kind == "uniform" else {layer.name: kind for layer in space.layers}
        pairs = itertools.product(_some(space.widths(kind)), _some(space.activation_bits))
        found[kind] = {
            pair: estimated(msgspec.structs.replace(space.uniform(*pair), schemes=schemes)) for pair in pairs
        }
    return found


_Grid = dict[tuple[int, int], Mapping[str, float]]
"""By width of weights and of activations what each label takes."""


def _of(grid: Mapping[tuple[int, int], Estimate], resource: str) -> _Grid:
    return {pair: _by_label(found, resource) for pair, found in grid.items()}


def _by_label(found: Estimate, resource: str) -> dict[str, float]:
    amounts: dict[str, float] = defaultdict(float)
    for each in found.operators:
        amounts[each.label] += getattr(each.amount, resource)
    return amounts


def _sizes(space: Space, grids: Mapping[str, _Grid]) -> PairSizes:
    reads = _some(space.activation_bits)
    # What makes activations, and the rest, hardly depend on the kind of the weights.
    kind, grid = next(iter(grids.items()))
    widths = _some(space.widths(kind))
    activations = {one.name: _table(grid, one.name, widths, reads).mean(0) for one in space.activations}
    names = [*(layer.name for layer in space.layers), *activations]
    rests = (_totals(grid, widths, reads) - sum(_table(grid, name, widths, reads) for name in names)).mean(0)
    rest = float(rests.min() if activations else rests.mean())
    # Adders, and layers of fixed width that read what has none: to each activation the same part of what they add.
    activations = {name: own + (rests - rest) / len(activations) for name, own in activations.items()}
    return PairSizes(
        {kind: _layers(space, kind, grid, sum(activations.values()) + rest) for kind, grid in grids.items()},
        {name: np.interp(space.activation_bits, reads, own) for name, own in activations.items()},
        rest,
    )


def _layers(space: Space, kind: str, grid: _Grid, others: np.ndarray | float) -> dict[str, np.ndarray]:
    """Return the tables of all layers; `others` is what all else takes, by the width of activations.

    All else depends on the widths of weights too, as thresholds do on accumulators. Layers take this upon themselves
    in proportion to their sizes, so that tables add up to what is estimated.
    """
    widths, reads = _some(space.widths(kind)), _some(space.activation_bits)
    tables = {layer.name: _table(grid, layer.name, widths, reads) for layer in space.layers}
    own = np.sum(list(tables.values()), axis=0)
    left = np.maximum(_totals(grid, widths, reads) - others, 0)
    factor = np.divide(left, own, out=np.ones_like(own), where=own > 0)
    return {
        name: _filled(factor * one, widths, space.weight_bits, reads, space.activation_bits)
        for name, one in tables.items()
    }


def _totals(grid: _Grid, widths: Sequence[int], reads: Sequence[int]) -> np.ndarray:
    """Return what the whole takes, in the shape of `_table`."""
    return np.array([[sum(grid[bits, read].values()) for read in reads] for bits in widths])


def _table(grid: _Grid, label: str, widths: Sequence[int], reads: Sequence[int]) -> np.ndarray:
    """Return what a label takes: shape (widths of weights, widths of activations)."""
    return np.array([[grid[bits, read].get(label, 0.0) for read in reads] for bits in widths])


def _some(widths: Sequence[int]) -> list[int]:
    return [bits for bits in widths if bits <= _DENSE or bits in (widths[0], widths[-1])]


def _filled(
    values: np.ndarray, widths: Sequence[int], all_widths: Sequence[int], reads: Sequence[int], all_reads: Sequence[int]
) -> np.ndarray:
    """Return values on all widths, linear between those that there are, and constant beyond them."""
    rows = np.stack([np.interp(all_reads, reads, row) for row in values])
    return np.stack([np.interp(all_widths, widths, column) for column in rows.T], axis=1)
