"""Sensitivities that are held to measured losses: layers by measurement, channels by the second-order term."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codesign.search import kept
from codesign.search.anchored import MIDDLE, WIDE, anchored
from codesign.search.measurements import Table
from codesign.search.space import Assignment, Space
from tests.unit.search_problem import Formula, problem, space

SPACE = space((4, 6, 8), schemes=("uniform", "post"))
TRUE = {"conv0": 5.0, "conv1": 0.2, "conv2": 1.0, "act1": 30.0, "act2": 0.5}
"""How far the second-order term is off, by layer and activation."""


def second(where: Space) -> Table:
    return Formula(where).sensitivity()


def true_loss(chosen: Assignment) -> float:
    """Rises of layers and activations by the second-order term times `TRUE`, added up."""
    table, total = second(SPACE), 0.0
    for layer in SPACE.layers:
        rows = table.weights[chosen.schemes.get(layer.name, "uniform")][layer.name]
        columns = [SPACE.weight_bits.index(bits) for bits in chosen.weights[layer.name]]
        total += TRUE[layer.name] * float(rows[np.arange(layer.channels), columns].sum())
    for activation in SPACE.activations:
        column = SPACE.activation_bits.index(chosen.activations[activation.name])
        total += TRUE[activation.name] * float(table.activations[activation.name][column])
    return total


def expected(theory: np.ndarray, least: float, factor: float, widths: tuple[int, ...]) -> list[float]:
    """Narrow widths as measured, wide ones as measured where that is less than the term."""
    factors = [factor if bits < WIDE else min(1.0, factor) for bits in widths]
    return [least + own * (float(rise) - least) for own, rise in zip(factors, theory, strict=True)]


def test_rises_are_as_measured_and_channels_share_them_as_theory_says():
    table, found = second(SPACE), anchored(SPACE, second(SPACE), true_loss)
    for kind, layers in found.weights.items():
        widths = SPACE.widths(kind)
        for name, rises in layers.items():
            theory, least = table.weights[kind][name], float(table.weights["uniform"][name][:, -1].sum())
            total = expected(theory.sum(0)[: len(widths)], least, TRUE[name], widths)
            assert rises.sum(0)[: len(widths)] == pytest.approx(total)
            assert rises.sum(0)[len(widths) :] == pytest.approx(theory.sum(0)[len(widths) :])
            assert rises == pytest.approx(theory / theory.sum(0) * rises.sum(0))
    for name, rises in found.activations.items():
        own = table.activations[name]
        assert rises == pytest.approx(expected(own, float(own[-1]), TRUE[name], SPACE.activation_bits))


def test_an_error_that_costs_nothing_is_none():
    """Weights that a supernet clips: a large error of all widths but the widest, and no loss by it."""
    table = second(SPACE)
    table.weights["uniform"]["conv1"][:, 1:-1] += 7.0
    found = anchored(SPACE, table, true_loss).weights["uniform"]["conv1"].sum(0)
    right = anchored(SPACE, second(SPACE), true_loss).weights["uniform"]["conv1"].sum(0)
    assert found[: WIDE + 1] == pytest.approx(right[: WIDE + 1])
    assert np.all(np.diff(found) <= 0)


def test_what_is_wider_is_not_worse():
    table = second(SPACE)
    table.weights["uniform"]["conv1"][:, 6] *= 100
    table.activations["act1"][5] *= 100
    found = anchored(SPACE, table, true_loss)
    assert np.all(np.diff(found.weights["uniform"]["conv1"].sum(0)) <= 0)
    assert np.all(np.diff(found.activations["act1"]) <= 0)


def test_one_part_is_measured_at_a_time_and_each_width_once():
    asked: list[Assignment] = []

    def loss(chosen: Assignment) -> float:
        asked.append(chosen)
        return 0.0

    anchored(SPACE, second(SPACE), loss)
    narrow = WIDE + 1  # 0 to 5 bits
    # And the widest, which is the same for both kinds of weights; the middle width of all of them is one network.
    parts = len(SPACE.layers) + len(SPACE.activations)
    assert len(asked) == len(SPACE.layers) * (2 * narrow + 1) + len(SPACE.activations) * narrow - parts + 1
    assert len({one.digest() for one in asked}) == len(asked)
    for one in asked:
        SPACE.check(one)
        others = [set(bits) != {MIDDLE} for bits in one.weights.values()]
        others += [bits != MIDDLE for bits in one.activations.values()]
        assert sum(others) <= 1


def test_noise_makes_nothing_better_by_being_narrower():
    generator = np.random.default_rng(1)
    found = anchored(SPACE, second(SPACE), lambda _: float(generator.normal()))
    for rises in [
        *found.activations.values(),
        *(rows.sum(0) for layers in found.weights.values() for rows in layers.values()),
    ]:
        assert np.all(np.diff(rises[:WIDE]) <= 1e-12)
        assert np.all(rises >= 0)


def test_a_space_of_few_widths_has_a_middle_and_a_reference_too():
    few = space((4, 6), weight_bits=(1, 2), activation_bits=(2, 8))
    table = Formula(few).sensitivity()
    found = anchored(few, table, lambda chosen: float(sum(sum(bits) == len(bits) for bits in chosen.weights.values())))
    for layer in few.layers:
        rises = found.weights["uniform"][layer.name].sum(0)
        assert rises[0] - rises[1] == pytest.approx(1.0)
    wide = space((4, 6), weight_bits=(6, 8), activation_bits=(6, 8))
    table = Formula(wide).sensitivity()
    same = anchored(wide, table, lambda _: 1 / 0)
    assert np.array_equal(same.activations["act1"], table.activations["act1"])
    assert same.weights["uniform"]["conv1"] == pytest.approx(table.weights["uniform"]["conv1"])


def test_channels_of_no_second_order_rise_share_alike():
    made = problem((2, 2)).space
    table = Formula(made).sensitivity()
    table.weights["uniform"]["conv0"][:] = 0
    found = anchored(made, table, lambda chosen: float(chosen.weights["conv0"] == (1, 1)))
    column = made.weight_bits.index(1)
    assert found.weights["uniform"]["conv0"][:, column] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("widths", [(0, 2, 4, 8), (1, 2, 6)])
def test_post_is_asked_for_widths_that_it_has(widths: tuple[int, ...]):
    where = space((4, 6), weight_bits=widths, schemes=("uniform", "post"))
    table = Formula(where).sensitivity()

    def loss(chosen: Assignment) -> float:
        where.check(chosen)
        return float(min(min(bits) for bits in chosen.weights.values()) == widths[0])

    found = anchored(where, table, loss)
    for layer in where.layers:
        rises = found.weights["post"][layer.name].sum(0)
        own = where.widths("post")
        # What is measured of POST is compared with the widest uniform weights.
        assert rises[0] == pytest.approx(table.weights["uniform"][layer.name][:, -1].sum() + 1)
        assert rises[len(own) :] == pytest.approx(table.weights["post"][layer.name].sum(0)[len(own) :])


def test_a_table_is_measured_once_and_kept_to_the_last_bit(tmp_path: Path):
    path, measured = tmp_path / "table.json", []

    def measure() -> Table:
        measured.append(True)
        return second(SPACE)

    first = kept.measured(path, Table, measure)
    again = kept.measured(path, Table, measure)
    assert len(measured) == 1
    for kind, layers in first.weights.items():
        for name, rows in layers.items():
            assert np.array_equal(again.weights[kind][name], rows)
    assert all(np.array_equal(again.activations[name], row) for name, row in first.activations.items())
    for damaged in (b"{", b'{"weights":{}}', b"\xff", b'{"weights":{},"activations":{"a":["b"]}}'):
        path.write_bytes(damaged)
        kept.measured(path, Table, measure)
    assert len(measured) == 5
