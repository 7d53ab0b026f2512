"""Deep deterministic policy gradient, in the small: what HAQ and AutoQB need of it.

Libraries of reinforcement learning bring environments, vectorised collectors and a rule of their own for when to
learn. Here a strategy decides that itself, because it is asked and told in batches, and every number must come from
its own generators, so that a search that was killed goes on as it was. What is left of the method is this file.

References
----------
Lillicrap et al., Continuous control with deep reinforcement learning, ICLR 2016.
Fujimoto and Gu, A minimalist approach to offline reinforcement learning, NeurIPS 2021 (TD3+BC).
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

_HELD = 100.0
"""How much (distance from what is shown)² counts beside a value of 1: a tenth of the range counts as much."""


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: the networks are small, and sums always come in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Memory:
    """The latest transitions.

    Parameters
    ----------
    size : int
    states, actions, rewards : int
        Numbers of a state, of an action, and of what it was rewarded with.
    """

    def __init__(self, size: int, states: int, actions: int, rewards: int = 1) -> None:
        self._arrays = tuple(
            np.zeros((size, width), dtype=np.float32) for width in (states, actions, rewards, states, 1)
        )  # state, action, reward, following state, and 0 where the episode ends
        self._next, self.count = 0, 0

    def add(self, *rows: np.ndarray) -> None:
        """Keep transitions: states, actions, rewards, following states, and 0 for those that end an episode."""
        size = len(self._arrays[0])
        places = (self._next + np.arange(len(rows[0]))) % size
        for array, row in zip(self._arrays, rows, strict=True):
            array[places] = np.asarray(row, dtype=np.float32).reshape(len(places), -1)
        self._next = int((self._next + len(places)) % size)
        self.count = min(size, self.count + len(places))

    def draw(self, count: int, generator: np.random.Generator) -> tuple[torch.Tensor, ...]:
        """Return so many transitions at random."""
        places = generator.integers(0, self.count, count)
        return tuple(torch.from_numpy(array[places]) for array in self._arrays)


class Agent:
    """An actor and a critic, each with a slow copy.

    Parameters
    ----------
    states, actions : int
        Numbers of a state; numbers of an action, each in [0, 1].
    seed : int
        Of the weights at the beginning.
    hidden : int
        Width of the two hidden layers.
    actor_rate, critic_rate : float
        Learning rates of Adam.
    tau : float
        How fast the copies follow.
    discount : float
        γ.
    """

    def __init__(
        self,
        states: int,
        actions: int,
        seed: int,
        hidden: int = 300,
        actor_rate: float = 1e-4,
        critic_rate: float = 1e-3,
        tau: float = 0.01,
        discount: float = 1.0,
    ) -> None:
        # A generator of its own: that of torch belongs to whoever evaluates.
        generator = torch.Generator().manual_seed(seed)
        self._actor = nn.Sequential(*_layers(states, hidden, actions, generator), nn.Sigmoid())
        self._critic = nn.Sequential(*_layers(states + actions, hidden, 1, generator))
        self._slow_actor, self._slow_critic = copy.deepcopy(self._actor), copy.deepcopy(self._critic)
        self._actor_step = torch.optim.Adam(self._actor.parameters(), actor_rate, fused=True)
        self._critic_step = torch.optim.Adam(self._critic.parameters(), critic_rate, fused=True)
        self._slow: list[torch.Tensor] = [*self._slow_actor.parameters(), *self._slow_critic.parameters()]
        self._fast: list[torch.Tensor] = [*self._actor.parameters(), *self._critic.parameters()]
        self._tau, self._discount = tau, discount

    @torch.no_grad()
    def act(self, states: np.ndarray) -> np.ndarray:
        """Return the actions of the policy: shape (n, actions)."""
        return self._actor(torch.from_numpy(np.asarray(states, dtype=np.float32))).numpy()

    def imitate(self, states: np.ndarray, actions: np.ndarray) -> None:
        """Take one step of the actor towards what was done in these states."""
        self._actor_step.zero_grad()
        self._distance(states, actions).backward()
        self._actor_step.step()
        self._follow()

    def learn(
        self,
        transitions: tuple[torch.Tensor, ...],
        *,
        actor: bool = True,
        shown: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        """Take one step: the critic towards reward plus value of what follows, the actor, if asked, up the critic.

        With states and actions that are `shown`, the actor is held near them too, as TD3+BC holds it.
        """
        state, action, reward, following, goes_on = transitions
        with torch.no_grad():
            value = self._slow_critic(torch.cat([following, self._slow_actor(following)], 1))
            target = reward + self._discount * goes_on * value
        loss = F.mse_loss(self._critic(torch.cat([state, action], 1)), target)
        self._critic_step.zero_grad()
        loss.backward()
        self._critic_step.step()
        if actor:
            self._critic.requires_grad_(False)  # only the actor moves now
            self._actor_step.zero_grad()
            worth = self._critic(torch.cat([state, self._actor(state)], 1))
            wanted = -worth.mean()
            if shown is not None:
                wanted = wanted / (worth.detach().abs().mean() + 1e-8) + _HELD * self._distance(*shown)
            wanted.backward()
            self._actor_step.step()
            self._critic.requires_grad_(True)
        self._follow()

    def _distance(self, states: np.ndarray, actions: np.ndarray) -> torch.Tensor:
        wanted = torch.from_numpy(np.asarray(actions, dtype=np.float32))
        return F.mse_loss(self._actor(torch.from_numpy(np.asarray(states, dtype=np.float32))), wanted)

    @torch.no_grad()
    def _follow(self) -> None:
        torch._foreach_lerp_(self._slow, self._fast, self._tau)


def _layers(inputs: int, hidden: int, outputs: int, generator: torch.Generator) -> list[nn.Module]:
    first, second, last = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
    with torch.no_grad():
        for layer in (first, second, last):
            # The last layer begins near 0, so that the first actions are in the middle.
            bound = 3e-3 if layer is last else layer.in_features**-0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)
    return [first, nn.ReLU(), second, nn.ReLU(), last]


def noisy(actions: np.ndarray, spread: float, generator: np.random.Generator) -> np.ndarray:
    """Return actions drawn from normal distributions around these, cut off at 0 and 1."""
    from scipy.special import ndtr, ndtri

    if spread <= 0:
        return actions
    low, high = ndtr(-actions / spread), ndtr((1 - actions) / spread)
    drawn = ndtri(low + (high - low) * generator.random(actions.shape))
    return np.clip(actions + spread * drawn, 0.0, 1.0)


class Standard:
    """Mean and spread of all rewards so far, so that they come to about 1 whatever they are measured in.

    Rewards are kept as they are and brought to this scale when they are learned from: it moves, and what was good
    early on must not look better or worse than the same later.
    """

    def __init__(self) -> None:
        self._rewards: list[float] = []

    def add(self, rewards: Iterable[float]) -> None:
        """Count rewards in."""
        self._rewards += rewards

    def __call__(self, rewards: torch.Tensor) -> torch.Tensor:
        """Return how far rewards are from the mean, in spreads: at most 3, or a disaster is all that is seen."""
        known = np.array(self._rewards)
        return ((rewards - float(known.mean())) / (float(known.std()) + 1e-8)).clamp(-3, 3)
