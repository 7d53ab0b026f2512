"""HAQ: one action of a DDPG agent for each layer's weights, and one for each activation.

The agent goes through the network and sees of each step ten numbers: what kind of layer it is, channels in and out,
stride, kernel, weights, size of the feature map, its place, the action before, and whether weights or an activation are
meant. If the widths exceed the budget, they are lowered by a bit from the back to the front, again and again. All steps
of an episode get its reward: 5 times the score, which by accuracy is the paper's 0.1·(accuracy − reference) to first
order near 100 %; where losses are known and accuracy alone counts, the score is by the loss. A running mean takes the
place of the reference, which begins with the first batch that is learned from, as in the code that the authors
released. Each layer has one width: this is the baseline that widths per channel must beat.

The paper fine-tunes each candidate for an epoch before its accuracy is measured. Here the supernet takes the place of
that: its weights, trained once, have learned to work at many widths, and a candidate is evaluated as it is.

The agent may ask for a candidate again: that takes one of the evaluations, though no time, and is learned from again,
as an episode of its own.

References
----------
Wang et al., HAQ: hardware-aware automated quantization with mixed precision, CVPR 2019 (arXiv 1811.08886; code:
github.com/mit-han-lab/haq).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from codesign.search import features
from codesign.search.coordinates import Coordinates, nearest
from codesign.search.ddpg import Agent, Memory, noisy, one_thread
from codesign.search.problem import Evaluation, Problem
from codesign.search.repair import within_budget
from codesign.search.space import Assignment

_STATES = 10
_BATCH = 64
_EPISODES_KEPT = 128
_REWARD = 5.0
_AVERAGE = 0.5  # how much of the running mean of the rewards stays from step to step

_Count = Annotated[int, msgspec.Meta(ge=1)]


class Haq:
    """The agent, its memory, and the way from actions to widths.

    Parameters
    ----------
    problem : Problem
    seed, evaluations, warm_up, batch : int
    noise : float
    """

    def __init__(self, problem: Problem, seed: int, evaluations: int, warm_up: int, noise: float, batch: int) -> None:
        self._problem, self._batch = problem, batch
        self._coordinates = Coordinates(problem.space)
        self._generator = np.random.default_rng(seed)
        self._agent = Agent(_STATES, 1, seed)
        self._warm_up, self._noise = warm_up, noise
        self._decay = features.decay_for(evaluations, warm_up)
        self._steps = self._walk()
        self._memory = Memory(_EPISODES_KEPT * len(self._steps), _STATES, 1)
        self._episode = 0
        self._average: float | None = None
        self._pending: list[tuple[np.ndarray, np.ndarray]] = []

    def _walk(self) -> list[tuple[int, int | None]]:
        """Return the steps of an episode: a layer, and the activation that is meant, if it is not the weights."""
        steps: list[tuple[int, int | None]] = []
        met: set[int] = set()
        for index, where in enumerate(self._coordinates.reads):
            if where is not None and where not in met:
                met.add(where)
                steps.append((index, where))
            steps.append((index, None))
        return steps

    def ask(self) -> list[Assignment]:
        """Return the widths of the next episodes."""
        rows = features.of_layers(self._problem.space)
        states = np.zeros((self._batch, len(self._steps), _STATES))
        actions = np.zeros((self._batch, len(self._steps)))
        episodes = self._episode + np.arange(self._batch)
        spread = self._noise * self._decay ** np.maximum(0, episodes - self._warm_up)
        with one_thread():
            for step, (layer, where) in enumerate(self._steps):
                states[:, step, :8] = rows[layer]
                states[:, step, 8] = actions[:, step - 1] if step else 0.5
                states[:, step, 9] = where is None
                chosen = self._agent.act(states[:, step])[:, 0].astype(float)
                for row, episode in enumerate(episodes):
                    if episode < self._warm_up:
                        actions[row, step] = self._generator.random()
                    else:
                        actions[row, step] = noisy(chosen[row : row + 1], float(spread[row]), self._generator)[0]
        self._pending = [(states[row], actions[row]) for row in range(self._batch)]
        self._episode += self._batch
        return [self._assignment(row) for row in actions]

    def _assignment(self, actions: np.ndarray) -> Assignment:
        space, found = self._problem.space, self._coordinates
        weights = [bits for bits in space.weight_bits if bits]
        widths = found.highest.copy()
        for action, (layer, where) in zip(actions, self._steps, strict=True):
            allowed = weights if where is None else space.activation_bits
            bits = nearest(features.bits_of(np.array([action]), allowed[0], allowed[-1]), allowed)[0]
            widths[found.slices[layer] if where is None else where] = bits
        self._lower(widths)
        # Only where all layers at their narrowest exceed the budget is there anything left to do.
        return within_budget(self._problem, found.assignment(widths))

    def _lower(self, widths: np.ndarray) -> None:
        """Lower widths by a step, from the back to the front, until they are within the budget."""
        space, found = self._problem.space, self._coordinates
        weights = [bits for bits in space.weight_bits if bits]
        lowered = True
        while lowered and found.bit_operations(widths) > self._problem.bit_operation_budget:
            lowered = False
            for layer, where in reversed(self._steps):
                part = found.slices[layer] if where is None else slice(where, where + 1)
                allowed = weights if where is None else list(space.activation_bits)
                at = allowed.index(int(widths[part.start]))
                if at:
                    widths[part] = allowed[at - 1]
                    lowered = True
                if found.bit_operations(widths) <= self._problem.bit_operation_budget:
                    return

    def tell(self, evaluations: Sequence[Evaluation]) -> None:
        """Remember the episodes, and learn."""
        for (states, actions), one in zip(self._pending, evaluations, strict=False):
            earned = _REWARD * self._problem.score(one)
            goes_on = np.ones(len(actions))
            goes_on[-1] = 0
            following = np.concatenate([states[1:], states[-1:]])
            self._memory.add(states, actions, np.full(len(actions), earned), following, goes_on)
        if self._episode > self._warm_up and evaluations:
            with one_thread():
                for _ in range(len(self._steps) * len(evaluations)):
                    state, action, reward, after, lasts = self._memory.draw(_BATCH, self._generator)
                    self._agent.learn((state, action, reward - self._reference(float(reward.mean())), after, lasts))

    def _reference(self, mean: float) -> float:
        """Return the running mean of the rewards, with that of one more batch."""
        self._average = mean if self._average is None else _AVERAGE * self._average + (1 - _AVERAGE) * mean
        return self._average


def strategy(
    problem: Problem,
    seed: int,
    evaluations: int,
    *,
    warm_up: _Count = 20,
    noise: Annotated[float, msgspec.Meta(ge=0)] = 0.5,
    batch: _Count = 4,
) -> Haq:
    """Return the strategy.

    Parameters
    ----------
    problem : Problem
    seed : int
    evaluations : int
        Episodes; the paper has 600. At most a fifth of them are random.
    warm_up : int
        Random episodes at the beginning.
    noise : float
        Spread of the exploration after them.
    batch : int
        Episodes of one policy, at most all of them; 1 in the paper.
    """
    return Haq(problem, seed, evaluations, max(1, min(warm_up, evaluations // 5)), noise, batch)
