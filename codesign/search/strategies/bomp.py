"""BOMP: Bayesian optimisation of the widths, layer by layer.

A point has the mean width of each layer's weights and the width of each activation. A Gaussian process (Matérn 5/2) is
fitted to the scores so far, and the points with the highest expected improvement are evaluated next; within a batch the
process is told its own expectation for the points already taken. A point whose candidate was asked for before is passed
over, as several points round to one. The first candidates are random. Within a layer the bits go where the sensitivity
says that they serve most, if that is measured; else the channels at the front get the wider of the two widths next to
the mean.

A reconstruction of the search of widths; architecture is not searched here. The paper trains each candidate, at last
with quantisation, before it is scored, and holds that to be what makes small networks good. Here the supernet takes the
place of that fine-tuning: its weights, trained once, have learned to work at many widths, and a candidate is evaluated
as it is. The paper's score subtracts λ·max(0, log2(size / reference)); here the budget is a constraint, and costs are
weighed by the objective.

References
----------
van Son et al., BOMP-NAS: Bayesian optimization mixed precision NAS, DATE 2023 (arXiv 2301.11810).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search.coordinates import Coordinates, nearest
from codesign.search.fresh import Fresh
from codesign.search.measurements import MeasuresSensitivity
from codesign.search.problem import Evaluation, Problem
from codesign.search.program import Sums, channel_sums
from codesign.search.repair import within_budget
from codesign.search.space import Assignment

_Count = Annotated[int, msgspec.Meta(ge=1)]
_FAR, _NEAR, _BEST = 512, 1024, 8
"""Points among which the expected improvement is compared: at random, and near the best ones."""
_WINDOW = 256
"""Evaluations that the process is fitted to: the best and the latest; its time grows with their cube."""


class Bomp:
    """Bayesian optimisation.

    Parameters
    ----------
    problem : Problem
    seed, warm_up, batch : int
    """

    def __init__(self, problem: Problem, seed: int, warm_up: int, batch: int) -> None:
        space = problem.space
        self._problem, self._warm_up, self._batch = problem, warm_up, batch
        self._coordinates = Coordinates(space)
        self._generator = np.random.default_rng(seed)
        self._low = np.array(
            [next(bits for bits in space.weight_bits if bits)] * len(space.layers)
            + [space.activation_bits[0]] * len(space.activations),
            dtype=float,
        )
        self._high = np.array(
            [space.weight_bits[-1]] * len(space.layers) + [space.activation_bits[-1]] * len(space.activations),
            dtype=float,
        )
        self._sums: list[Sums] | None = None
        if problem.offers(MeasuresSensitivity):
            rise = problem.measures(MeasuresSensitivity, "bomp").sensitivity()
            self._sums = [channel_sums(space, layer, rise) for layer in space.layers]
        self._points: list[np.ndarray] = []
        self._scores: list[float] = []
        self._fresh = Fresh()

    def ask(self) -> list[Assignment]:
        """Return random candidates first, then those with the highest expected improvement."""
        if len(self._scores) < self._warm_up:
            count = min(self._batch, self._warm_up - len(self._scores))
            return [self._fresh.draw(self._chance) for _ in range(count)]
        return self._promising()

    def _chance(self) -> Assignment:
        return self._realised(self._within(self._generator.random((1, len(self._low))))[0])

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Add the scores, at the points that were evaluated in the end."""
        self._fresh.tell(evaluations)
        for one in evaluations:
            widths = self._coordinates.flatten(one.assignment)
            sums = self._coordinates.per_layer(widths) / [layer.channels for layer in self._problem.space.layers]
            means = np.concatenate([sums, widths[self._coordinates.channels :]])
            self._points.append(np.clip((means - self._low) / np.maximum(self._high - self._low, 1), 0, 1))
            self._scores.append(self._problem.score(one))

    def _realised(self, point: np.ndarray) -> Assignment:
        """Return the candidate with these means."""
        space, found = self._problem.space, self._coordinates
        means = self._low + point * (self._high - self._low)
        widths = np.empty(found.size, dtype=np.int64)
        widths[found.channels :] = nearest(means[len(space.layers) :], space.activation_bits)
        kinds: dict[str, str] = {}
        for index, (layer, part) in enumerate(zip(space.layers, found.slices, strict=True)):
            total = round(float(means[index]) * layer.channels)
            if self._sums is not None:
                own = self._sums[index]
                at = max(0, int(np.searchsorted(own.sums, total, side="right")) - 1)
                widths[part], kinds[layer.name] = own.widths(int(own.sums[at]))
            else:
                each, wider = divmod(total, layer.channels)
                values = np.where(np.arange(layer.channels) < wider, each + 1, each)
                widths[part] = nearest(values.astype(float), space.weight_bits)
        return within_budget(self._problem, found.assignment(widths, kinds))

    def _within(self, points: np.ndarray) -> np.ndarray:
        """Return points scaled down as far as the budget of bit operations asks for, about."""
        space, found = self._problem.space, self._coordinates
        layers = len(space.layers)
        channels = np.array([layer.channels for layer in space.layers])
        budget = self._problem.bit_operation_budget - space.fixed_bit_operations
        low, high = np.zeros(len(points)), np.ones(len(points))
        reads = np.array([layers + where - found.channels if where is not None else -1 for where in found.reads])
        fixed = np.array([layer.input_bits for layer in space.layers])

        def taken(share: np.ndarray) -> np.ndarray:
            means = self._low + share[:, None] * points * (self._high - self._low)
            width = np.where(reads >= 0, means[:, reads], fixed)
            return np.sum(found.macs * channels * width * means[:, :layers], axis=1)

        fits = taken(high) <= budget
        for _ in range(20):
            middle = (low + high) / 2
            good = taken(middle) <= budget
            low, high = np.where(good, middle, low), np.where(good, high, middle)
        return points * np.where(fits, 1.0, low)[:, None]

    def _promising(self) -> list[Assignment]:
        """Return the next batch."""
        import threadpoolctl
        from scipy.stats import norm
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import Matern, WhiteKernel

        order = np.argsort(-np.array(self._scores), kind="stable")
        window = sorted({*order[: _WINDOW // 2].tolist(), *range(max(0, len(order) - _WINDOW // 2), len(order))})
        points = [self._points[index] for index in window]
        scores = [self._scores[index] for index in window]
        candidates = self._within(self._pool([self._points[index] for index in order[:_BEST]]))
        kernel = Matern(0.5, (0.05, 20), nu=2.5) + WhiteKernel(1e-3, (1e-6, 1e-1))
        chosen: list[Assignment] = []
        # One thread: sums in another order would end in other last digits, and then in another search.
        with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a parameter at the end of its range is no harm
            process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0).fit(points, scores)
            fitted = process.kernel_
            for index in range(min(self._batch, len(candidates))):
                if index:
                    process = GaussianProcessRegressor(fitted, optimizer=None, normalize_y=True).fit(points, scores)
                mean, spread = process.predict(candidates, return_std=True)
                better = mean - max(self._scores)
                spread = np.maximum(spread, 1e-12)
                gain = better * norm.cdf(better / spread) + spread * norm.pdf(better / spread)
                at, one = self._new(candidates, gain)
                chosen.append(one)
                points.append(candidates[at])
                scores.append(float(mean[at]))
                candidates = np.delete(candidates, at, axis=0)
        return chosen

    def _new(self, points: np.ndarray, gain: np.ndarray) -> tuple[int, Assignment]:
        """Return where the largest gain is whose candidate is new, and that candidate; the last one tried if none."""
        order = iter(np.argsort(-gain, kind="stable"))
        at = 0

        def following() -> Assignment:
            nonlocal at
            at = int(next(order, at))
            return self._realised(points[at])

        one = self._fresh.draw(following)
        return at, one

    def _pool(self, best: Sequence[np.ndarray]) -> np.ndarray:
        """Return points at random, and points near the best in a few coordinates."""
        size = len(self._low)
        far = self._generator.random((_FAR, size)) * self._generator.random((_FAR, 1)) ** 0.5
        start = np.stack(best)[self._generator.integers(0, len(best), _NEAR)]
        moved = self._generator.random((_NEAR, size)) < np.maximum(2 / size, self._generator.random((_NEAR, 1)) * 0.3)
        near = start + moved * self._generator.normal(0, 0.15, (_NEAR, size))
        return np.concatenate([far, np.clip(near, 0, 1)])


def strategy(problem: Problem, seed: int, evaluations: int, *, warm_up: _Count = 10, batch: _Count = 4) -> Bomp:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
        At most a third of them are random.
    warm_up : int
        Random candidates at the beginning.
    batch : int
        Candidates chosen from one fit, at most as many as points are compared.
    """
    return Bomp(problem, seed, max(2, min(warm_up, evaluations // 3)), batch)
