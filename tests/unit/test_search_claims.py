"""What is claimed of the strategies, measured: AutoQB, QBitOpt and OHQ."""

from __future__ import annotations

import time

import msgspec
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

from codesign import zoo
from codesign.data import _fetch
from codesign.quant import fused
from codesign.search.problem import Constraint, Problem
from codesign.search.run import search
from codesign.search.space_of import space_of
from codesign.search.strategies import qbitopt
from codesign.search.supernet import ModelEvaluator
from codesign.train import supernet
from codesign.train.evaluate import plain
from tests.unit.search_problem import Formula, problem

HAS_CIFAR10 = any(folder.is_dir() for folder in _fetch.folders("cifar10"))


def best(made, name, evaluations, seed):
    return made.score(search(made, name, evaluations=evaluations, seed=seed).best)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_autoqb_finds_no_less_than_chance_and_greedy_with_as_many_evaluations(seed):
    made = problem((4, 6, 6, 8), coupling=0.5)
    found = best(made, "autoqb", 60, seed)
    assert found >= best(made, "greedy", 60, seed)
    assert found > best(made, "random", 60, seed) + 0.1


def held_to(seed, bits):
    """A problem with the bit operations of uniform widths, and the accuracy of those."""
    whole = problem((8, 16, 16, 32), budget=None, seed=seed, coupling=0.5)
    uniform = whole.space.uniform(bits, bits)
    made = Problem(whole.space, Constraint(whole.space.bit_operations(uniform)), whole.evaluator)
    return made, whole.evaluator.accuracy(uniform)


@pytest.mark.parametrize("seed", range(5))
def test_qbitopt_is_as_good_as_uniform_widths_of_4_bits_and_better_than_those_of_3(seed):
    """Within their bit operations, of a loss that is no sum of the table's entries."""
    for bits, least in ((4, -0.1), (3, 0.5)):
        made, uniform = held_to(seed, bits)
        found = search(made, "qbitopt", evaluations=8).best
        assert found.bit_operations <= made.constraint.bit_operations
        assert found.accuracy >= uniform + least


@pytest.mark.parametrize(("solver", "share"), [("relaxed", 0.01), ("exact", 0.02)])
def test_solving_for_widths_takes_a_small_part_of_an_epoch(solver, share):
    """Of ResNet-8 on CIFAR-10, by the processor's clock: an epoch is 390 steps of 128 images each.

    The paper says less than a hundredth, of its closed form. The integer program takes about 0.7 %.
    """
    model = zoo.load("resnet8_fp")
    space = space_of(model)
    network = model.module().train()
    generator = torch.Generator().manual_seed(0)
    images, labels = torch.randn(128, 3, 32, 32, generator=generator), torch.randint(10, (128,), generator=generator)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = []
        for _ in range(2):
            begin = time.process_time()
            F.cross_entropy(plain(network(images)), labels).backward()
            steps.append(time.process_time() - begin)
    finally:
        torch.set_num_threads(before)
    solves = []
    for bits in (3, 4):
        made = Problem(space, Constraint(space.bit_operations(space.uniform(bits, bits))), Formula(space))
        strategy = qbitopt.strategy(made, 0, 10, solver=solver)
        begin = time.process_time()
        assert strategy.solve(made.bit_operation_budget)
        solves.append(time.process_time() - begin)
    assert np.mean(solves) < share * 390 * min(steps)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_CIFAR10, reason="CIFAR-10 is not there")
def test_masking_tells_which_layers_2_bits_hurt(tmp_path, monkeypatch):
    """ResNet-8 on CIFAR-10: Spearman's ρ of OHQ's sensitivity and the drop with that layer alone at 2 bits.

    The weights are the float ones, with the steps that fit them best. On digits the drops are within the noise of the
    few hundred images that there are, and tell nothing.
    """
    monkeypatch.setattr(fused, "LEAST", 1 << 60)  # compiling takes longer than all that is computed here
    model = zoo.load("resnet8_fp")
    training = supernet._Training(model, tmp_path, supernet.SupernetRecipe(epochs=1), resume=False, progress=False)
    training.epoch = 1
    training.run()
    evaluator = ModelEvaluator("resnet8_fp", tmp_path, images=1000)
    space = evaluator.space
    widest = space.uniform(8, 8)
    whole = evaluator.accuracy(widest)
    drops = [
        whole - evaluator.accuracy(msgspec.structs.replace(widest, weights=widest.weights | {layer.name: narrow}))
        for layer in space.layers
        for narrow in [(2,) * layer.channels]
    ]
    sensitivity = evaluator.masking()
    assert len(drops) == 8
    assert max(drops) > 2
    assert spearmanr([sensitivity[layer.name] for layer in space.layers], drops).statistic >= 0.6
