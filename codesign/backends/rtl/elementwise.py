"""What operators that treat each element alone share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from codesign.backends.rtl.divisors import divisors
from codesign.backends.rtl.unit import Fold
from codesign.ir import Graph, Node


def folds(node: Node, graph: Graph) -> Iterator[Fold]:
    """Yield every fold: any divisor of the channels."""
    for lanes in divisors(graph.edges[node.name].channels):
        yield Fold(lanes)


def words(node: Node, graph: Graph, fold: Fold) -> int:
    """Return the words of a frame of the output."""
    return graph.edges[node.name].size // fold.pe


def by_word(table: np.ndarray, lanes: int) -> np.ndarray:
    """Return per-channel rows (channels or 1, ...) as (words, lanes, ...); one row serves all lanes and words."""
    if len(table) == 1:
        return np.repeat(table, lanes, axis=0)[None]
    return table.reshape(-1, lanes, *table.shape[1:])
