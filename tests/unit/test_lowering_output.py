"""The logits: one common scale, and a bias that still counts where accumulators are narrow."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from codesign.frontends.logits import OUTPUT_BITS
from codesign.frontends.lowering import Lowering
from codesign.ir import IntType, golden

FEATURES, CLASSES = 6, 4


def logits(
    scales: list[float], bias: np.ndarray | None, bits: int, weights: np.ndarray
) -> tuple[np.ndarray, list[list[Fraction]], Fraction, set[str]]:
    """Integer logits of random frames, the exact real ones, the output's scale and the operators."""
    lowering = Lowering("logits")
    x = lowering.input((FEATURES,), IntType(bits, signed=True), [1.0], [0.0])
    y = lowering.dense(x, weights, scales, "dense", bias=bias)
    graph = lowering.finish(y, "dense")
    frames = np.random.default_rng(1).integers(-(1 << (bits - 1)), 1 << (bits - 1), (500, FEATURES))
    accumulators = frames @ weights
    shift = np.zeros(CLASSES) if bias is None else bias
    wide = scales * CLASSES if len(scales) == 1 else scales
    exact = [
        [Fraction(wide[c]) * int(row[c]) + Fraction(float(shift[c])) for c in range(CLASSES)] for row in accumulators
    ]
    factor = Fraction(graph.scales[graph.outputs[0]].factor)
    return golden.run(graph, frames), exact, factor, {node.op.name for node in graph}


@pytest.fixture
def weights() -> np.ndarray:
    return np.random.default_rng(2).integers(-1, 2, (FEATURES, CLASSES))


def test_powers_of_two_are_exact(weights: np.ndarray) -> None:
    found, exact, factor, _ = logits([0.5, 2.0, 0.25, 1.0], np.array([0.25, -1.5, 3.0, 0.75]), 4, weights)
    assert [[int(v) * factor for v in row] for row in found] == exact


def test_bias_between_the_levels_of_a_narrow_accumulator(weights: np.ndarray) -> None:
    found, exact, factor, operators = logits([0.5], np.array([0.1, 0.2, -0.15, 0.05]), 2, weights)
    assert "dyadic" in operators
    for row, real in zip(found, exact, strict=True):
        assert all(abs(int(v) * factor - r) <= factor / 2 for v, r in zip(row, real, strict=True))
        assert max(range(CLASSES), key=lambda c: row[c]) == max(range(CLASSES), key=lambda c: real[c])
    largest = max(abs(v) for real in exact for v in real)
    assert factor <= largest / (1 << (OUTPUT_BITS - 4))


def test_unrelated_scales_keep_the_order_of_narrow_logits(weights: np.ndarray) -> None:
    found, exact, factor, _ = logits([0.3, 0.37, 0.41, 0.29], np.array([0.1, 0.2, -0.15, 0.05]), 2, weights)
    for row, real in zip(found, exact, strict=True):
        assert all(abs(int(v) * factor - r) <= factor for v, r in zip(row, real, strict=True))
        best, second = sorted(real)[-1:-3:-1]
        if best - second > 2 * factor:
            assert int(np.argmax(row)) == real.index(best)


def test_wide_accumulators_and_exact_biases_need_no_operator(weights: np.ndarray) -> None:
    *_, operators = logits([0.5], np.array([0.5, 1.0, -1.5, 0.0]), 2, weights)
    assert operators == {"dense"}
    *_, operators = logits([0.5], np.array([0.1, 0.2, -0.15, 0.05]), 16, weights)
    assert operators == {"dense"}
