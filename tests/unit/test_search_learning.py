"""The agents learn what can be learned, and the strategies beat chance where it can be beaten."""

import itertools

import numpy as np
import pytest
import torch

from codesign.search import features, strategies
from codesign.search.ddpg import Agent, Memory, Standard, noisy, one_thread
from codesign.search.evaluate import evaluate
from codesign.search.hierarchy import High, Layer, Low
from codesign.search.practice import Sharing
from codesign.search.problem import Problem
from codesign.search.run import search
from codesign.search.strategies import autoqb, haq
from tests.unit.search_problem import problem


def test_an_agent_learns_which_action_a_state_wants():
    """One state asks for an action of 0.2, the other for 0.8."""
    generator = np.random.default_rng(0)
    agent, memory = Agent(2, 1, seed=0, hidden=64, actor_rate=1e-3), Memory(2000, 2, 1)
    wanted = {0: 0.2, 1: 0.8}
    kinds = generator.integers(0, 2, 2000)
    states, actions = np.eye(2)[kinds], generator.random((2000, 1))
    rewards = -((actions[:, 0] - np.array([wanted[int(kind)] for kind in kinds])) ** 2)
    memory.add(states, actions, rewards, states, np.zeros(2000))
    with one_thread():
        for _ in range(400):
            agent.learn(memory.draw(64, generator))
    assert agent.act(np.eye(2))[:, 0] == pytest.approx([0.2, 0.8], abs=0.1)


def test_what_follows_is_discounted_and_ends_count_as_nothing():
    """Two steps: the second is paid. The critic hands it back to the first, with γ."""
    generator = np.random.default_rng(0)
    agent, memory = Agent(2, 1, 0, hidden=32, critic_rate=3e-3, tau=0.1, discount=0.5), Memory(2, 2, 1)
    memory.add(np.eye(2), np.full((2, 1), 0.5), [0.0, 1.0], np.array([[0, 1], [1, 0]]), [1, 0])
    with one_thread():
        for _ in range(600):
            agent.learn(memory.draw(16, generator))
        rows = torch.tensor([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]])
        assert agent._critic(rows)[:, 0].tolist() == pytest.approx([0.5, 1.0], abs=0.1)


def test_a_seed_gives_the_same_agent_whatever_torch_was_used_for_before():
    torch.manual_seed(1)
    first = Agent(3, 1, seed=4).act(np.ones((1, 3)))
    torch.rand(10)
    assert np.array_equal(first, Agent(3, 1, seed=4).act(np.ones((1, 3))))
    assert not np.array_equal(first, Agent(3, 1, seed=5).act(np.ones((1, 3))))


def test_the_memory_forgets_the_oldest():
    memory = Memory(3, 1, 1)
    for index in range(5):
        memory.add([[index]], [[0]], [0], [[0]], [1])
    assert memory.count == 3
    assert set(memory.draw(100, np.random.default_rng(0))[0].ravel().tolist()) == {2.0, 3.0, 4.0}


def test_noise_stays_in_range_and_has_its_spread():
    generator = np.random.default_rng(0)
    drawn = noisy(np.full(20000, 0.5), 0.1, generator)
    assert np.std(drawn) == pytest.approx(0.1, rel=0.03)
    edge = noisy(np.zeros(20000), 0.3, generator)
    assert edge.min() >= 0
    # The upper half of a normal distribution, cut off at 1.
    assert np.mean(edge) == pytest.approx(0.3 * 0.797, rel=0.03)
    assert noisy(np.array([0.3]), 0.0, generator).tolist() == [0.3]


def test_rewards_are_brought_to_one_scale():
    standard = Standard()
    standard.add([1.0, 3.0])
    assert standard(torch.tensor([1.0, 2.0, 3.0, -1e9])).tolist() == pytest.approx([-1, 0, 1, -3], abs=1e-5)


def test_actions_become_widths_in_equal_shares():
    bits = features.bits_of(np.linspace(0, 1, 9001), 1, 8)
    assert set(bits) == set(range(1, 9))
    assert np.bincount(bits.astype(int))[1:] == pytest.approx(9001 / 8, rel=0.01)
    assert features.decay_for(600, 20) == 0.99
    assert 0.5 * features.decay_for(100, 20) ** 80 == pytest.approx(0.02)


def test_features_of_layers_and_channels_are_scaled():
    made = problem((4, 6, 6, 8))
    rows = features.of_layers(made.space)
    assert rows.shape == (4, 8)
    assert rows.min() == 0
    assert rows.max() == 1
    assert rows[:, 0].tolist() == [0] * 4
    scales = made.evaluator.scales().weights
    for layer, own in zip(made.space.layers, features.of_channels(made, "autoqb"), strict=True):
        assert np.array_equal(np.argsort(own[:, 0]), np.argsort(scales[layer.name]))
        assert np.array_equal(np.argsort(own[:, 1]), np.argsort(scales[layer.name]))


def test_the_reference_of_haq_begins_with_the_first_batch():
    agent = haq.strategy(problem(), 0, 10)
    assert [agent._reference(mean) for mean in (-6.0, -2.0, 0.0)] == [-6.0, -4.0, -2.0]


# AutoQB


@pytest.mark.parametrize("seed", range(4))
def test_goals_are_shared_out_as_the_sensitivity_wants_it(seed):
    """For the sum that comes of it, nothing is better: compared with all ways to share it out among four channels."""
    generator = np.random.default_rng(seed)
    widths = (0, 1, 2, 3, 4)
    rises = np.exp(generator.normal(0, 1.5, 4))[:, None] * 4.0 ** -np.array(widths, dtype=float)
    sharing = Sharing(rises, widths)
    for goal in (0.0, 1.2, 2.5, 3.1, 4.0):
        right, taken = sharing.play(goal, 0.0, generator)
        assert np.array_equal(right, taken)
        assert abs(np.mean(taken) - goal) <= 0.3
        best = min(
            sum(rises[channel, bits] for channel, bits in enumerate(one))
            for one in itertools.product(widths, repeat=4)
            if sum(one) == sum(taken)
        )
        assert sum(rises[np.arange(4), taken]) == pytest.approx(best)


def test_slips_are_made_up_for():
    generator = np.random.default_rng(0)
    rises = np.exp(generator.normal(0, 1, 64))[:, None] * 4.0 ** -np.arange(9.0)
    sharing = Sharing(rises, range(9))
    for goal in (1.5, 3.0, 5.2):
        right, taken = sharing.play(goal, 0.2, generator)
        assert 5 <= np.sum(right != taken) <= 20
        assert abs(np.mean(taken) - goal) < 0.25


def test_channels_that_the_sensitivity_does_not_tell_apart_are_shared_out_too():
    right, _ = Sharing(np.zeros((3, 3)), (0, 2, 4)).play(1.0, 0.0, np.random.default_rng(0))
    assert set(right) == {0}


def test_an_actor_is_held_near_what_it_is_shown():
    """The critic wants 1 everywhere; what is shown is 0.3."""
    generator = np.random.default_rng(0)
    ends = {}
    for held in (False, True):
        agent, memory = Agent(1, 1, seed=0, hidden=32, actor_rate=1e-3), Memory(500, 1, 1)
        actions = generator.random((500, 1))
        memory.add(np.ones((500, 1)), actions, actions, np.ones((500, 1)), np.zeros(500))
        shown = (np.ones((4, 1)), np.full((4, 1), 0.3)) if held else None
        with one_thread():
            for _ in range(400):
                agent.learn(memory.draw(64, generator), shown=shown)
        ends[held] = float(agent.act(np.ones((1, 1)))[0, 0])
    assert ends[False] > 0.9
    assert 0.25 < ends[True] < 0.4


def layer_of(low, index, goal, generator):
    count = len(low._channels[index])
    actions = generator.random(count)
    bits = np.clip(np.round(9 * actions - 0.5), 0, 8).astype(int)
    return Layer(index, np.zeros(12), np.array([0.5, 0.5]), goal, 0.0, actions, bits)


def test_the_intrinsic_reward_sums_up_to_the_distance_from_the_goal():
    made = problem((4, 6, 6, 8))
    generator = np.random.default_rng(0)
    low = Low(made, 0, generator)
    for goal in (0.0, 2.3, 8.0):
        layer = layer_of(low, 3, goal, generator)
        before = low.memory.count
        low.remember(layer, 1.5)
        paid = low.memory._arrays[2][before : low.memory.count]
        assert len(paid) == 8
        assert paid[:, 0].sum() * 8 == pytest.approx(-abs(goal * 8 - layer.bits.sum()), abs=1e-4)
        assert set(paid[:, 1]) == {1.5}
        assert low.memory._arrays[4][before : low.memory.count, 0].tolist() == [1] * 7 + [0]


def test_goals_in_hindsight_are_the_likeliest_of_the_candidates():
    made = problem((4, 6, 6, 8))
    generator = np.random.default_rng(0)
    low, high = Low(made, 0, generator), High(made, 0, generator)
    layers = [layer_of(low, index, 7.5, generator) for index in range(4)]
    before = [float(low.likelihoods(layer, np.array([layer.goal]))[0]) for layer in layers]
    high.remember(layers, 1.0)
    high.look_again(low)
    after = [float(low.likelihoods(layer, np.array([layer.hindsight]))[0]) for layer in layers]
    assert all(new >= old for new, old in zip(after, before, strict=True))
    assert any(new > old for new, old in zip(after, before, strict=True))
    for layer in layers:
        assert low.low <= layer.hindsight <= low.high
        if layer.hindsight != 7.5:
            assert layer.action[0] == pytest.approx(layer.hindsight / 8)


def test_the_goal_that_was_set_is_among_the_candidates_each_time(monkeypatch):
    made = problem((4, 6, 6, 8))
    generator = np.random.default_rng(0)
    low, high = Low(made, 0, generator), High(made, 0, generator)
    layers = [layer_of(low, index, 7.5, generator) for index in range(4)]
    high.remember(layers, 1.0)
    likelihoods, offered = low.likelihoods, []

    def noted(layer, goals):
        offered.append(float(goals[0]))
        return likelihoods(layer, goals)

    monkeypatch.setattr(low, "likelihoods", noted)
    for _ in range(3):
        high.look_again(low)
    assert len(offered) == 48
    assert set(offered) == {7.5}
    assert {layer.goal for layer in layers} == {7.5}
    assert any(layer.hindsight != 7.5 for layer in layers)
    # When the goal that was set is the likeliest again, it comes back, and with it what the controller did.
    monkeypatch.setattr(low, "likelihoods", lambda layer, goals: -np.arange(len(goals)))
    for _ in range(8):
        high.look_again(low)
    assert {layer.hindsight for layer in layers} == {7.5}
    assert [layer.action[0] for layer in layers] == pytest.approx([7.5 / 8] * 4)


def test_goals_are_within_the_budget_before_the_channels_follow_them():
    made = problem((4, 6, 6, 8), budget=0.1)
    found = autoqb.strategy(made, 0, 40, practise=False)
    generator = np.random.default_rng(1)
    for _ in range(20):
        goals, widths = found._goals(generator.random((4, 2)))
        reads = [8, *widths]
        taken = sum(
            layer.macs * layer.channels * read * goal
            for layer, read, goal in zip(made.space.layers, reads, goals, strict=True)
        )
        assert taken <= made.constraint.bit_operations * (1 + 1e-6)
        assert np.all((goals >= 0) & (goals <= 8))


def played(made, seed, episodes):
    found = autoqb.strategy(made, seed, episodes, practise=False)
    scores = []
    while len(scores) < episodes:
        told = [evaluate(made, one) for one in found.ask()]
        found.tell(told)
        scores += [made.score(one) for one in told]
    return found, scores


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_channels_come_to_follow_their_goals(seed):
    found, scores = played(problem((4, 6, 6, 8), coupling=0.5), seed, 160)
    assert np.mean(found.goal_errors[:20]) > 0.3
    assert np.mean(found.goal_errors[-20:]) < 0.25
    # What was learned is worth something: the last episodes are better than the random ones at the beginning.
    assert np.median(scores[-20:]) > np.median(scores[:40])


@pytest.mark.parametrize("name", ["random", "evolution", "bomp"])
def test_nothing_is_asked_for_twice(name):
    made = problem((4, 6, 6, 8), coupling=0.5)
    result = search(made, name, evaluations=60)
    assert len({one.assignment.digest() for one in result.evaluations}) == 60


@pytest.mark.parametrize("name", ["random", "evolution", "bomp"])
def test_what_a_repair_made_is_not_asked_for_again(name):
    made = problem((4, 6, 6, 8), budget=None, limits={"lut": 450})
    strategy, told = strategies.make(name, made, 0, 40, {}), set()
    while len(told) < 24:
        asked = strategy.ask()
        assert not told & {one.digest() for one in asked}
        found = [evaluate(made, one) for one in asked]
        assert any(one.repaired for one in found)
        told |= {one.digest() for one in asked} | {one.assignment.digest() for one in found}
        strategy.tell(found)


@pytest.mark.parametrize("name", ["random", "evolution", "bomp"])
def test_where_there_is_nothing_new_any_more_a_search_ends_all_the_same(name):
    made = problem((2, 2), budget=None, weight_bits=(1, 2), activation_bits=(1, 2))
    result = search(made, name, evaluations=40)
    assert len(result.evaluations) == 40
    assert len({one.assignment.digest() for one in result.evaluations}) <= 32


def best_scores(made, name, evaluations, seeds, **options):
    return np.array(
        [made.score(search(made, name, evaluations=evaluations, seed=s, options=options).best) for s in seeds]
    )


@pytest.mark.slow
def test_evolution_beats_chance_at_equal_evaluations():
    made = problem((8, 8, 16, 16), coupling=0.5)
    assert np.all(best_scores(made, "evolution", 200, range(3)) > best_scores(made, "random", 200, range(3)).max())


class Blind:
    """Evaluates, and measures nothing else."""

    def __init__(self, inner):
        self._inner = inner

    def identity(self):
        return self._inner.identity()

    def accuracy(self, assignment):
        return self._inner.accuracy(assignment)

    def cost(self, assignment):
        return {}


@pytest.mark.slow
@pytest.mark.parametrize("blind", [False, True], ids=["with sensitivity", "without"])
def test_bayesian_optimisation_is_ahead_of_chance_all_along(blind):
    """The area under the best so far, over five seeds."""
    made = problem((4, 6, 6, 8), coupling=0.5)
    if blind:
        made = Problem(made.space, made.constraint, Blind(made.evaluator))

    def area(name, seed):
        scores = [made.score(one) for one in search(made, name, evaluations=60, seed=seed).evaluations]
        return float(np.mean(np.maximum.accumulate(scores)))

    ahead = [area("bomp", seed) - area("random", seed) for seed in range(5)]
    assert np.mean(ahead) > 0
    assert sum(each > 0 for each in ahead) >= 4
