"""The report of a search shows what was found: every point in its place, every width, every limit."""

import re
import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest

from codesign.errors import UserError
from codesign.report import scatter, search_page, width_map
from codesign.report.numbers import count, short
from codesign.search import content
from codesign.search.run import search
from tests.unit.search_problem import problem

SVG = re.compile(r"<svg.*?</svg>", re.S)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    made = problem((4, 6, 16), budget=0.3, limits={"lut": 500, "dsp": 0}, schemes=("uniform", "post"))
    for name, seed in (("random", 0), ("random", 1), ("greedy", 0)):
        search(made, name, evaluations=12, seed=seed, folder=folder)
    search(problem((4, 6, 16), budget=0.2), "random", evaluations=3, folder=folder)
    return made, folder, content.collect(made, content.searches(folder, made), "a <b> & c", "Board 'x'")


def test_the_searches_of_this_problem_are_gathered_and_no_others(found):
    made, folder, shown = found
    assert [(one["strategy"], one["seed"], one["several"]) for one in shown["searches"]] == [
        ("greedy", 0, False),
        ("random", 0, True),
        ("random", 1, True),
    ]
    accuracies = [point[1] for one in shown["searches"] for point in one["points"]["bit_operations"]]
    assert shown["best"]["accuracy"] == max(accuracies)
    assert shown["best"]["strategy"] == "greedy"
    assert shown["limits"] == {"bit_operations": made.constraint.bit_operations, "lut": 500, "dsp": 0}
    assert sum(one["on_front"] for one in shown["searches"]) >= 1
    assert len(list(folder.glob("*.jsonl"))) == 4
    with pytest.raises(UserError, match="nothing has been evaluated yet"):
        content.collect(made, [], "m")


def test_what_is_chosen_and_what_was_trained_is_shown(found):
    made, folder, shown = found
    searches = content.searches(folder, made)
    chosen = next(evaluations for header, evaluations in searches if header.strategy == "random")[0]
    trained = [
        {
            "name": name,
            "proxy_accuracy": 61.5,
            "proxy_loss": 0.98765 if name == "one_found" else None,
            "validation_accuracy": 72.25,
            "accuracy": 73.75,
            "bit_operations": 12_345,
            "lut": 432.0,
            "cycles_per_frame": 999.0,
            "exceeds": exceeds,
        }
        for name, exceeds in (("one_found", []), ("two_found", ["lut"]))
    ]
    own = content.collect(made, searches, "m", None, chosen, trained)
    assert own["best"]["accuracy"] == chosen.accuracy
    assert own["best"]["strategy"] == "random"
    assert [tuple(row["bits"]) for row in own["layers"]] == [*chosen.assignment.weights.values()]
    page = search_page.render(own)
    assert "found by random" in page
    assert all(
        word in page for word in ("one_found", "trained too", "72.25", "73.75", "61.50", "0.9877", "12,345", "432")
    )
    assert "999" in page
    assert page.index("one_found") < page.index("trained too")
    assert "one_found" not in search_page.render(shown)


def test_accuracy_is_shown_against_each_cost_that_is_known(found):
    made, folder, shown = found
    # All candidates take as many clocks here, which is nothing to look at.
    assert shown["axes"] == ["bit_operations", "lut"]
    every = [one for _, evaluations in content.searches(folder, made) for one in evaluations]
    points = [point for one in shown["searches"] for point in one["points"]["lut"]]
    assert sorted(points) == sorted((one.cost["lut"], one.accuracy) for one in every)
    for one in shown["searches"]:
        costs = [cost for cost, _ in one["front"]["lut"]]
        assert costs == sorted(costs)
        assert set(one["front"]["lut"]) <= set(one["points"]["lut"])
    page = search_page.render(shown)
    assert page.count('<svg class="scatter"') == 2
    assert "objective <code>accuracy</code>" in page


def test_halves_of_block_memories_are_told(found):
    shown = {**found[2], "limits": {"bram36": 140.0}}
    shown["best"] = {**shown["best"], "cost": {"bram36": 27.5}}
    page = search_page.render(shown)
    assert ">27.5<" in page
    assert ">140<" in page


def test_a_limit_that_nothing_comes_near_to_presses_nothing_together(found):
    shown = {**found[2], "limits": {"lut": 53200.0}}
    assert 'class="limit"' not in search_page.render(shown)
    assert 'class="limit"' in search_page.render(found[2])


def test_what_is_no_journal_is_passed_over(found):
    made, folder, _ = found
    before = content.searches(folder, made)
    (folder / "other.jsonl").write_bytes(b'{"asked":"\xff\xfe"}\n')
    assert content.searches(folder, made) == before
    (folder / "other.jsonl").unlink()


def test_what_each_width_bought_adds_up(found):
    made, folder, shown = found
    best = max(
        (one for _, every in content.searches(folder, made) for one in every),
        key=lambda one: (made.score(one), -one.bit_operations),
    )
    assert sum(row["bit_operations"] for row in shown["layers"]) == best.bit_operations
    memory = sum(layer.weights * sum(best.assignment.weights[layer.name]) for layer in made.space.layers)
    assert sum(row["memory"] for row in shown["layers"]) == memory
    errors = made.evaluator.errors(best.assignment)
    for row, layer in zip(shown["layers"], made.space.layers, strict=True):
        assert tuple(row["bits"]) == best.assignment.weights[layer.name]
        assert row["rise"] == pytest.approx(errors[layer.name])
        assert row["narrower"] >= row["rise"]
        lowered = sum(bits > 1 for bits in row["bits"])
        assert row["saved"] == layer.macs * row["reads"] * lowered
    by_name = {layer.name: layer for layer in made.space.layers}
    assert [row["name"] for row in shown["activations"]] == [one.name for one in made.space.activations]
    for row in shown["activations"]:
        bits = best.assignment.activations[row["name"]]
        fewer = max(bits - 1, 1)
        assert row["bits"] == bits
        assert row["rise"] == pytest.approx(errors[row["name"]])
        assert row["narrower"] == pytest.approx(errors[row["name"]] * 4.0 ** (bits - fewer))
        lowered = {**best.assignment.activations, row["name"]: fewer}
        less = made.space.bit_operations(msgspec.structs.replace(best.assignment, activations=lowered))
        assert row["saved"] == best.bit_operations - less
        assert all(by_name[name].activation == row["name"] for name in row["readers"])
        assert row["readers"]
    page = search_page.render(shown)
    for row in shown["activations"]:
        cells = (row["bits"], ", ".join(row["readers"]), *(f"{row[name]:.3g}" for name in ("rise", "narrower")))
        told = r"\s*".join(f"<td[^>]*>{cell}</td>" for cell in (*cells, short(row["saved"])))
        assert re.search(rf"<code>{row['name']}</code></td>\s*{told}", page)


def test_the_page_is_whole_escaped_and_the_same_each_time(found, tmp_path):
    _, _, shown = found
    page = search_page.render(shown)
    assert page == search_page.render(shown)
    assert "<b>" not in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "500" in page
    assert "2×" in page or "1×" in page
    for drawn in SVG.findall(page):
        ET.fromstring(drawn)
    assert search_page.write(tmp_path, shown).read_text() == page
    classes = set(re.findall(r'class="(bits\d|colour\d)', page))
    style = page.split("<style>")[1].split("</style>")[0]
    assert all(f".{name}" in style for name in classes)


def numbers(pattern, text):
    return np.array([[float(each) for each in match] for match in re.findall(pattern, text)])


def test_points_lie_where_their_values_are():
    front = [(100.0, 10.0), (1000.0, 20.0), (10000.0, 30.0)]
    series = [
        scatter.Series("one", front, front),
        scatter.Series("two", [(1000.0, 15.0), (500.0, 1.0)], [(1000.0, 15.0)]),
    ]
    drawn = scatter.svg(series, "cost", "accuracy", limit=10000.0)
    first, second = re.findall(
        r'<g class="series colour\d"><title>.*?</g></g>|<g class="series colour\d"><title>.*?</g>.*?</g>', drawn
    )[:2]
    marks = numbers(r'cx="([\d.]+)" cy="([\d.]+)" r="4.2"', first)
    # Equal factors are equal distances; equal differences are equal heights, upwards.
    assert np.diff(marks[:, 0]) == pytest.approx([np.diff(marks[:, 0])[0]] * 2, abs=0.11)
    assert np.diff(marks[:, 1]) == pytest.approx([np.diff(marks[:, 1])[0]] * 2, abs=0.11)
    assert np.diff(marks[:, 1])[0] < 0 < np.diff(marks[:, 0])[0]
    other = numbers(r'cx="([\d.]+)" cy="([\d.]+)" r="4.2"', second)[0]
    assert other == pytest.approx([marks[1, 0], (marks[0, 1] + marks[1, 1]) / 2], abs=0.11)
    # The limit stands at its value; the point below every front is left out.
    limit = float(re.search(r'class="limit" d="M([\d.]+)', drawn)[1])
    assert limit == pytest.approx(marks[2, 0], abs=0.06)
    assert len(re.findall(r'r="2.2"', drawn)) == 4


def test_a_plot_of_a_single_point_and_of_many_series_is_drawn():
    ET.fromstring(scatter.svg([scatter.Series("<one>", [(5, 50)], [(5, 50)])], "x", "y"))
    many = [scatter.Series(f"s{i}", [(i + 1, i)], [(i + 1, i)]) for i in range(14)]
    drawn = scatter.svg(many, "x", "y")
    ET.fromstring(drawn)
    # Six colours times three shapes tell them apart.
    looks = re.findall(r'<g class="series (colour\d)"><(circle|rect|path)', drawn)
    assert len(set(looks)) == 14


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (71.2, 74.9, [72, 73, 74]), (0.001, 0.0047, [0.001, 0.002, 0.003, 0.004])],
)
def test_ticks_are_round(low, high, expected):
    assert scatter.ticks(low, high) == pytest.approx(expected)


def test_logarithmic_ticks_and_short_numbers():
    assert scatter.logarithmic_ticks(9, 110) == [10, 15, 20, 30, 50, 70, 100]
    assert scatter.logarithmic_ticks(1, 1e6) == [10.0**n for n in range(7)]
    assert [short(x) for x in (12, 1500, 2.5e6, 3e9, 0)] == ["12", "1.5k", "2.5M", "3G", "0"]
    assert [short(x) for x in (999.4, 999.9, 999_499, 999_999, 9.996e8)] == ["999", "1k", "999k", "1M", "1G"]
    assert [count(x) for x in (0, 10, 2.5, 1 / 9, 12_300)] == ["0", "10", "2.5", "0.11", "12,300"]


def test_the_map_has_every_width_in_its_place():
    rows = [width_map.Row("conv0", 8, [0, 1, 1, 4]), width_map.Row("a" * 40, 2, [8] * 200)]
    drawn = width_map.svg(rows)
    ET.fromstring(drawn)
    cells = re.findall(r'<rect class="bits(\d)" x="([\d.]+)" y="(\d+)" width="([\d.]+)".*?<title>(.*?)</title>', drawn)
    first = [(int(bits), title) for bits, _, top, _, title in cells if top == "26"]
    assert first == [
        (8, "conv0 reads 8 bits"),
        (0, "conv0, channel 0: pruned"),
        (1, "conv0, channels 1 to 2: 1 bit"),
        (4, "conv0, channel 3: 4 bits"),
    ]
    # The widest layer fits, and a channel is as wide in every row.
    wide = next(cell for cell in cells if cell[4].endswith("channels 0 to 199: 8 bits"))
    assert float(wide[1]) + float(wide[3]) <= 860
    assert float(cells[2][3]) == pytest.approx(2 * float(wide[3]) / 200, abs=0.02)
    assert "…" in drawn
