"""Placing a directed acyclic graph on layers, top to bottom (after Sugiyama, Tagawa and Toda, 1981).

Each edge that passes a layer without stopping gets a waypoint there, so that lines run beside the boxes
and not through them.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence

import msgspec

_SWEEPS = 12


class Placement(msgspec.Struct, frozen=True):
    """Where everything lies.

    Attributes
    ----------
    centers : dict of str to float
        Horizontal centre of every node.
    layers : dict of str to int
        Layer of every node, 0 at the top.
    routes : dict of (str, str) to list of (float, int)
        For every edge the waypoints (horizontal centre, layer) between its ends.
    left, right : float
        Horizontal extent of everything.
    """

    centers: dict[str, float]
    layers: dict[str, int]
    routes: dict[tuple[str, str], list[tuple[float, int]]]
    left: float
    right: float


def place(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    widths: Mapping[str, float],
    gap: float,
    lane: float,
) -> Placement:
    """Lay out a graph.

    Parameters
    ----------
    nodes : sequence of str
        In an order in which every edge points forward.
    edges : sequence of (str, str)
        From, to; parallel edges count once.
    widths : mapping of str to float
        Width of every node's box.
    gap : float
        Smallest horizontal distance between boxes.
    lane : float
        Width kept free for an edge that passes by.
    """
    edges = list(dict.fromkeys(edges))
    layer = _layers(nodes, edges)
    chains, all_widths, all_layers, links = _with_waypoints(edges, layer, dict(widths), lane)
    order = _ordered(list(nodes), all_layers, links)
    centers = _coordinates(order, all_widths, links, gap, set(nodes), _trunk(nodes, edges))
    half = {name: all_widths[name] / 2 for name in centers}
    return Placement(
        {name: centers[name] for name in nodes},
        layer,
        {edge: [(centers[point], all_layers[point]) for point in chain] for edge, chain in chains.items()},
        min(centers[name] - half[name] for name in centers),
        max(centers[name] + half[name] for name in centers),
    )


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Longest path from the top; a node with slack then moves down to just above its first reader."""
    layer = dict.fromkeys(nodes, 0)
    for name in nodes:
        for source, target in edges:
            if source == name:
                layer[target] = max(layer[target], layer[name] + 1)
    has_reader = {source for source, _ in edges}
    for name in reversed(nodes):
        if name in has_reader and any(target == name for _, target in edges):
            layer[name] = min(layer[target] for source, target in edges if source == name) - 1
    return layer


def _trunk(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[str]:
    """Return the nodes of a longest path: the main line, which the picture keeps straight."""
    length = dict.fromkeys(nodes, 1)
    following: dict[str, str] = {}
    for name in reversed(nodes):
        for source, target in edges:
            if source == name and length[target] + 1 > length[name]:
                length[name], following[name] = length[target] + 1, target
    name = max(nodes, key=lambda name: length[name])
    trunk = {name}
    while name in following:
        name = following[name]
        trunk.add(name)
    return trunk


def _with_waypoints(
    edges: Sequence[tuple[str, str]], layer: Mapping[str, int], widths: dict[str, float], lane: float
) -> tuple[dict[tuple[str, str], list[str]], dict[str, float], dict[str, int], list[tuple[str, str]]]:
    chains: dict[tuple[str, str], list[str]] = {}
    layers, links = dict(layer), []
    for number, (source, target) in enumerate(edges):
        chain = []
        for level in range(layer[source] + 1, layer[target]):
            point = f"\0{number}.{level}"
            widths[point], layers[point] = lane, level
            chain.append(point)
        chains[source, target] = chain
        path = [source, *chain, target]
        links += list(itertools.pairwise(path))
    return chains, widths, layers, links


def _ordered(nodes: list[str], layers: Mapping[str, int], links: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Order each layer by the barycentre of its neighbours, sweeping down and up."""
    rank = {name: index for index, name in enumerate(nodes)}
    depth = max(layers.values()) + 1
    order: list[list[str]] = [[] for _ in range(depth)]
    # Waypoints start to the right of boxes: skip connections then run on one side.
    for name in sorted(layers, key=lambda name: (name not in rank, rank.get(name, 0))):
        order[layers[name]].append(name)
    above, below = _neighbours(links)
    best, fewest = [list(row) for row in order], _crossings(order, below)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        neighbours = above if down else below
        for level in range(1, depth) if down else range(depth - 2, -1, -1):
            position = {name: i for row in order for i, name in enumerate(row)}
            here = {name: position[name] for name in order[level]}
            order[level].sort(
                key=lambda name, here=here, position=position: (  # type: ignore[misc]
                    statistics.fmean(position[n] for n in neighbours[name]) if neighbours.get(name) else here[name],
                    name not in rank,
                    here[name],
                )
            )
        crossings = _crossings(order, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in order], crossings
    return best


def _neighbours(links: Sequence[tuple[str, str]]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    return above, below


def _crossings(order: Sequence[Sequence[str]], below: Mapping[str, list[str]]) -> int:
    count = 0
    for row, following in itertools.pairwise(order):
        position = {name: i for i, name in enumerate(following)}
        ends = [sorted(position[n] for n in below.get(name, [])) for name in row]
        for i, left in enumerate(ends):
            for right in ends[i + 1 :]:
                count += sum(1 for a in left for b in right if a > b)
    return count


def _coordinates(
    order: Sequence[Sequence[str]],
    widths: Mapping[str, float],
    links: Sequence[tuple[str, str]],
    gap: float,
    boxes: set[str],
    trunk: set[str],
) -> dict[str, float]:
    """Pull every element towards its neighbours, and the trunk to 0, keeping order and distances."""
    above, below = _neighbours(links)
    centers: dict[str, float] = {}
    for row in order:
        x = 0.0
        for name in row:
            centers[name] = x + widths[name] / 2
            x += widths[name] + gap
    for sweep in range(_SWEEPS * 2):
        rows = order if sweep % 2 == 0 else list(reversed(order))
        for row in rows:
            desired, weights = [], []
            for name in row:
                # Boxes beside the trunk stay near it; the lines to them follow, so that they run straight.
                near = [*above.get(name, []), *below.get(name, [])]
                same = near if name in boxes else [n for n in near if n not in trunk] or near
                if name in trunk:
                    desired.append(0.0)
                    weights.append(1e6)
                else:
                    desired.append(statistics.fmean(centers[n] for n in same) if same else centers[name])
                    weights.append(8.0 if name in boxes else 1.0)
            centers.update(zip(row, _separated(row, desired, weights, widths, gap), strict=True))
    return centers


def _separated(
    row: Sequence[str],
    desired: Sequence[float],
    weights: Sequence[float],
    widths: Mapping[str, float],
    gap: float,
) -> list[float]:
    """Least-squares positions with at least the given distances (pool adjacent violators)."""
    offsets = [0.0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # weighted mean, weight, members
    for want, offset, weight in zip(desired, offsets, weights, strict=True):
        block = (want - offset, weight, 1)
        while blocks and blocks[-1][0] > block[0]:
            mean, total, members = blocks.pop()
            merged = total + block[1]
            block = ((mean * total + block[0] * block[1]) / merged, merged, members + block[2])
        blocks.append(block)
    placed = [mean for mean, _, members in blocks for _ in range(members)]
    return [base + offset for base, offset in zip(placed, offsets, strict=True)]
