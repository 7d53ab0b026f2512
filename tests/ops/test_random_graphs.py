"""Random graphs through golden, C simulation and RTL: every integer of every edge is the same.

CODESIGN_SEED shifts the seeds (0 by default). A failure prints the seed and the graph; the same seed makes
the same graph again: ``codesign.verify.random_graphs.random_graph(seed)``.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from codesign import boards
from codesign.backends.rtl import choice
from codesign.ir import Graph
from codesign.verify.random_graphs import random_graph

FIRST = int(os.environ.get("CODESIGN_SEED", "0"))
QUICK, ALL = 40, 300

# The quick ones alternate between the I/O styles.
CASES = [
    pytest.param(seed, io_type, marks=[] if seed < FIRST + QUICK and seed % 2 == style else [pytest.mark.slow])
    for seed in range(FIRST, FIRST + ALL)
    for style, io_type in enumerate(["io_stream", "io_parallel"])
]


@pytest.mark.parametrize(("seed", "io_type"), CASES)
def test_equals_golden(seed, io_type, verify):
    graph = random_graph(seed)
    rng = np.random.default_rng(seed)
    options = {"io_type": io_type, "reuse_factor": int(rng.choice([1, 1, 2, 3, 4, 8, 100]))}
    print(f"seed {seed}, {options}\n{graph}")
    result = verify(graph, seed=seed, **options)
    assert result.differences == 0, f"seed {seed}: {result.first_difference}"


RTL_QUICK = 20


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[] if seed < FIRST + RTL_QUICK else [pytest.mark.slow])
        for seed in range(FIRST, FIRST + ALL)
    ],
)
def test_rtl_equals_golden(seed, verify_rtl):
    graph = random_graph(seed)
    cycles = int(np.random.default_rng(seed).choice([1, 50, 200, 1000]))
    print(f"seed {seed}, {cycles} cycles\n{graph}")
    verify_rtl(graph, cycles, seed)


def sharing(graph: Graph, blocks: int, port: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return folds with which outputs share multipliers of so many bits, for all layers that have such."""
    rng = np.random.default_rng(seed)
    candidates = choice.problem(graph, {}, 4, {}, port=port).candidates
    found = {name: [one for one in each if one.fold.shared] for name, each in candidates.items()}
    layers = {name: each for name, each in found.items() if each}
    chosen = {}
    for name, each in layers.items():
        fitting = [one.fold for one in each if one.cost["dsp"] <= blocks // len(layers)]
        if fitting:
            fold = fitting[rng.integers(len(fitting))]
            chosen[name] = {"pe": fold.pe, "simd": fold.simd, "window": fold.window, "shared": True}
    return chosen


@pytest.mark.parametrize(
    "seed",
    [pytest.param(s, marks=[] if s == FIRST + 5 else [pytest.mark.slow]) for s in range(FIRST, FIRST + 30)],
)
def test_rtl_whose_outputs_share_multipliers(seed, verify_rtl):
    graph, board = random_graph(seed), boards.load(["ulx3s-85f", "icebreaker", "tang-nano-20k"][seed % 3])
    folds = sharing(graph, board.dsp, 16 if board.name == "icebreaker" else 18, seed)
    print(f"seed {seed}, {board.name}, {folds}\n{graph}")
    verify_rtl(graph, 1000, seed, board=board.name, dsp=board.dsp, folds=folds)


def test_random_graphs_have_layers_whose_outputs_share_multipliers():
    assert sum(bool(sharing(random_graph(seed), 48, 18, seed)) for seed in range(10)) > 5


def test_the_same_seed_makes_the_same_graph():
    assert random_graph(5).same_as(random_graph(5))
    assert not random_graph(5).same_as(random_graph(6))
