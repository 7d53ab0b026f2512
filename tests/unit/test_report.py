"""The report: facts of layers, the layout of the graph, the page."""

from __future__ import annotations

import itertools
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codesign import boards, report
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dense, Flatten, SelectDyadic, SelectThreshold, Threshold
from codesign.report import layers, picture
from codesign.report.layout import place
from codesign.toolchain.synth_report import SynthReport

NASTY = '</script><script>alert("1")</script>&"; system("rm -rf /")'


def content(graph: Graph, **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "checks": [report.Check(name="C simulation", kind="csim", done=True, vectors=200, tensors=28, differences=0)],
        "synthesis": None,
        "synthesis_note": "Vitis HLS is not here.",
        "tools": {"g++": "12"},
        "commands": ["codesign synth x"],
    }
    settings.update(changes)
    model = settings.pop("model", report.ModelFacts(name="m", accuracy=86.5, float_accuracy=87.0, images=10_000))
    return report.collect(graph, boards.load("pynq-z2"), model, **settings)


def check(**fields: Any) -> report.Check:
    return report.Check(**({"name": "c", "kind": "csim", "done": True, "vectors": 9, "tensors": 2} | fields))


def test_the_facts_of_a_convolution_are_counted():
    weight = np.array([-3, 0, 1, 2] * 9).reshape(3, 3, 2, 2)
    builder = GraphBuilder("one")
    edge = builder.add(
        Conv2d(weight, weight_bits=(3, 4), padding=1), builder.input((5, 6, 2), IntType(8, signed=False))
    )
    (layer,) = layers.describe(builder.build(edge))
    assert layer.macs == 5 * 6 * 36
    assert layer.weights == 36
    assert layer.weight_bits == (3, 4)
    assert layer.weight_memory_bits == 18 * 3 + 18 * 4
    assert layer.bit_operations == 5 * 6 * (18 * 3 + 18 * 4) * 8
    assert layer.zero_weights == pytest.approx(0.25)
    assert layer.histogram == ((-3, 9), (-2, 0), (-1, 0), (0, 9), (1, 9), (2, 9))
    assert layer.accumulator_bits == 14


def test_constants_of_all_entries_count():
    builder = GraphBuilder("chosen")
    x = builder.input((2, 2, 3), IntType(8, signed=False))
    index = builder.input((1,), IntType(1, signed=False))
    low = builder.add(SelectThreshold(np.zeros((2, 3, 7), dtype=np.int64)), x, index)
    builder.add(SelectDyadic(*[np.ones((4, 1), dtype=np.int64)] * 3, IntType(8, signed=True)), low, index)
    thresholds, dyadic = layers.describe(builder.build(builder.newest))
    assert (thresholds.constants, thresholds.shape) == (42, "2 entries, 8 levels")
    assert (dyadic.constants, dyadic.shape) == (12, "4 entries")


def test_grouped_convolutions_count_only_their_own_channels():
    builder = GraphBuilder("depthwise")
    weight = np.ones((3, 3, 1, 4), dtype=np.int64)
    edge = builder.add(Conv2d(weight, groups=4), builder.input((3, 3, 4), IntType(2, signed=False)))
    (layer,) = layers.describe(builder.build(edge))
    assert layer.macs == 36
    assert layer.shape == "3×3, depthwise"


def test_the_totals_are_the_sums(residual: Graph):
    found = layers.describe(residual)
    total = layers.totals(residual, found)
    assert total["operators"] == len(residual.nodes)
    assert total["weights"] == sum(layer.weights for layer in found) == total["float32_memory_bits"] // 32
    assert total["macs"] == sum(layer.macs for layer in found) > 0
    assert total["widest_accumulator_bits"] == max(layer.accumulator_bits or 0 for layer in found)


def test_boxes_never_overlap_and_edges_point_down():
    rng = np.random.default_rng(5)
    for _ in range(30):
        nodes = [f"n{i}" for i in range(int(rng.integers(2, 25)))]
        edges = [
            (nodes[int(source)], node)
            for i, node in enumerate(nodes)
            if i
            for source in rng.integers(0, i, size=int(rng.integers(1, 3)))
        ]
        widths = {name: float(rng.integers(40, 200)) for name in nodes}
        placed = place(nodes, edges, widths, 20.0, 50.0)
        for source, target in edges:
            waypoints = placed.routes[source, target]
            assert placed.layers[source] < placed.layers[target]
            assert [level for _, level in waypoints] == list(range(placed.layers[source] + 1, placed.layers[target]))
        rows: dict[int, list[tuple[float, float]]] = {}
        for name in nodes:
            rows.setdefault(placed.layers[name], []).append((placed.centers[name], widths[name]))
        for _, chain in placed.routes.items():
            for x, level in chain:
                rows[level].append((x, 50.0))
        for row in rows.values():
            row.sort()
            for (x0, w0), (x1, w1) in itertools.pairwise(row):
                assert x1 - x0 >= (w0 + w1) / 2 + 20.0 - 1e-6


def test_the_main_line_of_a_residual_network_is_straight(residual: Graph):
    drawn = ET.fromstring(picture.svg(residual, layers.describe(residual)))
    space = "{http://www.w3.org/2000/svg}"
    boxes = [group.find(f"{space}rect") for group in drawn.iter(f"{space}g")]
    centers = [round(float(box.get("x")) + float(box.get("width")) / 2, 1) for box in boxes if box is not None]
    # Three shortcuts stand beside the line.
    assert sorted(centers.count(x) for x in set(centers))[-1] == len(centers) - 3


def test_a_join_of_the_same_edge_twice_is_drawn():
    builder = GraphBuilder("twice")
    edge = builder.input((4,), IntType(3, signed=False))
    graph = builder.build(builder.add(Add(), edge, edge))
    assert picture.svg(graph, layers.describe(graph)).count('class="wire"') == 2


def test_the_page_is_whole_and_asks_nothing_of_the_network(tmp_path: Path, residual: Graph):
    page, data = report.write(tmp_path, content(residual), residual)
    html = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href|url)\s*[=(]\s*["\']?(https?:)?//', html)
    assert "<script" not in html
    assert "86.50" in html
    assert "Exact in C simulation: no integer differs, 200 test vectors" in html
    assert json.loads(data.read_text())["totals"]["weights"] == 5036
    for node in residual.nodes:
        assert f"<code>{node.name}</code>" in html


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_nasty_names_stay_text(tmp_path: Path):
    builder = GraphBuilder(NASTY)
    edge = builder.input((2, 2, 1), IntType(8, signed=False))
    edge = builder.add(Conv2d(np.ones((1, 1, 1, 2), dtype=np.int64)), edge, label=NASTY)
    edge = builder.add(Threshold(np.array([[1, 5]])), edge, label=NASTY)
    edge = builder.add(Flatten(), edge, label=NASTY)
    graph = builder.build(builder.add(Dense(np.ones((8, 2), dtype=np.int64)), edge, label=NASTY))
    facts = report.ModelFacts(name=NASTY, title=NASTY, framework=NASTY, dataset=NASTY, facts={NASTY: NASTY})
    check = report.Check(
        name=NASTY,
        kind="csim",
        done=True,
        vectors=1,
        tensors=1,
        differences=1,
        first_difference={NASTY: NASTY},
        how=NASTY,
    )
    made = content(graph, model=facts, checks=[check], synthesis_note=NASTY, tools={NASTY: NASTY}, commands=[NASTY])
    html = report.render(made, graph)
    tags = _Tags()
    tags.feed(html)
    assert "script" not in tags.found
    assert '<script>alert("1")' not in html
    assert html.count("system(") > 5


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (check(done=False), "Not verified in simulation yet"),
        (check(differences=31), "31 integers differ from the golden executor"),
        (check(differences=0), "no integer differs, 9 test vectors"),
        (check(kind="netlist", differences=0), "Exact in netlist simulation: no integer differs, 9 test vectors"),
        (check(kind="netlist", differences=2), "2 integers differ from the golden executor"),
        (check(kind="float64", differences=0), "Not verified in simulation yet"),
        (check(kind="float64", differences=3), "3 integers differ from the model in float64"),
    ],
)
def test_the_verdict_tells_what_was_found(residual: Graph, found: report.Check, verdict: str):
    assert verdict in report.render(content(residual, checks=[found]), residual)


def test_the_check_with_more_vectors_is_kept_unless_a_newer_one_fails(tmp_path: Path):
    def kept(**fields: Any) -> list[tuple[int | None, int | None]]:
        report.note(tmp_path, "digest", check(**fields))
        return [(note.vectors, note.differences) for note in report.read_notes(tmp_path, "digest").checks]

    assert kept(vectors=200, differences=0) == [(200, 0)]
    assert kept(vectors=20, differences=0) == [(200, 0)]
    assert kept(vectors=300, differences=0) == [(300, 0)]
    assert kept(vectors=2, differences=1) == [(2, 1)]
    assert kept(vectors=1, differences=0) == [(1, 0)]
    assert kept(name="another", vectors=1, differences=0) == [(1, 0), (1, 0)]


def test_the_board_is_compared_with_what_the_tool_reports(residual: Graph):
    used = SynthReport(
        tool="Vitis HLS 2023.2",
        stage="high-level synthesis",
        lut=26_600,
        ff=1,
        bram36=1.5,
        dsp=440,
        cycles_per_frame=50_000,
    )
    made = content(residual, synthesis=used)
    html = report.render(made, residual)
    assert made["fits"] is False
    assert "50.0 %" in html
    assert "200.0 %" in html
    assert "2,000" in html  # frames per second at 100 MHz
    assert "Vitis HLS is not here." not in html
