"""The order in which FINN numbers its layers, which its configuration files name them by.

FINN sorts its nodes by their distance from the input after every transformation, those of the same distance by the
order they were in; and a transformation that makes two layers of a node puts them in its place. The order at the end
therefore depends on when a node became two: pools before windows with padding, forks last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A layer on the way of a frame.

    Parameters
    ----------
    kind : str
        FINN's operator.
    sources : tuple of int
        Earlier layers, -1 for the input.
    """

    kind: str
    sources: tuple[int, ...]


_PADDING, _WINDOW, _POOL, _FORK = "FMPadding", "ConvolutionInputGenerator", "Pool", "DuplicateStreams"


def numbering(steps: Sequence[Step]) -> list[int]:
    """Return the layers in FINN's order.

    Parameters
    ----------
    steps : sequence of Step
        In the order of the graph's nodes.
    """
    order = list(range(len(steps)))
    for joined in (
        {_PADDING: _WINDOW, _WINDOW: _POOL, _FORK: None},  # as the file has them
        {_PADDING: _WINDOW, _FORK: None},  # pools converted
        {_FORK: None},  # windows converted
        {},  # forks inserted
    ):
        order = _sorted(steps, _groups(steps, joined), order)
    return order


def _groups(steps: Sequence[Step], joined: Mapping[str, str | None]) -> list[int]:
    """Return for every layer the node that it is part of, by the node's first layer.

    Parameters
    ----------
    steps : sequence of Step
    joined : mapping
        Kinds that are still one node with their reader of a certain kind; None for those that no node stands for.
    """
    group = list(range(len(steps)))
    for index, step in enumerate(steps):
        source = step.sources[0]
        if source >= 0 and joined.get(steps[source].kind, "") == step.kind:
            group[index] = group[source]
        if step.kind in joined and joined[step.kind] is None:
            group[index] = group[source] if source >= 0 else -1
    return group


def _sorted(steps: Sequence[Step], group: Sequence[int], order: Sequence[int]) -> list[int]:
    position = {index: place for place, index in enumerate(order)}
    level: dict[int, int] = {-1: -1}
    first: dict[int, int] = {}
    for index, step in enumerate(steps):
        own = group[index]
        first[own] = min(first.get(own, len(steps)), position[index])
        if own < 0:
            continue
        before = max(level[group[source] if source >= 0 else -1] for source in step.sources)
        if own == index:
            level[own] = before + 1
    return sorted(order, key=lambda index: (level[group[index]], first[group[index]], position[index]))
