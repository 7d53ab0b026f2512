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


def test_narrow_widths_rise_as_measured_and_channels_share_as_theory_says():
    table, found = second(SPACE), anchored(SPACE, second(SPACE), true_loss)
    for kind, layers in found.weights.items():
        for name, rises in layers.items():
            theory = table.weights[kind][name]
            for column, bits in enumerate(SPACE.weight_bits):
                shares = theory[:, column] / theory[:, column].sum()
                assert rises[:, column] == pytest.approx(shares * rises[:, column].sum())
                if bits >= WIDE:
                    assert rises[:, column] == pytest.approx(theory[:, column])
            narrow = [index for index, bits in enumerate(SPACE.weight_bits) if bits < WIDE]
            measured = rises.sum(0)[narrow] - rises.sum(0)[narrow[-1] + 1]
            expected = theory.sum(0)[narrow] - theory.sum(0)[narrow[-1] + 1]
            assert measured == pytest.approx(TRUE[name] * expected)
    for name, rises in found.activations.items():
        assert rises[0] - rises[WIDE - 1] == pytest.approx(
            TRUE[name] * (table.activations[name][0] - table.activations[name][WIDE - 1])
        )


def test_one_part_is_measured_at_a_time_and_each_width_once():
    asked: list[Assignment] = []

    def loss(chosen: Assignment) -> float:
        asked.append(chosen)
        return 0.0

    anchored(SPACE, second(SPACE), loss)
    narrow = WIDE + 1  # 0 to 5 bits
    assert len(asked) == 2 * len(SPACE.layers) * narrow + len(SPACE.activations) * (narrow - 1)
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
        assert rises[0] - rises[len(own) - 1] == pytest.approx(1.0)
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
