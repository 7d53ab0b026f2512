"""Random graphs through golden, C simulation and RTL: every integer of every edge is the same.

CODESIGN_SEED shifts the seeds (0 by default). A failure prints the seed and the graph; the same seed makes
the same graph again: ``codesign.verify.random_graphs.random_graph(seed)``.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

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


def test_the_same_seed_makes_the_same_graph():
    assert random_graph(5).same_as(random_graph(5))
    assert not random_graph(5).same_as(random_graph(6))
