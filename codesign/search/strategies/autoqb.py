"""AutoQB: two controllers, one for layers and one for the channels of a layer, by reinforcement learning.

The high-level controller sets the mean width of each layer's channels and the width of what it reads; the low-level
controller gives each channel its width, 0 (pruned) and 1 (binary) among them. Goals that exceed the budget of bit
operations are lowered before the channels follow them, and what the channels exceed it by is repaired, so that the
budget holds exactly. Both are described in `codesign.search.hierarchy`.

A reconstruction from the abstract and descriptions by others. In addition to what the paper's controllers see, a
channel shows its sensitivity where that is measured: its number alone says nothing of it. The kind of weights is not
chosen: all layers have the first of the space.

With 160 candidates on a small synthetic problem the goals are followed (to 0.07 bits), and episodes get far better
than at the beginning. But over three seeds the best of all is no better than that of HAQ or of as many random
candidates, and greedy and HAWQ, which solve from tables, are clearly ahead. Where a sensitivity is measured, begin
with those.

References
----------
Lou et al., AutoQ: automated kernel-wise neural network quantization, 2020 (arXiv 1902.05690, AutoQB in version 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search import features
from codesign.search.coordinates import Coordinates, nearest
from codesign.search.ddpg import Standard, one_thread
from codesign.search.hierarchy import High, Layer, Low
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment

_Count = Annotated[int, msgspec.Meta(ge=1)]
_LOW_NOISE = 0.3
"""Exploration of the low-level controller, relative to the other: it has tens of actions where that has one."""
_STEPS = 16
"""Steps of learning that each controller takes for an episode."""


class AutoQb:
    """Both controllers, and the way from their actions to widths.

    Parameters
    ----------
    problem : Problem
    seed, evaluations, warm_up, batch : int
    noise, zeta : float

    Attributes
    ----------
    goal_errors : list of float
        Of each episode so far the mean over the layers of |mean width − goal|, before any repair.
    """

    def __init__(
        self, problem: Problem, seed: int, evaluations: int, warm_up: int, noise: float, zeta: float, batch: int
    ) -> None:
        self._problem, self._batch = problem, batch
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)
        self.high = High(problem, seed, self._generator)
        self.low = Low(problem, seed, self._generator)
        self._warm_up, self._noise, self._zeta = warm_up, noise, zeta
        self._evaluations = evaluations
        self._decay = features.decay_for(evaluations, warm_up)
        self._standard = Standard()
        self._episode = 0
        self._pending: list[list[Layer]] = []
        self.goal_errors: list[float] = []

    def ask(self) -> list[Assignment]:
        """Return the widths of the next episodes."""
        self._pending, asked = [], []
        with one_thread():
            for _ in range(self._batch):
                layers, one = self._play()
                self._pending.append(layers)
                asked.append(one)
        return asked

    def _play(self) -> tuple[list[Layer], Assignment]:
        over = self._episode - self._warm_up
        spread = None if over < 0 else self._noise * self._decay**over
        self._episode += 1
        states, actions = self.high.act(spread)
        goals, widths = self._goals(actions)
        wished = self.low.low + (self.low.high - self.low.low) * actions[:, 0]
        low_spread = None if spread is None else _LOW_NOISE * spread
        low_actions, bits = self.low.act([float(goal) for goal in goals], low_spread)
        rows = zip(range(len(goals)), states, actions, goals, wished - goals, low_actions, bits, strict=True)
        layers = [Layer(*row) for row in rows]
        self.goal_errors.append(float(np.mean([abs(np.mean(layer.bits) - layer.goal) for layer in layers])))
        vector = self._coordinates.highest.copy()
        for part, chosen in zip(self._coordinates.slices, bits, strict=True):
            vector[part] = chosen
        vector[self._coordinates.channels :] = widths
        return layers, within_budget(self._problem, self._coordinates.assignment(vector))

    def _goals(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the goal of each layer and the width of each activation, within the budget."""
        space, found = self._problem.space, self._coordinates
        bits = space.activation_bits
        narrow = float(next(width for width in space.weight_bits if width))
        goals = self.low.low + (self.low.high - self.low.low) * actions[:, 0]
        widths = np.full(len(space.activations), bits[-1])
        for where, action in zip(reversed(found.reads), reversed(actions[:, 1]), strict=True):
            if where is not None:  # of several layers that read it the first one says how wide it is
                widths[where - found.channels] = features.bits_of(np.array([action]), bits[0], bits[-1])[0]
        channels = np.array([layer.channels for layer in space.layers])

        def lowered(by: float) -> tuple[np.ndarray, np.ndarray]:
            """As a repair does: everything loses the same, but nothing falls below its narrowest."""
            return (
                np.where(goals > narrow, np.maximum(goals - by, narrow), goals),
                nearest(np.maximum(widths - np.floor(by), bits[0]), bits),
            )

        def taken(by: float) -> float:
            lower, acts = lowered(by)
            vector = np.zeros(found.size)
            vector[found.channels :] = acts
            reads = found.read_widths(vector)
            return space.fixed_bit_operations + float(np.sum(found.macs * reads * channels * lower))

        budget = self._problem.bit_operation_budget
        least, most = 0.0, self.low.high
        if taken(0.0) <= budget:
            return lowered(0.0)
        for _ in range(30):
            middle = (least + most) / 2
            least, most = (least, middle) if taken(middle) <= budget else (middle, most)
        return lowered(most)

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Remember the episodes, and let both controllers learn."""
        zeta = self._zeta * min(1.0, self._episode / max(1, self._evaluations))
        for layers, one in zip(self._pending, evaluations, strict=False):
            reward = self._problem.score(one)
            self._standard.add([reward])
            for layer in layers:
                self.low.remember(layer, reward)
            self.high.remember(layers, reward)
        if evaluations:
            with one_thread():
                self.low.learn(_STEPS * len(evaluations), self._standard, zeta)
                self.high.look_again(self.low)
                self.high.learn(_STEPS * len(evaluations), self._standard)


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    warm_up: _Count = 100,
    noise: Annotated[float, msgspec.Meta(ge=0)] = 0.5,
    zeta: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5,
    batch: _Count = 4,
) -> AutoQb:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
        Episodes; the paper has 400. At most a quarter of them are random.
    warm_up : int
        Random episodes at the beginning.
    noise : float
        Spread of the exploration after them.
    zeta : float
        Weight of the episode's reward in what the low-level controller is paid, in the end; it rises from 0.
    batch : int
        Episodes of one policy; 1 in the paper.
    """
    return AutoQb(problem, seed, evaluations, max(1, min(warm_up, evaluations // 4)), noise, zeta, batch)
