"""The program over measured losses and sizes of layers: its optimum is that of trying everything."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from codesign.estimate import Amount
from codesign.search.measurements import PairCosts, PairSizes
from codesign.search.problem import Constraint, Problem
from codesign.search.profile import pair_costs
from codesign.search.run import search
from codesign.search.space import ActivationLayer, Assignment, Space
from codesign.search.strategies.profiled import Profiled
from tests.unit.search_problem import Formula, problem, space

SMALL = space((3, 4, 5), weight_bits=(0, 1, 2, 4), activation_bits=(1, 2, 4), schemes=("uniform", "post"))


def everything(where: Space) -> list[Assignment]:
    """Every choice of one width and kind for each layer, none of them pruned."""
    kinds = [(kind, bits) for kind in where.schemes for bits in where.widths(kind) if bits]
    found = []
    for choice in itertools.product(kinds, repeat=len(where.layers)):
        weights = {layer.name: (bits,) * layer.channels for layer, (_, bits) in zip(where.layers, choice, strict=True)}
        schemes = {layer.name: kind for layer, (kind, _) in zip(where.layers, choice, strict=True) if kind != "uniform"}
        for reads in itertools.product(where.activation_bits, repeat=len(where.activations)):
            acts = {one.name: bits for one, bits in zip(where.activations, reads, strict=True)}
            found.append(Assignment(weights, acts, schemes))
    return found


def modelled(where: Space, sizes: PairSizes, chosen: Assignment) -> int:
    """What a choice takes by the tables, each number rounded up."""
    total = int(np.ceil(sizes.rest))
    for layer in where.layers:
        kind = chosen.schemes.get(layer.name, "uniform")
        read = -1 if layer.activation is None else where.activation_bits.index(chosen.activations[layer.activation])
        total += int(
            np.ceil(sizes.layers[kind][layer.name][where.weight_bits.index(chosen.weights[layer.name][0]), read])
        )
    for name, bits in chosen.activations.items():
        total += int(np.ceil(sizes.activations[name][where.activation_bits.index(bits)]))
    return total


def lumpy(where: Space) -> PairCosts:
    """Tables that are no product of widths, the kinds of weights and the activations with sizes of their own."""
    generator = np.random.default_rng(5)
    shape = len(where.weight_bits), len(where.activation_bits)

    def sizes(most: float) -> PairSizes:
        layers = {
            kind: {layer.name: np.cumsum(generator.uniform(1, most, shape), axis=0) for layer in where.layers}
            for kind in where.schemes
        }
        activations = {one.name: np.cumsum(generator.uniform(1, 9, shape[1])) for one in where.activations}
        return PairSizes(layers, activations, 12.5)

    return PairCosts(sizes(40), sizes(20))


@pytest.mark.parametrize("by", ["bit operations", "lookup tables", "lookup tables and multiplier blocks"])
def test_the_optimum_is_that_of_trying_everything(by: str):
    formula = Formula(SMALL)
    costs = None if by == "bit operations" else lumpy(SMALL)
    every = everything(SMALL)
    blocks = [0] * len(every) if costs is None else [modelled(SMALL, costs.dsp, one) for one in every]
    limit = int(np.quantile(blocks, 0.2)) if by.endswith("blocks") else None
    program = Profiled(SMALL, formula.sensitivity(), costs, limit)
    taken = [SMALL.bit_operations(one) if costs is None else modelled(SMALL, costs.lut, one) for one in every]
    losses = [sum(formula.errors(one).values()) for one in every]
    holds = [limit is None or each <= limit for each in blocks]
    assert program.solve(min(cost for cost, hold in zip(taken, holds, strict=True) if hold) - 1) == []
    bound = False
    for budget in np.quantile([cost for cost, hold in zip(taken, holds, strict=True) if hold], [0, 0.01, 0.1, 0.4, 1]):
        (found,) = program.solve(int(budget))
        SMALL.check(found)
        within = [(loss, hold) for loss, cost, hold in zip(losses, taken, holds, strict=True) if cost <= int(budget)]
        best = min(loss for loss, hold in within if hold)
        bound = bound or best > min(within)[0]
        assert sum(formula.errors(found).values()) == pytest.approx(best)
        assert taken[every.index(found)] <= budget
        assert holds[every.index(found)]
    assert bound == (limit is not None)


def test_lookup_tables_are_what_counts_where_they_are_limited_and_bit_operations_are_not():
    made = problem((4, 6, 8), budget=None)
    widest = made.evaluator.cost(made.space.uniform(8, 8))["lut"]
    limited = Problem(made.space, Constraint(None, {"lut": widest / 3}), made.evaluator)
    found = search(limited, "profiled", evaluations=40)
    assert found.best.cost["lut"] <= widest / 3
    assert not found.best.repaired
    assert found.best.cost["lut"] > 0.9 * widest / 3
    assert found.best.accuracy >= search(limited, "uniform", evaluations=64).best.accuracy


def test_a_board_that_holds_anything_is_no_reason_to_stop_at_the_widest():
    made = problem((4, 6, 8), budget=None, limits={"lut": 1e9})
    found = search(made, "profiled", evaluations=12)
    assert len(found.evaluations) == 12
    sizes = [one.cost["lut"] for one in found.evaluations]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0] / 3


def test_an_activation_without_readers_has_its_own_best_width():
    lonely = msgspec.structs.replace(SMALL, activations=(*SMALL.activations, ActivationLayer("lonely", 2, 2)))
    formula = Formula(lonely)
    (found,) = Profiled(lonely, formula.sensitivity(), None).solve(10**9)
    assert found.activations["lonely"] == 4


def test_tables_are_those_of_estimates_by_label():
    where = space((3, 4), weight_bits=(0, 1, 2, 4, 8), activation_bits=(1, 2, 8), schemes=("uniform", "post"))
    asked = []

    def estimated(chosen: Assignment) -> SimpleNamespace:
        asked.append(chosen)
        read = chosen.activations["act1"]
        factor = 2 if chosen.schemes else 1
        luts = {"conv0": 10, "conv1": 7 * read, "act1": 100 * read, "": 5, "add": 3}
        operators = [
            SimpleNamespace(label=name, amount=Amount(lut=lut * factor * max(chosen.weights.get(name, (1,))), dsp=read))
            for name, lut in luts.items()
        ]
        return SimpleNamespace(operators=operators)

    found = pair_costs(where, estimated)  # type: ignore[arg-type]
    assert len(asked) == 5 * 3 + 4 * 3
    widths, reads = np.array([0, 1, 2, 4, 8]), np.array([1, 2, 8])
    assert found.lut.layers["uniform"]["conv1"] == pytest.approx(7.0 * widths[:, None] * reads)
    assert found.lut.layers["uniform"]["conv0"] == pytest.approx(10.0 * np.repeat(widths[:, None], 3, axis=1))
    # POST has no 8 bits: there the value of its widest stands.
    assert found.lut.layers["post"]["conv0"][:, 0] == pytest.approx([0, 20, 40, 80, 80])
    assert found.lut.activations["act1"] == pytest.approx(100.0 * reads)
    assert found.lut.rest == pytest.approx(8.0)
    assert found.dsp.layers["uniform"]["conv0"] == pytest.approx(np.tile(reads, (5, 1)))
    assert found.dsp.rest == pytest.approx(2 * np.mean(reads))
