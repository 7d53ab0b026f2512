"""The program over measured losses and sizes of layers: its optimum is that of trying everything."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from codesign.estimate import Amount
from codesign.search import knapsack
from codesign.search.measurements import PairCosts, PairSizes
from codesign.search.problem import Constraint, Problem
from codesign.search.profile import pair_costs
from codesign.search.run import search
from codesign.search.space import ActivationLayer, Assignment, Space
from codesign.search.strategies.profiled import Profiled
from tests.unit.search_problem import Formula, problem, space

SMALL = space((3, 4, 5), weight_bits=(0, 1, 2, 4), activation_bits=(1, 2, 4), schemes=("uniform", "post"))

FEW = space((3, 4), weight_bits=(0, 1, 2, 4), activation_bits=(1, 2, 4), schemes=("uniform", "post"))


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


Bare = tuple[bool, ...]
"""For each layer whether it has no multiplier blocks."""


def modelled(where: Space, costs: PairCosts, chosen: Assignment, bare: Bare) -> tuple[float, float]:
    """What a choice takes by the tables, in sixteenths: lookup tables and blocks."""

    def parts(value: float) -> int:
        return int(np.rint(16 * value))

    lut, dsp = 16 * int(np.ceil(costs.lut.rest)), parts(costs.dsp.rest)
    for layer, without in zip(where.layers, bare, strict=True):
        kind, row = chosen.schemes.get(layer.name, "uniform"), where.weight_bits.index(chosen.weights[layer.name][0])
        read = -1 if layer.activation is None else where.activation_bits.index(chosen.activations[layer.activation])
        own = costs.bare if without else costs.lut
        assert own is not None
        lut += parts(own.layers[kind][layer.name][row, read])
        dsp += 0 if without else parts(costs.dsp.layers[kind][layer.name][row, read])
    for name, bits in chosen.activations.items():
        column = where.activation_bits.index(bits)
        lut += parts(costs.lut.activations[name][column])
        dsp += parts(costs.dsp.activations[name][column])
    return lut / 16, dsp / 16


def lumpy(where: Space, bare: bool = False) -> PairCosts:
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

    return PairCosts(sizes(40), sizes(20), sizes(60) if bare else None)


@pytest.mark.parametrize("by", ["bit operations", "lookup tables", "multiplier blocks too", "layers without blocks"])
def test_the_optimum_is_that_of_trying_everything(by: str):
    where = FEW if by == "layers without blocks" else SMALL
    formula = Formula(where)
    costs = None if by == "bit operations" else lumpy(where, bare=where is FEW)
    bares = list(itertools.product(*([False, True] if where is FEW else [False] for _ in where.layers)))
    every = list(itertools.product(everything(where), bares))
    taken = [
        (float(where.bit_operations(one)), 0.0) if costs is None else modelled(where, costs, one, bare)
        for one, bare in every
    ]
    limit = int(np.quantile([blocks for _, blocks in taken], 0.2)) if by.endswith(("too", "blocks")) else None
    program = Profiled(where, formula.sensitivity(), costs, limit)
    losses = [sum(formula.errors(one).values()) for one, _ in every]
    holds = [limit is None or blocks <= limit for _, blocks in taken]
    held = [lut for (lut, _), hold in zip(taken, holds, strict=True) if hold]
    assert program.solve(int(np.ceil(min(held))) - 1) == []
    cheapest = int(np.ceil(min(held)))
    assert cheapest <= program.least <= (cheapest if limit is None else 1.02 * cheapest + 1)
    assert program.solve(program.least) != []
    bound = False
    for budget in np.ceil(np.quantile(held, [0, 0.01, 0.1, 0.4, 1])):
        (found,) = program.solve(int(budget))
        where.check(found)
        within = [(loss, hold) for loss, (lut, _), hold in zip(losses, taken, holds, strict=True) if lut <= budget]
        best = min(loss for loss, hold in within if hold)
        bound = bound or best > min(within)[0]
        assert sum(formula.errors(found).values()) == pytest.approx(best)
        own = [place for place, (one, _) in enumerate(every) if one == found]
        assert any(taken[place][0] <= budget and holds[place] for place in own)
    assert bound == (limit is not None)
    if costs is not None:
        (widest,) = program.solve(program.most)
        assert sum(formula.errors(widest).values()) == pytest.approx(best)


def test_the_least_budget_is_one_with_a_solution_where_cheap_choices_need_blocks(monkeypatch: pytest.MonkeyPatch):
    costs = lumpy(FEW, bare=True)
    rise = Formula(FEW).sensitivity()
    blocks = int(np.ceil(costs.dsp.rest + sum(rows[0] for rows in costs.dsp.activations.values()))) + 1
    free, held = (Profiled(FEW, rise, costs, limit) for limit in (None, blocks))
    assert held.least > 1.02 * free.least + 1
    assert held.solve(held.least) != []
    # Where branch and bound is cut off at once, nothing fails.
    monkeypatch.setattr(knapsack, "solve", lambda groups, room, second=None: None)
    assert held.most >= held.least


def test_where_no_choice_keeps_to_the_blocks_by_the_tables_the_fewest_are_taken():
    costs = lumpy(SMALL)
    (found,) = (none := Profiled(SMALL, Formula(SMALL).sensitivity(), costs, 0)).solve(none.most)
    blocks = [modelled(SMALL, costs, one, (False,) * 3)[1] for one in everything(SMALL)]
    assert modelled(SMALL, costs, found, (False,) * 3)[1] == min(blocks) > 0


def test_the_limit_of_blocks_is_that_of_the_problem(monkeypatch: pytest.MonkeyPatch):
    """With few blocks the first candidate is another one."""
    costs = lumpy(SMALL, bare=True)
    monkeypatch.setattr(Formula, "pair_costs", lambda self: costs)
    monkeypatch.setattr(Formula, "cost", lambda self, one: {"lut": 0.0, "dsp": 0.0})
    formula, first = Formula(SMALL), []
    every = [modelled(SMALL, costs, one, (True,) * 3)[0] for one in everything(SMALL)]
    for blocks in (1000.0, 45.0):
        limits = {"lut": float(np.quantile(every, 0.1)), "dsp": blocks}
        found = search(Problem(SMALL, Constraint(None, limits), formula), "profiled", evaluations=1)
        first.append(found.evaluations[0].assignment)
    assert first[0] != first[1]


def test_nothing_is_pruned_where_post_has_no_width_of_its_own():
    where = space((4, 6, 8), weight_bits=(0, 6, 8), schemes=("uniform", "post"))
    program = Profiled(where, Formula(where).sensitivity(), None)
    assert program.solve(program.fixed + 1) == []


@pytest.mark.parametrize("share", [0.3, 0.9, 1.0])
def test_within_fewer_bit_operations_than_the_cheapest_choice_takes_that_one_is_pruned(share: float):
    made = problem((4, 6, 8), budget=None)
    fixed = made.space.fixed_bit_operations
    least = Profiled(made.space, made.evaluator.sensitivity(), None).least
    budget = fixed + int(share * (least - fixed))
    found = search(Problem(made.space, Constraint(budget), made.evaluator), "profiled", evaluations=12)
    assert found.best is not None
    assert found.best.bit_operations <= budget
    assert found.best.repaired == any(0 in bits for bits in found.best.assignment.weights.values()) == (share < 1)


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
        factor = dict.fromkeys(chosen.schemes, 2)
        luts = {"conv0": 10, "conv1": 7 * read, "act1": 100 * read, "": 5, "add": 3}
        operators = [
            SimpleNamespace(
                label=name, amount=Amount(lut=lut * factor.get(name, 1) * max(chosen.weights.get(name, (1,))), dsp=read)
            )
            for name, lut in luts.items()
        ]
        return SimpleNamespace(operators=operators)

    found = pair_costs(where, estimated, estimated)  # type: ignore[arg-type]
    assert len(asked) == 2 * (5 * 3 + 4 * 3)
    assert found.bare is not None
    assert found.bare.rest == found.lut.rest
    widths, reads = np.array([0, 1, 2, 4, 8]), np.array([1, 2, 8])
    assert found.lut.layers["uniform"]["conv1"] == pytest.approx(7.0 * widths[:, None] * reads)
    assert found.lut.layers["uniform"]["conv0"] == pytest.approx(10.0 * np.repeat(widths[:, None], 3, axis=1))
    # POST has no 8 bits: there the value of its widest stands.
    assert found.lut.layers["post"]["conv0"][:, 0] == pytest.approx([0, 20, 40, 80, 80])
    assert found.lut.activations["act1"] == pytest.approx(100.0 * reads)
    assert found.lut.rest == pytest.approx(8.0)
    assert found.dsp.layers["uniform"]["conv0"] == pytest.approx(np.tile(reads, (5, 1)))
    # The rest takes twice what is read: what depends on that is a part of the activation.
    assert found.dsp.rest == pytest.approx(2)
    assert found.dsp.activations["act1"] == pytest.approx(reads + 2 * (reads - 1))


def test_what_else_depends_on_the_widths_of_weights_is_a_part_of_the_layers():
    where = space((3, 4), weight_bits=(0, 1, 2, 4), activation_bits=(1, 2, 4), schemes=("uniform", "post"))

    def luts(chosen: Assignment) -> dict[str, float]:
        bits, read = chosen.weights["conv0"][0], chosen.activations["act1"]
        return {"conv0": 10.0 * bits, "conv1": 20.0 * bits, "act1": 6.0 * bits + 9.0 * bits * read, "": 5.0 * read}

    def estimated(chosen: Assignment) -> SimpleNamespace:
        operators = [SimpleNamespace(label=name, amount=Amount(lut=lut)) for name, lut in luts(chosen).items()]
        return SimpleNamespace(operators=operators)

    found = pair_costs(where, estimated).lut  # type: ignore[arg-type]
    for (row, bits), (column, read) in itertools.product(
        enumerate(where.weight_bits), enumerate(where.activation_bits)
    ):
        own = [found.layers["uniform"][name][row, column] for name in ("conv0", "conv1")]
        others = found.rest + found.activations["act1"][column]
        whole = sum(luts(where.uniform(bits, read)).values())
        assert sum(own) == pytest.approx(max(whole - others, 0) if bits else 0)
        assert own[1] == pytest.approx(2 * own[0])
