"""A picture of the graph as SVG, coloured by classes of the page's style sheet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape

import msgspec

from codesign.ir import Graph
from codesign.report.layers import Layer
from codesign.report.layout import place

_HEIGHT = 40.0
_BETWEEN = 34.0
_LINE = 15.0
_CHARACTER = 6.7
_GAP = 28.0
_LANE = 60.0
_MARGIN = 16.0

_WEIGHTED = {"conv2d", "dense"}
_REQUANTISE = {"threshold", "dyadic"}


class _Box(msgspec.Struct):
    """One box: a node, or a weighted node together with the re-quantisation that alone reads it."""

    name: str
    kind: str
    lines: list[str]
    members: list[str]
    inputs: list[str]
    out: str
    tooltip: str = ""

    @property
    def height(self) -> float:
        return _HEIGHT + _LINE * (len(self.lines) - 2)

    @property
    def width(self) -> float:
        return max(130.0, 28 + _CHARACTER * max(len(line) for line in self.lines))


def svg(graph: Graph, layers: Sequence[Layer]) -> str:
    """Return the picture as an ``<svg>`` element; every text in it is escaped.

    A convolution or dense layer and the re-quantisation behind it share a box. Lines carry the type and
    shape of what flows; skip connections run beside the boxes.
    """
    boxes = _boxes(graph, layers)
    maker = {member: box.name for box in boxes for member in box.members}
    edges = [(maker[edge], box.name, edge) for box in boxes for edge in box.inputs]
    by_name = {box.name: box for box in boxes}
    placed = place(
        [box.name for box in boxes],
        [(source, target) for source, target, _ in edges],
        {box.name: box.width for box in boxes},
        _GAP,
        _LANE,
    )
    tops = _tops(boxes, placed.layers)
    # Labels hang to the right of a line and may stick out of the boxes.
    shift = _MARGIN - placed.left
    width = placed.right - placed.left + 2 * _MARGIN + 60
    height = max(tops[box.name] + box.height for box in boxes) + _MARGIN
    parts = [
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" '
        f'role="img" aria-label="{escape(f"graph of {len(graph.nodes)} operators")}" xmlns="http://www.w3.org/2000/svg">'
    ]
    level_tops: dict[int, tuple[float, float]] = {}
    for name, level in placed.layers.items():
        top, bottom = level_tops.get(level, (tops[name], 0.0))
        level_tops[level] = (top, max(bottom, tops[name] + by_name[name].height))
    wires, labels = [], []
    drawn: set[tuple[str, str]] = set()
    labelled: set[str] = set()
    for source, target, edge in edges:
        if (source, target) in drawn:
            continue
        drawn.add((source, target))
        lanes = placed.routes[source, target]
        start_x, end_x = placed.centers[source], placed.centers[target]
        lean = _port((lanes[0][0] if lanes else end_x) - start_x, by_name[source].width)
        arrive = _port((lanes[-1][0] if lanes else start_x) - end_x, by_name[target].width)
        points = [(start_x + lean + shift, tops[source] + by_name[source].height)]
        if level_tops[placed.layers[source]][1] > points[0][1]:
            points.append((points[0][0], level_tops[placed.layers[source]][1]))
        for x, level in lanes:
            points += [(x + shift, level_tops[level][0]), (x + shift, level_tops[level][1])]
        points.append((end_x + arrive + shift, tops[target]))
        tensor = graph.edges[edge]
        thickness = 1.2 + min(tensor.type.bits, 24) / 6
        wires.append(
            f'<path class="wire" style="stroke-width:{thickness:.1f}" d="{_curve(points)}">'
            f"<title>{escape(f'{edge}: {tensor}')}</title></path>"
        )
        if edge not in labelled and lean == 0:
            labelled.add(edge)
            # Forks and joins have their other lines on the right: the label of the straight one hangs left.
            left = max(sum(s == source for s, _, _ in edges), sum(t == target for _, t, _ in edges)) > 1
            labels.append(
                f'<text class="flow{" left" if left else ""}" x="{points[0][0] + (-8 if left else 8):.1f}" '
                f'y="{points[0][1] + 20:.1f}">{escape(_flow(tensor))}</text>'
            )
        elif edge not in labelled and lanes == []:
            labelled.add(edge)
            x = (points[-2][0] + points[-1][0]) / 2 + (22 if lean < 0 else -22)
            labels.append(
                f'<text class="flow{"" if lean < 0 else " left"}" x="{x:.1f}" y="{points[-1][1] - 9:.1f}">'
                f"{escape(_flow(tensor))}</text>"
            )
    parts += wires + labels
    for box in boxes:
        parts.append(_box(box, placed.centers[box.name] + shift, tops[box.name]))
    return "".join([*parts, "</svg>"])


def _boxes(graph: Graph, layers: Sequence[Layer]) -> list[_Box]:
    facts = {layer.node: layer for layer in layers}
    readers = graph.consumers()
    boxes = [
        _Box(
            edge,
            "port",
            ["input", str(graph.edges[edge].type)],
            [edge],
            [],
            edge,
            f"{edge}: {graph.edges[edge]}",
        )
        for edge in graph.inputs
    ]
    owner: dict[str, _Box] = {}
    for node in graph.nodes:
        layer = facts[node.name]
        source = owner.get(node.inputs[0])
        alone = len(readers[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
        if source is not None and alone and layer.operator in _REQUANTISE and source.kind in ("weighted", "join"):
            source.lines.append(f"→ {_title(layer)}")
            source.members.append(node.name)
            source.out = node.name
            source.kind += " closed"
            source.tooltip += f"\n{node.name}: {layer.operator} {layer.label}".rstrip()
            owner[node.name] = source
            continue
        kind = "weighted" if layer.operator in _WEIGHTED else "requantise" if layer.operator in _REQUANTISE else "other"
        kind = "join" if layer.operator == "add" else kind
        detail = f"{layer.node}"
        if layer.weight_bits:
            low, high = layer.weight_bits
            widths = f"{high}" if low == high else f"{low}–{high}"
            detail = f"{layer.node} · {widths}-bit weights · {layer.accumulator_bits}-bit sum"
        elif layer.label:
            detail = f"{layer.node} · {layer.label[:28]}"
        box = _Box(
            node.name, kind, [_title(layer), detail], [node.name], list(node.inputs), node.name,
            f"{node.name}: {layer.operator} {layer.label}".rstrip(),
        )  # fmt: skip
        owner[node.name] = box
        boxes.append(box)
    for edge in graph.outputs:
        boxes.append(_Box(f"out {edge}", "port", ["output", str(graph.edges[edge].type)], [], [edge], edge))
    return boxes


def _title(layer: Layer) -> str:
    name = {
        "conv2d": "conv",
        "max_pool": "max pool",
        "sum_pool": "sum pool",
        "arg_max": "arg max",
    }.get(layer.operator, layer.operator)
    channels = ""
    if layer.operator in _WEIGHTED:
        channels = f" {layer.input_shape[-1]}→{layer.output_shape[-1]}"
    requantised = f" to {layer.output_type}" if layer.operator in _REQUANTISE else ""
    return f"{name} {layer.shape}".rstrip() + channels + requantised


def _tops(boxes: Sequence[_Box], layers: dict[str, int]) -> dict[str, float]:
    """Top of every box; each layer is as high as its highest box."""
    depth = max(layers.values()) + 1
    heights = [max(box.height for box in boxes if layers[box.name] == level) for level in range(depth)]
    starts = [_MARGIN]
    for height in heights:
        starts.append(starts[-1] + height + _BETWEEN)
    return {box.name: starts[layers[box.name]] for box in boxes}


def _port(distance: float, width: float) -> float:
    """Where on its box a line starts that runs off by `distance`: in the middle, or towards that side."""
    if abs(distance) < 1:
        return 0.0
    return max(-0.3 * width, min(0.3 * width, distance / 2))


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A smooth line through points, vertical at both ends."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if abs(x0 - x1) < 0.5:
            path += f"L{x1:.1f} {y1:.1f}"
        else:
            middle = (y0 + y1) / 2
            path += f"C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    return path


def _flow(tensor: object) -> str:
    shape = "×".join(map(str, tensor.shape))  # type: ignore[attr-defined]
    return f"{tensor.type} · {shape}"  # type: ignore[attr-defined]


def _box(box: _Box, center: float, top: float) -> str:
    left = center - box.width / 2
    texts = []
    # The re-quantisation, appended last, is shown between title and detail.
    ordered = [box.lines[0], *box.lines[2:], box.lines[1]]
    for index, line in enumerate(ordered):
        style = "name" if index == 0 else "detail" if index == len(ordered) - 1 else "then"
        texts.append(f'<text class="{style}" x="{center:.1f}" y="{top + 17 + _LINE * index:.1f}">{escape(line)}</text>')
    return (
        f'<g class="box {escape(box.kind)}"><title>{escape(box.tooltip or box.name)}</title>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="7"/>'
        f"{''.join(texts)}</g>"
    )
