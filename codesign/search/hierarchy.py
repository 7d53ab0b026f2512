"""The two controllers of AutoQB: what they see, what they do, and goals that are seen again in hindsight.

The high-level controller goes through the layers and sets for each the mean width of its channels (the goal) and the
width of what it reads. The low-level controller goes through the channels of a layer and gives each a width. For a
layer it is paid (1 − ζ)·(−|goal·channels − Σ widths|) + ζ·s·channels·(reward of the episode). The first part, in units
of the range of widths, is paid out channel by channel, as the change of |Σ (width − goal)| so far: that is the same
sum, and it is learned in far fewer steps. The reward is shared out in equal parts, s to each channel. It is brought to
a scale of about 1 first, and s = layers / channels of the network, so that the parts of all channels come to one reward
for each layer; the paper weighs rewards with ζ alone. For the high-level controller the reward of an episode comes at
its end and nothing is discounted, so it is what every step of it leads to; its critic is told so, instead of handing it
down from layer to layer.

While the low-level controller learns, the same goal comes to mean other widths. So an episode from memory is seen again
with the goal under which today's low-level controller would most likely do what it did then: among the goal that was
set, the mean that came of it, and eight drawn around that. What was set is kept beside it, so that it is among them
each time.

References
----------
Lou et al., AutoQ: automated kernel-wise neural network quantization, 2020 (arXiv 1902.05690).
Nachum et al., Data-efficient hierarchical reinforcement learning, NeurIPS 2018 (the goals in hindsight).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from codesign.search import features
from codesign.search.coordinates import nearest
from codesign.search.ddpg import Agent, Memory, Standard, noisy
from codesign.search.practice import Sharing
from codesign.search.problem import Problem

LAYER = 8
"""Numbers that describe a layer."""
HIGH = LAYER + 4
LOW = LAYER + 7
_BATCH = 64
_DRAWN = 8
_DRAWN_SPREAD = 0.5  # bits
_SEEN_AGAIN = 16


@dataclass
class Layer:
    """What was done to a layer in an episode.

    Parameters
    ----------
    index : int
    state : array of shape (HIGH,)
    action : array of shape (2,)
        Goal, and width of what it reads, before the budget; in [0, 1].
    goal : float
        In bits, after the budget: what was set when the episode was played.
    lowered : float
        Bits that the budget took from the goal.
    actions : array of shape (channels,)
        Of the low-level controller, in [0, 1].
    bits : int array of shape (channels,)

    Attributes
    ----------
    hindsight : float
        The goal that the layer is seen with now; what was set until it is seen again. `action` goes with it.
    """

    index: int
    state: np.ndarray
    action: np.ndarray
    goal: float
    lowered: float
    actions: np.ndarray
    bits: np.ndarray
    hindsight: float = field(init=False)

    def __post_init__(self) -> None:
        self.hindsight = self.goal


class High:
    """The high-level controller.

    Parameters
    ----------
    problem : Problem
    seed : int
    generator : Generator
    """

    def __init__(self, problem: Problem, seed: int, generator: np.random.Generator) -> None:
        space = problem.space
        self.rows = features.of_layers(space)
        sensitive = [float(np.mean(rows[:, 1])) for rows in features.of_channels(problem, "autoqb")]
        share = [float(layer.macs * layer.channels) for layer in space.layers]
        self._own = np.stack([sensitive, np.array(share) / max(share)], axis=1)
        self.agent = Agent(HIGH, 2, seed)
        self._generator = generator
        self._kept: list[tuple[list[Layer], float]] = []

    def state(self, layer: int, before: np.ndarray) -> np.ndarray:
        """Return what it sees of a layer: shape (HIGH,)."""
        return np.concatenate([self.rows[layer], self._own[layer], before])

    def act(self, spread: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Return states and actions of an episode; without a spread the actions are random."""
        states, actions, before = [], [], np.full(2, 0.5)
        for layer in range(len(self.rows)):
            states.append(self.state(layer, before))
            if spread is None:
                before = self._generator.random(2)
            else:
                before = noisy(self.agent.act(states[-1][None])[0].astype(float), spread, self._generator)
            actions.append(before)
        return np.stack(states), np.stack(actions)

    def remember(self, episode: list[Layer], reward: float, size: int = 400) -> None:
        """Keep an episode."""
        self._kept = [*self._kept, (episode, reward)][-size:]

    def look_again(self, low: Low) -> None:
        """Give layers from memory the goals under which today's low-level controller would do the same."""
        chosen = self._generator.integers(0, len(self._kept), _SEEN_AGAIN)
        layers = [self._kept[at][0][self._generator.integers(len(self.rows))] for at in chosen]
        for layer in layers:
            mean = float(np.mean(layer.bits))
            drawn = np.clip(self._generator.normal(mean, _DRAWN_SPREAD, _DRAWN), low.low, low.high)
            goals = np.array([layer.goal, mean, *drawn])
            layer.hindsight = float(goals[np.argmax(low.likelihoods(layer, goals))])
            before = (layer.hindsight + layer.lowered - low.low) / (low.high - low.low)
            layer.action = np.array([min(before, 1.0), layer.action[1]])

    def imitate(self, steps: int) -> None:
        """Take steps towards what was done in the best episode in memory."""
        shown = self._best()
        for _ in range(steps):
            self.agent.imitate(*shown)

    def _best(self) -> tuple[np.ndarray, np.ndarray]:
        episode, _ = max(self._kept, key=lambda one: one[1])
        return np.stack([layer.state for layer in episode]), np.stack([layer.action for layer in episode])

    def learn(self, steps: int, standard: Standard, held: bool) -> None:
        """Take steps on the episodes in memory, held near the best of them if wanted."""
        shown = self._best() if held else None
        memory = Memory(len(self._kept) * len(self.rows), HIGH, 2)
        for episode, reward in self._kept:
            states = np.stack([layer.state for layer in episode])
            actions = np.stack([layer.action for layer in episode])
            memory.add(states, actions, np.full(len(episode), reward), states, np.zeros(len(episode)))
        for _ in range(steps):
            state, action, earned, following, goes_on = memory.draw(_BATCH, self._generator)
            self.agent.learn((state, action, standard(earned), following, goes_on), shown=shown)


class Low:
    """The low-level controller.

    Parameters
    ----------
    problem : Problem
    seed : int
    generator : Generator
    """

    def __init__(self, problem: Problem, seed: int, generator: np.random.Generator) -> None:
        space = problem.space
        self.allowed = space.weight_bits
        self.low, self.high = float(self.allowed[0]), float(self.allowed[-1])
        self._rows = features.of_layers(space)
        self._channels = features.of_channels(problem, "autoqb")
        self.agent = Agent(LOW, 1, seed + 1, critic_rate=1e-3, actor_rate=3e-4)
        self._generator = generator
        self._share = len(space.layers) / sum(layer.channels for layer in space.layers)
        total = sum(layer.channels for layer in space.layers)
        self.memory = Memory(min(100_000, 200 * total), LOW, 1, rewards=2)
        self._practised: tuple[np.ndarray, np.ndarray] | None = None

    def practise(self, sharings: Sequence[Sharing], goals: int, slips: float, steps: int) -> None:
        """Learn to share goals out, before any episode is played.

        Parameters
        ----------
        sharings : sequence of Sharing
            Of the layers.
        goals : int
            Episodes of each layer.
        slips : float
            Share of the channels that are given another width than is right.
        steps : int
            Of learning.
        """
        states, wanted = [], []
        low, high = int(self.low), int(self.high)
        for index, sharing in enumerate(sharings):
            for _ in range(goals):
                goal = float(self._generator.uniform(self.low, self.high))
                right, taken = sharing.play(goal, slips, self._generator)
                layer = Layer(index, np.zeros(0), np.zeros(0), goal, 0.0, features.action_of(taken, low, high), taken)
                states.append(self.states(index, goal, layer.actions, taken))
                wanted.append(features.action_of(right, low, high)[:, None])
                self.remember(layer, np.nan)
        self._practised = np.concatenate(states), np.concatenate(wanted)
        for _ in range(steps):
            self.agent.imitate(*self._shown(self._practised))
        for _ in range(steps):
            self._learn(lambda rewards: rewards, 0.0, actor=False)

    def _shown(self, practised: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        rows = self._generator.integers(0, len(practised[0]), 4 * _BATCH)
        return practised[0][rows], practised[1][rows]

    def act(self, goals: Sequence[float], spread: float | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return actions and widths of all layers under these goals; without a spread they scatter about the goals."""
        sizes = np.array([len(rows) for rows in self._channels])
        actions = [np.zeros(size) for size in sizes]
        bits = [np.zeros(size, dtype=np.int64) for size in sizes]
        aims = np.array(goals)
        gone, before = np.zeros(len(sizes)), np.full(len(sizes), 0.5)
        for channel in range(int(sizes.max())):
            on = np.flatnonzero(sizes > channel)
            if spread is None:
                wanted = (aims[on] - self.low + 0.5) / (self.high - self.low + 1)
                chosen = noisy(wanted, 0.15, self._generator)
            else:
                states = self._states(on, np.full(len(on), channel), aims[on], gone[on], before[on])
                chosen = noisy(self.agent.act(states)[:, 0].astype(float), spread, self._generator)
            widths = nearest(features.bits_of(chosen, int(self.low), int(self.high)), self.allowed)
            for layer, action, width in zip(on, chosen, widths, strict=True):
                actions[layer][channel], bits[layer][channel] = action, width
            gone[on] += widths - aims[on]
            before[on] = chosen
        return actions, bits

    def _states(
        self, layers: np.ndarray, channels: np.ndarray, goals: np.ndarray, gone: np.ndarray, before: np.ndarray
    ) -> np.ndarray:
        """Return what it sees: the layer; goal, place, action before, channel; how far the sum is from the goal."""
        sizes = np.array([len(self._channels[layer]) for layer in layers])
        own = np.stack([self._channels[layer][channel] for layer, channel in zip(layers, channels, strict=True)])
        span = self.high - self.low
        left = np.maximum(sizes - channels, 1)
        columns = [(goals - self.low) / span, channels / sizes, before]
        # The mean that the channels left would need, and how far off the sum is, in widths.
        columns += [np.clip((goals - gone / left - self.low) / span, -0.5, 1.5), np.clip(gone / span, -2, 2)]
        return np.concatenate([self._rows[layers], np.stack(columns, axis=1), own], axis=1)

    def states(self, layer: int, goal: float, actions: np.ndarray, bits: np.ndarray) -> np.ndarray:
        """Return what it would have seen of a layer's channels under a goal: shape (channels, LOW)."""
        count = len(bits)
        gone = np.concatenate([[0.0], np.cumsum(bits - goal)[:-1]])
        before = np.concatenate([[0.5], actions[:-1]])
        return self._states(np.full(count, layer), np.arange(count), np.full(count, goal), gone, before)

    def remember(self, layer: Layer, reward: float) -> None:
        """Keep what was done to the channels of a layer."""
        states = self.states(layer.index, layer.goal, layer.actions, layer.bits)
        off = np.abs(np.cumsum(layer.bits - layer.goal))
        paid = np.stack([-np.diff(off, prepend=0.0) / (self.high - self.low), np.full(len(states), reward)], axis=1)
        goes_on = np.ones(len(states))
        goes_on[-1] = 0
        following = np.concatenate([states[1:], states[-1:]])
        self.memory.add(states, layer.actions, paid, following, goes_on)

    def likelihoods(self, layer: Layer, goals: np.ndarray) -> np.ndarray:
        """Return the logarithm of the likelihood of what was done, up to a constant, for each goal."""
        states = [self.states(layer.index, float(goal), layer.actions, layer.bits) for goal in goals]
        means = self.agent.act(np.concatenate(states))[:, 0].reshape(len(goals), -1)
        return -0.5 * np.sum((means - layer.actions) ** 2, axis=1)

    def learn(self, steps: int, standard: Standard, zeta: float) -> None:
        """Take steps on what is in memory; zeta weighs the reward of an episode, which all channels share."""
        for _ in range(steps):
            self._learn(standard, zeta)

    def _learn(self, standard: Callable[[torch.Tensor], torch.Tensor], zeta: float, actor: bool = True) -> None:
        state, action, paid, following, goes_on = self.memory.draw(_BATCH, self._generator)
        # What was only practised has no reward of an episode: it counts as that of the mean.
        shared = torch.nan_to_num(standard(paid[:, 1:]), nan=0.0)
        reward = (1 - zeta) * paid[:, :1] + zeta * self._share * shared
        shown = None if self._practised is None else self._shown(self._practised)
        self.agent.learn((state, action, reward, following, goes_on), actor=actor, shown=shown)
