"""AutoQB: two controllers, one for layers and one for the channels of a layer, by reinforcement learning.

The high-level controller sets the mean width of each layer's channels and the width of what it reads; the low-level
controller gives each channel its width, 0 (pruned) and 1 (binary) among them. Goals that exceed the budget of bit
operations are lowered before the channels follow them, and what the channels exceed it by is repaired, so that the
budget holds exactly. Both are described in `codesign.search.hierarchy`.

A reconstruction from the abstract and descriptions by others, with one addition. With a few hundred candidates two
controllers that know nothing learn little: over three seeds of a small synthetic problem and 160 candidates the best
of all was no better than that of as many random ones. So where a sensitivity is measured, it is put to use before the
controllers play (`practise`, on by default):

* The first episodes are candidates that follow what was measured alone (`codesign.search.lessons`). The high-level
  controller begins with what was done in the best of them, and is held near the best episode so far while it learns.
  The kind of weights of each layer is that of this one.
* The low-level controller practises to share goals out among channels as the sensitivity wants it
  (`codesign.search.practice`), with channels as unlike as in the best of those candidates; afterwards it is held near
  that while it learns from rewards.

What is found then is at least as good as the best of those, and what is learned from rewards comes on top. Without
`practise` the controllers are those of the paper, and a channel shows its sensitivity where that is measured: its
number alone says nothing of it.

The policy may ask for a candidate again: that takes one of the evaluations, though no time, and its reward is learned
from again, as an episode of its own.

References
----------
Lou et al., AutoQ: automated kernel-wise neural network quantization, 2020 (arXiv 1902.05690, AutoQB in version 1).
Vecerik et al., Leveraging demonstrations for deep reinforcement learning, 2017 (arXiv 1707.08817).
Oh et al., Self-imitation learning, ICML 2018.
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
from codesign.search.lessons import Lessons, trusted
from codesign.search.measurements import MeasuresSensitivity, Table
from codesign.search.practice import Sharing
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment

_Count = Annotated[int, msgspec.Meta(ge=1)]
_LOW_NOISE = 0.3
"""Exploration of the low-level controller, relative to the other: it has tens of actions where that has one."""
_NOISE, _NOISE_AFTER_PRACTICE = 0.5, 0.03
_STEPS = 16
"""Steps of learning that each controller takes for an episode."""
_GOALS, _SLIPS, _PRACTICE = 24, 0.15, 600
"""Of the practice: episodes of each layer, share of channels with another width than is right, steps of learning."""


class AutoQb:
    """Both controllers, and the way from their actions to widths.

    Parameters
    ----------
    problem : Problem
    seed, evaluations, warm_up, batch : int
    noise, zeta : float
    practise : bool

    Attributes
    ----------
    goal_errors : list of float
        Of each episode that the controllers played so far the mean over the layers of |mean width − goal|, before any
        repair. Lessons have no goals and are not counted.
    """

    def __init__(
        self,
        problem: Problem,
        seed: int,
        evaluations: int,
        warm_up: int,
        noise: float,
        zeta: float,
        batch: int,
        practise: bool,
    ) -> None:
        self._problem, self._batch = problem, batch
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)
        self.high = High(problem, seed, self._generator)
        self.low = Low(problem, seed, self._generator)
        self._warm_up, self._noise, self._zeta = warm_up, noise, zeta
        self._evaluations = evaluations
        self._standard = Standard()
        self._episode = 0
        self._pending: list[list[Layer]] = []
        self.goal_errors: list[float] = []
        self._kinds: dict[str, str] = {}
        self._table: Table | None = None
        self._lessons: Lessons | None = None
        if practise:
            self._table = problem.measures(MeasuresSensitivity, "autoqb").sensitivity()
            self._lessons = Lessons(problem, self._table, self._warm_up)
        self._decay = features.decay_for(evaluations, self._warm_up)

    def ask(self) -> list[Assignment]:
        """Return the widths of the next episodes."""
        self._pending = []
        if self._lessons is not None:
            if shown := self._lessons.ask():
                self._episode += len(shown)
                return shown
            self._begin(self._lessons)
        asked = []
        with one_thread():
            for _ in range(self._batch):
                layers, one = self._play()
                self._pending.append(layers)
                asked.append(one)
        return asked

    def _begin(self, lessons: Lessons) -> None:
        """Put to use what was shown: practise, imitate the best, and play from now on."""
        self._lessons, self._warm_up = None, self._episode
        self._decay = features.decay_for(self._evaluations, self._warm_up)
        assert self._table is not None and lessons.best is not None  # noqa: S101, PT018 - one at least was shown
        space, table = self._problem.space, trusted(self._table, lessons.trust)
        schemes = lessons.best.assignment.schemes
        self._kinds = {layer.name: schemes.get(layer.name, "uniform") for layer in space.layers}
        sharings = []
        for layer in space.layers:
            kind = self._kinds[layer.name]
            widths = space.widths(kind)
            sharings.append(Sharing(table.weights[kind][layer.name][:, : len(widths)], widths))
        with one_thread():
            self.low.practise(sharings, _GOALS, _SLIPS, _PRACTICE)
            self.high.imitate(_PRACTICE)

    def _episode_of(self, one: Assignment) -> list[Layer]:
        """Return an assignment as an episode that the controllers might have played."""
        vector = self._coordinates.flatten(one)
        acts = self._problem.space.activation_bits
        layers, before = [], np.full(2, 0.5)
        for index, (part, where) in enumerate(zip(self._coordinates.slices, self._coordinates.reads, strict=True)):
            bits = vector[part]
            goal = float(np.mean(bits))
            read = acts[-1] if where is None else int(vector[where])
            state = self.high.state(index, before)
            before = np.array(
                [
                    (goal - self.low.low) / (self.low.high - self.low.low),
                    features.action_of(np.array(read), acts[0], acts[-1]),
                ]
            )
            actions = features.action_of(bits, int(self.low.low), int(self.low.high))
            layers.append(Layer(index, state, before, goal, 0.0, actions, bits))
        return layers

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
        return layers, within_budget(self._problem, self._coordinates.assignment(vector, self._kinds))

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
        pending = self._pending
        if self._lessons is not None:
            self._lessons.tell(evaluations)
            # What a repair made of it is what the reward is for.
            pending = [self._episode_of(one.assignment) for one in evaluations]
        for layers, one in zip(pending, evaluations, strict=False):
            reward = self._problem.score(one)
            self._standard.add([reward])
            for layer in layers:
                self.low.remember(layer, reward)
            self.high.remember(layers, reward)
        if evaluations and self._lessons is None:
            with one_thread():
                self.low.learn(_STEPS * len(evaluations), self._standard, zeta)
                self.high.look_again(self.low)
                self.high.learn(_STEPS * len(evaluations), self._standard, held=self._table is not None)


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    warm_up: _Count = 100,
    noise: Annotated[float, msgspec.Meta(ge=0)] | None = None,
    zeta: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5,
    batch: _Count = 4,
    practise: bool = True,
) -> AutoQb:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
        Episodes; the paper has 400.
    warm_up : int
        Random episodes at the beginning, at most a quarter of all; with practice it is the most lessons instead.
    noise : float, optional
        Spread of the exploration after them: 0.5 in the paper, 0.03 after practice, so that few widths change.
    zeta : float
        Weight of the episode's reward in what the low-level controller is paid, in the end; it rises from 0.
    batch : int
        Episodes of one policy, at most all of them; 1 in the paper. Lessons come in batches of their own.
    practise : bool
        Put a sensitivity that is measured to use before the controllers play.
    """
    practise = practise and problem.offers(MeasuresSensitivity)
    spread = (_NOISE_AFTER_PRACTICE if practise else _NOISE) if noise is None else noise
    return AutoQb(problem, seed, evaluations, max(1, min(warm_up, evaluations // 4)), spread, zeta, batch, practise)
